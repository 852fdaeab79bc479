"""The AUTHENTICATORS page in a real browser: the menus of its rows, and the warning before an idle session ends."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from app.records.sessions.model import IDLE, LIFE
from tests.browser.inspection import faults, narrow_faults
from tests.browser.reception import Reception, receiving
from tests.browser.visitor import NARROW, PHONE, Arrive, Visitor
from tests.services import RedisServer

pytestmark = pytest.mark.browser

_LEFT = re.compile(r"You will be signed out in [12]:[0-9]{2}\.")


@pytest.fixture
def room(sqlite_template: Path, valkey_server: RedisServer, tmp_path: Path) -> Iterator[Reception]:
    """One with Jane, who has an app, a phone and a mailbox."""
    with receiving(sqlite_template, tmp_path, valkey_server) as room:
        room.portal.add("jane", phone="+491700000001", email="jane@example.org")
        yield room


@pytest.fixture
def visitor(arrive: Arrive, room: Reception) -> Visitor:
    """Jane's browser, whose clock a test moves too."""
    came = arrive(room.address, viewport=PHONE)
    came.context.clock.install()
    return came


def dots(page: Page, name: str) -> Locator:
    """The button of a row's menu."""
    return page.get_by_role("button", name=f"Actions for {name}", exact=True)


def item(page: Page, name: str) -> Locator:
    """An item of the menu that is open."""
    return page.get_by_role("main").get_by_role("link", name=name)


# ---- the three dots


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_a_menu_opens_by_keys_and_escape_gives_the_focus_back(visitor: Visitor, room: Reception, key: str) -> None:
    page = room.enter(visitor, "jane").page
    button = dots(page, "Authenticator app Phone")
    button.focus()
    expect(item(page, "Rename")).to_be_hidden()
    page.keyboard.press(key)
    expect(item(page, "Rename")).to_be_visible()
    expect(button).to_have_attribute("aria-expanded", "true")
    expect(button).to_be_focused()
    page.keyboard.press("Tab")
    expect(item(page, "Rename")).to_be_focused()
    page.keyboard.press("Tab")
    expect(item(page, "Disable")).to_be_focused()
    page.keyboard.press("Escape")
    expect(item(page, "Rename")).to_be_hidden()
    expect(button).to_be_focused()
    expect(button).to_have_attribute("aria-expanded", "false")
    page.keyboard.press(key)
    page.keyboard.press(key)
    expect(item(page, "Rename")).to_be_hidden()


def test_an_item_is_followed_by_keys(visitor: Visitor, room: Reception) -> None:
    page = room.enter(visitor, "jane").page
    dots(page, "Password").press("Enter")
    page.keyboard.press("Tab")
    expect(item(page, "Change Password")).to_be_focused()
    page.keyboard.press("Enter")
    visitor.at("/authenticators/password")


def test_a_menu_that_is_left_by_tab_covers_nothing(visitor: Visitor, room: Reception) -> None:
    page = room.enter(visitor, "jane").page
    dots(page, "Password").press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(dots(page, "Authenticator app Phone")).to_be_focused()
    expect(item(page, "Change Password")).to_be_hidden()


def test_a_menu_opens_and_closes_by_clicks_one_at_a_time(visitor: Visitor, room: Reception) -> None:
    page = room.enter(visitor, "jane").page
    dots(page, "Password").click()
    expect(item(page, "Change Password")).to_be_visible()
    dots(page, "Password").click()
    expect(item(page, "Change Password")).to_be_hidden()
    dots(page, "Password").click()
    dots(page, "Recovery codes").click()
    expect(item(page, "Make codes")).to_be_visible()
    expect(item(page, "Change Password")).to_be_hidden()
    page.get_by_role("heading", level=1).click()
    expect(item(page, "Make codes")).to_be_hidden()
    dots(page, "Password").click()
    item(page, "Change Password").click()
    visitor.at("/authenticators/password")


