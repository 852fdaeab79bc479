"""A temporary password that is not used in its time: told to its owner alone, locked, and opened again."""

import html
import re

import pytest
from sqlalchemy import select

from app.factors.password.store import passwords
from app.foundation.visit import Visit
from app.records.organizations.model import Policy, Role
from app.steps.credentials import Cause, NotAuthenticated
from app.wiring import build_steps
from tests.journeys import behind
from tests.journeys.classic.conftest import CLASSIC, DAY, EMAIL, FORGOT, PHONE, answer, ask, letters, links, reset
from tests.journeys.classic.test_lifecycle import OWN, to_new_password
from tests.journeys.support.conftest import Looked
from tests.journeys.test_lockout import operator
from tests.portal import NEW_PASSWORD, PASSWORD

LAPSED = "was not used in its time"


@pytest.fixture
def lapsed(one_classic):
    """The same portal, a day after a temporary password was made; ``portal.temporary`` is what it was."""
    one_classic.temporary = reset(one_classic)
    one_classic.base.clock.advance(DAY)
    return one_classic


def at_sign_in(portal, password):
    browser = portal.browser(REMOTE_ADDR="198.51.100.7")
    browser.get("/sign-in")
    browser.post("/sign-in", user_id="jane")
    browser.get("/sign-in/password")
    return browser.post("/sign-in/password", password=password)


def unlock(portal, user_id="jane"):
    return operator(portal).unlock(user_id, "a call")


def good_until(portal):
    with portal.base.database.read() as looking:
        return looking.execute(select(passwords.c.good_until)).scalar_one()


def test_it_opens_until_its_last_second_and_not_one_longer(classic):
    temporary = reset(classic)
    classic.base.clock.advance(DAY - 1)
    assert behind.signs_in(classic, "jane", temporary)
    classic.base.clock.advance(1)
    answer = at_sign_in(classic, temporary)
    assert (answer.status_code, LAPSED in answer.text) == (422, True)
    assert "ask your administrator" in answer.text
    assert behind.reasons(classic, classic.jane.id, "authn_login_fail") == ["lapsed"]


def test_only_whoever_has_the_right_one_is_told(lapsed):
    for wrong in (PASSWORD, "wrong", lapsed.temporary.lower()):
        answer = at_sign_in(lapsed, wrong)
        assert (answer.status_code, LAPSED in answer.text) == (422, False)


def test_while_the_password_is_locked_by_failures_nothing_is_told(lapsed):
    browser = lapsed.browser(REMOTE_ADDR="198.51.100.7")
    browser.get("/sign-in")
    browser.post("/sign-in", user_id="jane")
    browser.get("/sign-in/password")
    for number in range(5):
        assert browser.post("/sign-in/password", password=f"wrong {number}").status_code == 422
    lapsed.base.clock.advance(2 * DAY)  # the classic lock stays until somebody opens it
    answer = at_sign_in(lapsed, lapsed.temporary)
    assert (answer.status_code, LAPSED in answer.text) == (422, False)


def test_who_asks_for_a_link_then_gets_the_letter_that_says_so(lapsed):
    ask(lapsed)
    assert len(links(lapsed)) == 1  # the first
    assert LAPSED in letters(lapsed)[-1]
    assert behind.reasons(lapsed, lapsed.jane.id, "authn_reset_letter_sent") == ["lapsed"]


def test_a_link_that_was_mailed_before_opens_nothing_after_it(one_classic):
    reset(one_classic)
    one_classic.base.clock.advance(DAY - 60)
    ask(one_classic)
    path = links(one_classic)[-1]
    one_classic.base.clock.advance(60)
    browser = one_classic.browser()
    assert browser.get(path).location == f"{FORGOT}?news=over"
    assert browser.post(path).status_code == 409


def test_an_unlock_lets_another_link_be_asked_for_and_opens_nothing_itself(lapsed):
    done = unlock(lapsed)
    assert [factor.value for factor in done.cleared] == ["password"]
    answer = at_sign_in(lapsed, lapsed.temporary)
    assert (answer.status_code, "Ask for a new link." in html.unescape(answer.text)) == (422, True)
    assert behind.reasons(lapsed, lapsed.jane.id, "authn_login_fail") == ["lapsed"]
    owner = lapsed.browser()
    to_new_password(lapsed, owner, reset(lapsed))
    assert owner.post("/sign-in/new-password", new_password=OWN, confirm_password=OWN).status_code == 303
    assert good_until(lapsed) is None


def test_an_unlock_before_its_end_changes_nothing(one_classic):
    temporary = reset(one_classic)
    until = good_until(one_classic)
    assert unlock(one_classic).cleared == ()
    assert good_until(one_classic) == until
    assert behind.signs_in(one_classic, "jane", temporary)


