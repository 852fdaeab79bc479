"""Test my recovery: the real path up to the new password, which changes nothing and can be turned into nothing."""

import re
from dataclasses import replace

import pytest

from app.factors.totp import store as totp
from app.records.attempts.model import Factor
from app.records.people import store as people
from tests.journeys import behind
from tests.portal import NEW_PASSWORD, PASSWORD

PHONE, EMAIL = "+491700000001", "jane@example.org"
START, TOKEN, PIN, DONE = "/rehearsal", "/rehearsal/token", "/rehearsal/pin", "/rehearsal/done"
TASK = "keyturn-task"


@pytest.fixture
def jane(one_portal):
    return one_portal.add("jane", phone=PHONE, email=EMAIL)


def signed_in(portal):
    browser = portal.browser()
    browser.sign_in(portal, "jane")
    portal.base.clock.advance(30)
    return browser


def rehearsed_to_pin(portal):
    browser = signed_in(portal)
    browser.get(START)
    assert browser.post(START).location == TOKEN
    browser.get(TOKEN)
    assert browser.post(TOKEN, code=portal.code("jane")).location == PIN
    browser.get(PIN)
    portal.deliver()
    return browser


def test_both_proofs_lead_to_the_page_that_says_it_works(one_portal, jane):
    browser = rehearsed_to_pin(one_portal)
    assert "Nothing is changed by it" in browser.page.text
    assert browser.get("/rehearsal/pin/status").json["state"] == "sent"
    assert browser.post(PIN, pin=one_portal.last_pin(PHONE)).location == DONE
    told = browser.get(DONE).text
    assert "Your recovery works" in told
    assert "If something is lost today" in told
    assert re.findall(r'data-lost="(\w+)" class="(\w+)"', told) == [
        ("password", "good"),
        ("phone", "bad"),
        ("mailbox", "good"),
    ]
    assert re.search(r'<a href="/authenticators/recovery-codes">\s*Make recovery codes', told)
    assert behind.happened(one_portal, jane.id, "recovery_rehearsed") == 1


def test_a_rehearsal_changes_nothing_but_what_is_spent_and_written_down(one_portal, jane):
    def kept():
        tables = behind.tables(one_portal)
        for name in ("audit_events", "attempts", "outbox", "totp_apps", "contacts", "sessions"):
            assert name in tables
            del tables[name]
        return tables

    def factors():
        """Apps but for their spent steps, contacts but for their last PIN, sessions but for their last page."""
        with one_portal.base.database.read() as looking:
            apps = [replace(app, last_step=0, last_used_at=None) for app in totp.of_person(looking, jane.id)]
            contacts = [replace(one, last_used_at=None) for one in people.contacts_of(looking, jane.id)]
        return apps, contacts, behind.sessions(one_portal, jane.id)

    browser = signed_in(one_portal)
    before = kept(), factors()
    browser.get(START)
    browser.post(START)
    browser.get(TOKEN)
    browser.post(TOKEN, code=one_portal.code("jane"))
    browser.get(PIN)
    one_portal.deliver()
    browser.post(PIN, pin=one_portal.last_pin(PHONE))
    assert browser.get(DONE).status_code == 200
    assert (kept(), factors()) == before
    assert behind.signs_in(one_portal, "jane", PASSWORD)


def test_the_box_that_says_what_a_loss_would_mean_leads_to_the_test(one_portal, jane):
    page = signed_in(one_portal).get("/authenticators").text
    box = page[page.index('<section class="stack ready"') :]
    assert re.search(r'<a [^>]*href="/rehearsal">Test my recovery</a>', box)


@pytest.mark.parametrize(("phone", "app"), [(PHONE, False), ("", True)])
def test_without_an_app_and_a_contact_that_may_serve_there_is_nothing_to_begin(one_portal, phone, app):
    one_portal.add("omar", phone=phone, app=app)
    browser = one_portal.browser()
    if app:
        browser.sign_in(one_portal, "omar")
    else:
        browser.sign_in_by_pin(one_portal, "omar", phone)
    page = browser.get(START).text
    assert "nothing to test yet" in page
    assert 'action="/rehearsal"' not in page