def test_a_menu_opens_by_touch_beside_its_button_and_inside_the_screen(arrive: Arrive, room: Reception) -> None:
    visitor = arrive(room.address, viewport=NARROW, has_touch=True)
    page = room.enter(visitor, "jane").page
    for name, last in (
        ("Password", "Change Password"),
        ("Authenticator app Phone", "Remove"),
        ("E-mail j•••@e•••.org", "Remove"),
    ):
        button = dots(page, name)
        button.tap()
        expect(item(page, last)).to_be_visible()
        menu = page.get_by_role("list").filter(has=page.get_by_role("link", name=last), visible=True).last
        box, beside = menu.bounding_box(), button.bounding_box()
        assert box is not None
        assert beside is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= NARROW["width"]
        assert 0 <= box["y"] - (beside["y"] + beside["height"]) < 10
        assert narrow_faults(page) == []
        page.get_by_role("heading", name=name, exact=True).tap()
        expect(item(page, last)).to_be_hidden()


def test_the_page_with_an_open_menu_is_sound(visitor: Visitor, room: Reception) -> None:
    page = room.enter(visitor, "jane").page
    dots(page, "Authenticator app Phone").click()
    assert faults(page) == []


def test_without_a_script_a_menu_opens_closes_and_leads_on(arrive: Arrive, room: Reception) -> None:
    visitor = arrive(room.address, viewport=PHONE, java_script_enabled=False)
    page = room.enter(visitor, "jane").page
    control = page.get_by_label("Actions for Password")
    expect(item(page, "Change Password")).to_be_hidden()
    control.press("Enter")
    expect(item(page, "Change Password")).to_be_visible()
    control.press("Space")
    expect(item(page, "Change Password")).to_be_hidden()
    control.click()
    item(page, "Change Password").click()
    visitor.at("/authenticators/password")


# ---- the end of a session that is not used


@pytest.fixture
def warned(visitor: Visitor, room: Reception) -> Callable[[], Locator]:
    """Leave the page alone until the warning is there."""

    def leave() -> Locator:
        room.wait(visitor, IDLE - 110)
        warning = visitor.page.get_by_role("dialog", name="Are you still there?")
        expect(warning).to_be_visible()
        return warning

    return leave


def _stay(page: Page) -> Locator:
    return page.get_by_role("dialog").get_by_role("button", name="Stay signed in")


def test_the_warning_comes_two_minutes_before_the_end_and_says_how_long(visitor: Visitor, room: Reception) -> None:
    page = room.enter(visitor, "jane").page
    warning = page.get_by_role("dialog", name="Are you still there?")
    room.wait(visitor, IDLE - 140)
    page.clock.run_for(2_000)
    expect(warning).to_be_hidden()
    room.wait(visitor, 30)
    expect(warning).to_be_visible()
    expect(warning).to_have_accessible_description(_LEFT)
    expect(_stay(page)).to_be_focused()
    assert faults(page) == []
    before = warning.inner_text()
    page.clock.run_for(2_000)
    assert warning.inner_text() != before


def test_the_warning_keeps_the_focus_and_one_press_gives_it_back(
    visitor: Visitor, room: Reception, warned: Callable[[], Locator]
) -> None:
    page = room.enter(visitor, "jane").page
    held = page.get_by_role("main").get_by_role("link", name="Add a phone")
    held.focus()
    warning = warned()
    for key in ("Tab", "Tab", "Shift+Tab", "Shift+Tab", "Shift+Tab"):
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('dialog')")
    _stay(page).click()
    expect(warning).to_be_hidden()
    expect(held).to_be_focused()
    room.wait(visitor, IDLE - 140)  # beyond the first end
    page.clock.run_for(2_000)
    expect(warning).to_be_hidden()
    page.reload()
    visitor.at("/authenticators")


