"""Two agents and Ana in real browsers: she approves one named action, and recovers a day later by an access code."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.records.organizations.model import Role
from tests.browser.inspection import faults, narrow_faults
from tests.browser.reception import Reception, receiving
from tests.browser.visitor import DESKTOP, NARROW, PHONE, Arrive, Visitor
from tests.journeys.behind import pins_by_sms
from tests.portal import PASSWORD
from tests.services import RedisServer

pytestmark = pytest.mark.browser

NUMBER, MAILBOX = "+491700000077", "ana.souza@example.org"
REASON = "Ana lost her phone on the train"
NEW = "seven lanterns over the mill"
DAY = 86_400
_WORDS = re.compile(r"^[a-z]+(?:-[a-z]+){5}$", re.MULTILINE)
_CODE = re.compile(r"^[0-9A-Z]{4}(?:-[0-9A-Z]{4}){2}$", re.MULTILINE)
_CANCEL = re.compile(r"http://[^/]+(/approve/cancel/\S+)")


@pytest.fixture
def desk(sqlite_template: Path, valkey_server: RedisServer, tmp_path: Path) -> Iterator[Reception]:
    """One with two agents, and Ana."""
    with receiving(sqlite_template, tmp_path, valkey_server) as desk:
        for number, name in enumerate(("sam", "tess")):
            desk.portal.add(name, phone=f"+49171000000{number}", role=Role.SUPPORT)
        desk.portal.add("ana", phone=NUMBER, email=MAILBOX)
        yield desk


def letters(desk: Reception) -> list[str]:
    """What was mailed to Ana."""
    desk.portal.deliver()
    return [letter.text for letter in desk.portal.mailbox.to(MAILBOX)]


def newest(desk: Reception, wanted: re.Pattern[str]) -> str:
    """What the newest letter that has it says."""
    found = [one for text in letters(desk) for one in wanted.finditer(text)][-1]
    return found[found.re.groups]


def asks(desk: Reception, agent: Visitor, action: str) -> Page:
    """Sam finds Ana, chooses what to ask for, and asks for it at her mailbox."""
    page = agent.page
    page.get_by_role("link", name="SUPPORT").click()
    page.get_by_role("searchbox").fill("ana")
    agent.button("Find").click()
    page.get_by_role("main").get_by_role("link", name="ana", exact=True).click()
    page.get_by_text("All that can be asked for").click()
    page.locator(f".deeds a[href$='/{action}']").click()
    agent.at(f"/support/people/ana/{action}")
    page.get_by_label("a•••@e•••.org").check()
    agent.send("Ask for it", reason=REASON)
    expect(page.locator("[data-request]")).to_have_attribute("data-state", "asked")
    return page


def reads(desk: Reception, ana: Visitor) -> Page:
    """Ana opens the page herself and enters the words, as they stand in the letter."""
    ana.go("/approve")
    ana.send(code=newest(desk, _WORDS).replace("-", " ").upper())
    ana.at("/approve/decide")
    return ana.page


def seconds(desk: Reception, agent: Visitor) -> None:
    """Tess looks at what waits for her, and agrees."""
    page = agent.page
    page.get_by_role("link", name="SUPPORT").click()
    page.get_by_role("navigation", name="Support").get_by_role("link", name="Approvals").click()
    agent.at("/support/approvals")
    page.get_by_role("link", name="Look at it: ana").click()
    expect(page.get_by_text(REASON)).to_be_visible()
    agent.send("Confirm as the second agent")
    agent.at("/support/approvals")
    expect(page.get_by_text("You agreed as the second agent.")).to_be_visible()
    expect(page.get_by_text("Nothing waits for a second agent.")).to_be_visible()


@pytest.mark.parametrize("scripted", [True, False], ids=["scripts", "no-scripts"])
def test_whoever_lost_the_app_gets_in_by_an_access_code_that_two_agents_and_she_agreed_on(
    desk: Reception, arrive: Arrive, scripted: bool
) -> None:
    size = DESKTOP if scripted else PHONE
    look: Callable[[Page], list[str]] = faults if scripted else narrow_faults
    sam, tess = (arrive(desk.address, viewport=size, java_script_enabled=scripted) for _ in range(2))
    ana = arrive(desk.address, viewport=PHONE if scripted else NARROW, java_script_enabled=scripted)
    page = asks(desk, desk.enter(sam, "sam"), "access-code")
    assert look(page) == []
    assert sam.button("Carry it out").count() == 0

    page = reads(desk, ana)
    told = page.get_by_role("main")
    for said in ("Sam Doe", "default", "Send a temporary access code.", REASON, "If they called you, stop."):
        expect(told).to_contain_text(said)
    assert look(page) == []
    ana.send("Approve just this")
    ana.at("/approve/done")
    expect(told).to_contain_text("The PIN after it goes to another contact of yours.")
    assert look(page) == []
    ana.go("/approve")
    ana.send(code=newest(desk, _WORDS))
    expect(ana.alert).to_be_visible()  # the words approve once

    seconds(desk, desk.enter(tess, "tess"))
    assert look(tess.page) == []
    sam.page.reload()
    expect(sam.page.get_by_text("In its waiting time")).to_be_visible()
    assert sam.button("Carry it out").count() == 0
    assert "Not before: 22 September 2026" in letters(desk)[-1]
    texts = [text.body for text in desk.portal.phone.to(NUMBER)]
    assert len([text for text in texts if _CANCEL.search(text)]) == 3  # asked for, approved, agreed
    desk.clock.advance(DAY)
    desk.enter(sam, "sam").go("/support/people/ana/access-code")
    sam.send("Carry it out")
    expect(sam.page.locator("[data-request]")).to_have_attribute("data-state", "done")
    code = newest(desk, _CODE)
    assert code not in sam.page.content()

    page = ana.page
    ana.to_token("ana")
    page.get_by_role("link", name="I don't have my authenticator app").click()
    page.get_by_role("link", name="Enter a saved recovery code").click()
    ana.send(code=code.lower())
    ana.at("/recovery/pin")
    expect(page.locator("[data-destination]").first).to_have_attribute("data-destination", "••• ••• 77")
    expect(page.get_by_text("a•••@e•••.org")).to_have_count(0)  # where she approved, no PIN goes
    assert look(page) == []
    desk.portal.deliver()
    ana.send(pin=pins_by_sms(desk.portal, NUMBER)[-1])
    ana.at("/recovery/password")
    ana.choose(NEW)
    ana.at("/recovery/done")
    assert not any(re.search("^[0-9]{6,8}$", text, re.MULTILINE) for text in letters(desk))
    desk.enter(ana, "ana", NEW)


def test_a_link_in_a_notice_cancels_what_two_agents_and_the_words_allowed(desk: Reception, arrive: Arrive) -> None:
    sam, tess, ana = (arrive(desk.address, viewport=size) for size in (DESKTOP, DESKTOP, PHONE))
    asks(desk, desk.enter(sam, "sam"), "access-code")
    reads(desk, ana)
    ana.send("Approve just this")
    seconds(desk, desk.enter(tess, "tess"))
    ana.go(newest(desk, _CANCEL))
    expect(ana.page.get_by_role("main")).to_contain_text("Sam Doe")
    assert faults(ana.page) == []
    ana.send("Cancel it")
    expect(ana.page.get_by_role("heading", level=1)).to_have_text("It is cancelled")
    desk.clock.advance(DAY)
    page = desk.enter(sam, "sam").page
    sam.go("/support/people/ana/access-code")
    expect(page.locator("[data-request]")).to_have_attribute("data-state", "cancelled")
    expect(sam.button("Carry it out")).to_have_count(0)
    assert not any(_CODE.search(text) for text in letters(desk))


def test_ana_is_unlocked_once_she_approved_it(desk: Reception, arrive: Arrive) -> None:
    sam, ana = arrive(desk.address, viewport=PHONE), arrive(desk.address, viewport=PHONE, java_script_enabled=False)
    ana.to_password("ana")
    for n in range(5):
        ana.send(password=f"not the password {n}")
        expect(ana.alert).to_be_visible()
    ana.send(password=PASSWORD)
    expect(ana.alert).to_contain_text("There were too many tries.")
    desk.enter(sam, "sam").go("/support/people/ana/unlock")
    sam.send("Ask for it", reason=REASON)
    group = sam.page.get_by_role("group", name="Where the person can be reached")
    expect(group.get_by_role("radio").first).to_be_focused()
    expect(group).to_have_accessible_description(re.compile("contact"))
    page = asks(desk, sam, "unlock")
    reads(desk, ana)
    expect(ana.page.get_by_role("main")).to_contain_text("Unlock the account")
    ana.send("Approve just this")
    page.reload()
    sam.send("Carry it out")
    expect(page.locator("[data-request]")).to_have_attribute("data-state", "done")
    ana.to_password("ana")
    ana.send(password=PASSWORD)
    ana.at("/sign-in/verify")
