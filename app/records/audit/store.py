"""The tables of events and of the seals over them: only ever added to, until events are too old to keep."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    bindparam,
    column,
    delete,
    func,
    insert,
    select,
    table,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from app.foundation.sql import Prepared, Transaction, metadata, savepoint
from app.records.audit.model import Checked, Event, Fault, Record, Seal, SealLetter, Stored, Tampering

events = Table(
    "audit_events",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("event", String(48), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("person_id", Integer, ForeignKey("people.id")),
    Column("organization_id", String(36)),
    Column("actor", String(255), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("address", String(64), nullable=False),
    Column("details", Text, nullable=False),
    Index("ix_audit_events_person_id_at", "person_id", "at"),
    # a page of what an organization's administrators see; what they filter by is in it, so that only what fits is read
    Index("ix_audit_events_organization_id_at", "organization_id", "at", "id", "event", "outcome", "actor"),
    sqlite_autoincrement=True,
)

seals = Table(
    "audit_seals",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("previous", String(64), nullable=False),
    Column("first_id", BigInteger, nullable=False),
    Column("last_id", BigInteger, nullable=False),
    Column("upto", BigInteger, nullable=False),
    Column("events", Integer, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("key", String(32), nullable=False),
    Column("body_digest", String(64), nullable=False),
    Column("body", Text),
    Column("chain", String(64), nullable=False),
    Index("ix_audit_seals_last_id", "last_id"),
)

# one row: the seal that is being mailed, or was mailed last
seal_letter = Table(
    "audit_seal_letter",
    metadata,
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, nullable=False),
    Column("chain", String(64), nullable=False),
    Column("upto", BigInteger, nullable=False),
    Column("sealed_at", BigInteger, nullable=False),
    Column("made_at", BigInteger, nullable=False),
    Column("next_at", BigInteger, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("sent_at", BigInteger),
)

# one row: how the last check ended
check = Table(
    "audit_check",
    metadata,
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("events", BigInteger, nullable=False),
    Column("fault", String(16)),
    Column("fault_number", BigInteger),
)

# of the table of people, which is another room's, as much as an INSERT here needs
_people = table("people", column("id", Integer), column("home_organization", String))
_GIVEN = ("event", "at", "person_id", "actor", "outcome", "reason", "address", "details")
_ROW: dict[str, Any] = {name: bindparam(name, type_=events.c[name].type) for name in _GIVEN}
_HOME = select(_people.c.home_organization).where(_people.c.id == _ROW["person_id"]).scalar_subquery()
_NAMED = bindparam("organization_id", type_=events.c.organization_id.type)
_INSERT = insert(events).values({**_ROW, "organization_id": func.coalesce(_NAMED, _HOME)})
_ADD = Prepared(_INSERT)
_SEAL_ROW: dict[str, Any] = {column.name: bindparam(column.name) for column in seals.columns}
_ADD_SEAL = Prepared(
    {
        "sqlite": sqlite.insert(seals).values(_SEAL_ROW).on_conflict_do_nothing(index_elements=["number"]),
        "postgresql": postgresql.insert(seals).values(_SEAL_ROW).on_conflict_do_nothing(index_elements=["number"]),
    }
)

_LETTER = tuple(column.name for column in seal_letter.columns if column.name != "place")
_FIRST_LETTER = {
    "sqlite": sqlite.insert(seal_letter).on_conflict_do_nothing(index_elements=["place"]),
    "postgresql": postgresql.insert(seal_letter).on_conflict_do_nothing(index_elements=["place"]),
}

_CHECKED = ("at", "events", "fault", "fault_number")
_NOTE_CHECK = {
    name: made.on_conflict_do_update(
        index_elements=["place"], set_={column: made.excluded[column] for column in _CHECKED}
    )
    for name, made in (("sqlite", sqlite.insert(check)), ("postgresql", postgresql.insert(check)))
}


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
        "organization_id": record.organization_id,
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


def told_since(transaction: Transaction, person_id: int, event: Event, actor: str, since: int) -> bool:
    """Whether this was written down of a person, by this actor, after a moment."""
    where = (events.c.person_id == person_id, events.c.at > since, events.c.event == event.value)
    return transaction.execute(select(events.c.id).where(*where, events.c.actor == actor).limit(1)).first() is not None


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
        organization_id=row.organization_id,
    )


def pages(transaction: Transaction, after: int, size: int, before: int | None = None) -> Iterator[tuple[Stored, ...]]:
    """Events as they stand, by number, so many at a time: those after one number and before another."""
    while True:
        found = select(events).where(events.c.id > after).order_by(events.c.id).limit(size)
        if before is not None:
            found = found.where(events.c.id < before)
        rows = tuple(from_row(row) for row in transaction.execute(found))
        if not rows:
            return
        yield rows
        after = rows[-1].id


def numbers_after(transaction: Transaction, after: int, most: int) -> list[int]:
    """The numbers of events after one, in their order."""
    found = select(events.c.id).where(events.c.id > after).order_by(events.c.id).limit(most)
    return [int(row[0]) for row in transaction.execute(found)]


def stored(transaction: Transaction, numbers: Sequence[int]) -> tuple[Stored, ...]:
    """Events of some numbers, as they stand."""
    return tuple(from_row(row) for row in transaction.execute(select(events).where(events.c.id.in_(numbers))))


def newest_seal(transaction: Transaction) -> Seal | None:
    """The last of the chain."""
    row = transaction.execute(select(seals).order_by(seals.c.number.desc()).limit(1)).first()
    return _seal(row) if row else None


def seals_since(transaction: Transaction, moment: int) -> tuple[Seal, ...]:
    """Those that were made at a moment or later."""
    return tuple(_seal(row) for row in transaction.execute(select(seals).where(seals.c.at >= moment)))


def seals_over(transaction: Transaction, first: int, last: int) -> tuple[Seal, ...]:
    """Those whose events may have numbers from first to last."""
    found = select(seals).where(seals.c.last_id >= first, seals.c.first_id <= last)
    return tuple(_seal(row) for row in transaction.execute(found))


def seal_pages(transaction: Transaction, size: int) -> Iterator[tuple[Seal, ...]]:
    """The chain from its beginning, so many seals at a time."""
    after = -1
    while True:
        found = select(seals).where(seals.c.number > after).order_by(seals.c.number).limit(size)
        rows = tuple(_seal(row) for row in transaction.execute(found))
        if not rows:
            return
        yield rows
        after = rows[-1].number


def add_seal(transaction: Transaction, seal: Seal) -> bool:
    """Add to the chain; False where somebody else added that number."""
    return _ADD_SEAL.count(transaction, {name: getattr(seal, name) for name in _SEAL_ROW}) == 1


def newest_letter(transaction: Transaction) -> SealLetter | None:
    """The seal that is being mailed, or was mailed last."""
    row = transaction.execute(select(seal_letter)).first()
    return SealLetter(**{name: getattr(row, name) for name in _LETTER}) if row else None


def write_letter(transaction: Transaction, letter: SealLetter, instead_of: SealLetter | None) -> bool:
    """Have a seal mailed, once the one before it was sent; False where somebody else was faster."""
    values = {name: getattr(letter, name) for name in _LETTER}
    if instead_of is None:
        first = _FIRST_LETTER[transaction.dialect.name].values(place=1, **values).returning(seal_letter.c.place)
        return transaction.execute(first).first() is not None
    sent = (seal_letter.c.chain == instead_of.chain, seal_letter.c.sent_at.is_not(None))
    return transaction.execute(update(seal_letter).where(*sent).values(values)).rowcount == 1


def claim_letter(transaction: Transaction, letter: SealLetter, until: int) -> bool:
    """Let nobody else send a letter until a moment; False where it was sent or claimed meanwhile."""
    claimed = update(seal_letter).where(*_unsent(letter)).values(next_at=until, tries=seal_letter.c.tries + 1)
    return transaction.execute(claimed).rowcount == 1


def letter_sent(transaction: Transaction, letter: SealLetter, now: int) -> None:
    """Note that the mail server took a letter over."""
    transaction.execute(update(seal_letter).where(seal_letter.c.chain == letter.chain).values(sent_at=now))


def put_letter_off(transaction: Transaction, letter: SealLetter, again_at: int) -> None:
    """Let a claimed letter wait for its next attempt."""
    transaction.execute(update(seal_letter).where(*_unsent(letter)).values(next_at=again_at))


def _unsent(letter: SealLetter) -> tuple[Any, ...]:
    waiting = (seal_letter.c.next_at == letter.next_at, seal_letter.c.sent_at.is_(None))
    return (seal_letter.c.chain == letter.chain, *waiting)


def last_check(transaction: Transaction) -> Checked | None:
    """How the last check ended; None where there was none yet."""
    row = transaction.execute(select(check)).first()
    if row is None:
        return None
    return Checked(row.at, row.events, Fault(Tampering(row.fault), row.fault_number) if row.fault else None)


def note_check(transaction: Transaction, checked: Checked) -> None:
    """Write down how a check ended, in place of the one before."""
    fault = checked.fault
    named = {"fault": fault.kind.value if fault else None, "fault_number": fault.number if fault else None}
    values = {"place": 1, "at": checked.at, "events": checked.events, **named}
    transaction.execute(_NOTE_CHECK[transaction.dialect.name], values)


def oldest_kept(transaction: Transaction, before: int, most: int) -> tuple[Seal, ...]:
    """The first seals that still have their bodies, as long as all of their events are older than a moment."""
    found = select(seals).where(seals.c.body.is_not(None)).order_by(seals.c.number).limit(most)
    kept = []
    for row in transaction.execute(found):
        if row.last_at >= before:
            break
        kept.append(_seal(row))
    return tuple(kept)


def forget(transaction: Transaction, seal: Seal, numbers: Sequence[int]) -> int:
    """Delete the events of a seal and its body; the seal stays. Returns how many events there were."""
    transaction.execute(update(seals).where(seals.c.number == seal.number).values(body=None))
    return int(transaction.execute(delete(events).where(events.c.id.in_(numbers))).rowcount)


def from_row(row: Any) -> Stored:
    """A whole row of events as it stands."""
    return Stored(
        id=row.id,
        event=row.event,
        at=row.at,
        person_id=row.person_id,
        organization_id=row.organization_id,
        actor=row.actor,
        outcome=row.outcome,
        reason=row.reason,
        address=row.address,
        details=row.details,
    )


def _seal(row: Any) -> Seal:
    return Seal(
        number=row.number,
        previous=row.previous,
        first_id=row.first_id,
        last_id=row.last_id,
        upto=row.upto,
        events=row.events,
        last_at=row.last_at,
        at=row.at,
        key=row.key,
        body_digest=row.body_digest,
        body=row.body,
        chain=row.chain,
    )
