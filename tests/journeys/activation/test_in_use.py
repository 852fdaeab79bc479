"""An invitation never alters an account that came into use another way meanwhile (security rules 6 and 12)."""

import pytest

from app.factors.totp import store as apps
from app.records.people import store as people
from app.records.people.model import Channel, Contact
from tests.journeys import behind
from tests.portal import NEW_PASSWORD

PHONE, EMAIL = "+491700000001", "nina@example.org"
OTHER_PASSWORD = "quite another long passphrase"
DAY = 86_400


@pytest.fixture
def guest(one_portal):
    """Invited, and with a temporary password and confirmed contacts, so that the sign-in is open as well."""
    person = one_portal.add("nina", phone=PHONE, email=EMAIL, app=False, must_change=True)
    return one_portal.invite_again(person, EMAIL)


def choose_at_sign_in(portal):
    browser = portal.browser()
    browser.sign_in_by_pin(portal, "nina", PHONE)
    browser.get("/sign-in/new-password")
    answer = browser.post("/sign-in/new-password", new_password=NEW_PASSWORD, confirm_password=NEW_PASSWORD)
    assert answer.status_code == 303, answer.text
    portal.deliver()
    portal.base.clock.advance(60)
    return browser


def apps_of(portal, person):
    with portal.base.database.read() as looking:
        return apps.of_person(looking, person.id)


def test_the_link_is_dead_once_a_password_was_chosen_at_sign_in(one_portal, guest):
    choose_at_sign_in(one_portal)
    thief = one_portal.browser()
    assert thief.get(guest.path).location == "/activate"
    assert thief.post(guest.path).status_code == 409
    assert behind.signs_in(one_portal, "nina", NEW_PASSWORD)


def test_a_pin_that_was_sent_before_binds_nothing_after_it(one_portal, guest):
    thief = one_portal.browser()
    thief.activate_to(one_portal, guest, -1, PHONE)
    one_portal.deliver()
    pin = one_portal.last_pin(PHONE)
    one_portal.base.clock.advance(60)
    choose_at_sign_in(one_portal)
    assert thief.post("/activate/pin", pin=pin).status_code == 409
    assert thief.get("/activate/password").status_code == 303


def test_an_app_that_was_bound_meanwhile_ends_the_choice_of_a_password(one_portal, guest):
    thief = one_portal.browser()
    thief.activate_to(one_portal, guest, 0, PHONE)
    now = one_portal.base.clock.now()
    with one_portal.base.database.begin() as transaction:
        one_portal.means.apps.bind(
            transaction, person_id=guest.person.id, seed=b"s" * 20, label="Phone", now=now, usable_from=now
        )
    fields = {"new_password": OTHER_PASSWORD, "confirm_password": OTHER_PASSWORD}
    assert thief.post("/activate/password", **fields).status_code == 409
    assert not behind.signs_in(one_portal, "nina", OTHER_PASSWORD)


def test_beside_an_app_that_was_added_meanwhile_another_one_waits_a_day(one_portal, guest):
    one_portal.browser().activate_to(one_portal, guest, 2, PHONE)
    one_portal.deliver()
    one_portal.base.clock.advance(60)
    owner = one_portal.browser()
    owner.sign_in_by_pin(one_portal, "nina", PHONE, NEW_PASSWORD)
    seed = behind.key_on(owner.get("/authenticators/app/new").text)
    answer = owner.post("/authenticators/app/new", label="Own", code=behind.code_of(one_portal, seed))
    assert answer.location == "/authenticators"
    one_portal.deliver()
    one_portal.base.clock.advance(60)
    thief = one_portal.browser()
    thief.activate_to(one_portal, guest, 0, PHONE)
    assert thief.post("/activate/resume", password=NEW_PASSWORD).location == "/activate/app"
    seed = behind.key_on(thief.get("/activate/app").text)
    assert thief.post("/activate/app", label="New", code=behind.code_of(one_portal, seed)).status_code == 303
    found = apps_of(one_portal, guest.person)
    assert [(one.label, one.usable_from - one.bound_at) for one in found] == [("Own", DAY), ("New", DAY)]


def test_codes_beside_older_ones_that_wait_themselves_wait_a_day(one_portal, guest):
    browser = one_portal.browser()
    browser.activate_to(one_portal, guest, 3, PHONE)
    one_portal.add_codes(guest.person, usable_in=DAY)
    assert browser.post("/activate/codes").status_code == 303
    page = browser.get("/activate/codes").text
    assert len(behind.shown_codes(page)) == 10
    assert "For a recovery they are good from" in page
    assert "For a recovery they are good from" in browser.get("/activate/codes/download").text


def test_codes_that_were_made_twice_in_one_activation_serve_at_once_all_the_same(one_portal, guest):
    browser = one_portal.browser()
    browser.activate_to(one_portal, guest, 4, PHONE)
    one_portal.deliver()
    one_portal.base.clock.advance(60)
    other = one_portal.browser()
    other.activate_to(one_portal, guest, 0, PHONE)
    assert other.post("/activate/resume", password=NEW_PASSWORD).location == "/activate/codes"
    other.get("/activate/codes")
    assert other.post("/activate/codes").status_code == 303
    codes = behind.shown_codes(other.get("/activate/codes").text)
    assert other.post("/activate/codes/saved").location == "/activate/done"
    one_portal.deliver()
    one_portal.base.clock.advance(1_000)
    one_portal.browser().recover_to_pin_by_code("nina", codes[0])


def test_a_phone_that_somebody_typed_and_never_confirmed_is_no_filed_one(one_portal):
    """It would let whoever typed it have the PIN."""
    omar = one_portal.add("omar", email="omar@example.org", password="", app=False)
    now = one_portal.base.clock.now()
    typed = Contact(
        one_portal.base.chance.name(), omar.id, Channel.SMS, PHONE, 0, None, now, None, pending_until=now + DAY
    )
    with one_portal.base.database.begin() as transaction:
        people.add_contact(transaction, typed, now)
    guest = one_portal.invite_again(omar, "omar@example.org")
    assert guest.code
    assert "activation code" in one_portal.browser().get(guest.path).text


def test_a_step_that_another_device_took_sends_back_to_the_link(one_portal, guest):
    slow = one_portal.browser()
    slow.activate_to(one_portal, guest, 1, PHONE)
    one_portal.deliver()
    one_portal.base.clock.advance(60)
    fast = one_portal.browser()
    fast.activate_to(one_portal, guest, 0, PHONE)
    fast.post("/activate/resume", password=NEW_PASSWORD)
    fast.get("/activate/contacts")
    assert fast.post("/activate/contacts").location == "/activate/app"
    answer = slow.post("/activate/contacts")
    assert answer.status_code == 409
    assert 'href="/activate"' in answer.text
