"""A program sends somebody on to the portal: the address says who and where to, and proves nothing."""

from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from app.records.organizations.model import PRESETS, Profile
from tests.journeys import behind
from tests.portal import NEW_PASSWORD, PASSWORD
from tests.programs import ALLOWING, Program

PHONE, EMAIL = "+491700000001", "jane@example.org"


def path(answer, name):
    return urlsplit(answer.json[name]).path


@pytest.fixture
def allowing(one_portal):
    one_portal.decide(ALLOWING)
    one_portal.add("jane", phone=PHONE, email=EMAIL)
    return one_portal


def test_who_is_sent_to_change_their_password_signs_in_with_both_factors_and_is_there(allowing):
    url = path(Program(allowing).authenticate("jane"), "change_password_url")
    tables = behind.tables(allowing)
    browser = allowing.browser()
    page = browser.get(url)
    assert (page.status_code, 'value="jane"' in page.text) == (200, True)
    assert behind.tables(allowing) == tables  # it proves nothing, and begins nothing
    assert browser.get("/authenticators/password").location == "/sign-in"
    browser.get(url)
    assert browser.sign_in(allowing, "jane").location == "/authenticators/password"
    assert "jane" not in url


def test_who_is_sent_because_a_password_expired_sets_a_new_one_and_is_at_home(allowing):
    allowing.decide(replace(ALLOWING, password=replace(ALLOWING.password, max_age_days=90)))
    allowing.base.clock.advance(90 * 86_400)
    url = path(Program(allowing).authenticate("jane"), "expired_password_url")
    browser = allowing.browser()
    browser.get(url)
    assert browser.sign_in(allowing, "jane").location == "/sign-in/new-password"
    browser.get("/sign-in/new-password")
    answer = browser.post("/sign-in/new-password", new_password=NEW_PASSWORD, confirm_password=NEW_PASSWORD)
    assert answer.location == "/authenticators"
    assert Program(allowing).authenticate("jane", NEW_PASSWORD).status_code == 200


def test_who_owes_a_question_is_sent_to_it(one_portal):
    classic = PRESETS[Profile.CLASSIC]
    fifteen = replace(classic.password, min_length=15)
    one_portal.decide(replace(classic, password=fifteen, authenticate_user=True))
    one_portal.add("jane", phone=PHONE, email=EMAIL, app=False)
    url = path(Program(one_portal).authenticate("jane"), "update_security_question_url")
    browser = one_portal.browser()
    browser.get(url)
    assert browser.sign_in_by_pin(one_portal, "jane", PHONE).location == "/sign-in/security-question"
    browser.get("/sign-in/security-question")
    answer = browser.post("/sign-in/security-question", question="first_concert", answer="The Beatles")
    assert answer.location == "/authenticators/security-question"


def test_an_address_that_is_over_leads_to_a_sign_in_that_knows_nobody(allowing):
    url = path(Program(allowing).authenticate("jane"), "change_password_url")
    allowing.base.clock.advance(900)
    browser = allowing.browser()
    assert browser.get(url).location == "/sign-in"
    assert 'value="jane"' not in browser.get("/sign-in").text
    assert browser.sign_in(allowing, "jane", PASSWORD).location == "/authenticators"
