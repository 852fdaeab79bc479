"""The operator's door: the `keyturn` command (product.md section 3).

Exit status 0, 1 (refused) or 2 (usage); every refusal is one line on standard error. Secrets are never taken from
the command line. Whatever is heavy is imported inside the command that needs it, because a start has to be quick.
"""

import errno
import io
import json
import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO

import click

if TYPE_CHECKING:
    from flask import Flask

    from app.foundation.clock import Clock
    from app.foundation.settings import Settings
    from app.foundation.sql import Database
    from app.journeys.administration.model import BadRow, LockShown, Made, Shown, Tally
    from app.journeys.administration.service import Administration
    from app.journeys.demo.model import Role as DemoRole
    from app.journeys.diagnosis.service import Diagnosis
    from app.wiring import Foundation

_PASSWORD_BYTES = 8_192
# no store is asked while people are made or looked at, so none needs to run
_NO_STORE = "unix:///dev/null/no-store"
_PAGES_GRACE = 40.0  # seconds; replies get 30 to finish
_WORKER_GRACE = 20.0  # a message that is being sent is sent to its end
_WORKER_PATIENCE = 30.0
_MARKS = {"ok": ("ok  ", "green"), "warn": ("warn", "yellow"), "fail": ("FAIL", "red")}


class _Door(click.Group):
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


def _as_json(value: object) -> str:
    return json.dumps(value, indent=2, sort_keys=False)


_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


@click.group(cls=_Door, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="keyturn", message="%(prog)s %(version)s")
def main() -> None:
    """Keyturn: a portal for locked and forgotten passwords. Two factors, always."""
    os.umask(0o077)  # databases, keys and sockets are nobody else's


# ---- what the commands stand on


def _settings() -> "Settings":
    import logging

    import structlog

    from app.foundation.settings import load_settings

    # output belongs to the command; only `serve` and `worker` write a log
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    return load_settings()


def _open_database(settings: "Settings") -> "Database":
    from app.foundation.settings import BadSetting
    from app.foundation.sql import Database

    try:
        return Database(settings.database)
    except Exception:  # noqa: BLE001 - and its text is not shown: it may hold the URL's password
        raise BadSetting("DATABASE_URL: cannot be read") from None