@pytest.mark.parametrize("page", ["/recovery/pin", "/recovery/password"])
def test_a_rehearsal_cannot_be_turned_into_a_recovery(one_portal, jane, page):
    browser = rehearsed_to_pin(one_portal)
    browser.client.set_cookie("keyturn-recovery", browser.cookie(TASK))
    assert browser.get(page).location == "/recovery"
    assert browser.post(PIN, pin=one_portal.last_pin(PHONE)).status_code == 303
    browser.client.set_cookie("keyturn-recovery", browser.cookie(TASK))
    fields = {"new_password": NEW_PASSWORD, "confirm_password": NEW_PASSWORD}
    assert browser.post("/recovery/password", **fields).status_code == 409
    assert not behind.signs_in(one_portal, "jane", NEW_PASSWORD)


def test_a_pin_of_a_rehearsal_is_good_in_no_recovery_and_the_other_way_round(one_portal, jane):
    browser = rehearsed_to_pin(one_portal)
    rehearsed = one_portal.last_pin(PHONE)
    one_portal.base.clock.advance(30)
    other = one_portal.browser()
    other.recover_to_pin(one_portal, "jane")
    one_portal.deliver()
    assert other.post("/recovery/pin", pin=rehearsed).status_code == 422
    assert browser.post(PIN, pin=one_portal.last_pin(PHONE)).status_code == 422


def test_a_second_press_hears_that_it_was_done(one_portal, jane):
    browser = rehearsed_to_pin(one_portal)
    held, pin = browser.cookie(TASK), one_portal.last_pin(PHONE)
    assert browser.post(PIN, pin=pin).location == DONE
    browser.client.set_cookie(TASK, held)
    again = browser.post(PIN, pin=pin)
    assert again.status_code == 409
    assert "already" in again.text
    assert behind.happened(one_portal, jane.id, "recovery_rehearsed") == 1


def test_another_session_cannot_go_on_with_it(one_portal, jane):
    browser = rehearsed_to_pin(one_portal)
    one_portal.base.clock.advance(30)
    thief = signed_in(one_portal)
    thief.get(START)
    thief.client.set_cookie(TASK, browser.cookie(TASK))
    assert thief.get(PIN).location == START
    assert thief.post(PIN, pin=one_portal.last_pin(PHONE)).status_code == 409


def test_a_session_by_a_mailed_pin_cannot_rehearse(one_portal, jane):
    browser = one_portal.browser()
    browser.sign_in_by_pin(one_portal, "jane", EMAIL)
    assert browser.get(START).location == "/step-up"


def test_wrong_codes_of_a_rehearsal_are_counted_in_the_lane_of_its_browser_and_leave_recovery_open_elsewhere(
    one_portal, jane
):
    def begun():
        """By a PIN: a right app code would end the run of failures."""
        one_portal.deliver()
        browser = one_portal.browser()
        browser.sign_in_by_pin(one_portal, "jane", PHONE)
        browser.get(START)
        assert browser.post(START).location == TOKEN
        browser.get(TOKEN)
        return browser

    browser, tried = begun(), 0
    while tried < 8:
        answer = browser.post(TOKEN, code=one_portal.wrong_code("jane"))
        if answer.status_code == 429:
            one_portal.base.clock.advance(int(answer.headers["Retry-After"]))
        elif answer.status_code == 409:  # the session ended while it waited
            browser = begun()
        else:
            assert answer.status_code == 422
            tried += 1
    assert behind.happened(one_portal, jane.id, "authn_token_fail") == 8
    with one_portal.base.database.read() as looking:
        assert one_portal.means.tries.standing(looking, jane.id, Factor.APP).consecutive == 8
    assert browser.post(TOKEN, code=one_portal.code("jane")).status_code == 429
    one_portal.base.clock.advance(30)
    assert one_portal.browser().recover_to_pin(one_portal, "jane").status_code == 303
