"""SMS pumping, walked through the doors: thieves with accounts, right app codes and numbers that earn by each SMS."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import redis

from app.records.organizations import store as organizations
from app.records.organizations.model import STANDARD, Version
from tests.journeys import behind
from tests.journeys.recovery.test_limits import without_tokens
from tests.portal import NEW_PASSWORD, Portal, opened

DAY = 86_400
PIN, SEND = "/recovery/pin", "/recovery/pin/send"
# burst, day, organization and prefix are small, so that a test needs few accounts; the kind of limit is the same
SMALL: dict[str, Any] = {
    "limit_sms_per_day": 30,
    "limit_sms_per_organization": 24,
    "limit_sms_per_prefix": 10,
    "sms_verified_sample": 6,
}
NO_SMS = "No SMS is sent to this number at present."


@pytest.fixture
def portal(database, redis_url, clock, keyring) -> Iterator[Portal]:
    with opened(database, redis_url, clock, keyring, **SMALL) as portal:
        yield portal


@pytest.fixture
def one_portal(sqlite_database, valkey_url, clock, keyring) -> Iterator[Portal]:
    with opened(sqlite_database, valkey_url, clock, keyring, **SMALL) as portal:
        yield portal


def thief(portal, number):
    """An account of a thief's, by its number; made where it is not there."""
    name = f"thief{number[1:]}"
    if name not in portal.seeds:
        portal.add(name, phone=number)
    return name


def milk(portal, number, place, presses=0):
    """A right app code, then the PIN, perhaps again, and never typed. Each account from a network of its own."""
    browser = portal.browser(REMOTE_ADDR=f"198.51.{place}.7")
    browser.recover_to_pin(portal, thief(portal, number))
    for _ in range(presses):
        assert browser.post(SEND, channel="sms").status_code in {303, 429}
    portal.deliver()


NEIGHBOURS = [f"+49151123{number:04d}" for number in range(16)]
ALL_OVER = [f"+4915{place:02d}1234567" for place in range(40)]


def test_pumping_to_one_prefix_stops_at_its_budget_to_the_last_sms(portal):
    """Forty-eight PINs within the life of one, by sixteen accounts from sixteen networks: ten leave."""
    start = portal.base.clock.now()
    for press in range(3):
        for place, number in enumerate(NEIGHBOURS):
            milk(portal, number, place)
        portal.base.clock.advance(31 if press < 2 else 0)
    assert portal.base.clock.now() - start < 300
    assert len(portal.phone.texts) == portal.phone.posts == 10
    with portal.base.database.read() as looking:
        assert portal.means.outbox.sent_within(looking, DAY, portal.base.clock.now()) == 10


def test_pumping_over_many_prefixes_stops_at_the_budget_of_the_organization(portal):
    for place, number in enumerate(ALL_OVER):
        milk(portal, number, place)
    assert len(portal.phone.texts) == portal.phone.posts == 24


def test_patient_pumping_stops_at_the_sample_because_nobody_types_the_pins(portal):
    """Each PIN has had its time before the next is asked for: six leave in a day, and six on the next."""
    start = portal.base.clock.now()
    for day in (1, 2):
        for place, number in enumerate(ALL_OVER[:20]):
            milk(portal, number, place, presses=1)
            portal.base.clock.advance(601)
        assert len(portal.phone.texts) == portal.phone.posts == 6 * day
        portal.base.clock.advance(start + day * (DAY + 601 * 6) - portal.base.clock.now())


def test_an_emptied_store_gives_no_sms_back(portal, redis_url):
    for place, number in enumerate(NEIGHBOURS):
        milk(portal, number, place)
    assert portal.phone.posts == 10
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    portal.base.clock.advance(31)
    for place, number in enumerate(NEIGHBOURS):
        milk(portal, number, place)
    assert portal.phone.posts == 10


def rest(portal, seconds=601):
    """Thieves make SMS to Germany rest, once ten minutes have passed."""
    for place in range(6):
        milk(portal, ALL_OVER[20 + place], 100 + place)
    portal.base.clock.advance(seconds)


def test_where_sms_rests_people_recover_by_email(portal):
    jane = portal.add("jane", phone="+491700000001", email="jane@example.org")
    rest(portal)
    posts = portal.phone.posts
    browser = portal.browser()
    browser.recover_to_pin(portal, "jane")
    page = browser.get(PIN)
    assert page.status_code == 200
    assert NO_SMS in page.text
    assert 'value="sms"' not in page.text
    assert "j•••@e•••.org" in page.text
    assert behind.happened(portal, jane.id, "authn_pin_not_sent") == 1
    assert browser.post(SEND, channel="email").status_code == 303
    assert 'value="sms"' not in browser.get(PIN).text
    portal.deliver()
    assert browser.post(PIN, pin=portal.last_pin("jane@example.org")).status_code == 303
    browser.get("/recovery/password")
    answer = browser.post("/recovery/password", new_password=NEW_PASSWORD, confirm_password=NEW_PASSWORD)
    assert answer.status_code == 303, answer.text
    portal.deliver()
    # what she is owed is not kept from her: the notice has its own reserve
    assert portal.phone.posts == posts + 1
    assert len(portal.phone.to("+491700000001")) == 1
    assert "password" in portal.phone.to("+491700000001")[0].body


