"""Statements of the paths that people wait on: compiled once, then handed straight to the driver."""

from collections import namedtuple
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError


class Prepared:
    """A statement whose only variables are its bindparams; one for both kinds of database, or one for each.

    Connection.execute takes ten times as long as SQLite does for what is asked here. The text, the transaction and
    the errors are SQLAlchemy's all the same, and whoever listens for statements hears of these too.
    """

    def __init__(self, statement: Any) -> None:
        self._statement = statement
        self._texts: dict[str, _Text] = {}
        self._make: Callable[[Any], Any] | None = None

    def rows(self, transaction: Connection, values: Mapping[str, object]) -> list[Any]:
        """All rows, their columns by name."""
        cursor = self._run(transaction, values)
        make = self._make or self._learn(cursor)
        found = [make(row) for row in cursor.fetchall()]
        cursor.close()
        return found

    def first(self, transaction: Connection, values: Mapping[str, object]) -> Any:
        """The first row or None."""
        rows = self.rows(transaction, values)
        return rows[0] if rows else None

    def count(self, transaction: Connection, values: Mapping[str, object]) -> int:
        """How many rows were written."""
        cursor = self._run(transaction, values)
        number = int(cursor.rowcount)
        cursor.close()
        return number

    def _run(self, transaction: Connection, values: Mapping[str, object]) -> Any:
        text = self._texts.get(transaction.dialect.name) or self._compile(transaction, values)
        cursor = transaction.connection.cursor()
        sql, given = text.sql, text.given(values)
        for listener in transaction.dispatch.before_cursor_execute:
            sql, given = listener(transaction, cursor, sql, given, None, False)
        try:
            cursor.execute(sql, given)
        except transaction.dialect.loaded_dbapi.Error as error:
            raise _named(transaction, cursor, sql, error) from error
        return cursor

    def _learn(self, cursor: Any) -> Callable[[Any], Any]:
        row: Any = namedtuple("Row", [column[0] for column in cursor.description])  # type: ignore[misc]  # noqa: PYI024 - known only now
        self._make = make = row._make
        return cast("Callable[[Any], Any]", make)

    def _compile(self, transaction: Connection, values: Mapping[str, object]) -> "_Text":
        dialect = transaction.dialect
        statement = self._statement[dialect.name] if isinstance(self._statement, dict) else self._statement
        compiled = statement.compile(dialect=dialect, column_keys=list(values))
        fixed = {name: bind.effective_value for bind, name in compiled.bind_names.items() if not bind.required}
        text = _Text(str(compiled), fixed, tuple(compiled.positiontup) if compiled.positional else None)
        self._texts[dialect.name] = text
        return text


@dataclass(frozen=True, slots=True)
class _Text:
    """What the driver gets. ``order`` where it wants its parameters by place."""

    sql: str
    fixed: dict[str, object]
    order: tuple[str, ...] | None

    def given(self, values: Mapping[str, object]) -> Any:
        every = {**self.fixed, **values}
        return every if self.order is None else tuple([every[name] for name in self.order])


def _named(transaction: Connection, cursor: Any, sql: str, error: Exception) -> BaseException:
    """The error as SQLAlchemy names it, without parameters; a connection that broke is not used again."""
    dialect = transaction.dialect
    lost = dialect.is_disconnect(error, transaction.connection.dbapi_connection, cursor)  # type: ignore[arg-type]
    if lost:
        transaction.invalidate(error)
    return DBAPIError.instance(
        sql,
        None,
        error,
        dialect.loaded_dbapi.Error,
        hide_parameters=True,
        connection_invalidated=lost,
        dialect=dialect,
    )