@pytest.mark.parametrize("key", ["Enter", "Space", "Escape"])
def test_a_key_puts_the_end_off_as_well(
    visitor: Visitor, room: Reception, warned: Callable[[], Locator], key: str
) -> None:
    page = room.enter(visitor, "jane").page
    warning = warned()
    page.keyboard.press(key)
    expect(warning).to_be_hidden()
    room.wait(visitor, 200)
    page.reload()
    visitor.at("/authenticators")


def test_what_was_typed_is_still_there_after_the_warning(
    visitor: Visitor, room: Reception, warned: Callable[[], Locator]
) -> None:
    page = room.enter(visitor, "jane").page
    visitor.go("/authenticators/password")
    visitor.field("new_password").fill("half of a sent")
    warned()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(visitor.field("new_password")).to_be_focused()
    page.keyboard.type("ence")
    expect(visitor.field("new_password")).to_have_value("half of a sentence")


def test_whoever_does_nothing_is_signed_out(visitor: Visitor, room: Reception, warned: Callable[[], Locator]) -> None:
    page = room.enter(visitor, "jane").page
    warned()
    room.wait(visitor, 115)
    visitor.at("/sign-in")
    visitor.go("/authenticators")
    visitor.at("/sign-in")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_session_that_ended_elsewhere_is_not_put_off(
    visitor: Visitor, room: Reception, warned: Callable[[], Locator]
) -> None:
    page = room.enter(visitor, "jane").page
    warned()
    room.clock.advance(200)
    _stay(page).click()
    visitor.at("/sign-in")


def test_use_in_another_tab_takes_the_warning_away(
    visitor: Visitor, room: Reception, warned: Callable[[], Locator]
) -> None:
    room.enter(visitor, "jane")
    other = visitor.open_tab()
    other.goto(f"{room.address}/profile")
    warning = warned()
    other.goto(f"{room.address}/activity")
    expect(other.get_by_role("heading", level=1)).to_have_text("ACTIVITY")
    expect(warning).to_be_hidden()


def test_a_press_that_reaches_nobody_says_so_and_may_be_repeated(
    visitor: Visitor, room: Reception, warned: Callable[[], Locator]
) -> None:
    page = room.enter(visitor, "jane").page
    warning = warned()
    visitor.context.set_offline(True)
    _stay(page).click()
    expect(warning.get_by_role("alert")).to_have_text("That did not reach the portal. Please try again.")
    visitor.context.set_offline(False)
    _stay(page).click()
    expect(warning).to_be_hidden()
    visitor.complaints[:] = [one for one in visitor.complaints if "ERR_INTERNET_DISCONNECTED" not in one]


def test_after_eight_hours_it_is_said_that_nothing_more_can_be_put_off(visitor: Visitor, room: Reception) -> None:
    page = room.enter(visitor, "jane").page
    for _ in range(LIFE // 800 - 1):
        room.clock.advance(800)
        assert page.request.get(f"{room.address}/profile").ok
    room.clock.advance(LIFE - LIFE // 800 * 800 + 800 - 130)
    page.reload()
    visitor.at("/authenticators")
    room.wait(visitor, 20)
    warning = page.get_by_role("dialog", name="Are you still there?")
    expect(warning).to_be_visible()
    _stay(page).click()
    expect(warning.get_by_role("alert")).to_contain_text("as long as it may")
    expect(_stay(page)).to_be_hidden()
    close = warning.get_by_role("button", name="Close")
    expect(close).to_be_focused()
    page.keyboard.press("Enter")
    expect(warning).to_be_hidden()
    page.clock.run_for(3_000)
    expect(warning).to_be_hidden()
    room.wait(visitor, 120)
    visitor.at("/sign-in")


def test_without_a_script_the_page_itself_says_when_the_session_ends(arrive: Arrive, room: Reception) -> None:
    visitor = arrive(room.address, viewport=PHONE, java_script_enabled=False)
    page = room.enter(visitor, "jane").page
    expect(page.get_by_text("You stay signed in until 21 September 2026, 14:28 UTC")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
