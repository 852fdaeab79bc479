"""PROFILE, AUTHENTICATORS and ACTIVITY: what stands on them, and that nothing on them is a secret or leads nowhere."""

import re
from dataclasses import replace

import pytest

from app.records.audit import store as audit
from app.records.audit.model import Event, Record
from app.records.people import store as people
from app.records.people.model import Channel, Contact
from tests.journeys.authenticators.conftest import EMAIL, PHONE

TABS = ("/authenticators", "/authenticators/password", "/profile", "/activity", "/sessions")


def row(page, kind):
    found = re.search(rf'<li data-kind="{kind}".*?</li>\s*(?=<li data-kind|</ul>)', page, re.DOTALL)
    assert found, page
    return found[0]


def test_every_authenticator_has_a_row_with_its_state_and_its_times(one_portal, jane, browser):
    one_portal.base.clock.advance(3 * 86_400)
    browser.sign_in_by_pin(one_portal, "jane", PHONE)
    page = browser.get("/authenticators").text
    assert re.findall(r'<li data-kind="(\w+)" data-state="(\w+)"', page) == [
        ("password", "active"),
        ("app", "active"),
        ("sms", "active"),
        ("email", "active"),
        ("recovery_codes", "none"),
    ]
    assert "last used <time datetime=" in row(page, "app")
    assert "3 days ago</time>" in row(page, "app")
    assert "last used <time" in row(page, "sms")
    assert "just now</time>" in row(page, "sms")
    assert "last used" not in row(page, "email")
    assert re.search(r'title="\d+ \w+ \d{4}, \d\d:\d\d UTC"', page)


def test_what_waits_says_until_when_and_does_not_count_for_a_recovery(one_portal, jane, browser):
    now = one_portal.base.clock.now()
    with one_portal.base.database.begin() as transaction:
        late = Contact("late", jane.id, Channel.EMAIL, "new@example.org", 1, now, now + 7 * 86_400, None)
        people.add_contact(transaction, late, now)
    page = browser.get("/authenticators").text
    assert page.count('data-state="pending"') == 1
    assert "Protects your account from <time" in page


def test_a_locked_password_and_one_that_is_owed_say_so(one_portal, jane, browser):
    one_portal.lock(jane)
    assert 'data-kind="password" data-state="locked"' in browser.get("/authenticators").text


def test_the_menu_works_without_a_script_and_has_a_name(one_portal, browser):
    page = browser.get("/authenticators").text
    assert '<details class="menu"><summary aria-label="Actions for Password">' in page
    assert '<a href="/authenticators/password">Change Password' in page


@pytest.mark.parametrize("path", TABS)
def test_no_link_leads_nowhere(one_portal, browser, path):
    links = set(re.findall(r'href="(/[^"]*)"', browser.get(path).text))
    adapter = one_portal.web.url_map.bind("localhost")
    assert {link for link in links if not adapter.test(link.partition("?")[0], "GET")} == set()


@pytest.mark.parametrize("path", TABS)
def test_no_page_holds_a_contact_or_a_secret(one_portal, jane, browser, path):
    browser.sign_in_by_pin(one_portal, "jane", PHONE)
    page = browser.get(path).text
    for secret in (PHONE, EMAIL, jane.stamp, one_portal.last_pin(PHONE), browser.cookie("keyturn-session")):
        assert secret not in page


def test_whoever_came_by_a_mailed_pin_is_told_what_that_is_good_for(one_portal, jane):
    browser = one_portal.browser()
    browser.sign_in_by_pin(one_portal, "jane", EMAIL)
    page = browser.get("/authenticators").text
    assert "You may look around and change your password with the present one." in page
    assert 'href="/step-up"' in page


def test_the_page_says_what_would_happen_if_something_were_lost(one_portal, browser):
    for path in ("/authenticators", "/profile"):
        page = browser.get(path).text
        assert 'data-covered="2"' in page
        assert "after 2 of 3 mishaps" in page
        assert "Make recovery codes" in page


def test_the_profile_says_who_one_is_and_when_the_password_changed(one_portal, browser):
    page = browser.get("/profile").text
    for said in ("Jane Doe", "jane", "Language of messages to you", "Password changed", "just now</time>"):
        assert said in page


# ---- ACTIVITY


def record(jane, at, **changes):
    return replace(Record(Event.APP_OK, at, jane.id, "self", "success", address="198.51.100.7"), **changes)


def test_the_history_is_told_in_words_the_newest_first(one_portal, browser):
    browser.get("/authenticators/password")
    browser.post("/authenticators/password", current_password="wrong", new_password="x", confirm_password="x")
    page = browser.get("/activity").text
    said = re.findall(r"<h2>(.*?)</h2>", page)
    assert said[:3] == [
        "Wrong present password, when it was to be changed",
        "Signed in with two factors",
        "App code accepted",
    ]
    assert 'data-outcome="failure"' in page
    assert "192.0.2.10" in page
    assert "Firefox on Linux" in page


def test_every_event_is_shown_fifty_a_page(one_portal, jane, browser):
    now = one_portal.base.clock.now()
    with one_portal.base.database.begin() as transaction:
        audit.add_many(transaction, [record(jane, now, address=f"2001:db8::{n:x}") for n in range(120)])
    seen, path = [], "/activity"
    for _ in range(4):
        if not path:
            break
        page = browser.get(path).text
        found = re.findall(r"from 2001:db8::([0-9a-f]+)", page)
        assert len(re.findall("data-event=", page)) <= 50
        seen += found
        older = re.search(r'rel="next" href="([^"]+)"', page)
        path = older[1] if older else ""
    assert seen == [f"{n:x}" for n in reversed(range(120))]


@pytest.mark.parametrize("page", ["0", "-1", "x", "\u0663", "9" * 40, "1e3", ""])
def test_a_page_that_cannot_be_is_no_error(one_portal, browser, page):
    assert browser.get("/activity", query_string={"page": page}).status_code == 200


def test_what_staff_and_operators_did_is_marked_with_their_name(one_portal, jane, browser):
    now = one_portal.base.clock.now()
    with one_portal.base.database.begin() as transaction:
        audit.add(transaction, record(jane, now, event=Event.UNLOCKED, actor="sam", reason="operator"))
        audit.add(transaction, record(jane, now, event=Event.UNLOCKED, actor="operator", reason="operator"))
    page = browser.get("/activity").text
    assert page.count(" data-staff") == 2
    assert "by staff: sam" in page
    assert "by the operator of this site" in page


def test_nobody_sees_the_history_of_somebody_else(one_portal, jane, browser):
    omar = one_portal.add("omar")
    with one_portal.base.database.begin() as transaction:
        audit.add(transaction, record(omar, one_portal.base.clock.now(), address="203.0.113.99"))
    assert "203.0.113.99" not in browser.get("/activity").text
