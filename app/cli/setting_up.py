"""`keyturn init`, `doctor` and `check-config`."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from app.cli.door import json_option, json_text
from app.cli.house import open_database, open_house, read_settings

if TYPE_CHECKING:
    from app.journeys.diagnosis.service import Diagnosis

_MARKS = {"ok": ("ok  ", "green"), "warn": ("warn", "yellow"), "fail": ("FAIL", "red")}


@click.command()
@json_option
def init(*, as_json: bool) -> None:
    """Make directories, keys, database and the organization `default`, as far as they are missing."""
    from app.foundation import keyfile
    from app.foundation.sql import migrations

    settings = read_settings()
    with open_house(settings, prepare=True) as house:
        done = house.prepared
        where = "SQLite" if house.base.database.is_sqlite else "PostgreSQL"
    if as_json:
        click.echo(json_text({**asdict(done), "revision": migrations.head(), "state_dir": str(settings.state_dir)}))
        return
    keys = "SECRET_KEYS" if settings.secret_keys else str(keyfile.path_of(settings))
    click.echo(f"keys           {keys}: {'made; keep a copy apart from the database' if done.made_keys else 'there'}")
    click.echo(f"database       {where}, revision {migrations.head()}: {'migrated' if done.migrated else 'up to date'}")
    click.echo(f"organization   default: {'made' if done.made_organization else 'there'}")
    click.echo("Next: keyturn doctor, keyturn user create, keyturn serve")


@click.command()
@json_option
@click.pass_context
def doctor(context: click.Context, *, as_json: bool) -> None:
    """Check everything that the portal needs, and say what to do. No message is sent."""
    from app.journeys.diagnosis.model import Level
    from app.journeys.diagnosis.rules import worst

    found = []
    with _diagnosis() as diagnosis:
        for check in diagnosis.checks():
            found.append(check)
            if as_json:
                continue
            word, colour = _MARKS[check.level.value]
            click.echo(f"{click.style(word, fg=colour)}  {check.name:<11} {check.finding}")
            if check.remedy:
                click.echo(f"{'':<18}→ {check.remedy}")
    if as_json:
        click.echo(json_text({"level": worst(found).value, "checks": [asdict(check) for check in found]}))
    context.exit(1 if worst(found) is Level.FAIL else 0)


@click.command("check-config")
@json_option
def check_config(*, as_json: bool) -> None:
    """Show the settings in force without secrets, and every departure from the standards."""
    with _diagnosis() as diagnosis:
        effective, profiles, deviations = diagnosis.effective(), diagnosis.profiles(), diagnosis.deviations()
    if as_json:
        shown = {"settings": effective, "profiles": profiles, "deviations": [asdict(one) for one in deviations]}
        click.echo(json_text(shown))
        return
    for name, value in effective.items():
        click.echo(f"{name} = {json.dumps(value, ensure_ascii=False)}")
    click.echo()
    for name, profile in profiles.items() or {"(no organization yet)": "standard"}.items():
        click.echo(f"Profile of {name}: {profile}")
    click.echo()
    click.echo(f"{len(deviations)} departures from the standards (docs/deviations.md):")
    for one in deviations:
        click.echo(f"  {one.key}  [{one.source}]\n    {one.sentence}")


@contextmanager
def _diagnosis() -> Iterator["Diagnosis"]:
    from app.foundation.chance import SystemChance
    from app.foundation.clock import SystemClock
    from app.journeys.diagnosis.service import Diagnosis

    settings = read_settings()
    database = open_database(settings)
    try:
        yield Diagnosis(settings, database, SystemClock(), SystemChance())
    finally:
        database.close()
