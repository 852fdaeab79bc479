"""Help for people who cannot sign in, which knows nothing of who reads it."""

import re
from typing import Any

import pytest
from werkzeug.test import Client

from app.records.organizations.model import PRESETS, Profile
from tests.journeys import behind
from tests.portal import opened

EMAIL = "jane@example.org"


@pytest.mark.parametrize("path", ["/sign-in", "/sign-in/password", "/recovery/other-ways"])
def test_the_pages_of_a_sign_in_lead_to_it(one_portal, path):
    browser = one_portal.browser()
    browser.get("/sign-in")
    browser.post("/sign-in", user_id="jane")
    assert '<a href="/help">Trouble signing in?</a>' in browser.get(path).text


@pytest.mark.parametrize(
    "said",
    [
        "Caps Lock",
        "cookies",
        "half a minute at first, an hour at most",
        "administrator of your own organization",
        "+1 555 0100",
        "in the web portal first",
        "another administrator of your organization",
        "automatic date and time",
    ],
)
def test_it_says_what_people_get_stuck_at(one_portal, said):
    assert said in one_portal.browser().get("/help").text


def test_every_topic_of_its_list_is_on_the_page(one_portal):
    page = one_portal.browser().get("/help").text
    topics = re.findall(r'<li><a href="#([a-z-]+)">', page)
    assert len(topics) == 7
    assert all(page.count(f'id="{topic}"') == 1 for topic in topics)


def test_every_link_of_it_opens_a_page(one_portal):
    browser = one_portal.browser()
    page = browser.get("/help").text
    for path in set(re.findall(r'href="(/[a-z/-]*)"', page)) - {"/"}:
        assert browser.get(path).status_code == 200, path


def test_whether_support_is_open_now_is_said_where_the_settings_have_hours(sqlite_database, valkey_url, clock, keyring):
    hours: dict[str, Any] = {"support_openings": ((0, "08:00", "17:00"),), "support_time_zone": "Europe/Berlin"}
    with opened(sqlite_database, valkey_url, clock, keyring, **hours) as portal:  # it is Monday, 16:13 there
        page = portal.browser().get("/help").text
        assert 'data-open="yes"><b>Open now</b>, until 17:00 (time zone Europe/Berlin)' in page
        clock.advance(3_600)
        assert 'data-open="no"><b>Closed now</b>' in portal.browser().get("/help").text


def test_the_link_to_a_mailed_link_is_there_where_any_organization_is_classic(one_portal):
    link = '<a href="/forgot">Forgot Password? Click Here</a>'
    assert link not in one_portal.browser().get("/help").text
    one_portal.decide(PRESETS[Profile.CLASSIC], "Classic")
    one_portal.base.clock.advance(60)
    assert link in one_portal.browser().get("/help").text


def test_it_is_the_same_whoever_is_asked_for_and_whatever_became_of_them(one_portal):
    jane = one_portal.add("jane", email=EMAIL)
    one_portal.lock(jane)
    pages = set()
    for user_id in ("jane", "nobody"):
        browser = one_portal.browser()
        browser.get("/sign-in")
        browser.post("/sign-in", user_id=user_id)
        tables = behind.tables(one_portal)
        pages.add(re.sub(r'value="[^"]+"', "", browser.get("/help").text))
        assert behind.tables(one_portal) == tables
    assert len(pages) == 1


def test_who_blocks_cookies_is_told_so_and_what_to_do(one_portal):
    browser = one_portal.browser()
    token = re.search(r'name="csrf_token" value="([^"]+)"', browser.get("/sign-in").text)
    assert token
    blocking = Client(one_portal.web, use_cookies=False)
    answer = blocking.post("/sign-in", data={"csrf_token": token[1], "user_id": "jane"})
    assert answer.status_code == 400
    assert "Cookies are blocked" in answer.text
    assert "Allow cookies for this site" in answer.text
    assert 'href="/help#cookies"' in answer.text


def test_a_page_that_is_too_old_is_no_blocked_cookie(one_portal):
    browser = one_portal.browser()
    browser.get("/sign-in")
    answer = browser.post("/sign-in", token=False, user_id="jane")
    assert answer.status_code == 400
    assert "Cookies are blocked" not in answer.text
    assert "Your page was too old" in answer.text
