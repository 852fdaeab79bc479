"""Whose password expires soon: read-only SQL that reads those whom a reminder may be due, and nobody else's."""

from collections.abc import Collection

from sqlalchemy import and_, exists, or_, select

from app.factors.password.store import passwords, reminders
from app.foundation.sql import Transaction
from app.records.organizations.store import memberships
from app.records.people.model import Status
from app.records.people.store import people

Place = tuple[int, int]  # when a password was set, and whose it is


def unreminded(
    looking: Transaction, organizations: Collection[str], days: int, after: int, until: int, behind: Place, most: int
) -> tuple[Place, ...]:
    """Members whose password was set after one moment and until another, and who were not reminded so late yet.

    So many, in the order of ``Place``, behind one of them.
    """
    told = exists().where(
        reminders.c.person_id == passwords.c.person_id,
        reminders.c.changed_at == passwords.c.changed_at,
        reminders.c.days <= days,
    )
    member = exists().where(
        memberships.c.person_id == passwords.c.person_id,
        memberships.c.proposed_at.is_(None),
        memberships.c.organization_id.in_(organizations),
    )
    active = exists().where(people.c.id == passwords.c.person_id, people.c.status == Status.ACTIVE.value)
    at, person_id = behind
    found = (
        select(passwords.c.changed_at, passwords.c.person_id)
        .where(passwords.c.changed_at > after, passwords.c.changed_at <= until)
        .where(or_(passwords.c.changed_at > at, and_(passwords.c.changed_at == at, passwords.c.person_id > person_id)))
        .where(passwords.c.must_change.is_(False), passwords.c.compromised.is_(False))
        .where(~told, member, active)
        .order_by(passwords.c.changed_at, passwords.c.person_id)
        .limit(most)
    )
    return tuple((int(row.changed_at), int(row.person_id)) for row in looking.execute(found))
