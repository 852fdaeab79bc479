"""The table of events: only ever added to."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text, insert, select

from app.foundation.sql import Prepared, Transaction, metadata, savepoint
from app.records.audit.model import Event, Record

events = Table(
    "audit_events",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("event", String(48), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("person_id", Integer, ForeignKey("people.id")),
    Column("actor", String(255), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("address", String(64), nullable=False),
    Column("details", Text, nullable=False),
    Index("ix_audit_events_person_id_at", "person_id", "at"),
    sqlite_autoincrement=True,
)

_INSERT = insert(events)
_ADD = Prepared(_INSERT)


def add(transaction: Transaction, record: Record) -> None:
    """Write one event with the caller's transaction."""
    _ADD.count(transaction, _values(record))


def add_many(transaction: Transaction, records: Sequence[Record]) -> None:
    """Write several events at once."""
    if records:
        transaction.execute(_INSERT, [_values(record) for record in records])


def add_if_known(transaction: Transaction, record: Record) -> None:
    """Write an event before anything was proved: kept for somebody known, undone for somebody unknown.

    Either way the same statements run, so that time does not tell them apart, and strangers who make up
    User IDs fill no table (security rule 14).
    """
    with savepoint(transaction, keep=record.person_id is not None):
        _ADD.count(transaction, _values(record))


def _values(record: Record) -> dict[str, object]:
    return {
        "event": record.event.value,
        "at": record.at,
        "person_id": record.person_id,
        "actor": record.actor,
        "outcome": record.outcome,
        "reason": record.reason,
        "address": record.address,
        "details": json.dumps(record.details, ensure_ascii=False, sort_keys=True),
    }


def of_person(
    transaction: Transaction, person_id: int, limit: int = 100, *, skip: int = 0, only: Sequence[Event] = ()
) -> tuple[Record, ...]:
    """A person's newest events, newest first; all after the first ``skip``, or of some kinds only."""
    found = select(events).where(events.c.person_id == person_id)
    if only:
        found = found.where(events.c.event.in_([event.value for event in only]))
    rows = transaction.execute(found.order_by(events.c.id.desc()).limit(limit).offset(skip))
    return tuple(_record(row) for row in rows)


def _record(row: Any) -> Record:
    return Record(
        event=Event(row.event),
        at=row.at,
        person_id=row.person_id,
        actor=row.actor,
        outcome=row.outcome,
        reason=row.reason,
        address=row.address,
        details=json.loads(row.details),
    )
