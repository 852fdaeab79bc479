"""Staff whose account is shut by their home organization: the other organizations that they look after are told."""

from dataclasses import replace

import structlog

from app.foundation.sql import Transaction
from app.records.audit import store as audit
from app.records.audit.model import Event, Record
from app.records.delivery.outbox import Outbox
from app.records.organizations import store as organizations
from app.records.organizations.model import Membership, Role
from app.records.people import store as people
from app.records.people.model import Person, Status


def elsewhere(transaction: Transaction, person: Person) -> tuple[Membership, ...]:
    """Where somebody is staff beside their home organization."""
    held = organizations.memberships_of(transaction, person.id)
    return tuple(one for one in held if not one.is_primary and one.role is not Role.MEMBER and one.proposed_at is None)


def others(transaction: Transaction, held: Membership, person: Person, role: Role) -> tuple[Person, ...]:
    """Who else has a role in the organization of a membership, and could sign in."""
    ids = (one for one in organizations.staff_of(transaction, held.organization.id, role) if one != person.id)
    found = (people.get(transaction, one) for one in ids)
    return tuple(one for one in found if one is not None and one.status is Status.ACTIVE)


def is_last(transaction: Transaction, held: Membership, person: Person) -> bool:
    """Whether an organization has no other administrator who could sign in."""
    return held.role is Role.ADMINISTRATOR and not others(transaction, held, person, Role.ADMINISTRATOR)


def tell(outbox: Outbox, transaction: Transaction, person: Person, by: Record, language: str) -> None:
    """Tell the other administrators of each such organization, its support where none is left, and then the operator.

    ``by`` is the record of the deactivation. Each organization reads of it in its own log, too.
    """
    for held in elsewhere(transaction, person):
        last = is_last(transaction, held, person)
        told = others(transaction, held, person, Role.SUPPORT if last else Role.ADMINISTRATOR)
        place = held.organization
        for one in told:
            outbox.notify(
                transaction,
                contacts=people.contacts_of(transaction, one.id),
                template="notice_staff_lost",
                variables={"organization": place.name, "user_id": person.user_id, "last": last, "at": by.at},
                language=one.language or language,
                now=by.at,
            )
        details: dict[str, object] = {
            "organization": place.name,
            "user_id": person.user_id,
            "role": held.role.value,
            "last": last,
            "told": len(told),
        }
        lost = replace(
            by, event=Event.STAFF_LOST, person_id=None, details=details, organization_id=place.id, address=""
        )
        audit.add(transaction, lost)
        if last:
            log = structlog.get_logger()
            log.error("organization_without_administrator", organization=place.name, operator_must_act=True)
