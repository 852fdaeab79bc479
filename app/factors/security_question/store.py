"""The table of security answers: one row a person."""

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Integer, String, Table, Text, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from app.factors.security_question.model import QUESTION_MAX, Answered
from app.foundation.sql import Prepared, Transaction, metadata

answers = Table(
    "security_answers",
    metadata,
    Column("person_id", Integer, ForeignKey("people.id"), primary_key=True),
    Column("question", String(QUESTION_MAX), nullable=False),
    Column("own", Boolean, nullable=False),
    Column("hash", Text, nullable=False),
    Column("pepper", String(32), nullable=False),
    Column("set_at", BigInteger, nullable=False),
    Column("usable_from", BigInteger, nullable=False),
)

_FIND = Prepared(select(answers).where(answers.c.person_id == bindparam("of_person")))
_KEY = [answers.c.person_id]
_INSERT: dict[str, Any] = {"sqlite": sqlite.insert(answers), "postgresql": postgresql.insert(answers)}


def find(transaction: Transaction, person_id: int) -> Answered | None:
    """A person's answer, None where there is none."""
    row = _FIND.first(transaction, {"of_person": person_id})
    if row is None:
        return None
    return Answered(row.person_id, row.question, bool(row.own), row.hash, row.pepper, row.set_at, row.usable_from)


def add_if_none(transaction: Transaction, new: Answered) -> bool:
    """Give a person the first answer; False where somebody was faster."""
    inserted = _INSERT[transaction.dialect.name].on_conflict_do_nothing(index_elements=_KEY)
    return transaction.execute(inserted.returning(answers.c.person_id), _values(new)).first() is not None


def put(transaction: Transaction, new: Answered) -> None:
    """Give a person an answer in the place of whatever there is."""
    values = _values(new)
    insert = _INSERT[transaction.dialect.name].values(values)
    transaction.execute(insert.on_conflict_do_update(index_elements=_KEY, set_=values))


def strengthen(transaction: Transaction, old: Answered, phc: str, pepper: str) -> bool:
    """Replace the hash of the same answer if it still is the old one."""
    where = (answers.c.person_id == old.person_id, answers.c.hash == old.hash)
    return transaction.execute(answers.update().where(*where).values(hash=phc, pepper=pepper)).rowcount == 1


def remove(transaction: Transaction, person_id: int, since: int = 0) -> bool:
    """Forget a person's answer, if it was set at a moment or later; False where there is none such."""
    where = (answers.c.person_id == person_id, answers.c.set_at >= since)
    return transaction.execute(delete(answers).where(*where)).rowcount == 1


def _values(new: Answered) -> dict[str, object]:
    return {
        "person_id": new.person_id,
        "question": new.question,
        "own": new.own,
        "hash": new.hash,
        "pepper": new.pepper,
        "set_at": new.set_at,
        "usable_from": new.usable_from,
    }
