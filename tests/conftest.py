"""What every test may ask for. Real parts, private to each xdist worker, fresh for each test."""

import importlib
import os
import pkgutil
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import pytest
import structlog

import app.factors
import app.records
from app.foundation.ephemeral.store import Ephemeral
from app.foundation.secretbox import Keyring, MasterKey
from app.foundation.sql import Database, metadata
from tests import services
from tests.hands import HandClock, SeededChance
from tests.portal import Portal, opened, sharing

_T = TypeVar("_T")

_LEFT_OUT = "left out, this machine lacks: "


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Let tests reach this machine alone (pytest-socket reads it right after), and write into memory where they can."""
    config.option.allow_hosts = "127.0.0.0/8,::1,localhost"
    config.option.allow_unix_socket = True
    # what tests write is gone after them; TMPDIR says where else, as everywhere
    folder = services.memory_folder()
    if folder is not None and "TMPDIR" not in os.environ:
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    # structlog's own choice for a terminal draws every traceback with all locals, which takes seconds
    console = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, console])


def lacking(what: str) -> NoReturn:
    """Fail where everything must be there (CI=true), else skip and say so again at the end."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"this machine lacks: {what}", pytrace=False)
    pytest.skip(_LEFT_OUT + what)


def found(find: Callable[[], _T]) -> _T:
    """What a finder of tests.services finds, or the skip (with CI=true, the failure) that names what is lacking."""
    try:
        return find()
    except services.Missing as missing:
        lacking(str(missing))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Name what was left out, so that a green run does not seem to prove more than it did."""
    left_out: dict[str, int] = {}
    for report in terminalreporter.stats.get("skipped", []):
        _, _, reason = report.longrepr if isinstance(report.longrepr, tuple) else ("", 0, "")
        _, marker, what = reason.partition(_LEFT_OUT)
        if marker:
            left_out[what] = left_out.get(what, 0) + 1
    if left_out:
        terminalreporter.section("left out")
        for what, count in sorted(left_out.items()):
            terminalreporter.line(f"{count} tests, because this machine lacks {what}")


@pytest.fixture
def clock() -> HandClock:
    """A clock that stands still until it is advanced."""
    return HandClock()


@pytest.fixture
def chance() -> SeededChance:
    """The same draws in every run."""
    return SeededChance()


@pytest.fixture
def keyring(chance: SeededChance) -> Keyring:
    """Two keys, the first active."""
    return Keyring([MasterKey("second", chance.octets(32)), MasterKey("first", chance.octets(32))], chance)


def create_tables(url: str) -> None:
    """Every table that any store declares."""
    for floor in (app.records, app.factors):
        for room in pkgutil.walk_packages(floor.__path__, f"{floor.__name__}."):
            if room.name.endswith(".store"):
                importlib.import_module(room.name)
    database = Database(url)
    try:
        metadata.create_all(database.engine)
    finally:
        database.close()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with every table, to be copied."""
    path = tmp_path_factory.mktemp("template") / "template.sqlite"
    create_tables(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgresql() -> Iterator[services.PostgreSQL]:
    """A private cluster whose template has every table."""
    server = found(services.PostgreSQL)
    try:
        server.start()
        create_tables(server.template)
        yield server
    finally:
        server.stop()


@pytest.fixture
def sqlite_database(sqlite_template: Path, tmp_path: Path) -> Iterator[Database]:
    """A fresh SQLite database with every table, for tests where one kind suffices."""
    path = tmp_path / "keyturn.sqlite"
    shutil.copyfile(sqlite_template, path)
    database = sharing(Database(f"sqlite:///{path}"))
    try:
        yield database
    finally:
        database.close()


@pytest.fixture
def postgresql_database(postgresql: services.PostgreSQL) -> Iterator[Database]:
    """A fresh PostgreSQL database with every table."""
    url = postgresql.fresh()
    database = sharing(Database(url))
    try:
        yield database
    finally:
        database.close()
        postgresql.give_back(url)


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Where a test wants a database and a store it runs on two pairs: each kind once, and not each with each.

    Neither knows of the other: what one of them decides is decided alike whatever stands beside it.
    """
    if {"database", "redis_url"} <= set(metafunc.fixturenames):
        pairs = [("sqlite", "valkey"), ("postgresql", "redis")]
        metafunc.definition.add_marker(pytest.mark.parametrize(("database", "redis_url"), pairs, indirect=True))


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    """A fresh database with every table, of each kind in turn."""
    result: Database = request.getfixturevalue(f"{request.param}_database")
    return result


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without tables, of each kind in turn: for migrations."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.sqlite'}"
        return
    server: services.PostgreSQL = request.getfixturevalue("postgresql")
    url = server.empty()
    try:
        yield url
    finally:
        server.drop(url)


def _serve(binary: Path) -> Iterator[services.RedisServer]:
    server = services.RedisServer(binary)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[services.RedisServer]:
    """The Valkey of the dependencies."""
    yield from _serve(found(services.find_valkey))


@pytest.fixture(scope="session")
def redis_server() -> Iterator[services.RedisServer]:
    """A Redis of at least version 7."""
    yield from _serve(found(services.find_redis))


@pytest.fixture(params=["valkey", "redis"])
def redis_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty store, of each kind in turn."""
    server: services.RedisServer = request.getfixturevalue(f"{request.param}_server")
    server.flush()
    return server.url


@pytest.fixture
def valkey_url(valkey_server: services.RedisServer) -> str:
    """The URL of an empty Valkey, for tests where one kind suffices."""
    valkey_server.flush()
    return valkey_server.url


@pytest.fixture
def ephemeral(redis_url: str) -> Iterator[Ephemeral]:
    """The client of an empty store, of each kind in turn."""
    store = Ephemeral(redis_url)
    try:
        yield store
    finally:
        store.close()


@pytest.fixture
def valkey_ephemeral(valkey_url: str) -> Iterator[Ephemeral]:
    """The client of an empty Valkey, for tests where one kind suffices."""
    store = Ephemeral(valkey_url)
    try:
        yield store
    finally:
        store.close()


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The browser's path."""
    return found(services.find_chromium)


@pytest.fixture(scope="session")
def oathtool() -> Path:
    """The independent authenticator's path."""
    return found(services.find_oathtool)


@pytest.fixture(scope="session")
def curl() -> Path:
    """What the examples of docs/api.md call."""
    return found(services.find_curl)


@pytest.fixture
def portal(database: Database, redis_url: str, clock: HandClock, keyring: Keyring) -> Iterator[Portal]:
    """The whole portal, on each kind of database and of store in turn."""
    with opened(database, redis_url, clock, keyring) as portal:
        yield portal


@pytest.fixture
def one_portal(sqlite_database: Database, valkey_url: str, clock: HandClock, keyring: Keyring) -> Iterator[Portal]:
    """The whole portal as it comes: SQLite and Valkey, for tests where one kind suffices."""
    with opened(sqlite_database, valkey_url, clock, keyring) as portal:
        yield portal
