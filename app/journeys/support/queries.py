"""Looking people up, and what happened to them, across the records. Reads alone.

Each look is bounded by a limit and walks one index: a huge organization makes a small one no slower, and the other way
round.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, bindparam, exists, false, or_, select

from app.foundation.sql import Prepared, Transaction
from app.records.audit.model import Event
from app.records.audit.store import events
from app.records.delivery.store import outbox
from app.records.organizations.store import memberships
from app.records.people.store import contacts, people

_END = "\U0010ffff"  # no name and no address has it, and nothing sorts behind it
_GUESTS = 2_000  # people of other homes who are looked through for one organization


@dataclass(frozen=True, slots=True)
class Prefixes:
    """What was typed, as each kind of key is written."""

    user_id: str
    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Found:
    """One person of a search."""

    person_id: int
    user_id: str
    first_name: str
    last_name: str
    status: str


def _between(key: Any, name: str) -> Any:
    return and_(key >= bindparam(f"{name}_low"), key < bindparam(f"{name}_high"))


def _walk(key: Any, name: str) -> Prepared:
    """The people of one home whose key begins like this, by that key."""
    home = people.c.home_organization == bindparam("home")
    return Prepared(select(people.c.id).where(home, _between(key, name)).order_by(key).limit(bindparam("most")))


_BY_ID = _walk(people.c.by_id, "user_id")
_BY_LAST = _walk(people.c.by_last, "name")
_BY_FIRST = _walk(people.c.by_first, "name")
# an address that somebody typed and never confirmed is perhaps another's
_PROVED = or_(contacts.c.confirmed_at.is_not(None), contacts.c.pending_until.is_(None))
_BY_ADDRESS = Prepared(
    select(contacts.c.person_id.label("id"))
    .where(
        contacts.c.home_organization == bindparam("home"),
        _between(contacts.c.by_address, "address"),
        contacts.c.removed_at.is_(None),
        _PROVED,
    )
    .order_by(contacts.c.by_address)
    .limit(bindparam("most"))
)
_EXACT = Prepared(select(people.c.id).where(people.c.canonical_id == bindparam("canonical")))
_VISITING = (
    select(memberships.c.person_id)
    .where(memberships.c.organization_id == bindparam("home"), memberships.c.is_primary == false())
    .limit(_GUESTS)
    .subquery()
)
_GUEST = Prepared(
    select(people.c.id)
    .join_from(_VISITING, people, people.c.id == _VISITING.c.person_id)
    .where(
        or_(
            _between(people.c.by_id, "user_id"),
            _between(people.c.by_last, "name"),
            _between(people.c.by_first, "name"),
            exists().where(
                contacts.c.person_id == people.c.id,
                _between(contacts.c.by_address, "address"),
                contacts.c.removed_at.is_(None),
                _PROVED,
            ),
        )
    )
    .order_by(people.c.by_id)
    .limit(bindparam("most"))
)


def search(transaction: Transaction, organizations: Sequence[str], prefixes: Prefixes, most: int) -> tuple[Found, ...]:
    """At most so many people of some organizations: the User ID that was typed whole, then those of which a User ID,
    a name or an address begins like it."""
    ids: dict[int, None] = {}
    for row in _EXACT.rows(transaction, {"canonical": prefixes.user_id}):
        ids[row.id] = None
    spans: dict[str, object] = {"most": most}
    for name in ("user_id", "name", "address"):
        typed = getattr(prefixes, name)
        spans |= {f"{name}_low": typed, f"{name}_high": typed + _END}
    for walk, name in ((_BY_ID, "user_id"), (_BY_LAST, "name"), (_BY_FIRST, "name"), (_BY_ADDRESS, "address")):
        given = {key: value for key, value in spans.items() if key.startswith((name, "most"))}
        for home in organizations:
            for row in walk.rows(transaction, {"home": home, **given}):
                ids.setdefault(row.id, None)
    for home in organizations:
        for row in _GUEST.rows(transaction, {"home": home, **spans}):
            ids.setdefault(row.id, None)
    return _people(transaction, organizations, tuple(ids))[:most]


def _people(transaction: Transaction, organizations: Sequence[str], ids: Sequence[int]) -> tuple[Found, ...]:
    """Those of some people who are in one of these organizations, in the order given."""
    # by the people and not by the organizations, or a planner reads through all of their members
    joined = transaction.execute(
        select(memberships.c.person_id, memberships.c.organization_id).where(
            memberships.c.person_id.in_(ids), memberships.c.proposed_at.is_(None)
        )
    )
    seen = [row.person_id for row in joined if row.organization_id in organizations]
    rows = transaction.execute(
        select(people.c.id, people.c.user_id, people.c.first_name, people.c.last_name, people.c.status).where(
            people.c.id.in_(seen)
        )
    )
    found = {row.id: Found(row.id, row.user_id, row.first_name, row.last_name, row.status) for row in rows}
    return tuple(found[one] for one in ids if one in found)


def mailboxes(transaction: Transaction, ids: Collection[int]) -> dict[int, str]:
    """The first mailbox of each of some people."""
    rows = transaction.execute(
        select(contacts.c.person_id, contacts.c.address)
        .where(contacts.c.person_id.in_(ids), contacts.c.by_address.is_not(None), contacts.c.removed_at.is_(None))
        .where(_PROVED)
        .order_by(contacts.c.position.desc(), contacts.c.id.desc())
    )
    return {row.person_id: row.address for row in rows}


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one message, and the contact that it went to."""

    state: str
    reason: str
    contact_id: str


_NEWEST = (
    select(events)
    .where(events.c.person_id == bindparam("of_person"), events.c.event != Event.LOOKED_AT.value)
    .order_by(events.c.at.desc(), events.c.id.desc())
    .limit(bindparam("most"))
)
_TIMELINE = Prepared(_NEWEST)
_OLDER = Prepared(
    _NEWEST.where(
        events.c.at <= bindparam("before_at"),
        or_(events.c.at < bindparam("before_at"), events.c.id < bindparam("before_id")),
    )
)


def timeline(
    transaction: Transaction, person_id: int, most: int, before: tuple[int, int] | None = None
) -> Sequence[Any]:
    """Rows of the audit log of a person, newest first: all, or those before a time and number. No look-ups."""
    values: dict[str, object] = {"of_person": person_id, "most": most}
    if before is None:
        return _TIMELINE.rows(transaction, values)
    return _OLDER.rows(transaction, {**values, "before_at": before[0], "before_id": before[1]})


def sent(transaction: Transaction, names: Collection[str]) -> dict[str, Sent]:
    """What became of messages, by their names in the outbox; those that were forgotten are not there."""
    if not names:
        return {}
    rows = transaction.execute(
        select(outbox.c.id, outbox.c.state, outbox.c.reason, outbox.c.contact_id).where(outbox.c.id.in_(names))
    )
    return {row.id: Sent(row.state, row.reason, row.contact_id) for row in rows}
