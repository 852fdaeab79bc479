"""`keyturn audit …`: check the audit log, and hand it on."""

from datetime import UTC, datetime
from pathlib import Path

import click

from app.cli.door import json_option, json_text
from app.cli.house import open_house, read_settings

_TAMPERED = {
    "edited": "event {number} was edited",
    "removed": "event {number} was removed",
    "inserted": "event {number} was inserted",
    "reordered": "event {number} stands in the place of another",
    "seal": "seal {number} was altered, removed or inserted, or its key is not on the keyring",
    "cut": "seal {number}, which was kept outside, is not in the chain: what it signed was cut off or replaced",
}


@click.group()
def audit() -> None:
    """Check the audit log, and hand it on."""


@audit.command()
@click.option(
    "--seals",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file of seals that was kept outside (AUDIT_SEALS_TO).",
)
@json_option
@click.pass_context
def verify(context: click.Context, *, seals: Path | None, as_json: bool) -> None:
    """Check every event against the seals over it; exit status 1 and the first fault where anything was touched."""
    from app import wiring
    from app.journeys.administration.model import NotDone
    from app.journeys.auditing.model import BadHeadsError

    with open_house(read_settings(), prepare=False) as house:
        try:
            verdict = wiring.build_auditing(house.base).verify(seals)
        except BadHeadsError as error:
            raise NotDone(str(error)) from None
    if as_json:
        head = {"number": verdict.head.number, "chain": verdict.head.chain} if verdict.head else None
        fault = {"kind": verdict.fault.kind.value, "number": verdict.fault.number} if verdict.fault else None
        counted = {"seals": verdict.seals, "events": verdict.events, "waiting": verdict.waiting}
        click.echo(json_text({**counted, "head": head, "fault": fault}))
    elif verdict.fault is not None:
        raise NotDone(_TAMPERED[verdict.fault.kind.value].format(number=verdict.fault.number))
    else:
        click.echo(f"whole: {verdict.events} events under {verdict.seals} seals; {verdict.waiting} not sealed yet")
        if verdict.head:
            click.echo(f"newest seal: {verdict.head.number} {verdict.head.chain}")
    context.exit(1 if verdict.fault else 0)


@audit.command("export")
@click.option("--format", "form", type=click.Choice(["jsonl", "csv"]), default="jsonl", show_default=True)
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="The first day, UTC.")
def export(*, form: str, since: datetime | None) -> None:
    """Print the audit log."""
    from app import wiring
    from app.journeys.auditing.model import Form

    moment = int(since.replace(tzinfo=UTC).timestamp()) if since else 0
    with open_house(read_settings(), prepare=False) as house:
        for line in wiring.build_auditing(house.base).export(Form(form), since=moment):
            click.echo(line, nl=False)
