"""`keyturn demo`: a portal with a small cast, on this machine alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.cli.house import House, open_database, open_house, read_settings
from app.cli.running import run

if TYPE_CHECKING:
    from app.foundation.settings import Settings
    from app.journeys.demo.model import Role as DemoRole

_STORIES = {
    "locked": "locked out by somebody who guessed at her password",
    "no_phone": "has no phone on file: his PINs come by e-mail",
    "slow_clock": "her phone's clock is about a minute and a half slow",
    "support": "a support agent",
    "administrator": "an administrator",
    "invited": "invited and not yet activated: the mail with her link waits on /demo",
}


@click.command()
@click.option("--port", type=click.IntRange(0, 65_535), help="Where to listen on this machine; 0 takes any free port.")
@click.pass_context
def demo(context: click.Context, *, port: int | None) -> None:
    """Run a portal with a small cast, a phone and a mailbox, on this machine alone and fresh at each start."""
    from app.foundation import keyfile

    outer = read_settings()
    settings = _demo_settings(outer, port)
    keyfile.make_state_dir(outer.state_dir)
    with _only_one(outer.state_dir / "demo.lock"):
        _make_demo_database(settings)
        with open_house(settings, prepare=True) as house:
            cast = _seed(house)
        context.exit(run(settings, with_worker=True, ready=lambda: _introduce(settings, cast)))


def _demo_settings(outer: "Settings", port: int | None) -> "Settings":
    """The same house in a directory of its own, with nothing that could reach the outside (security rule 15)."""
    from urllib.parse import urlsplit

    from app.foundation.settings import BadSetting, is_loopback

    host, _, bound = outer.bind.rpartition(":")
    if not is_loopback(host.strip("[]")):
        raise BadSetting(f"BIND: the demo runs on this machine alone, not at {outer.bind}")
    public = urlsplit(outer.public_url).hostname or ""
    if not is_loopback(public):
        raise BadSetting(f"PUBLIC_URL: the demo runs on this machine alone, not as {outer.public_url}")
    port = int(bound) if port is None else port or _free_port(host.strip("[]"))
    return replace(
        outer,
        bind=f"{host}:{port}",
        public_url=f"http://{f'[{public}]' if ':' in public else public}:{port}",
        state_dir=outer.state_dir / "demo",
        database_url="",
        redis_url="",
        secret_keys=(),
        workers=1,
        trusted_proxies=(),
        metrics_token="",
        smtp_url="",
        mail_from="",
        twilio_account_sid="",
        twilio_auth_token="",
        twilio_api_key_sid="",
        twilio_api_key_secret="",
        twilio_from="",
        log_level="WARNING" if outer.log_level == "INFO" else outer.log_level,
        demo=True,
    )


def _free_port(host: str) -> int:
    import socket

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    import fcntl

    from app.journeys.administration.model import NotDone

    with path.open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotDone(f"a demo is running already in {path.parent}") from None
        yield


def _make_demo_database(settings: "Settings") -> None:
    """Throw away what the last demo left, and only that; make a database that says whose it is."""
    import shutil

    from app.foundation import keyfile
    from app.foundation.sql import installation, migrations
    from app.journeys.administration.model import NotDone

    directory = settings.state_dir
    keyfile.make_state_dir(directory)
    earlier = open_database(settings)
    try:
        if migrations.current(earlier):
            with earlier.read() as looking:
                if not installation.is_demo(looking):
                    raise NotDone(f"the database in {directory} was not made for the demo; it is left alone")
    finally:
        earlier.close()
    for name in ("keyturn.sqlite", "keyturn.sqlite-wal", "keyturn.sqlite-shm", "keys"):
        (directory / name).unlink(missing_ok=True)
    for name in ("store", "metrics"):
        shutil.rmtree(directory / name, ignore_errors=True)
    fresh = open_database(settings)
    try:
        migrations.migrate(fresh)
        with fresh.begin() as transaction:
            installation.mark_demo(transaction)
    finally:
        fresh.close()


def _seed(house: House) -> "tuple[DemoRole, ...]":
    from app import wiring
    from app.journeys.demo.service import DemoCast

    means = wiring.build_means(house.base)
    cast = DemoCast(
        database=house.base.database,
        passwords=means.passwords,
        apps=means.apps,
        clock=house.base.clock,
        chance=house.base.chance,
        invitations=wiring.build_steps(house.base, means).invitations,
        language=house.base.settings.default_language,
    )
    return cast.seed()


def _introduce(settings: "Settings", cast: "tuple[DemoRole, ...]") -> None:
    click.echo(f"\nKeyturn's demo: {settings.public_url}\n")
    click.echo(f"  {'User ID':<9}{'Password':<33}Who")
    for role in cast:
        click.echo(
            f"  {role.user_id:<9}{role.password or '(none yet)':<33}{role.name}, {_STORIES.get(role.story, role.story)}"
        )
    click.echo(f"\nTheir phones and mailboxes: {settings.public_url}/demo")
    click.echo("Nothing leaves this machine. Ctrl-C ends it; the next start begins anew.\n")
