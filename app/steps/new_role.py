"""A new role in an organization is told: to whoever has it now, and of new staff to all administrators."""

from app.foundation.sql import Transaction
from app.records.delivery.outbox import Outbox
from app.records.organizations import store as organizations
from app.records.organizations.model import Organization, Role
from app.records.people import store as people
from app.records.people.model import Person


def tell(
    outbox: Outbox, transaction: Transaction, person: Person, place: Organization, role: Role, language: str, now: int
) -> list[str]:
    """Tell the person on every channel. Returns the ids of the contacts."""
    told = outbox.notify(
        transaction,
        contacts=people.contacts_of(transaction, person.id),
        template="notice_role",
        variables={"organization": place.name, "role": role.value, "at": now},
        language=person.language or language,
        now=now,
    )
    return [contact.id for contact in told]


def tell_administrators(
    outbox: Outbox, transaction: Transaction, person: Person, place: Organization, role: Role, language: str, now: int
) -> None:
    """Tell all administrators of the organization but the person, whoever gave the role among them."""
    for other in organizations.staff_of(transaction, place.id, Role.ADMINISTRATOR):
        found = people.get(transaction, other) if other != person.id else None
        if found is not None:
            outbox.notify(
                transaction,
                contacts=people.contacts_of(transaction, found.id),
                template="notice_new_staff",
                variables={"organization": place.name, "role": role.value, "user_id": person.user_id, "at": now},
                language=found.language or language,
                now=now,
            )
