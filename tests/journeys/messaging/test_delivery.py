"""Send-me-a-test: to the administrator's own contacts alone, counted, and followed in plain words."""

import pytest
from sqlalchemy import select

from app.records.audit import store as audit
from app.records.audit.model import Event
from app.records.delivery.store import outbox
from app.records.organizations.model import Role
from app.records.people import store as people
from app.records.people.store import contacts

PAGE = "/admin/delivery"
PHONE, MAIL = "+447700900123", "ada@example.org"


@pytest.fixture
def ada(one_portal):
    person = one_portal.add("ada", phone=PHONE, email=MAIL, role=Role.ADMINISTRATOR)
    browser = one_portal.browser()
    browser.sign_in(one_portal, "ada")
    browser.get(PAGE)
    return person, browser


def own(portal, person):
    with portal.base.database.read() as looking:
        return {one.channel.value: one.id for one in people.contacts_of(looking, person.id)}


def queued(portal):
    with portal.base.database.read() as looking:
        rows = looking.execute(select(outbox.c.template, outbox.c.contact_id).order_by(outbox.c.created_at)).all()
    return [tuple(row) for row in rows if row.template == "test"]


def test_a_test_goes_to_the_own_phone_and_its_delivery_is_told(one_portal, ada):
    person, browser = ada
    answer = browser.post(PAGE, contact=own(one_portal, person)["sms"])
    assert (answer.status_code, answer.location) == (303, PAGE)
    assert 'data-state="queued"' in browser.get(PAGE).text
    assert browser.get(f"{PAGE}/status").json == {
        "channel": "sms",
        "destination": "••• ••• 23",
        "state": "queued",
        "settled": False,
    }
    one_portal.deliver()
    assert "this is a test message" in one_portal.phone.to(PHONE)[-1].body
    assert browser.get(f"{PAGE}/status").json["state"] == "sent"
    one_portal.phone.tell(one_portal.phone.to(PHONE)[-1].sid, "delivered")
    one_portal.base.clock.advance(5)
    one_portal.deliver()
    told = browser.get(f"{PAGE}/status").json
    assert (told["state"], told["settled"]) == ("delivered", True)
    page = browser.get(PAGE).text
    assert 'data-state="delivered"' in page
    assert "data-poll" not in page
    with one_portal.base.database.read() as looking:
        (event,) = audit.of_person(looking, person.id, only=[Event.TEST_SENT])
    assert event.actor == "ada"


def test_of_an_email_nothing_more_is_waited_for_once_the_server_took_it(one_portal, ada):
    person, browser = ada
    browser.post(PAGE, contact=own(one_portal, person)["email"])
    one_portal.deliver()
    assert one_portal.mailbox.to(MAIL)[-1].subject == "A test message from Keyturn"
    assert browser.get(f"{PAGE}/status").json["settled"] is True


def test_a_failure_says_why_in_plain_words(one_portal, ada):
    person, browser = ada
    browser.post(PAGE, contact=own(one_portal, person)["sms"])
    with one_portal.base.database.begin() as transaction:
        transaction.execute(outbox.update().values(state="failed", reason="bad_number"))
    page = browser.get(PAGE).text
    assert 'data-reason="bad_number"' in page
    assert "the number is not in service or cannot get SMS" in page


def test_nothing_goes_to_anybody_else_or_to_what_is_not_confirmed(one_portal, ada):
    person, browser = ada
    jane = one_portal.add("jane", phone="+447700900999", email="jane@example.org")
    for contact in (*own(one_portal, jane).values(), "", "x" * 32, PHONE):
        answer = browser.post(PAGE, contact=contact)
        assert (answer.status_code, "Nothing was sent" in answer.text) == (422, True)
    for change in ({"confirmed_at": None}, {"confirmed_at": 1, "usable_from": one_portal.base.clock.now() + 1}):
        with one_portal.base.database.begin() as transaction:
            transaction.execute(contacts.update().where(contacts.c.person_id == person.id).values(change))
        assert browser.post(PAGE, contact=own(one_portal, person)["sms"]).status_code == 422
    assert queued(one_portal) == []


def test_tests_are_counted_as_messages_to_one_destination_are(one_portal, ada):
    person, browser = ada
    contact = own(one_portal, person)["sms"]
    codes = [browser.post(PAGE, contact=contact).status_code for _ in range(8)]
    assert codes[0] == 303
    assert codes[-1] == 429
    assert len(queued(one_portal)) == codes.count(303)


def test_each_channel_tells_how_it_did_for_the_own_organization_alone(one_portal, ada):
    person, browser = ada
    page = browser.get(PAGE).text
    assert page.count('data-configured="yes"') == 2
    assert page.count("none in 30 days") == 4
    far = one_portal.add("far", phone="+447700900999", email="far@example.org", home="other")
    with one_portal.base.database.begin() as transaction:
        one_portal.means.outbox.notify(
            transaction,
            contacts=people.contacts_of(transaction, far.id),
            template="notice_deactivated",
            variables={"at": 1},
            language="en",
            now=one_portal.base.clock.now(),
        )
    one_portal.deliver()
    assert browser.get(PAGE).text.count("none in 30 days") == 4
    browser.post(PAGE, contact=own(one_portal, person)["email"])
    one_portal.deliver()
    assert browser.get(PAGE).text.count("none in 30 days") == 3


def test_a_test_is_followed_by_the_session_that_asked_for_it_alone_and_not_for_ever(one_portal, ada):
    person, browser = ada
    browser.post(PAGE, contact=own(one_portal, person)["email"])
    one_portal.add("bob", phone="+447700900111", email="bob@example.org", role=Role.ADMINISTRATOR)
    bob = one_portal.browser()
    bob.sign_in(one_portal, "bob")
    assert bob.get(f"{PAGE}/status").status_code == 404
    assert "Your test" not in bob.get(PAGE).text
    one_portal.base.clock.advance(899)
    assert browser.get(f"{PAGE}/status").status_code == 200
    one_portal.base.clock.advance(1)
    assert browser.get(f"{PAGE}/status").location == "/sign-in"  # a script that asks keeps nobody signed in


def test_members_and_agents_do_not_come_in(one_portal):
    for user_id, role in (("jane", Role.MEMBER), ("sam", Role.SUPPORT)):
        one_portal.add(user_id, phone=PHONE, role=role)
        browser = one_portal.browser()
        browser.sign_in(one_portal, user_id)
        browser.get("/profile")
        assert browser.get(PAGE).status_code == browser.get(f"{PAGE}/status").status_code == 403
        assert browser.post(PAGE, contact="x").status_code == 403