def _require_current(settings: "Settings") -> None:
    from app.foundation.sql import migrations
    from app.journeys.administration.model import NotDone

    database = _open_database(settings)
    try:
        if not migrations.at_head(database):
            raise NotDone("the database is not made, or not up to date; run: keyturn init")
    finally:
        database.close()


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What a start found undone, and did."""

    made_keys: bool
    migrated: bool
    made_organization: bool


@dataclass(frozen=True, slots=True)
class _House:
    """What the commands about people stand on."""

    base: "Foundation"
    people: "Administration"
    prepared: _Prepared


@contextmanager
def _house(settings: "Settings", *, prepare: bool) -> Iterator[_House]:
    """Open keys and database. With ``prepare`` both are made where they are not there, and migrated."""
    from app import wiring
    from app.foundation import keyfile
    from app.foundation.sql import migrations
    from app.journeys.administration.service import Administration

    if prepare:
        keyfile.make_state_dir(settings.state_dir)
        _open_database(settings).close()
    else:
        _require_current(settings)
    hands = settings.hashing_slots or os.cpu_count() or 1
    made_keys = not settings.secret_keys and not os.path.lexists(keyfile.path_of(settings))
    if made_keys:
        _require_new(settings)
    base = wiring.build_foundation(
        replace(settings, hashing_slots=hands), ephemeral_url=settings.redis_url or _NO_STORE
    )
    try:
        migrated = prepare and migrations.migrate(base.database)
        wiring.admit(base)
        means = wiring.build_means(base)
        people = Administration(
            database=base.database,
            passwords=means.passwords,
            apps=means.apps,
            tries=means.tries,
            outbox=means.outbox,
            undo=means.undo,
            clock=base.clock,
            chance=base.chance,
            issuer=settings.brand_name,
            language=settings.default_language,
            invitations=wiring.build_steps(base, means).invitations,
            hands=hands,
        )
        made_organization = prepare and people.make_default_organization()
        yield _House(base, people, _Prepared(made_keys, migrated, made_organization))
    finally:
        base.hasher.close()
        base.database.close()


def _require_new(settings: "Settings") -> None:
    """New keys are for a new database: in place of lost ones they would hide the loss until nobody can sign in."""
    from app.foundation import keyfile
    from app.foundation.settings import BadSetting
    from app.foundation.sql import installation, migrations

    database = _open_database(settings)
    try:
        if migrations.current(database):
            with database.read() as looking:
                if lost := installation.unfit_keys(looking, {}):
                    path = keyfile.path_of(settings)
                    raise BadSetting(f"{path}: the keys of this database are lost ({', '.join(lost)}); bring them back")
    finally:
        database.close()


# ---- setting up


@main.command()
@_json_option
def init(*, as_json: bool) -> None:
    """Make directories, keys, database and the organization `default`, as far as they are missing."""
    from app.foundation import keyfile
    from app.foundation.sql import migrations

    settings = _settings()
    with _house(settings, prepare=True) as house:
        done = house.prepared
        where = "SQLite" if house.base.database.is_sqlite else "PostgreSQL"
    if as_json:
        click.echo(_as_json({**asdict(done), "revision": migrations.head(), "state_dir": str(settings.state_dir)}))
        return
    keys = "SECRET_KEYS" if settings.secret_keys else str(keyfile.path_of(settings))
    click.echo(f"keys           {keys}: {'made; keep a copy apart from the database' if done.made_keys else 'there'}")
    click.echo(f"database       {where}, revision {migrations.head()}: {'migrated' if done.migrated else 'up to date'}")
    click.echo(f"organization   default: {'made' if done.made_organization else 'there'}")
    click.echo("Next: keyturn doctor, keyturn user create, keyturn serve")


@main.command()
@_json_option
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
        click.echo(_as_json({"level": worst(found).value, "checks": [asdict(check) for check in found]}))
    context.exit(1 if worst(found) is Level.FAIL else 0)


@main.command("check-config")
@_json_option
def check_config(*, as_json: bool) -> None:
    """Show the settings in force without secrets, and every departure from the standards."""
    with _diagnosis() as diagnosis:
        effective, profiles, deviations = diagnosis.effective(), diagnosis.profiles(), diagnosis.deviations()
    if as_json:
        shown = {"settings": effective, "profiles": profiles, "deviations": [asdict(one) for one in deviations]}
        click.echo(_as_json(shown))
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

    settings = _settings()
    database = _open_database(settings)
    try:
        yield Diagnosis(settings, database, SystemClock(), SystemChance())
    finally:
        database.close()


# ---- running


@main.command()
@click.option("--no-worker", is_flag=True, help="Send no messages here; `keyturn worker` does.")
@click.pass_context
def serve(context: click.Context, *, no_worker: bool) -> None:
    """Run the portal: pages, worker and, unless REDIS_URL is set, the embedded store."""
    settings = _settings()
    with _house(settings, prepare=True):
        pass
    context.exit(_run(settings, with_worker=not no_worker))


@main.command()
@click.pass_context
def worker(context: click.Context) -> None:
    """Send messages, and nothing else."""
    settings = _settings()
    _await_current(settings)
    with _house(settings, prepare=False):
        _check_channels(settings)
        _speak(settings)
    context.exit(_send(settings, settings.redis_url or _NO_STORE))


@main.command()
@click.option("--port", type=click.IntRange(0, 65_535), help="Where to listen on this machine; 0 takes any free port.")
@click.pass_context
def demo(context: click.Context, *, port: int | None) -> None:
    """Run a portal with a small cast, a phone and a mailbox, on this machine alone and fresh at each start."""
    from app.foundation import keyfile

    outer = _settings()
    settings = _demo_settings(outer, port)
    keyfile.make_state_dir(outer.state_dir)
    with _only_one(outer.state_dir / "demo.lock"):
        _make_demo_database(settings)
        with _house(settings, prepare=True) as house:
            cast = _seed(house)
        context.exit(_run(settings, with_worker=True, ready=lambda: _introduce(settings, cast)))


def _run(settings: "Settings", *, with_worker: bool, ready: Callable[[], None] | None = None) -> int:
    """Store, pages and worker until told to stop; they end in the other order. Returns the exit status."""
    from app.foundation import metrics
    from app.foundation.chance import SystemChance
    from app.foundation.clock import SystemClock
    from app.foundation.ephemeral.embedded import EmbeddedStore
    from app.foundation.processes import Child, Children
    from app.foundation.web.server import claim

    clock, chance = SystemClock(), SystemChance()
    # whatever can be refused is refused here, in one line, and not again and again in a child
    claim(settings.bind)
    if with_worker:
        _check_channels(settings)
    _speak(settings)
    store = None if settings.redis_url else EmbeddedStore(settings.state_dir, chance, clock)
    try:
        url = store.start() if store else settings.redis_url
        metrics.prepare(settings.state_dir)
        children = [Child("web", partial(_serve_pages, settings, url), _PAGES_GRACE)]
        if with_worker:
            children.append(Child("worker", partial(_send, settings, url), _WORKER_GRACE))
        waiting = [ready] if ready else []

        def tend() -> None:
            if store:
                store.ensure()
            if waiting and _listens(settings.bind):
                waiting.pop()()

        return Children(clock, chance, children, tend=tend, in_child=store.detach if store else None).run()
    finally:
        if store:
            store.stop()


def _serve_pages(settings: "Settings", store_url: str) -> int:
    from app import wiring
    from app.foundation.web.application import MOST_BYTES
    from app.foundation.web.server import Bounds
    from app.foundation.web.server import serve as serve_pages

    def factory() -> "Flask":
        base = wiring.build_foundation(settings, ephemeral_url=store_url)
        return wiring.build_web(base, wiring.build_means(base))

    bounds = Bounds(threads=wiring.THREADS, body_size=MOST_BYTES)
    return serve_pages(factory, bind=settings.bind, workers=settings.workers, bounds=bounds)


def _send(settings: "Settings", store_url: str) -> int:
    import signal
    import threading

    from app import wiring

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    base = wiring.build_foundation(settings, ephemeral_url=store_url)
    try:
        wiring.run_worker(base, stop)
    finally:
        base.database.close()
    return 0


def _check_channels(settings: "Settings") -> None:
    """Raise BadSetting where a channel could not be opened."""
    from app.foundation.clock import SystemClock
    from app.records.delivery import channels

    channels.build(settings, SystemClock())


def _speak(settings: "Settings") -> None:
    from app.foundation.log import configure

    configure(settings.log_level)


def _await_current(settings: "Settings") -> None:
    """`serve` may be migrating at this moment: a worker that starts beside it waits a little."""
    from app.foundation.clock import SystemClock
    from app.foundation.sql import migrations

    clock, database = SystemClock(), _open_database(settings)
    try:
        until = clock.monotonic() + _WORKER_PATIENCE
        while not migrations.at_head(database) and clock.monotonic() < until:
            clock.sleep(0.5)
    finally:
        database.close()


def _listens(bind: str) -> bool:
    import socket

    host, _, port = bind.rpartition(":")
    with suppress(OSError), socket.create_connection((host.strip("[]"), int(port)), timeout=1):
        return True
    return False


# ---- the demo


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
    earlier = _open_database(settings)
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
    fresh = _open_database(settings)
    try:
        migrations.migrate(fresh)
        with fresh.begin() as transaction:
            installation.mark_demo(transaction)
    finally:
        fresh.close()


def _seed(house: _House) -> "tuple[DemoRole, ...]":
    from app import wiring
    from app.journeys.demo.service import DemoCast

    means = wiring.build_means(house.base)
    cast = DemoCast(
        database=house.base.database,
        passwords=means.passwords,
        apps=means.apps,
        invitations=wiring.build_steps(house.base, means).invitations,
        clock=house.base.clock,
        chance=house.base.chance,
        language=house.base.settings.default_language,
    )
    return cast.seed()


_STORIES = {
    "locked": "locked out by somebody who guessed at her password",
    "no_phone": "has no phone on file: his PINs come by e-mail",
    "slow_clock": "her phone's clock is about a minute and a half slow",
    "support": "a support agent",
    "administrator": "an administrator",
    "invited": "invited and not yet activated: the mail with her link waits on /demo",
}


def _introduce(settings: "Settings", cast: "tuple[DemoRole, ...]") -> None:
    click.echo(f"\nKeyturn's demo: {settings.public_url}\n")
    click.echo(f"  {'User ID':<9}{'Password':<33}Who")
    for role in cast:
        click.echo(
            f"  {role.user_id:<9}{role.password or '(none yet)':<33}{role.name}, {_STORIES.get(role.story, role.story)}"
        )
    click.echo(f"\nTheir phones and mailboxes: {settings.public_url}/demo")
    click.echo("Nothing leaves this machine. Ctrl-C ends it; the next start begins anew.\n")


# ---- people


@main.group()
def user() -> None:
    """Make people, look at them, unlock and unfreeze them."""


@user.command("create")
@click.argument("user_id")
@click.option("--first-name", default="")
@click.option("--last-name", default="")
@click.option("--email", default="")
@click.option("--phone", default="", help="E.164, such as +12025550123.")
@click.option("--contacts-verified", is_flag=True, help="Both are known to be theirs, and count at once.")
@click.option("--role", default="member", show_default=True, help="member, support or administrator")
@click.option("--organization", default="default", show_default=True)
@click.option("--password", "ask", is_flag=True, help="Ask for a temporary password.")
@click.option("--password-stdin", "read", is_flag=True, help="Read a temporary password from standard input.")
@click.option("--keep-password", is_flag=True, help="They chose the password themselves; it need not be changed.")
@click.option("--app", is_flag=True, help="Bind an authenticator app; its QR code is shown once.")
@_json_option
def create(
    user_id: str, *, ask: bool, read: bool, keep_password: bool, app: bool, as_json: bool, **fields: object
) -> None:
    """Make one person."""
    if ask and read:
        raise click.UsageError("--password and --password-stdin exclude each other")
    if keep_password and not (ask or read):
        raise click.UsageError("--keep-password needs a password")
    settings = _settings()
    password = _password_from(sys.stdin.buffer) if read else ""
    if ask:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    with _house(settings, prepare=True) as house:
        made = house.people.create(
            {"user_id": user_id, "password": password, **fields}, app=app, temporary=not keep_password
        )
    if as_json:
        told: dict[str, object] = {"user_id": made.person.user_id, "name": made.person.name}
        click.echo(_as_json({**told, "otpauth_uri": made.uri} if made.uri else told))
        return
    click.echo(f"made {made.person.name} ({made.person.user_id}), {fields['role']} of {fields['organization']}")
    if made.uri:
        _show_app(made)


def _password_from(stream: IO[bytes]) -> str:
    typed = stream.read(_PASSWORD_BYTES + 1)
    if len(typed) > _PASSWORD_BYTES:
        raise click.ClickException("the password is too long")
    try:
        password = typed.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise click.ClickException("the password is not UTF-8") from None
    if not password:
        raise click.ClickException("there is no password on standard input")
    return password


def _show_app(made: "Made") -> None:
    import qrcode

    code = qrcode.QRCode(border=2)
    code.add_data(made.uri)
    picture = io.StringIO()
    code.print_ascii(out=picture, invert=True)
    click.echo("\nFor the authenticator app, shown this once:")
    with suppress(UnicodeEncodeError):  # a terminal without block characters still gets the link
        click.echo(picture.getvalue())
    click.echo(made.uri)


@user.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, readable=True, allow_dash=True))
@click.option("--dry-run", is_flag=True, help="Judge every row and write nothing.")
@_json_option
@click.pass_context
def import_(context: click.Context, file: str, *, dry_run: bool, as_json: bool) -> None:
    """Make people from JSON Lines or CSV. Nobody who is there already is altered.

    Fields: user_id (required), first_name, last_name, email, phone, organization, role, password (temporary) or
    password_hash, totp_secret, contacts_verified. `-` reads standard input.
    """
    settings = _settings()
    report = _Report(as_json=as_json)
    with _house(settings, prepare=True) as house, _seekable(file) as (source, size):
        bar = _Progress(house.base.clock, size)

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
def _seekable(file: str) -> Iterator[tuple[BinaryIO, int]]:
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


_ERRORS = '{"errors": ['


class _Report:
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


class _Progress:
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


@user.command("show")
@click.argument("user_id")
@_json_option
def show(user_id: str, *, as_json: bool) -> None:
    """Show how somebody stands: state, contacts, factors, locks, what happened last. Never a secret."""
    with _house(_settings(), prepare=False) as house:
        shown = house.people.show(user_id)
    if as_json:
        click.echo(_as_json(_shown_json(shown)))
        return
    person, now = shown.person, shown.now
    click.echo(f"{person.user_id}   {person.name}   {person.status.value}   made {_moment(person.created_at)}")
    for name, role, primary in shown.organizations:
        click.echo(f"  organization  {name}, {role}{' (home)' if primary else ''}")
    for contact in shown.contacts:
        state = "usable" if contact.usable else "waiting" if contact.confirmed else "not confirmed"
        click.echo(f"  {contact.channel:<13} {contact.masked}   {state}")
    if shown.password is None:
        click.echo("  password      none")
    else:
        owed = "compromised, " if shown.password.compromised else "temporary, " if shown.password.must_change else ""
        imported = ", imported" if shown.password.imported else ""
        click.echo(f"  password      {owed}set {_moment(shown.password.changed_at)}{imported}")
    for app in shown.apps:
        used = f"last used {_moment(app.last_used_at)}" if app.last_used_at else "never used"
        state = f"counts from {_moment(app.usable_from)}" if app.usable_from > now else app.state
        click.echo(f"  app           {app.label!r}   {state}   bound {_moment(app.bound_at)}   {used}")
    if not shown.apps:
        click.echo("  app           none")
    for lock in shown.locks:
        click.echo(f"  {lock.factor.value + ' tries':<13} {_lock(lock, now)}")
    for event in shown.events:
        about = " ".join(part for part in (event.outcome, event.reason, event.address, f"by {event.actor}") if part)
        click.echo(f"  {_moment(event.at)}  {event.event.value}  {about}")


def _lock(lock: "LockShown", now: int) -> str:
    run = f"{lock.consecutive} wrong in a row" if lock.consecutive else "none wrong"
    if lock.disabled:
        return f"closed: {run}; has to be bound again"
    if lock.closed_to_strangers:
        return f"closed to unknown browsers: {run}"
    if lock.blocked_until > now:
        return f"waits until {_moment(lock.blocked_until)}: {run}"
    return run


def _moment(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%SZ}"


def _shown_json(shown: "Shown") -> dict[str, object]:
    person = shown.person
    return {
        "user_id": person.user_id,
        "first_name": person.first_name,
        "last_name": person.last_name,
        "status": person.status.value,
        "created_at": person.created_at,
        "organizations": [
            {"name": name, "role": role, "is_primary": primary} for name, role, primary in shown.organizations
        ],
        "contacts": [asdict(contact) for contact in shown.contacts],
        "password": asdict(shown.password) if shown.password else None,
        "apps": [asdict(app) for app in shown.apps],
        "locks": [asdict(lock) for lock in shown.locks],
        "events": [
            {
                "at": event.at,
                "event": event.event.value,
                "outcome": event.outcome,
                "reason": event.reason,
                "actor": event.actor,
                "address": event.address,
                "details": event.details,
            }
            for event in shown.events
        ],
    }


@user.command("invite")
@click.argument("user_id")
@_json_option
def invite(user_id: str, *, as_json: bool) -> None:
    """Mail somebody the link with which they activate their account; it is good for 72 hours.

    Where no phone is filed an activation code is shown once, to be handed over.
    """
    with _house(_settings(), prepare=False) as house:
        done = house.people.invite(user_id)
    if as_json:
        click.echo(_as_json(asdict(done)))
        return
    click.echo(f"invited: the link goes to {done.destination}")
    if done.activation_code:
        click.echo(f"activation code, to be handed over, shown only now: {done.activation_code}")


@user.command("unlock")
@click.argument("user_id")
@click.option("--reason", required=True, help="Why; it is written down, and shown to the person.")
@_json_option
def unlock(user_id: str, *, reason: str, as_json: bool) -> None:
    """End the waits of password, app and PIN. The person is told on every channel."""
    with _house(_settings(), prepare=False) as house:
        done = house.people.unlock(user_id, reason)
    if as_json:
        click.echo(_as_json({"cleared": list(done.cleared), "left": list(done.left), "told": list(done.told)}))
        return
    click.echo(f"unlocked: {', '.join(done.cleared) or 'nothing was locked'}")
    if done.left:
        click.echo(f"still closed, to be bound again: {', '.join(done.left)}")
    click.echo(f"told: {', '.join(done.told) or 'nobody, there is no confirmed contact'}")


@user.command("unfreeze")
@click.argument("user_id")
@click.option("--reason", required=True, help="Why; it is written down, and shown to the person.")
@_json_option
def unfreeze(user_id: str, *, reason: str, as_json: bool) -> None:
    """Open a frozen account again, with everything as it is now. The person is told on every channel."""
    with _house(_settings(), prepare=False) as house:
        told = house.people.unfreeze(user_id, reason)
    if as_json:
        click.echo(_as_json({"told": list(told)}))
        return
    click.echo(f"open again; told: {', '.join(told) or 'nobody, there is no confirmed contact'}")


if __name__ == "__main__":
    main(prog_name="keyturn")


# ---- the audit log


@main.group()
def audit() -> None:
    """Check the audit log, and hand it on."""


@audit.command()
@click.option(
    "--seals",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file of seals that was kept outside (AUDIT_SEALS_TO).",
)
@_json_option
@click.pass_context
def verify(context: click.Context, *, seals: Path | None, as_json: bool) -> None:
    """Check every event against the seals over it; exit status 1 and the first fault where anything was touched."""
    from app import wiring
    from app.journeys.administration.model import NotDone
    from app.journeys.auditing.model import BadHeadsError

    with _house(_settings(), prepare=False) as house:
        try:
            verdict = wiring.build_auditing(house.base).verify(seals)
        except BadHeadsError as error:
            raise NotDone(str(error)) from None
    if as_json:
        head = {"number": verdict.head.number, "chain": verdict.head.chain} if verdict.head else None
        fault = {"kind": verdict.fault.kind.value, "number": verdict.fault.number} if verdict.fault else None
        counted = {"seals": verdict.seals, "events": verdict.events, "waiting": verdict.waiting}
        click.echo(_as_json({**counted, "head": head, "fault": fault}))
    elif verdict.fault is not None:
        raise NotDone(_TAMPERED[verdict.fault.kind.value].format(number=verdict.fault.number))
    else:
        click.echo(f"whole: {verdict.events} events under {verdict.seals} seals; {verdict.waiting} not sealed yet")
        if verdict.head:
            click.echo(f"newest seal: {verdict.head.number} {verdict.head.chain}")
    context.exit(1 if verdict.fault else 0)


_TAMPERED = {
    "edited": "event {number} was edited",
    "removed": "event {number} was removed",
    "inserted": "event {number} was inserted",
    "reordered": "event {number} stands in the place of another",
    "seal": "seal {number} was altered, removed or inserted, or its key is not on the keyring",
    "cut": "seal {number}, which was kept outside, is not in the chain: what it signed was cut off or replaced",
}


@audit.command("export")
@click.option("--format", "form", type=click.Choice(["jsonl", "csv"]), default="jsonl", show_default=True)
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="The first day, UTC.")
def export_log(*, form: str, since: datetime | None) -> None:
    """Print the audit log."""
    from app import wiring
    from app.journeys.auditing.model import Form

    moment = int(since.replace(tzinfo=UTC).timestamp()) if since else 0
    with _house(_settings(), prepare=False) as house:
        for line in wiring.build_auditing(house.base).export(Form(form), since=moment):
            click.echo(line, nl=False)
