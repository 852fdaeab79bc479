"""Finding people: by what, whom, and how much of the work is bounded."""

import re

import pytest

from app.records.organizations import store as organizations
from app.records.organizations.model import Role
from app.records.people import store as people
from app.records.people.model import Channel, Contact, search_key
from tests.cast import organization
from tests.doors import PHONE
from tests.hands import START
from tests.portal import Portal


@pytest.fixture
def portal(one_portal):
    one_portal.add("sam", phone=PHONE, role=Role.SUPPORT)
    return one_portal


@pytest.fixture
def sam(portal):
    browser = portal.browser()
    browser.sign_in(portal, "sam")
    return browser


def named(portal: Portal, user_id: str, first: str, last: str, **more) -> None:
    person = portal.add(user_id, **more)
    keys = {"by_first": search_key(f"{first} {last}"), "by_last": search_key(f"{last} {first}")}
    with portal.base.database.begin() as transaction:
        transaction.execute(
            people.people.update()
            .where(people.people.c.id == person.id)
            .values(first_name=first, last_name=last, **keys)
        )


def found(browser, typed: str) -> list[str]:
    answer = browser.get("/support/people", query_string={"q": typed})
    assert answer.status_code == 200, answer.text
    return re.findall(r'<li data-user-id="([^"]+)"', answer.text)


def test_an_agent_finds_people_by_the_beginning_of_user_id_names_and_mailbox(portal, sam):
    named(portal, "asouza", "Ana María", "Souza", email="post@example.org")
    named(portal, "bernd", "Bernd", "Müller")
    for typed in (
        "asouza",
        "ASOU",
        "ana",
        "ANA MARIA S",
        "souza",
        "Souza  An",
        "post@",
        "POST@Example.org",
        " asouza ",
    ):
        assert found(sam, typed) == ["asouza"], typed
    for typed in ("mull", "MÜLLER", "müller b"):
        assert found(sam, typed) == ["bernd"], typed
    for typed in ("ouza", "example.org", "zz", "maria"):
        assert found(sam, typed) == [], typed


@pytest.mark.parametrize("typed", ["%%", "a%", "_s", "__", "as*", "a?", "[a-z]", "as' OR '1'='1", 'as"', "as\\"])
def test_what_stands_for_anything_elsewhere_stands_for_itself(portal, sam, typed):
    named(portal, "asouza", "Ana", "Souza", email="post@example.org")
    assert found(sam, typed) == []


def test_a_user_id_that_is_typed_whole_comes_first(portal, sam):
    for user_id in ("anabel", "ana", "anastasia"):
        named(portal, user_id, "Zoe", "Young")
    named(portal, "zz", "Ana", "Aaron")
    assert found(sam, "ana") == ["ana", "anabel", "anastasia", "zz"]


@pytest.mark.parametrize("typed", ["", " ", "a", "x" * 256, "ab\x00", "ab\u200b", "a\nb", "\u0301\u0301"])
def test_what_cannot_be_looked_for_is_said_at_the_field_and_stays(portal, sam, typed):
    answer = sam.get("/support/people", query_string={"q": typed})
    assert answer.status_code == 422
    assert 'id="q-error"' in answer.text
    assert 'aria-describedby="q-error q-hint"' in answer.text
    if typed == "a":
        assert 'value="a"' in answer.text


def test_no_more_than_fifty_are_shown_and_it_is_said_that_there_are_others(portal, sam):
    with portal.base.database.begin() as transaction:
        home = organization(transaction, portal.base.chance)
    for n in range(50):
        portal.add(f"many{n:02}", password="", app=False)
    assert len(found(sam, "many")) == 50
    assert "More than 50" not in sam.page.text
    portal.add("many50", password="", app=False)
    assert len(found(sam, "many")) == 50
    assert "More than 50 people begin like this" in sam.page.text
    assert home.name in sam.page.text


def test_people_of_another_organization_are_not_found_and_guests_are(portal, sam):
    portal.add("farah", home="other", email="farah@example.org")
    guest, invited = portal.add("farid", home="other", email="farid@example.org"), portal.add("farin", home="other")
    with portal.base.database.begin() as transaction:
        home = organization(transaction, portal.base.chance)
        organizations.join(transaction, guest.id, home.id, Role.MEMBER, is_primary=False)
        organizations.join(transaction, invited.id, home.id, Role.MEMBER, is_primary=False, proposed_at=1)
    assert found(sam, "far") == ["farid"]
    assert found(sam, "farid@") == ["farid"]
    for typed in ("farah", "farah@example.org", "farin"):
        assert found(sam, typed) == []


def test_an_address_that_somebody_typed_and_never_confirmed_finds_nobody(portal, sam):
    jane = portal.add("jane", email="jane@example.org")
    typed = Contact("0" * 32, jane.id, Channel.EMAIL, "boss@example.org", 1, None, START, None, None, START + 600)
    with portal.base.database.begin() as transaction:
        people.add_contact(transaction, typed, START)
    assert found(sam, "boss@") == []
    assert found(sam, "jane@") == ["jane"]
    with portal.base.database.begin() as transaction:
        (own,) = [one for one in people.contacts_of(transaction, jane.id) if one.confirmed_at]
        people.remove_contact(transaction, jane.id, own.id, START)
    assert found(sam, "jane@") == []


def test_looking_for_people_writes_nothing(portal, sam):
    portal.add("jane", email="jane@example.org")

    def written() -> list[int]:
        with portal.base.database.read() as looking:
            return [
                looking.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()
                for table in ("audit_events", "outbox", "attempts")
            ]

    before = written()
    found(sam, "jane")
    sam.get("/support")
    assert written() == before


def test_rows_of_the_first_release_are_found_once_they_have_their_keys(portal, sam):
    """On both kinds of database, in tests/records/people."""
    jane = portal.add("jane", email="jane@example.org")
    with portal.base.database.begin() as transaction:
        transaction.execute(people.people.update().values(by_id=None, by_first=None, by_last=None))
        transaction.execute(people.contacts.update().values(by_address=None, home_organization=None))
    assert found(sam, "jan") == []
    with portal.base.database.begin() as transaction:
        assert people.fill_keys(transaction, 100) == 4
        assert people.fill_keys(transaction, 100) == 0
    for typed in ("jan", "doe jane", "jane@"):
        assert found(sam, typed) == [jane.user_id]
