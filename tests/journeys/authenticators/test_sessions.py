"""The list of sessions and known browsers, what ends them, and the warning before one ends by itself."""

import re

import pytest

from app.factors.totp import store as apps
from app.journeys.operations.service import Housekeeping
from app.records.people import store as people
from tests.journeys import behind
from tests.journeys.authenticators.conftest import EMAIL

LIST = "/sessions"
PHONE_BROWSER = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
)


@pytest.fixture
def other(one_portal, browser):
    one_portal.base.clock.advance(30)
    found = one_portal.browser(REMOTE_ADDR="198.51.100.20", HTTP_USER_AGENT=PHONE_BROWSER)
    found.sign_in(one_portal, "jane")
    return found


def names(page, what="session"):
    return re.findall(rf'data-{what}="([^"]+)"', page)


def name_of_other(page, what="session"):
    found = re.search(rf'data-{what}="([^"]+)">', page)
    assert found
    return found[1]


def test_the_list_says_where_somebody_is_signed_in_and_which_is_this_one(one_portal, browser, other):
    page = browser.get(LIST).text
    assert len(names(page)) == 2
    assert page.count(" data-this") == 2  # the session, and the browser that is known
    for said in ("Firefox on Linux", "Safari on iPhone", "198.51.100.20", "192.0.2.10", "This browser, now"):
        assert said in page


def test_one_can_be_ended(one_portal, jane, browser, other):
    page = browser.get(LIST).text
    answer = browser.post(LIST, name=name_of_other(page))
    assert answer.location == LIST
    assert "The session was ended." in browser.get(answer.location).text
    assert "The session was ended." not in browser.get(answer.location).text  # it is told once
    assert other.get("/authenticators").location == "/sign-in"
    assert browser.get("/authenticators").status_code == 200
    assert behind.happened(one_portal, jane.id, "session_ended") == 1


def test_one_that_has_ended_is_not_ended_again(one_portal, jane, browser, other):
    name = name_of_other(browser.get(LIST).text)
    assert browser.post(LIST, name=name).status_code == 303
    browser.get(LIST)
    answer = browser.post(LIST, name=name)
    assert (answer.status_code, 'href="/sessions"' in answer.text) == (409, True)
    assert behind.happened(one_portal, jane.id, "session_ended") == 1


def test_all_others_can_be_ended_at_once(one_portal, jane, browser, other):
    browser.get(LIST)
    assert browser.post(LIST, all="yes").location == LIST
    assert other.get("/authenticators").location == "/sign-in"
    assert len(behind.sessions(one_portal, jane.id)) == 1
    browser.get(LIST)
    assert browser.post(LIST, all="yes").status_code == 409


def test_nobody_ends_a_session_of_somebody_else(one_portal, jane, browser):
    one_portal.add("omar", phone="+491700000002")
    omar = one_portal.browser()
    omar.sign_in(one_portal, "omar")
    theirs = names(browser.get(LIST).text)[0]
    omar.get(LIST)
    assert omar.post(LIST, name=theirs).status_code == 409
    assert browser.get(LIST).status_code == 200


def test_a_known_browser_can_be_forgotten(one_portal, jane, browser, other):
    page = browser.get(LIST).text
    assert len(names(page, "known")) == 2
    name = name_of_other(page, "known")
    assert browser.post(LIST, forget=name).location == LIST
    page = browser.get(LIST).text
    assert name not in names(page, "known")
    assert behind.happened(one_portal, jane.id, "browser_forgotten") == 1
    assert browser.post(LIST, forget=name).status_code == 409


def test_a_mailed_pin_shows_the_list_and_ends_nothing(one_portal, jane, browser):
    weak = one_portal.browser()
    weak.sign_in_by_pin(one_portal, "jane", EMAIL)
    page = weak.get(LIST)
    assert (page.status_code, "prove again that it is you" in page.text) == (200, True)
    for fields in ({"all": "yes"}, {"name": names(page.text)[1]}, {"forget": names(page.text, "known")[0]}):
        answer = weak.post(LIST, **fields)
        assert (answer.status_code, 'href="/step-up"' in answer.text) == (409, True)
    assert browser.get(LIST).status_code == 200


def test_a_form_without_a_wish_says_that_something_is_missing(one_portal, browser):
    browser.get(LIST)
    assert browser.post(LIST).status_code == 422


