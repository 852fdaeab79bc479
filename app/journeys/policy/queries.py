"""What a preview reads of an organization's people: a few narrow columns of each table, in bulk."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, bindparam, case, func, or_, select

from app.factors.password.store import passwords
from app.factors.recovery_code.store import codes, sets
from app.factors.totp.model import AppState
from app.factors.totp.store import apps
from app.foundation.sql import Prepared, Transaction
from app.records.organizations.model import Role
from app.records.organizations.store import memberships
from app.records.people.model import Channel, Status
from app.records.people.store import contacts, people

_CHUNK = 500  # ids in one statement
_FEW = 5_000  # people for whom that is quicker than to read of all
# what somebody has: so many people have the same that each sum is judged once
PASSWORD, APP, SIGNING_APP, CODE, SIGNING_CODE, EMAIL, PHONE = (1 << n for n in range(7))
_OURS = and_(memberships.c.organization_id == bindparam("organization_id"), memberships.c.proposed_at.is_(None))
_NOW: Any = bindparam("now")

# each looked up by the person's index, and together one number for each person: 100,000 rows of two columns
_app = (
    select(func.max(case((apps.c.usable_from <= _NOW, SIGNING_APP + APP), else_=SIGNING_APP)))
    .where(apps.c.person_id == memberships.c.person_id, apps.c.state == AppState.ACTIVE.value)
    .scalar_subquery()
)
_unused = select(codes.c.set_id).where(codes.c.set_id == sets.c.id, codes.c.used_at.is_(None)).exists()
_serves = and_(sets.c.usable_from <= _NOW, or_(sets.c.serves_until.is_(None), sets.c.serves_until > _NOW))
_code = (
    select(
        func.max(case((sets.c.voided_at.is_(None), SIGNING_CODE), else_=0)) + func.max(case((_serves, CODE), else_=0))
    )
    .where(sets.c.person_id == memberships.c.person_id, or_(sets.c.voided_at.is_(None), _serves), _unused)
    .scalar_subquery()
)
_usable = and_(contacts.c.confirmed_at.is_not(None), contacts.c.removed_at.is_(None), contacts.c.usable_from <= _NOW)
_contact = (
    select(
        func.max(case((contacts.c.channel == Channel.EMAIL.value, EMAIL), else_=0))
        + func.max(case((contacts.c.channel == Channel.SMS.value, PHONE), else_=0))
    )
    .where(contacts.c.person_id == memberships.c.person_id, _usable)
    .scalar_subquery()
)
_PEOPLE = Prepared(
    select(func.count().label("people"))
    .select_from(memberships)
    .join(people, people.c.id == memberships.c.person_id)
    .where(_OURS, people.c.status == Status.ACTIVE.value)
)
_TRAITS = Prepared(
    select(
        memberships.c.person_id,
        (
            case((passwords.c.person_id.is_not(None), PASSWORD), else_=0)
            + func.coalesce(_app, 0)
            + func.coalesce(_code, 0)
            + func.coalesce(_contact, 0)
        ).label("traits"),
    )
    .join_from(memberships, people, people.c.id == memberships.c.person_id)
    .outerjoin(passwords, passwords.c.person_id == memberships.c.person_id)
    .where(_OURS, people.c.status == Status.ACTIVE.value)
)
_theirs = memberships.alias("theirs")
_ELSEWHERE = Prepared(
    select(
        _theirs.c.person_id,
        _theirs.c.organization_id,
        _theirs.c.is_primary,
        memberships.c.is_primary.label("ours_is_primary"),
    )
    .join_from(memberships, _theirs, _theirs.c.person_id == memberships.c.person_id)
    .where(_OURS, _theirs.c.organization_id != memberships.c.organization_id, _theirs.c.proposed_at.is_(None))
)
_PHONES = Prepared(
    select(contacts.c.person_id, contacts.c.address)
    .join_from(memberships, contacts, contacts.c.person_id == memberships.c.person_id)
    .where(_OURS, _usable, contacts.c.channel == Channel.SMS.value)
)
_PASSWORDS = Prepared(
    select(
        passwords.c.person_id,
        passwords.c.changed_at,
        or_(passwords.c.must_change, passwords.c.compromised).label("owed"),
    )
    .join_from(memberships, people, people.c.id == memberships.c.person_id)
    .join(passwords, passwords.c.person_id == people.c.id)
    .where(_OURS, people.c.status == Status.ACTIVE.value)
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

    def people(self) -> int:
        """How many people there are, active and accepted: those of whom the others tell."""
        return int(_PEOPLE.first(self.transaction, {"organization_id": self.organization_id}).people)

    def elsewhere(self) -> list[Any]:
        """Other memberships of theirs: person_id, organization_id, is_primary, and whether this one is."""
        return _ELSEWHERE.rows(self.transaction, {"organization_id": self.organization_id})

    def traits(self) -> list[Any]:
        """person_id, and what they have as a sum of the numbers above."""
        return self._rows(_TRAITS)

    def phones(self, ids: Sequence[int]) -> Iterator[Any]:
        """Usable numbers of some of them: person_id, address."""
        if len(ids) > _FEW:
            yield from self._rows(_PHONES)
            return
        for chunk in _chunks(ids):
            found = select(contacts.c.person_id, contacts.c.address).where(
                contacts.c.person_id.in_(chunk), _usable, contacts.c.channel == Channel.SMS.value
            )
            yield from self.transaction.execute(found, {"now": self.now})

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
