"""What the page looks for is what one finds by going through all events, and never another organization's."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, update

from app.journeys.auditing import queries
from app.journeys.auditing.model import Filter, Place
from app.records.audit import store
from app.records.audit.model import Event, Record, Stored
from app.records.people import store as people_store
from tests.cast import add_person, organization
from tests.hands import START, SeededChance

NAMES = ("jane", "janet", "ja%ne", "ja_ne", "omar", "ürsula")
EVENTS = (Event.APP_OK, Event.APP_FAIL, Event.UNLOCKED)
ACTORS = ("self", "operator", "sam")


@pytest.fixture
def populated(database):
    """People of two organizations; who they are by User ID, and the organizations."""
    chance = SeededChance()
    with database.begin() as transaction:
        homes = [organization(transaction, chance, name).id for name in ("default", "other")]
        ids = {
            name: add_person(transaction, name, chance, home=("default", "other")[at % 2]).id
            for at, name in enumerate(NAMES)
        }
    return database, homes, ids


happenings = st.lists(
    st.tuples(
        st.sampled_from(NAMES),
        st.sampled_from(EVENTS),
        st.sampled_from(ACTORS),
        st.sampled_from(["success", "failure"]),
        st.integers(0, 5),
    ),
    max_size=30,
)
filters = st.builds(
    Filter,
    person=st.sampled_from(["", "", "jan", "jane", "ja%", "ja_", "ü", "zoe"]),
    event=st.sampled_from(["", "", *EVENTS]),
    outcome=st.sampled_from(["", "", "success", "failure"]),
    actor=st.sampled_from(["", "", *ACTORS, "nobody"]),
    since=st.sampled_from([None, START, START + 2]),
    until=st.sampled_from([None, START + 3, START + 6]),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(happened=happenings, wanted=filters, mine=st.sampled_from([(0,), (1,), (0, 1)]), few=st.sampled_from([1, 200]))
def test_page_by_page_exactly_what_fits_is_found_in_its_order(populated, happened, wanted, mine, few):
    database, homes, ids = populated
    organizations = [homes[at] for at in mine]
    records = [
        Record(event, START + later, ids[name], actor, outcome, details={"name": name})
        for name, event, actor, outcome, later in happened
    ]
    with database.begin() as transaction:
        transaction.execute(delete(store.events))
        store.add_many(transaction, records)
    with pytest.MonkeyPatch.context() as patch, database.read() as looking:
        patch.setattr(queries, "FEW", few)
        everything = [one for page in store.pages(looking, 0, 100) for one in page]
        found: list[Stored] = []
        before = None
        while page := queries.newest(looking, organizations, wanted, 4, before):
            found += page
            before = Place(page[-1].at, page[-1].id)
    names = {number: name for name, number in ids.items()}
    fitting = [
        one
        for one in everything
        if one.organization_id in organizations
        and names[one.person_id].startswith(wanted.person)
        and wanted.event in {"", one.event}
        and wanted.outcome in {"", one.outcome}
        and wanted.actor in {"", one.actor}
        and (wanted.since is None or one.at >= wanted.since)
        and (wanted.until is None or one.at < wanted.until)
    ]
    assert found == sorted(fitting, key=lambda one: (one.at, one.id), reverse=True)


def test_an_event_stays_where_it_happened_when_its_person_moves(populated):
    database, (home, other), ids = populated
    record = Record(Event.APP_OK, START, ids["jane"], "self", "success")
    people = people_store.people
    with database.begin() as transaction:
        store.add(transaction, record)
        transaction.execute(update(people).where(people.c.id == ids["jane"]).values(home_organization=other))
        store.add(transaction, replace(record, at=START + 1))
    with database.read() as looking:
        for wanted in (Filter(), Filter(person="jane")):
            (one,) = queries.newest(looking, [home], wanted, 9)
            assert one.at == START
            (one,) = queries.newest(looking, [other], wanted, 9)
            assert one.at == START + 1


def test_what_belongs_to_no_organization_is_seen_by_none(populated):
    database, homes, _ = populated
    with database.begin() as transaction:
        store.add(transaction, Record(Event.THROTTLED, START, None, "self", "failure"))
    with database.read() as looking:
        assert queries.newest(looking, homes, Filter(), 9) == ()
        assert queries.newest(looking, [""], Filter(), 9) == ()
