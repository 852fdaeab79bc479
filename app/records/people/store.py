"""Tables of people and their contacts."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    and_,
    bindparam,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from app.foundation.sql import Prepared, Transaction, metadata
from app.records.people.model import KEY_MAX, Channel, Contact, Person, Status, search_key

END = "\U0010ffff"  # sorts after all that a User ID may go on with
# what prefixes are looked for in: compared by code points also where the database has a language of its own
_KEY = String(KEY_MAX).with_variant(String(KEY_MAX, collation="C"), "postgresql")

people = Table(
    "people",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("user_id", String(255), nullable=False),
    Column("canonical_id", String(255), nullable=False, unique=True),
    Column("first_name", String(255), nullable=False, server_default=""),
    Column("last_name", String(255), nullable=False, server_default=""),
    Column("status", String(16), nullable=False),
    Column("stamp", String(32), nullable=False),
    Column("language", String(8), nullable=False, server_default=""),
    Column("home_organization", String(36), ForeignKey("organizations.id"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("recovered_at", BigInteger),
    # NULL in rows of the first release, until ``fill_keys``
    Column("by_id", _KEY),
    Column("by_first", _KEY),
    Column("by_last", _KEY),
    Index("ix_people_by_id", "home_organization", "by_id"),
    Index("ix_people_by_first", "home_organization", "by_first"),
    Index("ix_people_by_last", "home_organization", "by_last"),
    # of PostgreSQL alone: the unique one has the order of the database's language; on SQLite it holds no row
    Index(
        "ix_people_walk",
        "canonical_id",
        postgresql_ops={"canonical_id": 'COLLATE "C"'},
        sqlite_where=text("canonical_id IS NULL"),
    ),
    Index("ix_people_without_keys", "id", sqlite_where=text("by_id IS NULL"), postgresql_where=text("by_id IS NULL")),
    sqlite_autoincrement=True,
)

contacts = Table(
    "contacts",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("person_id", Integer, ForeignKey("people.id"), nullable=False),
    Column("channel", String(8), nullable=False),
    Column("address", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("confirmed_at", BigInteger),
    Column("usable_from", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("removed_at", BigInteger),
    Column("last_used_at", BigInteger),
    Column("pending_until", BigInteger),
    Column("home_organization", String(36)),  # its person's; NULL in rows of the first release, until ``fill_keys``
    Column("by_address", _KEY),  # of mailboxes alone
    Index("ix_contacts_person_id", "person_id"),
    Index("ix_contacts_pending_until", "pending_until"),
    Index(
        "ix_contacts_by_address",
        "home_organization",
        "by_address",
        sqlite_where=text("by_address IS NOT NULL"),
        postgresql_where=text("by_address IS NOT NULL"),
    ),
    Index(
        "ix_contacts_without_keys",
        "id",
        sqlite_where=text("home_organization IS NULL"),
        postgresql_where=text("home_organization IS NULL"),
    ),
)

_ADD_FREE = {
    "sqlite": sqlite.insert(people)
    .on_conflict_do_nothing(index_elements=["canonical_id"])
    .returning(people.c.id, people.c.canonical_id),
    "postgresql": postgresql.insert(people)
    .on_conflict_do_nothing(index_elements=["canonical_id"])
    .returning(people.c.id, people.c.canonical_id),
}
# without the keys of the search, which this room alone needs: what a read of somebody takes, and of nobody not, is told
# by time (security rule 14)
_KEYS = frozenset({"by_id", "by_first", "by_last", "by_address"})
_PERSON = select(*(one for one in people.c if one.name not in _KEYS))
_OF_PERSON = select(*(one for one in contacts.c if one.name not in _KEYS | {"home_organization", "created_at"}))
_BY_CANONICAL = Prepared(_PERSON.where(people.c.canonical_id == bindparam("canonical")))
_BY_ID = Prepared(_PERSON.where(people.c.id == bindparam("person_id")))
_CONTACTS = Prepared(
    _OF_PERSON.where(contacts.c.person_id == bindparam("person_id"), contacts.c.removed_at.is_(None)).order_by(
        contacts.c.channel.desc(), contacts.c.position, contacts.c.id
    )
)
_MAILBOXES = Prepared(
    _OF_PERSON.where(
        contacts.c.person_id == bindparam("person_id"),
        contacts.c.channel == Channel.EMAIL.value,
        contacts.c.removed_at.is_(None),
        contacts.c.confirmed_at.is_not(None),
        contacts.c.usable_from <= bindparam("now"),
    ).order_by(contacts.c.position, contacts.c.id)
)
_CONTACT = Prepared(_OF_PERSON.where(contacts.c.id == bindparam("contact_id")))

_USED = Prepared(update(contacts).where(contacts.c.id == bindparam("contact_id")).values(last_used_at=bindparam("now")))
_PENDING = (contacts.c.confirmed_at.is_(None), contacts.c.pending_until.is_not(None))
# the row itself stays for the message that went there, which names it
_FORGOTTEN: dict[str, Any] = {"address": "", "by_address": None, "pending_until": None}

_HOME_OF = select(people.c.home_organization).where(people.c.id == bindparam("owner")).scalar_subquery()
_ADD_CONTACT = insert(contacts).values(home_organization=_HOME_OF)

_RESTAMP = Prepared(
    update(people)
    .where(
        people.c.id == bindparam("person_id"),
        people.c.stamp == bindparam("old"),
        people.c.status == Status.ACTIVE.value,
    )
    .values(stamp=bindparam("new"))
)


def find(transaction: Transaction, canonical: str) -> Person | None:
    """The person of a canonical User ID."""
    row = _BY_CANONICAL.first(transaction, {"canonical": canonical})
    return _person(row) if row else None


def get(transaction: Transaction, person_id: int) -> Person | None:
    """The person of a row id."""
    row = _BY_ID.first(transaction, {"person_id": person_id})
    return _person(row) if row else None


def hold(transaction: Transaction, person_id: int) -> Person | None:
    """Let nobody else change this person's row, or hold it, until the transaction ends. None where there is nobody.

    Rows that refer to it may be written meanwhile, or a sign-in and a change could wait for each other.
    """
    held = _PERSON.where(people.c.id == person_id).with_for_update(key_share=True)
    row = transaction.execute(held).first()
    return _person(row) if row else None


def contacts_of(transaction: Transaction, person_id: int) -> tuple[Contact, ...]:
    """All present contacts: phones first, each kind in its own order."""
    return tuple(_contact(row) for row in _CONTACTS.rows(transaction, {"person_id": person_id}))


def usable_contacts(transaction: Transaction, person_id: int, now: int) -> tuple[Contact, ...]:
    """Those of them that are confirmed and past their waiting time."""
    return tuple(contact for contact in contacts_of(transaction, person_id) if contact.usable(now))


def usable_mailboxes(transaction: Transaction, person_id: int, now: int) -> tuple[Contact, ...]:
    """The mailboxes among them, and no other row is read: this is asked for before a proof (security rule 14)."""
    return tuple(_contact(row) for row in _MAILBOXES.rows(transaction, {"person_id": person_id, "now": now}))


def contacts_since(transaction: Transaction, person_id: int, since: int) -> tuple[Contact, ...]:
    """The present contacts and those that were removed at a moment or later."""
    there = or_(contacts.c.removed_at.is_(None), contacts.c.removed_at >= since)
    rows = transaction.execute(
        select(contacts)
        .where(contacts.c.person_id == person_id, there)
        .order_by(contacts.c.channel.desc(), contacts.c.position, contacts.c.id)
    )
    return tuple(_contact(row) for row in rows)


def contact(transaction: Transaction, contact_id: str) -> Contact | None:
    """One contact by id, removed or not."""
    row = _CONTACT.first(transaction, {"contact_id": contact_id})
    return _contact(row) if row else None


def add(transaction: Transaction, person: Person) -> Person:
    """Insert and return with the id the database gave. The caller has checked that the canonical id is free."""
    result = transaction.execute(insert(people).values(_values(person)))
    return replace(person, id=int(result.inserted_primary_key[0]))  # type: ignore[index]


def add_many(transaction: Transaction, persons: Sequence[Person]) -> dict[str, int]:
    """Insert those whose canonical id is free; the row id of each that was inserted, by canonical id."""
    if not persons:
        return {}
    rows = [_values(person) for person in persons]
    return {
        str(row.canonical_id): int(row.id) for row in transaction.execute(_ADD_FREE[transaction.dialect.name], rows)
    }


def add_contacts(transaction: Transaction, several: Sequence[Contact], created_at: int) -> None:
    """Insert contacts of several people."""
    if several:
        transaction.execute(_ADD_CONTACT, [_contact_values(new, created_at) for new in several])


def add_contact(transaction: Transaction, new: Contact, created_at: int) -> None:
    """Insert a contact."""
    transaction.execute(_ADD_CONTACT, _contact_values(new, created_at))


def confirm_contact(transaction: Transaction, confirmed: Contact) -> bool:
    """Write down that a pending contact was confirmed, with its place and when it may be used; once.

    False where it was confirmed, replaced or forgotten meanwhile. The same address, filed for the person and never
    confirmed, goes.
    """
    pending = (*_own(confirmed.person_id), contacts.c.confirmed_at.is_(None))
    done = (
        update(contacts)
        .where(*pending, contacts.c.id == confirmed.id, contacts.c.pending_until > confirmed.confirmed_at)
        .values(
            confirmed_at=confirmed.confirmed_at,
            usable_from=confirmed.usable_from,
            position=confirmed.position,
            pending_until=None,
        )
    )
    if transaction.execute(done).rowcount != 1:
        return False
    same = (contacts.c.channel == confirmed.channel.value, contacts.c.address == confirmed.address)
    filed = update(contacts).where(*pending, *same).values(removed_at=confirmed.confirmed_at)
    transaction.execute(filed)
    return True


def remove_contact(transaction: Transaction, person_id: int, contact_id: str, now: int) -> bool:
    """Take a contact off its person; the row stays, for undo. False where it is gone already."""
    gone = update(contacts).where(*_own(person_id), contacts.c.id == contact_id).values(removed_at=now)
    return transaction.execute(gone).rowcount == 1


def order_contacts(transaction: Transaction, ordered: Sequence[Contact]) -> None:
    """Give contacts of one kind their places: the first is the one that is used unless another is asked for."""
    for position, one in enumerate(ordered):
        transaction.execute(update(contacts).where(contacts.c.id == one.id).values(position=position))


def contact_used(transaction: Transaction, contact_id: str, now: int) -> None:
    """Note that a PIN that went there was right."""
    _USED.count(transaction, {"contact_id": contact_id, "now": now})


def drop_pending(transaction: Transaction, person_id: int, channel: Channel, now: int) -> int:
    """Forget what somebody added and did not confirm, of one kind. Returns how many there were."""
    where = (*_own(person_id), *_PENDING, contacts.c.channel == channel.value)
    return int(transaction.execute(update(contacts).where(*where).values(**_FORGOTTEN, removed_at=now)).rowcount)


def forget_pending(transaction: Transaction, now: int) -> int:
    """The same for everybody, where the time to confirm it is over."""
    where = (*_PENDING, contacts.c.pending_until <= now)
    return int(transaction.execute(update(contacts).where(*where).values(**_FORGOTTEN, removed_at=now)).rowcount)


def keep_pending(transaction: Transaction, contact_id: str, until: int) -> bool:
    """Give a pending contact until then to be confirmed. False where it was confirmed, forgotten or removed."""
    there = (contacts.c.id == contact_id, contacts.c.removed_at.is_(None), *_PENDING)
    return transaction.execute(update(contacts).where(*there).values(pending_until=until)).rowcount == 1


def confirm_filed(transaction: Transaction, contact_id: str, person_id: int, now: int) -> bool:
    """A contact of somebody who activates their account counts at once; False where it did so already."""
    waiting = (contacts.c.id == contact_id, contacts.c.person_id == person_id, contacts.c.confirmed_at.is_(None))
    confirmed = update(contacts).where(*waiting).values(confirmed_at=now, usable_from=now)
    return transaction.execute(confirmed).rowcount == 1


def restamp(transaction: Transaction, person_id: int, old: str, new: str) -> bool:
    """Replace the stamp if it still is the old one; False where somebody was faster. Only active people."""
    return _RESTAMP.count(transaction, {"person_id": person_id, "old": old, "new": new}) == 1


def mark_recovered(transaction: Transaction, person_id: int, now: int) -> None:
    """Note that a password was recovered: for a day factors stay as they are (security rule 6)."""
    transaction.execute(update(people).where(people.c.id == person_id).values(recovered_at=now))


def freeze(transaction: Transaction, person_id: int, stamp: str) -> bool:
    """Freeze somebody active, by one conditional write; the new stamp ends whatever carries the old one."""
    where = (people.c.id == person_id, people.c.status == Status.ACTIVE.value)
    frozen = update(people).where(*where).values(status=Status.FROZEN.value, stamp=stamp)
    return transaction.execute(frozen).rowcount == 1


def unfreeze(transaction: Transaction, person_id: int, stamp: str) -> bool:
    """Make somebody frozen active again, with another new stamp."""
    where = (people.c.id == person_id, people.c.status == Status.FROZEN.value)
    active = update(people).where(*where).values(status=Status.ACTIVE.value, stamp=stamp)
    return transaction.execute(active).rowcount == 1


def roll_back_contacts(transaction: Transaction, person_id: int, since: int, now: int) -> None:
    """Remove the contacts that were added or confirmed at a moment or later; bring back those removed since.

    What comes back is as it was, with its own waiting time.
    """
    later = or_(contacts.c.created_at >= since, contacts.c.confirmed_at >= since)
    own = contacts.c.person_id == person_id
    added = update(contacts).where(own, later, contacts.c.removed_at.is_(None))
    transaction.execute(added.values(removed_at=now))
    gone = update(contacts).where(
        own,
        contacts.c.created_at < since,
        contacts.c.confirmed_at < since,
        contacts.c.removed_at >= since,
    )
    transaction.execute(gone.values(removed_at=None))


def deactivate(transaction: Transaction, person_id: int, stamp: str) -> bool:
    """Shut somebody active out, by one conditional write; the new stamp ends whatever carries the old one."""
    where = (people.c.id == person_id, people.c.status == Status.ACTIVE.value)
    shut = update(people).where(*where).values(status=Status.INACTIVE.value, stamp=stamp)
    return transaction.execute(shut).rowcount == 1


def reactivate(transaction: Transaction, person_id: int, stamp: str) -> bool:
    """Let somebody in again who was shut out; not whose account is frozen."""
    where = (people.c.id == person_id, people.c.status == Status.INACTIVE.value)
    active = update(people).where(*where).values(status=Status.ACTIVE.value, stamp=stamp)
    return transaction.execute(active).rowcount == 1


def set_status(transaction: Transaction, person_id: int, status: Status) -> None:
    """Activate or deactivate."""
    transaction.execute(update(people).where(people.c.id == person_id).values(status=status.value))


def which_exist(transaction: Transaction, canonicals: Sequence[str]) -> set[str]:
    """Those of the given canonical ids that are taken."""
    found = transaction.execute(select(people.c.canonical_id).where(people.c.canonical_id.in_(canonicals)))
    return {str(row[0]) for row in found}


def user_ids_of(transaction: Transaction, ids: Collection[int]) -> dict[int, str]:
    """User IDs by the ids of their people."""
    rows = transaction.execute(select(people.c.id, people.c.user_id).where(people.c.id.in_(ids)))
    return {int(row.id): str(row.user_id) for row in rows}


def by_code_points(transaction: Transaction) -> ColumnElement[str]:
    """Canonical User IDs in an order that a walk through many of them may go by: that of code points, everywhere."""
    canonical: ColumnElement[str] = people.c.canonical_id
    return canonical if transaction.dialect.name == "sqlite" else canonical.collate("C")


def begins(transaction: Transaction, prefix: str) -> ColumnElement[bool]:
    """Whether a canonical User ID begins so: a range of that walk."""
    walk = by_code_points(transaction)
    return and_(walk >= prefix, walk < prefix + END)


def fill_keys(transaction: Transaction, most: int) -> int:
    """Give rows of the first release the keys by which people are found, so many at a time. Returns how many."""
    persons = transaction.execute(select(people).where(people.c.by_id.is_(None)).limit(most)).all()
    if persons:
        named: dict[str, Any] = {name: bindparam(f"new_{name}") for name in ("by_id", "by_first", "by_last")}
        rows = [{"of": row.id, **{f"new_{name}": key for name, key in _keys(_person(row)).items()}} for row in persons]
        transaction.execute(update(people).where(people.c.id == bindparam("of")).values(named), rows)
    waiting = (
        select(contacts, people.c.home_organization.label("home"))
        .join_from(contacts, people)
        .where(contacts.c.home_organization.is_(None))
        .limit(most)
    )
    reached = transaction.execute(waiting).all()
    if reached:
        keyed = update(contacts).where(contacts.c.id == bindparam("of"))
        values = [
            {"of": row.id, "home": row.home, "key": search_key(row.address) if row.channel == Channel.EMAIL else None}
            for row in reached
        ]
        transaction.execute(keyed.values(home_organization=bindparam("home"), by_address=bindparam("key")), values)
    return len(persons) + len(reached)


def all_user_ids(transaction: Transaction) -> Iterator[str]:
    """Every User ID, in order of creation."""
    for row in transaction.execute(select(people.c.user_id).order_by(people.c.id)):
        yield str(row[0])


@lru_cache(maxsize=4)
def _status(value: str) -> Status:
    return Status(value)


def _own(person_id: int) -> tuple[Any, ...]:
    """Present contacts of one person."""
    return (contacts.c.person_id == person_id, contacts.c.removed_at.is_(None))


def _values(person: Person) -> dict[str, object]:
    return {
        "user_id": person.user_id,
        "canonical_id": person.canonical_id,
        "first_name": person.first_name,
        "last_name": person.last_name,
        "status": person.status.value,
        "stamp": person.stamp,
        "language": person.language,
        "home_organization": person.home_organization,
        "created_at": person.created_at,
        "recovered_at": person.recovered_at,
        **_keys(person),
    }


def _keys(person: Person) -> dict[str, str]:
    return {
        "by_id": person.canonical_id,
        "by_first": search_key(f"{person.first_name} {person.last_name}"),
        "by_last": search_key(f"{person.last_name} {person.first_name}"),
    }


def _contact_values(new: Contact, created_at: int) -> dict[str, object]:
    return {
        "id": new.id,
        "person_id": new.person_id,
        "channel": new.channel.value,
        "address": new.address,
        "position": new.position,
        "confirmed_at": new.confirmed_at,
        "usable_from": new.usable_from,
        "created_at": created_at,
        "removed_at": new.removed_at,
        "last_used_at": new.last_used_at,
        "pending_until": new.pending_until,
        "owner": new.person_id,
        "by_address": search_key(new.address) if new.channel is Channel.EMAIL else None,
    }


def _person(row: Any) -> Person:
    return Person(
        id=row.id,
        user_id=row.user_id,
        canonical_id=row.canonical_id,
        first_name=row.first_name,
        last_name=row.last_name,
        status=_status(row.status),
        stamp=row.stamp,
        language=row.language,
        home_organization=row.home_organization,
        created_at=row.created_at,
        recovered_at=row.recovered_at,
    )


def _contact(row: Any) -> Contact:
    return Contact(
        id=row.id,
        person_id=row.person_id,
        channel=Channel(row.channel),
        address=row.address,
        position=row.position,
        confirmed_at=row.confirmed_at,
        usable_from=row.usable_from,
        removed_at=row.removed_at,
        last_used_at=row.last_used_at,
        pending_until=row.pending_until,
    )
