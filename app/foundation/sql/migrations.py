"""Bringing the database to the present schema: once at a time, whoever starts first (migrations/versions).

Alembic does the work, without its ini file. It is imported only where there is something to do, because it
costs a third of a second, and most starts find the database as it should be.
"""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from app.foundation.refusals import StoreAway
from app.foundation.settings import ROOT
from app.foundation.sql.database import Database, named_faults

FOLDER = ROOT / "migrations"
_NUMBERED = re.compile(r"([0-9]{4})_[a-z0-9_]+\.py")
# any constant will do that nobody else in the same database uses; this one spells "keyturn"
_ADVISORY_LOCK = 0x6B_65_79_74_75_72_6E


class NotMigrated(Exception):
    """The database cannot be brought to, or is not at, the schema of this program. One line for the operator."""


def head() -> str:
    """The newest revision, which is the number of its file."""
    numbers = sorted(match[1] for path in (FOLDER / "versions").iterdir() if (match := _NUMBERED.fullmatch(path.name)))
    return numbers[-1] if numbers else ""


def current(database: Database) -> str:
    """The revision of a database; empty where it was never migrated. Raises StoreAway."""
    if _missing(database):
        return ""
    with database.read() as looking:
        return _current(looking)


def at_head(database: Database) -> bool:
    """Whether there is nothing to do. Raises StoreAway."""
    return current(database) == head()


def migrate(database: Database) -> bool:
    """Bring the database to the newest revision, whoever else tries at the same time. True where that was needed.

    All steps are one transaction: a migration that fails or is killed leaves everything as it was. Raises
    NotMigrated where a step fails or the database is of a later version, StoreAway where it does not answer.
    """
    newest = head()
    with _alone(database) as connection:
        found = _current(connection)
        connection.rollback()
        if found == newest:
            return False
        if found and not any((FOLDER / "versions").glob(f"{found}_*.py")):
            raise NotMigrated(
                f"the database is at revision {found}, which this version of Keyturn does not know: it is newer"
            )
        _upgrade(connection, is_sqlite=database.is_sqlite)
    return True


def configuration() -> Any:
    """Alembic's configuration, made here instead of read from a file that depends on the working directory."""
    from alembic.config import Config  # noqa: PLC0415 - see above

    made = Config()
    made.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    return made


def _upgrade(connection: Connection, *, is_sqlite: bool) -> None:
    from alembic import command  # noqa: PLC0415

    made = configuration()
    made.attributes["connection"] = connection
    if is_sqlite:
        # A batch rebuilds a table by dropping the old one, which would delete what refers to it. The switch has
        # no effect inside a transaction, so it is thrown behind SQLAlchemy's back, before one begins.
        driver: Any = connection.connection.dbapi_connection
        driver.execute("PRAGMA foreign_keys=OFF")
    try:
        with connection.begin():
            command.upgrade(made, "head")
            if is_sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
                raise NotMigrated("the migration would leave rows that refer to nothing; nothing was changed")
    except DBAPIError as error:
        said = str(error.orig).strip().splitlines() or [type(error.orig).__name__]
        raise NotMigrated(f"the migration failed, and nothing was changed: {said[0][:200]}") from error


def _current(connection: Connection) -> str:
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or "")


def _missing(database: Database) -> bool:
    """Whether there is not even a file: looking for one must not make it."""
    return database.is_sqlite and not Path(database.url.database or "").is_file()


@contextmanager
def _alone(database: Database) -> Iterator[Connection]:
    """A connection of our own, while nobody else migrates: a lock file beside SQLite's, or an advisory lock."""
    with ExitStack() as stack:
        if database.is_sqlite:
            stack.enter_context(_locked(Path(f"{database.url.database}.lock")))
        with named_faults():
            connection = database.engine.connect()
            stack.callback(connection.close)
            # not back to the pool: its settings are changed, and its end frees its locks
            connection.detach()
            if not database.is_sqlite:
                # the usual limits would end the waiting, and a long ALTER TABLE
                connection.execute(text("SET statement_timeout = 0"))
                connection.execute(text("SET lock_timeout = 0"))
                connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _ADVISORY_LOCK})
                connection.commit()
        yield connection


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise StoreAway("database") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
