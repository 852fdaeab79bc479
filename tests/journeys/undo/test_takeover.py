"""The takeover drill: a thief with somebody's password and phone changes all there is, through the doors.

The owner has the mailbox, the old app or a saved code, and the first notice that came (security rules 5 and 6).
"""

import re

import pytest

from app.factors.totp import rules as totp
from app.factors.totp.service import from_base32
from app.records.people.model import Status
from tests.journeys import behind
from tests.journeys.undo.conftest import EMAIL, PHONE, THIEFS_EMAIL, THIEFS_PASSWORD, THIEFS_PHONE, Case
from tests.portal import NEW_PASSWORD, PASSWORD

HOME = "/authenticators"
ADDRESS = {"REMOTE_ADDR": "203.0.113.66"}
DAY = 86_400


class Thief:
    """Signs in by the password and an SMS, and proves that again as often as it is asked for."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.portal = case.portal
        self.password = PASSWORD
        self.seed = b""

    def signed_in(self):
        """Past the windows of the limits, with a fresh proof."""
        self.case.later(1_000)
        self.portal.deliver()
        browser = self.portal.browser(**ADDRESS)
        browser.sign_in_by_pin(self.portal, "jane", PHONE, self.password)
        return browser

    def change_password(self) -> None:
        browser = self.signed_in()
        page = f"{HOME}/password"
        browser.get(page)
        chosen = THIEFS_PASSWORD
        fields = {"current_password": self.password, "new_password": chosen, "confirm_password": chosen}
        assert browser.post(page, **fields, everywhere="yes").status_code == 303
        self.password = chosen

    def add_app(self) -> None:
        browser = self.signed_in()
        page = f"{HOME}/app/new"
        shown = re.search(r'data-totp-key="([A-Z2-7 ]+)"', browser.get(page).text)
        assert shown
        self.seed = from_base32(shown[1])
        assert browser.post(page, label="Thief's", code=self.shows()).status_code == 303

    def shows(self) -> str:
        return totp.hotp(self.seed, totp.step_at(self.case.now))

    def add_contact(self, kind: str, to: str) -> None:
        browser = self.signed_in()
        page = f"{HOME}/{kind}/new"
        browser.get(page)
        assert browser.post(page, **{kind: to}).location == f"{page}/confirm"
        browser.get(f"{page}/confirm")
        self.portal.deliver()
        assert browser.post(f"{page}/confirm", pin=self.portal.last_pin(to)).status_code == 303

    def make_codes(self) -> None:
        browser = self.signed_in()
        page = f"{HOME}/recovery-codes"
        browser.get(page)
        assert browser.post(page).status_code == 303

    def remove_old_app(self) -> int:
        """Tried by a session of the new app."""
        browser = self.signed_in_by_app()
        old = next(one.id for one in self.case.all_apps() if one.label == "Phone")
        page = f"{HOME}/app/{old}/remove"
        browser.get(page)
        return int(browser.post(page).status_code)

    def signed_in_by_app(self):
        self.case.later(1_000)
        browser = self.portal.browser(**ADDRESS)
        browser.sign_in_to_verify("jane", self.password)
        assert browser.post("/sign-in/verify", code=self.shows()).status_code == 303
        return browser

    def take_over(self) -> None:
        """Everything at once, and what has to wait as soon as it may."""
        self.change_password()
        self.add_app()
        self.add_contact("email", THIEFS_EMAIL)
        self.add_contact("phone", THIEFS_PHONE)
        self.make_codes()


@pytest.mark.parametrize("by", ["app", "code"])
@pytest.mark.parametrize("after", [0, 2 * DAY, 6 * DAY])
def test_the_owner_takes_the_account_back_by_the_first_notice_and_an_older_factor(case, after, by):
    portal = case.portal
    codes = case.make_codes()
    case.later()
    thief = Thief(case)
    thief.take_over()
    case.later(after)
    session = thief.signed_in() if not after else thief.signed_in_by_app()
    assert session.get(HOME).status_code == 200

    owner = case.press(case.links(EMAIL)[0])
    assert case.person.status is Status.FROZEN
    assert session.get(HOME).location == "/sign-in"
    if by == "app":
        assert case.prove(owner).location == "/undo/decide"
    else:
        assert owner.post("/undo/code", code=codes[0]).location == "/undo/decide"
    assert owner.post("/undo/decide", decision="roll_back").location == "/undo/done"

    assert case.contacts() == {PHONE, EMAIL}
    assert case.apps() == {"Phone": "active", "Thief's": "removed"}
    assert behind.sessions(portal, case.jane.id) == []
    for password in (PASSWORD, THIEFS_PASSWORD):
        assert not behind.signs_in(portal, "jane", password)
    case.later(1_000)
    portal.deliver()
    browser = portal.browser()
    browser.recover_to_token("jane")
    assert browser.post("/recovery/token", code=thief.shows()).status_code == 422
    case.later()
    browser.recover_to_pin(portal, "jane")
    browser.post("/recovery/pin/send", channel="email")
    portal.deliver()
    assert browser.post("/recovery/pin", pin=portal.last_pin(EMAIL)).location == "/recovery/password"
    fields = {"new_password": NEW_PASSWORD, "confirm_password": NEW_PASSWORD}
    assert browser.post("/recovery/password", **fields).location == "/recovery/done"
    assert behind.signs_in(portal, "jane", NEW_PASSWORD)


def test_what_is_new_removes_nothing_older_for_a_day_and_then_not_for_good(case):
    thief = Thief(case)
    thief.take_over()
    assert thief.remove_old_app() != 303
    assert case.apps()["Phone"] == "active"
    case.later(DAY)
    assert thief.remove_old_app() == 303
    assert case.apps()["Phone"] == "removed"
    owner = case.press(case.links(EMAIL)[0])
    assert case.prove(owner).location == "/undo/decide"
    assert owner.post("/undo/decide", decision="roll_back").location == "/undo/done"
    assert case.apps() == {"Phone": "active", "Thief's": "removed"}


def test_every_change_reaches_every_contact_that_was_there_before_and_each_notice_freezes(case):
    thief = Thief(case)
    thief.take_over()
    links = case.links(EMAIL)
    assert len(set(links)) == 5
    assert case.links(THIEFS_EMAIL) == []
    for link in links:
        assert case.portal.browser().get(link).status_code == 200


@pytest.mark.parametrize("deed", ["remove", "disable"])
@pytest.mark.parametrize(("ticked", "status"), [({}, 303), ({"stolen": "yes"}, 422)])
def test_an_app_that_was_put_away_because_the_phone_was_stolen_does_not_undo_that(case, deed, ticked, status):
    """The notice of it reaches the stolen phone, which shows codes still."""
    portal = case.portal
    codes = case.make_codes()
    case.later()
    owner = portal.browser()
    owner.sign_in_to_verify("jane")
    owner.get("/sign-in/code")
    assert owner.post("/sign-in/code", code=codes[0]).status_code == 303
    (app,) = case.all_apps()
    already = len(case.links(PHONE))
    owner.get(f"{HOME}/app/{app.id}/{deed}")
    assert owner.post(f"{HOME}/app/{app.id}/{deed}", everywhere="yes", **ticked).status_code == 303
    case.later()
    thief = case.press(case.links(PHONE)[already])
    assert case.prove(thief).status_code == status
    case.later(600)
    owner = case.press(case.links(EMAIL)[-1])
    assert owner.post("/undo/code", code=codes[1]).location == "/undo/decide"
    assert owner.post("/undo/decide", decision="roll_back").location == "/undo/done"
    kept = {"remove": "removed", "disable": "disabled"}[deed]
    assert case.apps() == {"Phone": kept if ticked else "active"}
