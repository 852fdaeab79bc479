"""People for tests."""

from app.foundation.chance import Chance
from app.foundation.sql import Transaction
from app.records.organizations import store as organizations
from app.records.organizations.model import DEFAULT, Organization, Role
from app.records.people import store as people
from app.records.people.model import Channel, Contact, Person, Status, canonical_user_id
from tests.hands import START


def organization(transaction: Transaction, chance: Chance, name: str = DEFAULT) -> Organization:
    """An organization, made where it is not there."""
    found = organizations.find(transaction, name)
    if found is None:
        found = Organization(chance.uuid(), name, START)
        organizations.add(transaction, found)
    return found


def add_person(
    transaction: Transaction,
    user_id: str,
    chance: Chance,
    *,
    phone: str = "",
    email: str = "",
    status: Status = Status.ACTIVE,
    language: str = "en",
    confirmed: bool = True,
    role: Role = Role.MEMBER,
    home: str = DEFAULT,
) -> Person:
    """A person in an organization, with contacts that are confirmed and past their waiting time or only filed."""
    home_id = organization(transaction, chance, home).id
    confirmed_at = START if confirmed else None
    person = people.add(
        transaction,
        Person(
            id=0,
            user_id=user_id,
            canonical_id=canonical_user_id(user_id),
            first_name=user_id.title(),
            last_name="Doe",
            status=status,
            stamp=chance.name(),
            language=language,
            home_organization=home_id,
            created_at=START,
        ),
    )
    organizations.join(transaction, person.id, home_id, role, is_primary=True)
    for channel, address in ((Channel.SMS, phone), (Channel.EMAIL, email)):
        if address:
            people.add_contact(
                transaction,
                Contact(chance.name(), person.id, channel, address, 0, confirmed_at, START, None),
                START,
            )
    return person
