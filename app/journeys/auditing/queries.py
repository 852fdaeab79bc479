"""What the page of the audit log looks for: events of some organizations, the newest first, by any filter."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, exists, func, select, tuple_

from app.foundation.sql import Transaction
from app.journeys.auditing.model import Filter, Place
from app.records.audit.model import Stored
from app.records.audit.store import events, from_row
from app.records.people.store import begins, people

FEW = 200  # people whose events are found one by one; of more of them the newest events are near


def newest(
    looking: Transaction, organizations: Sequence[str], wanted: Filter, limit: int, before: Place | None = None
) -> tuple[Stored, ...]:
    """The newest events that fit, of these organizations and of no others; those before a place, where one is given."""
    among = _people(looking, wanted.person)
    found: list[Stored] = []
    for organization in organizations:
        rows = looking.execute(_of_one(looking, organization, wanted, among, before).limit(limit))
        found += [from_row(row) for row in rows]
    # each by itself stands in its index in this order, and all of them together in none
    return tuple(sorted(found, key=lambda one: (one.at, one.id), reverse=True)[:limit])


def _people(looking: Transaction, prefix: str) -> list[int] | None:
    """The few people whose User ID begins so; None where it is everybody, or too many to name."""
    if not prefix:
        return None
    rows = looking.execute(select(people.c.id).where(begins(looking, prefix)).limit(FEW + 1))
    ids = [int(row.id) for row in rows]
    return ids if len(ids) <= FEW else None


def _of_one(
    looking: Transaction, organization: str, wanted: Filter, among: list[int] | None, before: Place | None
) -> Select[Any]:
    of = events.c
    found = select(events).order_by(of.at.desc(), of.id.desc())
    if among is not None:
        # by the index of people, whatever a planner thinks of the other
        found = found.where(of.person_id.in_(among), func.coalesce(of.organization_id, "") == organization)
    else:
        found = found.where(of.organization_id == organization)
        if wanted.person:
            found = found.where(exists().where(people.c.id == of.person_id, begins(looking, wanted.person)))
    for column, value in ((of.event, wanted.event), (of.outcome, wanted.outcome), (of.actor, wanted.actor)):
        if value:
            found = found.where(column == value)
    if wanted.since is not None:
        found = found.where(of.at >= wanted.since)
    if wanted.until is not None:
        found = found.where(of.at < wanted.until)
    if before is not None:
        found = found.where(tuple_(of.at, of.id) < tuple_(before.at, before.id))
    return found