# ---- the idle end


def test_the_page_says_until_when_it_is_good(one_portal, browser):
    page = browser.get("/authenticators").text
    assert 'data-idle="900"' in page
    assert "You stay signed in until <time datetime=" in page


def test_one_press_puts_the_idle_end_off_and_that_many_times(one_portal, browser):
    browser.get("/authenticators")
    for _ in range(12):
        one_portal.base.clock.advance(800)
        answer = browser.post("/sessions/extend")
        assert (answer.status_code, answer.json) == (200, {"idle_in": 900})


def test_nothing_is_put_off_beyond_eight_hours(one_portal, browser):
    browser.get("/authenticators")
    for _ in range(35):
        one_portal.base.clock.advance(810)
        assert browser.post("/sessions/extend").status_code == 200
    one_portal.base.clock.advance(100)
    assert browser.post("/sessions/extend").json == {"idle_in": 8 * 3_600 - 35 * 810 - 100}


def test_a_session_that_ended_is_not_put_off(one_portal, browser):
    browser.get("/authenticators")
    one_portal.base.clock.advance(901)
    answer = browser.post("/sessions/extend")
    assert (answer.status_code, 'href="/sign-in"' in answer.text) == (409, True)
    assert browser.post("/sessions/extend", token=False).status_code == 400


def test_a_session_whose_time_is_over_leaves_no_address_and_no_browser_behind(one_portal, browser):
    tidy = Housekeeping(one_portal.base.database, one_portal.base.clock).tidy
    one_portal.base.clock.advance(3_600)  # the longest that any policy lets one rest
    tidy()
    assert len(behind.tables(one_portal)["sessions"]) == 1
    one_portal.base.clock.advance(1)
    tidy()
    assert behind.tables(one_portal)["sessions"] == []


@pytest.mark.parametrize("name", ["a\0b", "\0", "\ud800".encode("utf-8", "surrogatepass"), "x" * 5_000])
def test_a_name_that_no_session_can_have_ends_nothing(portal, name):
    jane = portal.add("jane", email=EMAIL)
    browser = portal.browser()
    browser.sign_in(portal, "jane")
    browser.get(LIST)
    for field in ("name", "forget"):
        assert browser.post(LIST, **{field: name}).status_code == 409
    assert len(behind.sessions(portal, jane.id)) == 1


@pytest.mark.parametrize("page", ["/step-up", "/authenticators/phone/new"])
def test_a_page_that_was_left_open_and_asks_by_itself_does_not_put_the_idle_end_off(one_portal, browser, page):
    browser.get(page)
    if page == "/step-up":
        browser.post("/step-up/alternative", channel="sms")
        status = "/step-up/pin/status"
    else:
        browser.post(page, phone="+447700900123")
        status = f"{page}/confirm/pin/status"
    for _ in range(14):
        one_portal.base.clock.advance(60)
        assert browser.get(status).status_code == 200
    one_portal.base.clock.advance(60)
    assert browser.get("/profile").location == "/sign-in"


@pytest.mark.parametrize("deed", ["disable", "remove", "phone"])
def test_whoever_puts_a_lost_phone_away_signs_out_those_who_are_signed_in_by_it(one_portal, jane, browser, other, deed):
    """The box is ticked beforehand (ASVS 7.4.3)."""
    with one_portal.base.database.read() as looking:
        app, phone = apps.of_person(looking, jane.id)[0].id, people.contacts_of(looking, jane.id)[0].id
    path = f"/authenticators/phone/{phone}/remove" if deed == "phone" else f"/authenticators/app/{app}/{deed}"
    assert 'name="everywhere" value="yes" checked' in browser.get(path).text
    assert browser.post(path, everywhere="yes").location == "/authenticators"
    assert other.get("/profile").location == "/sign-in"
    assert browser.get("/profile").status_code == 200


def test_whoever_comes_back_too_late_is_told_why_and_led_on_where_they_were(one_portal, browser):
    said = "You are no longer signed in"
    assert said not in one_portal.browser().get("/sign-in").text
    one_portal.base.clock.advance(901)
    assert browser.get(LIST).location == "/sign-in"
    assert said in browser.get("/sign-in").text
    assert browser.sign_in(one_portal, "jane").location == LIST
    browser.get(LIST)
    browser.post("/sign-out")
    assert said not in browser.get("/sign-in").text
