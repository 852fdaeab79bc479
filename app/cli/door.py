"""How every command ends, and how it prints for programs."""

import errno
import json
from pathlib import Path
from typing import Any

import click


class Door(click.Group):
    """Turns whatever goes wrong inside into one line and exit status 1."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise  # whoever read our output has gone; click ends quietly
            raise click.ClickException(_line(error)) from None


def _line(error: Exception) -> str:
    from app.foundation.ephemeral.embedded import EmbeddedStoreError
    from app.foundation.refusals import StoreAway, Unavailable
    from app.foundation.settings import BadSetting
    from app.foundation.sql.migrations import NotMigrated
    from app.journeys.administration.model import NotDone

    if isinstance(error, BadSetting | NotMigrated | NotDone | EmbeddedStoreError):
        return " ".join(str(error).split())
    if isinstance(error, StoreAway):
        return f"the {error.what} does not answer; run: keyturn doctor"
    if isinstance(error, Unavailable):
        return "too busy at this moment; try again"
    if isinstance(error, OSError):
        said = error.strerror or type(error).__name__
        return f"{said}: {error.filename}" if error.filename else said
    # a defect: its text may hold what it was working on, so only its kind and place are shown
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" at {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else ""
    return f"this is a defect in Keyturn, please report it: {type(error).__name__}{place}"


def json_text(value: object) -> str:
    return json.dumps(value, indent=2, sort_keys=False)


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
