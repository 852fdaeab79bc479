"""The table of counters. They live in SQL, so that a wiped ephemeral store gives nothing back (security rule 3)."""

import json
from typing import Any

from sqlalchemy import Column, String, Table, Text, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from app.foundation.sql import Prepared, Transaction, metadata
from app.records.attempts.model import Factor, History

attempts = Table(
    "attempts",
    metadata,
    Column("subject", String(80), primary_key=True),
    Column("factor", String(16), primary_key=True),
    Column("history", Text, nullable=False),
)

_WHERE = (attempts.c.subject == bindparam("of_subject"), attempts.c.factor == bindparam("of_factor"))
_ROW: dict[str, Any] = {"subject": bindparam("of_subject"), "factor": bindparam("of_factor"), "history": "{}"}
_KEYS = [attempts.c.subject, attempts.c.factor]
_SAME = {"history": attempts.c.history}
# one statement makes the row where there is none, holds it, and reads it: the same for a first try and a later one
_LOCK = Prepared(
    {
        "sqlite": sqlite.insert(attempts)
        .values(_ROW)
        .on_conflict_do_update(index_elements=_KEYS, set_=_SAME)
        .returning(attempts.c.history),
        "postgresql": postgresql.insert(attempts)
        .values(_ROW)
        .on_conflict_do_update(index_elements=_KEYS, set_=_SAME)
        .returning(attempts.c.history),
    }
)
_LOOK = Prepared(select(attempts.c.history).where(*_WHERE))
_WRITE = Prepared(update(attempts).where(*_WHERE).values(history=bindparam("new_history")))


def lock(transaction: Transaction, subject: str, factor: Factor) -> History:
    """The counters of a subject, held until the transaction ends."""
    return from_json(lock_text(transaction, subject, factor.value))


def lock_text(transaction: Transaction, subject: str, factor: str) -> str:
    """The same as the text that is stored."""
    return str(_LOCK.first(transaction, {"of_subject": subject, "of_factor": factor}).history)


def look(transaction: Transaction, subject: str, factor: Factor) -> History:
    """The counters of a subject, not held."""
    row = _LOOK.first(transaction, {"of_subject": subject, "of_factor": factor.value})
    return from_json(row.history if row else "{}")


def write(transaction: Transaction, subject: str, factor: Factor, history: History) -> None:
    """Replace the counters of a locked subject."""
    write_text(transaction, subject, factor.value, to_json(history))


def write_text(transaction: Transaction, subject: str, factor: str, text: str) -> None:
    """The same with the text that is stored."""
    _WRITE.count(transaction, {"of_subject": subject, "of_factor": factor, "new_history": text})


def to_json(history: History) -> str:
    """A History as compact JSON, the same text for the same counters."""
    value: dict[str, object] = {}
    days = {door: list(times) for door, times in history.days.items() if times}
    if days:
        value["days"] = days
    if history.runs:
        value["runs"] = {door: list(run) for door, run in history.runs.items()}
    if history.consecutive:
        value["consecutive"] = history.consecutive
    if strangers := {door: count for door, count in history.strangers.items() if count}:
        value["strangers"] = strangers
    if history.locks:
        value["locks"] = {door: list(lock) for door, lock in history.locks.items()}
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def from_json(text: str | bytes) -> History:
    """The inverse of ``to_json``."""
    value = json.loads(text)
    return History(
        days={door: tuple(times) for door, times in value.get("days", {}).items()},
        runs={door: (run[0], run[1]) for door, run in value.get("runs", {}).items()},
        consecutive=value.get("consecutive", 0),
        strangers=value.get("strangers", {}),
        locks={door: (lock[0], lock[1]) for door, lock in value.get("locks", {}).items()},
    )
