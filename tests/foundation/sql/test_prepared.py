"""Prepared statements behave as SQLAlchemy's own: same text, same errors, same listeners."""

from typing import Any

import pytest
from sqlalchemy import bindparam, event, select, text
from sqlalchemy.exc import IntegrityError

from app.foundation.refusals import StoreAway
from app.foundation.sql import Database, Prepared
from app.records.attempts.model import Factor
from app.records.attempts.store import attempts, lock_text, look, write_text

_BY_SUBJECT = Prepared(select(attempts).where(attempts.c.subject == bindparam("of_subject")))
_INSERT = Prepared(attempts.insert())
_ROW = {"subject": "somebody", "factor": "app", "history": "{}"}


def test_rows_have_their_columns_by_name_and_a_write_tells_how_many(database: Database) -> None:
    with database.begin() as transaction:
        assert _INSERT.count(transaction, _ROW) == 1
        assert [row.factor for row in _BY_SUBJECT.rows(transaction, {"of_subject": "somebody"})] == ["app"]
        assert _BY_SUBJECT.first(transaction, {"of_subject": "nobody"}) is None


def test_it_belongs_to_the_transaction_and_is_undone_with_it(database: Database) -> None:
    def break_off() -> None:
        with database.begin() as transaction:
            lock_text(transaction, "somebody", "app")
            write_text(transaction, "somebody", "app", '{"consecutive":3}')
            raise LookupError

    with pytest.raises(LookupError):
        break_off()
    with database.read() as looking:
        assert look(looking, "somebody", Factor.APP).consecutive == 0


def test_an_error_has_its_usual_name_and_tells_no_value(database: Database) -> None:
    with database.begin() as transaction:
        _INSERT.count(transaction, _ROW)
    with pytest.raises(IntegrityError) as raised, database.begin() as transaction:
        _INSERT.count(transaction, _ROW)
    assert raised.value.params is None


def test_a_database_that_fails_is_told_from_a_defect(sqlite_database: Database) -> None:
    with sqlite_database.begin() as transaction:
        transaction.execute(text("DROP TABLE attempts"))
    with pytest.raises(StoreAway), sqlite_database.read() as looking:
        look(looking, "somebody", Factor.APP)


def test_a_connection_that_the_server_ended_is_away_once_and_then_replaced(postgresql_database: Database) -> None:
    def lose_it() -> None:
        with postgresql_database.begin() as transaction:
            number = transaction.execute(text("SELECT pg_backend_pid()")).scalar_one()
            with postgresql_database.read() as other:
                other.execute(text("SELECT pg_terminate_backend(:number)"), {"number": number})
            look(transaction, "somebody", Factor.APP)

    with pytest.raises(StoreAway):
        lose_it()
    with postgresql_database.read() as looking:
        assert look(looking, "somebody", Factor.APP).consecutive == 0


def test_a_value_that_is_missing_is_a_defect(sqlite_database: Database) -> None:
    with pytest.raises(KeyError), sqlite_database.read() as looking:
        _BY_SUBJECT.rows(looking, {})


def test_whoever_listens_for_statements_hears_of_it(database: Database) -> None:
    heard: list[str] = []

    def listen(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        heard.append(statement)

    event.listen(database.engine, "before_cursor_execute", listen)
    with database.read() as looking:
        look(looking, "somebody", Factor.APP)
    assert len(heard) == 1
    assert "FROM attempts" in heard[0]
