"""`keyturn user import`: many people from one file, with what is told while it is read."""

import json
import math
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from app.cli.door import json_option
from app.cli.house import open_house, read_settings

if TYPE_CHECKING:
    from app.foundation.clock import Clock
    from app.journeys.administration.model import Tally
    from app.steps.roster import BadRow

_ERRORS = '{"errors": ['


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, readable=True, allow_dash=True))
@click.option("--dry-run", is_flag=True, help="Judge every row and write nothing.")
@json_option
@click.pass_context
def import_(context: click.Context, file: str, *, dry_run: bool, as_json: bool) -> None:
    """Make people from JSON Lines or CSV. Nobody who is there already is altered.

    Fields: user_id (required), first_name, last_name, email, phone, organization, role, password (temporary) or
    password_hash, totp_secret, contacts_verified. `-` reads standard input.
    """
    settings = read_settings()
    report = Report(as_json=as_json)
    with open_house(settings, prepare=True) as house, seekable(file) as (source, size):
        bar = Progress(house.base.clock, size)

        def refused(bad: "BadRow") -> None:
            bar.clear()
            report.refused(bad)

        def advanced(tally: "Tally") -> None:
            bar.show(source.tell(), tally.rows)

        try:
            tally = house.people.import_people(source, file, refused=refused, advanced=advanced, dry_run=dry_run)
        except KeyboardInterrupt:
            bar.clear()
            click.echo("Stopped. Those who were made stay; run it again to go on.", err=True)
            raise click.Abort from None
        finally:
            bar.clear()
    report.end(tally, dry_run=dry_run)
    context.exit(1 if tally.refused else 0)


@contextmanager
def seekable(file: str) -> Iterator[tuple[BinaryIO, int]]:
    """The file and its size. What cannot be read twice (a pipe) is first copied to disk."""
    import shutil
    import tempfile

    with ExitStack() as stack:
        if file == "-":
            given: BinaryIO = sys.stdin.buffer
        else:
            given = stack.enter_context(Path(file).open("rb"))
        if file == "-" or not given.seekable():
            copy = stack.enter_context(tempfile.TemporaryFile())
            shutil.copyfileobj(given, copy)
            copy.seek(0)
            given = copy
        yield given, os.fstat(given.fileno()).st_size


class Report:
    """What an import tells, as it goes: it may be as long as the file, and is not kept."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._count = 0

    def refused(self, bad: "BadRow") -> None:
        self._count += 1
        if self._as_json:
            problems = [asdict(problem) for problem in bad.problems]
            start = "," if self._count > 1 else _ERRORS
            click.echo(f"{start}\n  {json.dumps({'line': bad.line, 'problems': problems})}", nl=False)
            return
        lines = f"lines {bad.line} to {bad.last_line}" if bad.last_line > bad.line else f"line {bad.line}"
        click.echo(f"{lines}: {'; '.join(map(str, bad.problems))}", err=True)

    def end(self, tally: "Tally", *, dry_run: bool) -> None:
        if self._as_json:
            rest = json.dumps({**asdict(tally), "dry_run": dry_run})
            start = "\n" if self._count else _ERRORS
            click.echo(f"{start}], {rest[1:]}")
            return
        made = "would be made" if dry_run else "made"
        there = f"{tally.existing:,} there already"
        click.echo(f"{tally.rows:,} rows: {tally.created:,} {made}, {there}, {tally.refused:,} refused")


class Progress:
    """A bar on a terminal; elsewhere a line every ten seconds. By bytes read, because rows are not known before."""

    _WIDTH = 30
    _EVERY = 10.0  # seconds

    def __init__(self, clock: "Clock", size: int) -> None:
        self._clock = clock
        self._size = max(1, size)
        self._began = clock.monotonic()
        self._on_terminal = sys.stderr.isatty()
        # a terminal is told at once, or somebody waits before an empty line
        self._told = -math.inf if self._on_terminal else self._began
        self._drawn = 0

    def show(self, read: int, rows: int) -> None:
        now = self._clock.monotonic()
        if now - self._told < (0.1 if self._on_terminal else self._EVERY):
            return
        self._told = now
        share = min(1.0, read / self._size)
        told = f"{share:4.0%}  {rows:,} rows, {rows / max(now - self._began, 0.001):,.0f}/s"
        if not self._on_terminal:
            click.echo(told.strip(), err=True)
            return
        bar = ("█" * round(share * self._WIDTH)).ljust(self._WIDTH, "·")
        text = f"[{bar}] {told}"
        click.echo(f"\r{text.ljust(self._drawn)}", nl=False, err=True)
        self._drawn = len(text)

    def clear(self) -> None:
        """Make room for another line."""
        if self._drawn:
            click.echo(f"\r{' ' * self._drawn}\r", nl=False, err=True)
            self._drawn = 0
