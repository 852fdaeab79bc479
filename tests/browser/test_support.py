"""Five faults, each found by an agent in a real browser from the person's page alone: the sentence, and what helps."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from app.records.cases.model import Kind
from app.records.organizations.model import Role
from tests.browser.inspection import faults, narrow_faults
from tests.browser.reception import Reception, receiving
from tests.browser.visitor import DESKTOP, NARROW, PHONE, Arrive, Visitor
from tests.edges import refuse
from tests.portal import PASSWORD
from tests.services import RedisServer

pytestmark = pytest.mark.browser

_NUMBER, _MAILBOX = "+491700000077", "ana.souza@example.org"


@pytest.fixture
def console(sqlite_template: Path, valkey_server: RedisServer, tmp_path: Path) -> Iterator[Reception]:
    """One with Sam, an agent, and Ana."""
    with receiving(sqlite_template, tmp_path, valkey_server) as console:
        console.portal.add("sam", phone="+491700000001", role=Role.SUPPORT)
        console.portal.add("ana", phone=_NUMBER, email=_MAILBOX)
        yield console


def _own(console: Reception) -> Any:
    """A browser of Ana's own, past the network."""
    return console.portal.browser(HTTP_HOST=console.address.removeprefix("http://"))


def _slow_clock(console: Reception) -> None:
    browser = _own(console)
    browser.recover_to_token("ana")
    assert browser.post("/recovery/token", code=console.portal.code("ana", -3)).status_code == 422


def _lost_messages(console: Reception) -> None:
    browser = _own(console)
    console.portal.phone.plan(refuse(400, 21211), refuse(400, 21211))
    browser.recover_to_pin(console.portal, "ana")
    console.portal.deliver()
    console.portal.base.clock.sleep(31)
    assert browser.post("/recovery/pin/send", channel="sms").status_code == 303
    console.portal.deliver()


def _wrong_passwords(console: Reception) -> None:
    browser = _own(console)
    browser.get("/sign-in")
    browser.post("/sign-in", user_id="ana")
    browser.get("/sign-in/password")
    for n in range(5):
        assert browser.post("/sign-in/password", password=f"not the password {n}").status_code == 422
    assert browser.post("/sign-in/password", password=PASSWORD).status_code == 429


def _old_invitation(console: Reception) -> None:
    console.portal.invite("nina", phone="+491700000088", email="nina@example.org")
    console.portal.base.clock.sleep(80 * 3_600)


def _frozen(console: Reception) -> None:
    portal = console.portal
    with portal.base.database.begin() as transaction:
        person = portal.means.undo.issue(transaction, 2, Kind.PASSWORD, portal.base.clock.now())
    path = "/undo" + person.rpartition("/undo")[2]
    browser = _own(console)
    browser.get(path)
    assert browser.post(path).location == "/undo/choose"


FAULTS: list[tuple[Callable[[Reception], None], str, str, str]] = [
    (_slow_clock, "ana", "because the phone's clock is about 1½ minutes slow", "They should set the phone's clock"),
    (_lost_messages, "ana", "The last 2 PINs by SMS did not arrive: the number is not in service", "by e-mail instead"),
    (_wrong_passwords, "ana", "after 5 wrong passwords.", "button /support/people/ana/unlock"),
    (_old_invitation, "nina", "the invitation ran out on", "button /support/people/nina/resend-activation"),
    (_frozen, "ana", "The account is frozen: the link in a notice was used", "open the link in the newest notice"),
]


def enter(console: Reception, visitor: Visitor) -> Page:
    """Sign in as Sam, and open the tab of support."""
    console.enter(visitor, "sam")
    visitor.page.get_by_role("link", name="SUPPORT").click()
    visitor.at("/support")
    return visitor.page


@pytest.mark.parametrize(("seed", "user_id", "sentence", "help_"), FAULTS, ids=[one[0].__name__ for one in FAULTS])
def test_an_agent_finds_what_is_wrong_from_the_page_alone(console, arrive, seed, user_id, sentence, help_):
    seed(console)
    visitor = arrive(console.address, viewport=DESKTOP)
    page = enter(console, visitor)
    page.get_by_label("User ID, first or last name, or e-mail address").fill(user_id[:3].upper())
    page.keyboard.press("Enter")
    page.get_by_role("main").get_by_role("link", name=user_id, exact=True).click()
    visitor.at(f"/support/people/{user_id}")
    why = page.locator(".why")
    expect(why.locator(".cause")).to_contain_text(sentence)
    remedy = why.locator("[data-remedy]")
    expect(remedy).to_have_count(1)
    if help_.startswith("button "):
        expect(remedy).to_have_attribute("href", help_.removeprefix("button "))
    else:
        expect(remedy).to_contain_text(help_)
    if seed is not _frozen:
        text = page.locator("main").inner_text()
        assert _NUMBER not in text
        assert _MAILBOX not in text
    assert faults(page) == []


def test_the_console_works_without_a_script_and_on_a_narrow_phone(console: Reception, arrive: Arrive) -> None:
    _slow_clock(console)
    visitor = arrive(console.address, viewport=PHONE, java_script_enabled=False)
    page = enter(console, visitor)
    page.get_by_role("searchbox").fill("souza")
    visitor.button("Find").click()
    expect(page.get_by_role("heading", name="Nobody of your organizations begins like this.")).to_be_visible()
    page.get_by_role("searchbox").fill("doe a")
    visitor.button("Find").click()
    page.get_by_role("main").get_by_role("link", name="ana", exact=True).click()
    expect(page.locator(".cause")).to_contain_text("1½ minutes slow")
    page.set_viewport_size(NARROW)
    assert narrow_faults(page) == []
