"""Engine, transactions and the shared metadata. Stores write SQL; services open the one transaction."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, MetaData, create_engine, event, text
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.foundation.refusals import StoreAway
from app.foundation.sql.prepared import Prepared

Transaction = Connection

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_BUSY_MS = 5_000
_BEGIN = Prepared(text("BEGIN IMMEDIATE"))
_BEGIN_PART = Prepared(text("SAVEPOINT part"))
_KEEP_PART = Prepared(text("RELEASE SAVEPOINT part"))
_UNDO_PART = Prepared(text("ROLLBACK TO SAVEPOINT part"))


class Database:
    """One engine. ``begin`` opens a writing transaction, ``read`` a connection that only looks.

    Both raise StoreAway where the database does not answer, so that pages say 503 and not 500.
    """

    def __init__(self, url: str | URL, *, pool_size: int = 8) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        # hide_parameters: an error must not carry a hash or an address into the log
        options: dict[str, Any] = {
            "pool_size": pool_size,
            "max_overflow": 32,
            "pool_timeout": 5,
            "hide_parameters": True,
        }
        if self.is_sqlite:
            # the driver's own transaction handling would open deferred transactions, and two of
            # those that both want to write end in SQLITE_BUSY at once, whatever the timeout
            options["connect_args"] = {"timeout": _BUSY_MS / 1000, "check_same_thread": False, "isolation_level": None}
        else:
            options["pool_pre_ping"] = True
            options["connect_args"] = {
                "connect_timeout": 3,
                "options": "-c statement_timeout=10000 -c lock_timeout=5000",
            }
        self._engine = create_engine(self.url, **options)
        # looking needs no transaction: each statement is one of its own
        looking = {"looking": True} if self.is_sqlite else {"isolation_level": "AUTOCOMMIT"}
        self._reader = self._engine.execution_options(**looking)
        if self.is_sqlite:
            event.listen(self._engine, "connect", _prepare_sqlite)
            event.listen(self._engine, "begin", _begin_immediate)

    @property
    def engine(self) -> Engine:
        """For migrations only."""
        return self._engine

    @contextmanager
    def begin(self) -> Iterator[Transaction]:
        """One writing transaction: committed at the end, rolled back on any exception."""
        with named_faults(), self._engine.begin() as transaction:
            yield transaction

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A connection for looking, each statement on its own."""
        with named_faults(), self._reader.connect() as connection:
            yield connection

    def ping(self) -> None:
        """Raise StoreAway unless the database answers."""
        with self.read() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close pooled connections (before a fork, and at the end)."""
        self._engine.dispose()


@contextmanager
def named_faults() -> Iterator[None]:
    """Tell a database that does not answer from a defect: StoreAway instead of what the driver raises."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeoutError) as error:
        raise StoreAway("database") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise StoreAway("database") from error
        raise


def _prepare_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")  # a counted try survives a power cut
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA secure_delete=ON")  # what is wiped is overwritten with zeros; not every build does so
    cursor.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
    cursor.close()


def _begin_immediate(connection: Connection) -> None:
    if not connection.get_execution_options().get("looking"):
        _BEGIN.count(connection, {})


@contextmanager
def savepoint(transaction: Transaction, *, keep: bool = True) -> Iterator[None]:
    """A part of a transaction that is undone alone: on an exception, or always where ``keep`` is False.

    Never one within another: they have one name, and one that was undone stays open until the transaction ends.
    """
    _BEGIN_PART.count(transaction, {})
    try:
        yield
    except BaseException:
        _UNDO_PART.count(transaction, {})
        raise
    (_KEEP_PART if keep else _UNDO_PART).count(transaction, {})