def test_a_recovery_with_two_factors_opens_it(lapsed):
    codes = lapsed.add_codes(lapsed.jane)
    owner = lapsed.browser()
    owner.recover_to_pin_by_code("jane", codes[0])
    lapsed.deliver()
    assert owner.post("/recovery/pin", pin=behind.pins_by_sms(lapsed, PHONE)[-1]).location == "/recovery/password"
    assert "only unlock" not in owner.get("/recovery/password").text.lower()
    assert owner.post("/recovery/unlock").status_code == 409
    owner.get("/recovery/password")
    fields = {"new_password": NEW_PASSWORD + " 7", "confirm_password": NEW_PASSWORD + " 7"}
    assert owner.post("/recovery/password", **fields).status_code == 303
    assert good_until(lapsed) is None
    assert behind.signs_in(lapsed, "jane", NEW_PASSWORD + " 7")


# ---- programs


def test_programs_take_neither_a_temporary_password_nor_a_lapsed_one(one_portal):
    from dataclasses import replace

    open_to_programs = replace(CLASSIC, password=replace(CLASSIC.password, min_length=15), authenticate_user=True)
    assert isinstance(open_to_programs, Policy)
    one_portal.decide(open_to_programs)
    one_portal.jane = one_portal.add("jane", phone=PHONE, email=EMAIL, app=False)
    credentials = build_steps(one_portal.base, one_portal.means).credentials
    visit = Visit("203.0.113.9", "en", "r" * 32)
    temporary = reset(one_portal)

    def refused(password):
        answer = credentials.authenticate(visit, "jane", password)
        assert isinstance(answer, NotAuthenticated)
        return answer

    answer = refused(temporary)
    assert (answer.cause, bool(answer.urls.change_password)) == (Cause.CHANGE_REQUIRED, True)
    one_portal.base.clock.advance(DAY)
    answer = refused(temporary)
    assert (answer.cause, bool(answer.urls.expired_password)) == (Cause.EXPIRED, True)
    assert refused(PASSWORD).cause is Cause.INVALID


# ---- who sees it


def support(portal):
    portal.add("sam", phone="+491700000002", role=Role.SUPPORT)
    browser = portal.browser()
    browser.sign_in(portal, "sam")
    return browser


def test_support_reads_why_and_has_the_one_right_button(lapsed):
    desk = support(lapsed)
    page = Looked(desk.get("/support/people/jane").text)
    assert page.cause == "password_lapsed"
    assert page.remedy == ("unlock", "/support/people/jane/unlock")
    assert page.state("password") == ["locked"]
    assert "change_owed" not in page.also
    at_sign_in(lapsed, lapsed.temporary)
    told = repr(Looked(desk.get("/support/people/jane").text).stories)
    assert "Password refused: it was the temporary one, and not used in its time." in told
    assert "A temporary password was made with the mailed link" in told
    unlock(lapsed)
    page = Looked(desk.get("/support/people/jane").text)
    assert "password_lapsed" not in [page.cause, *page.also]
    assert "new_link" in page.text


def test_support_sees_one_that_is_still_good(one_classic):
    desk = support(one_classic)
    reset(one_classic)
    page = Looked(desk.get("/support/people/jane").text)
    assert "change_owed" in [page.cause, *page.also]
    assert "programs refuse it" in page.text
    assert page.state("password") == ["expired"]


def test_it_stands_on_the_list_of_the_locked_with_its_reason(portal):
    portal.decide(CLASSIC)
    for name in ("jane", "omar", "zoe"):
        portal.add(name, phone=PHONE, email=f"{name}@example.org", app=False)
    portal.add("ada", phone=PHONE, role=Role.ADMINISTRATOR)
    for name in ("jane", "omar"):
        reset(portal, name, f"{name}@example.org")
    portal.base.clock.advance(DAY)
    reset(portal, "zoe", "zoe@example.org")
    unlock(portal, "omar")
    browser = portal.browser()
    browser.sign_in(portal, "ada")
    page = browser.get("/admin/people?list=locked").text
    assert re.findall(r'data-user="([^"]*)"', page) == ["jane"]
    assert "Temporary password not used in its time" in page
    exported = browser.get("/admin/people?list=never-activated").text
    assert re.findall(r'data-user="([^"]*)"', exported) == []


def test_its_owner_reads_it_in_the_history(lapsed):
    at_sign_in(lapsed, lapsed.temporary)
    unlock(lapsed)
    answer(lapsed)
    owner = lapsed.browser()
    to_new_password(lapsed, owner, reset(lapsed))
    owner.post("/sign-in/new-password", new_password=OWN, confirm_password=OWN)
    page = html.unescape(owner.get("/activity").text)
    for told in (
        "A reset link was mailed",
        "A temporary password was made with a mailed link",
        "Sign-in refused: the temporary password was not used in its time",
        "A new password was chosen in place of the temporary one",
    ):
        assert told in page, told
