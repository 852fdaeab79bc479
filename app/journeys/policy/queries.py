"""What a preview reads of an organization's people: a few narrow columns of each table, in bulk."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, bindparam, func, or_, select

from app.factors.password.store import passwords
from app.factors.recovery_code.store import codes, sets
from app.factors.totp.model import AppState
from app.factors.totp.store import apps
from app.foundation.sql import Prepared, Transaction
from app.records.organizations.model import Role
from app.records.organizations.store import memberships
from app.records.people.model import Status
from app.records.people.store import contacts, people

_CHUNK = 500  # ids in one statement
_OURS = and_(memberships.c.organization_id == bindparam("organization_id"), memberships.c.proposed_at.is_(None))
_NOW: Any = bindparam("now")

_MEMBERS = Prepared(
    select(memberships.c.person_id, memberships.c.is_primary)
    .join_from(memberships, people, people.c.id == memberships.c.person_id)
    .where(_OURS, people.c.status == Status.ACTIVE.value)
    .order_by(memberships.c.person_id)
)
_theirs = memberships.alias("theirs")
_ELSEWHERE = Prepared(
    select(_theirs.c.person_id, _theirs.c.organization_id, _theirs.c.is_primary)
    .join_from(memberships, _theirs, _theirs.c.person_id == memberships.c.person_id)
    .where(_OURS, _theirs.c.organization_id != memberships.c.organization_id, _theirs.c.proposed_at.is_(None))
)
_APPS = Prepared(
    select(apps.c.person_id, apps.c.usable_from)
    .join_from(memberships, apps, apps.c.person_id == memberships.c.person_id)
    .where(_OURS, apps.c.state == AppState.ACTIVE.value)
)
_unused = select(codes.c.set_id).where(codes.c.set_id == sets.c.id, codes.c.used_at.is_(None)).exists()
_CODES = Prepared(
    select(
        sets.c.person_id,
        sets.c.voided_at.is_(None).label("signs_in"),
        and_(sets.c.usable_from <= _NOW, or_(sets.c.serves_until.is_(None), sets.c.serves_until > _NOW)).label(
            "recovers"
        ),
    )
    .join_from(memberships, sets, sets.c.person_id == memberships.c.person_id)
    .where(
        _OURS,
        or_(sets.c.voided_at.is_(None), sets.c.serves_until.is_(None), sets.c.serves_until > _NOW),
        _unused,
    )
)
_CONTACTS = Prepared(
    select(contacts.c.person_id, contacts.c.channel, contacts.c.address)
    .join_from(memberships, contacts, contacts.c.person_id == memberships.c.person_id)
    .where(_OURS, contacts.c.confirmed_at.is_not(None), contacts.c.removed_at.is_(None), contacts.c.usable_from <= _NOW)
)
_PASSWORDS = Prepared(
    select(
        passwords.c.person_id,
        passwords.c.changed_at,
        or_(passwords.c.must_change, passwords.c.compromised).label("owed"),
    )
    .join_from(memberships, passwords, passwords.c.person_id == memberships.c.person_id)
    .where(_OURS)
)
_ADMINISTRATORS = (
    select(memberships.c.person_id)
    .join_from(memberships, people, people.c.id == memberships.c.person_id)
    .where(_OURS, memberships.c.role == Role.ADMINISTRATOR.value, people.c.status == Status.ACTIVE.value)
    .order_by(memberships.c.person_id)
)


@dataclass(frozen=True, slots=True)
class Bulk:
    """Reads of one organization at one moment, each a list of rows."""

    transaction: Transaction
    organization_id: str
    now: int

    def _rows(self, statement: Prepared) -> list[Any]:
        return statement.rows(self.transaction, {"organization_id": self.organization_id, "now": self.now})

    def members(self) -> list[Any]:
        """Active people who accepted: person_id, is_primary."""
        given = {"organization_id": self.organization_id}
        return _MEMBERS.rows(self.transaction, given)

    def elsewhere(self) -> list[Any]:
        """Their other memberships: person_id, organization_id, is_primary."""
        return _ELSEWHERE.rows(self.transaction, {"organization_id": self.organization_id})

    def apps(self) -> list[Any]:
        """Active apps: person_id, usable_from."""
        return _APPS.rows(self.transaction, {"organization_id": self.organization_id})

    def codes(self) -> list[Any]:
        """Sets of saved codes with one unused: person_id, signs_in, recovers."""
        return self._rows(_CODES)

    def contacts(self) -> list[Any]:
        """Usable contacts: person_id, channel, address."""
        return self._rows(_CONTACTS)

    def passwords(self) -> list[Any]:
        """person_id, changed_at, and whether a new one is owed already."""
        return _PASSWORDS.rows(self.transaction, {"organization_id": self.organization_id})


def administrators(transaction: Transaction, organization_id: str) -> tuple[int, ...]:
    """Who administers an organization."""
    rows = transaction.execute(_ADMINISTRATORS, {"organization_id": organization_id})
    return tuple(int(row.person_id) for row in rows)


def sizes(transaction: Transaction) -> dict[str, int]:
    """How many people each organization has."""
    counted = (
        select(memberships.c.organization_id, func.count().label("members"))
        .where(memberships.c.proposed_at.is_(None))
        .group_by(memberships.c.organization_id)
    )
    return {str(row.organization_id): int(row.members) for row in transaction.execute(counted)}


def names(transaction: Transaction, ids: Sequence[int]) -> Iterator[Any]:
    """id, user_id, first_name and last_name of people, in the order of their ids."""
    for chunk in _chunks(ids):
        found = select(people.c.id, people.c.user_id, people.c.first_name, people.c.last_name)
        yield from transaction.execute(found.where(people.c.id.in_(chunk)).order_by(people.c.id))


def _chunks(ids: Sequence[int]) -> Iterable[Sequence[int]]:
    return (ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK))
