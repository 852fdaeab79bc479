"""Whose administrators may read an event: the organization is written with it, and costs nobody a statement."""

from dataclasses import replace

import pytest
from sqlalchemy import event, select, update

from app.records.audit import store
from app.records.audit.model import Event, Record
from app.records.organizations import store as organizations
from app.records.organizations.model import Organization
from app.records.people import store as people_store
from tests.cast import add_person

ELSEWHERE = "5f0c2a0e-3c3b-4b46-9d0a-1f2e3d4c5b6a"
NOBODYS = Record(Event.THROTTLED, 7, None, "self", "failure")


@pytest.fixture
def jane(database, chance):
    with database.begin() as transaction:
        return add_person(transaction, "jane", chance)


def organizations_of_events(database):
    with database.read() as looking:
        return list(looking.execute(select(store.events.c.organization_id).order_by(store.events.c.id)).scalars())


def test_an_event_carries_the_home_organization_of_its_person(database, jane):
    with database.begin() as transaction:
        store.add(transaction, replace(NOBODYS, person_id=jane.id))
        (found,) = store.of_person(transaction, jane.id)
    assert organizations_of_events(database) == [jane.home_organization]
    assert found.organization_id == jane.home_organization


def test_an_event_without_a_person_carries_the_organization_that_it_names_or_none(database, jane):
    with database.begin() as transaction:
        store.add(transaction, NOBODYS)
        store.add(transaction, replace(NOBODYS, organization_id=ELSEWHERE))
        store.add(transaction, replace(NOBODYS, person_id=jane.id, organization_id=ELSEWHERE))
    assert organizations_of_events(database) == [None, ELSEWHERE, ELSEWHERE]


def test_each_of_several_events_carries_its_own(database, jane):
    with database.begin() as transaction:
        store.add_many(
            transaction,
            [
                replace(NOBODYS, person_id=jane.id),
                NOBODYS,
                replace(NOBODYS, organization_id=ELSEWHERE),
            ],
        )
    assert organizations_of_events(database) == [jane.home_organization, None, ELSEWHERE]


def test_an_event_of_somebody_known_carries_it_before_any_proof_too(database, jane):
    with database.begin() as transaction:
        store.add_if_known(transaction, replace(NOBODYS, person_id=jane.id))
        store.add_if_known(transaction, NOBODYS)
    assert organizations_of_events(database) == [jane.home_organization]


def test_what_happened_stays_with_the_organization_in_which_it_happened(database, jane):
    with database.begin() as transaction:
        store.add(transaction, replace(NOBODYS, person_id=jane.id))
        organizations.add(transaction, Organization(ELSEWHERE, "elsewhere", 7))
        people = people_store.people
        transaction.execute(update(people).where(people.c.id == jane.id).values(home_organization=ELSEWHERE))
        store.add(transaction, replace(NOBODYS, person_id=jane.id))
    assert organizations_of_events(database) == [jane.home_organization, ELSEWHERE]


@pytest.mark.parametrize("add", [store.add, lambda transaction, record: store.add_many(transaction, [record, record])])
def test_the_organization_costs_no_statement_of_its_own(database, jane, add):
    said = []

    def hear(_connection, _cursor, statement, *_rest):
        said.append(statement)
        return statement, _rest[0]

    with database.begin() as transaction:
        event.listen(transaction, "before_cursor_execute", hear, retval=True)
        add(transaction, replace(NOBODYS, person_id=jane.id))
    assert len([one for one in said if "audit_events" in one]) == len(said) == 1