def test_notices_by_sms_are_counted_as_they_leave_and_those_by_email_always_leave(one_portal):
    """A thief who recovers all day, from numbers in one prefix, makes SMS of notices too."""
    for place, number in enumerate(NEIGHBOURS[:12]):
        name = f"thief{number[1:]}"
        one_portal.add(name, phone=number, email=f"{name}@example.org")
        browser = one_portal.browser(REMOTE_ADDR=f"198.51.{place}.7")
        browser.recover_to_pin(one_portal, name)
        browser.post(SEND, channel="email")
        one_portal.deliver()
        assert browser.post(PIN, pin=one_portal.last_pin(f"{name}@example.org")).status_code == 303
        browser.get("/recovery/password")
        done = browser.post("/recovery/password", new_password=NEW_PASSWORD, confirm_password=NEW_PASSWORD)
        assert done.status_code == 303
    one_portal.deliver()
    notices = behind.queued(one_portal, "notice_password_changed")
    assert [row["state"] for row in notices if row["channel"] == "email"] == ["sent"] * 12
    assert sorted(row["state"] for row in notices if row["channel"] == "sms") == ["queued"] * 2 + ["sent"] * 10
    assert one_portal.phone.posts == 10  # the PINs by SMS were taken back before they left


def test_another_press_for_sms_is_refused_with_the_other_way_beside_it(one_portal):
    one_portal.add("jane", phone="+491700000001", email="jane@example.org")
    rest(one_portal)
    browser = one_portal.browser()
    browser.recover_to_pin(one_portal, "jane")
    answer = browser.post(SEND, channel="sms")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3600")
    assert NO_SMS in answer.text
    assert 'value="email"' in answer.text


def test_whoever_has_a_pin_by_sms_is_moved_to_email_at_the_next_press(one_portal):
    one_portal.add("jane", phone="+491700000001", email="jane@example.org")
    rest(one_portal, 500)
    browser = one_portal.browser()
    browser.recover_to_pin(one_portal, "jane")
    one_portal.deliver()
    first = one_portal.last_pin("+491700000001")
    one_portal.base.clock.advance(101)
    answer = browser.post(SEND, channel="sms")
    assert answer.status_code == 429
    page = browser.get(PIN).text
    assert 'value="sms"' not in page
    assert 'value="email"' in page
    # the one that she has is good to its end
    assert browser.post(PIN, pin=first).status_code == 303


def test_pins_that_are_typed_keep_sms_open_for_everybody(one_portal):
    for place in range(12):
        name = f"honest{place}"
        phone = f"+4915{place:02d}1234567"
        one_portal.add(name, phone=phone)
        browser = one_portal.browser(REMOTE_ADDR=f"198.51.{place}.7")
        browser.recover_to_password(one_portal, name, phone)
        one_portal.base.clock.advance(601)
    rest(one_portal)
    one_portal.add("jane", phone="+491700000001")
    one_portal.browser().recover_to_pin(one_portal, "jane")
    one_portal.deliver()
    assert len(one_portal.phone.to("+491700000001")) == 1
    assert {row["verified_at"] is not None for row in behind.queued(one_portal)[:12]} == {True}


def test_a_number_abroad_gets_no_sms_and_its_owner_the_email(one_portal):
    one_portal.add("ivan", phone="+79161234567", email="ivan@example.org")
    browser = one_portal.browser()
    browser.recover_to_pin(one_portal, "ivan")
    assert "No SMS is sent to numbers of this country." in browser.get(PIN).text
    answer = browser.post(SEND, channel="sms")
    assert answer.status_code == 422
    assert browser.post(SEND, channel="email").status_code == 303
    one_portal.deliver()
    assert one_portal.phone.posts == 0
    assert one_portal.last_pin("ivan@example.org")


def test_an_organization_narrows_the_countries_of_its_people(one_portal):
    jane = one_portal.add("jane", phone="+491700000001", email="jane@example.org")
    one_portal.add("hans", phone="+436641234567", email="hans@example.org")
    now = one_portal.base.clock.now()
    with one_portal.base.database.begin() as transaction:
        policy = replace(STANDARD, sms_countries=("AT",))
        organizations.add_version(transaction, Version(jane.home_organization, 2, policy, now, "ann", now))
    one_portal.browser().recover_to_pin(one_portal, "hans")
    browser = one_portal.browser()
    browser.recover_to_pin(one_portal, "jane")
    assert "No SMS is sent to numbers of this country." in browser.get(PIN).text
    one_portal.deliver()
    assert [text.to for text in one_portal.phone.texts] == ["+436641234567"]


def test_a_number_abroad_cannot_be_added(one_portal):
    one_portal.add("ivan", email="ivan@example.org")
    browser = one_portal.browser()
    browser.sign_in(one_portal, "ivan")
    browser.get("/authenticators/phone/new")
    answer = browser.post("/authenticators/phone/new", phone="+79161234567")
    assert answer.status_code == 422
    assert "No SMS is sent to numbers of this country." in answer.text
    assert 'aria-describedby="phone-' in answer.text or 'aria-invalid="true"' in answer.text


def test_before_a_proof_nobody_can_tell_that_sms_rests_for_somebody(one_portal):
    one_portal.add("jane", phone="+491700000001", email="jane@example.org")
    rest(one_portal)
    answers = []
    for name in ("jane", "nobody"):
        browser = one_portal.browser(REMOTE_ADDR="203.0.113.9")
        page = browser.recover_to_token(name)
        wrong = browser.post("/recovery/token", code="000000")
        status, headers, text = without_tokens(wrong)
        answers.append((page.status_code, status, headers, text.replace(name, "someone")))
    assert answers[0] == answers[1]


def test_the_figures_say_how_many_pins_left_how_many_were_typed_and_the_money(one_portal):
    one_portal.add("jane", phone="+491700000001")
    one_portal.browser().recover_to_password(one_portal, "jane", "+491700000001")
    milk(one_portal, ALL_OVER[0], 3)
    text = one_portal.browser(REMOTE_ADDR="127.0.0.1").get("/metrics").text
    assert "keyturn_sms_pins_last_day 2\n" in text
    assert "keyturn_sms_pins_typed_last_day 1\n" in text
    assert "keyturn_sms_cost_last_day 0.16\n" in text
