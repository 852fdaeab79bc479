"""What a preview reads of an organization's people: a few narrow columns of each table, in bulk."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, String, and_, bindparam, case, cast, func, join, or_, outerjoin, select

from app.factors.password.store import passwords
from app.factors.recovery_code.store import codes, sets
from app.factors.totp.model import AppState
from app.factors.totp.store import apps
from app.foundation.sql import Prepared, Transaction
from app.records.organizations.model import Role
from app.records.organizations.store import memberships
from app.records.people.model import Channel, Status
from app.records.people.store import contacts, people

DAY = 86_400
_CHUNK = 500  # ids in one statement
# what somebody has: so many people have the same that each sum is judged once
PASSWORD, APP, SIGNING_APP, CODE, SIGNING_CODE, EMAIL, PHONE = (1 << n for n in range(7))
_OURS = and_(memberships.c.organization_id == bindparam("organization_id"), memberships.c.proposed_at.is_(None))
_ACTIVE = people.c.status == Status.ACTIVE.value
_NOW: Any = bindparam("now")


def _whose(traits: Any, person_id: Any, source: Any, *which: Any, as_well: Any = None) -> Select[Any]:
    """The people of an organization who have something, as few rows: the traits, and a line for each person.

    A line is the person's row, and behind a space ``as_well``, where it is given. One long text costs a tenth of what
    as many rows cost; each fact is read by a join of its own, for which any planner finds the best way.
    """
    line = cast(person_id, String)
    if as_well is not None:
        line = line + " " + as_well
    each = select(traits.label("traits"), line.label("line")).select_from(source).where(_OURS, *which).subquery()
    return select(each.c.traits, func.aggregate_strings(each.c.line, "\n").label("lines")).group_by(each.c.traits)


def _theirs_in(table: Any) -> Any:
    return join(memberships, table, table.c.person_id == memberships.c.person_id)


_members = join(memberships, people, people.c.id == memberships.c.person_id)
_EVERYBODY = _whose(
    case((passwords.c.person_id.is_not(None), PASSWORD), else_=0),
    memberships.c.person_id,
    outerjoin(_members, passwords, passwords.c.person_id == memberships.c.person_id),
    _ACTIVE,
)
_APPS = _whose(
    case((apps.c.usable_from <= _NOW, SIGNING_APP + APP), else_=SIGNING_APP),
    apps.c.person_id,
    _theirs_in(apps),
    apps.c.state == AppState.ACTIVE.value,
)
_unused = select(codes.c.set_id).where(codes.c.set_id == sets.c.id, codes.c.used_at.is_(None)).exists()
_serves = and_(sets.c.usable_from <= _NOW, or_(sets.c.serves_until.is_(None), sets.c.serves_until > _NOW))
_CODES = _whose(
    case((sets.c.voided_at.is_(None), SIGNING_CODE), else_=0) + case((_serves, CODE), else_=0),
    sets.c.person_id,
    _theirs_in(sets),
    _unused,
)
_usable = and_(contacts.c.confirmed_at.is_not(None), contacts.c.removed_at.is_(None), contacts.c.usable_from <= _NOW)
_CONTACTS = _whose(
    case((contacts.c.channel == Channel.SMS.value, PHONE), else_=EMAIL),
    contacts.c.person_id,
    _theirs_in(contacts),
    _usable,
    contacts.c.channel.in_([Channel.SMS.value, Channel.EMAIL.value]),
    as_well=case((contacts.c.channel == Channel.SMS.value, contacts.c.address), else_=""),
)
_PEOPLE = Prepared(select(func.count().label("people")).select_from(_members).where(_OURS, _ACTIVE))
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
_ADMINISTRATORS = (
    select(memberships.c.person_id)
    .join_from(memberships, people, people.c.id == memberships.c.person_id)
    .where(_OURS, memberships.c.role == Role.ADMINISTRATOR.value, _ACTIVE)
    .order_by(memberships.c.person_id)
)


@dataclass(frozen=True, slots=True)
class Bulk:
    """Reads of one organization at one moment, each a list of rows."""

    transaction: Transaction
    organization_id: str
    now: int

    def _rows(self, statement: Select[Any]) -> Iterable[Any]:
        return self.transaction.execute(statement, {"organization_id": self.organization_id, "now": self.now})

    def people(self) -> int:
        """How many people there are, active and accepted: those of whom the others tell."""
        return int(_PEOPLE.first(self.transaction, {"organization_id": self.organization_id}).people)

    def elsewhere(self) -> list[Any]:
        """Other memberships of theirs: person_id, organization_id, is_primary, and whether this one is."""
        return _ELSEWHERE.rows(self.transaction, {"organization_id": self.organization_id})

    def traits(self) -> tuple[dict[int, int], list[tuple[int, str]]]:
        """What each person has, as a sum of the numbers above; and every usable number, with whose it is."""
        having: dict[int, int] = {}
        numbers: list[tuple[int, str]] = []
        for row in self._rows(_EVERYBODY):
            having |= dict.fromkeys(map(int, row.lines.split("\n")), row.traits)
        for row in (*self._rows(_APPS), *self._rows(_CODES)):
            _add(having, row.traits, map(int, row.lines.split("\n")))
        for row in self._rows(_CONTACTS):
            each = [
                (int(person), address) for person, address in (line.split(" ", 1) for line in row.lines.split("\n"))
            ]
            _add(having, row.traits, (person for person, _ in each))
            if row.traits == PHONE:
                numbers = each
        return having, numbers

    def past(self, ages: Iterable[int]) -> dict[int, list[int]]:
        """Whose password has passed some ages, by the longest of them; but for those who owe a new one anyway."""
        moments = ((passwords.c.changed_at <= self.now - days * DAY, days) for days in sorted(ages, reverse=True))
        reached = _whose(
            case(*moments, else_=0),
            passwords.c.person_id,
            join(_members, passwords, passwords.c.person_id == people.c.id),
            _ACTIVE,
            passwords.c.must_change.is_(False),
            passwords.c.compromised.is_(False),
        )
        return {row.traits: list(map(int, row.lines.split("\n"))) for row in self._rows(reached)}


def _add(having: dict[int, int], traits: int, whose: Iterable[int]) -> None:
    for person in whose:
        if person in having:  # or they are not active
            having[person] |= traits


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
