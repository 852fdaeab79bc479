"""The whole recovery with nothing but keys: everything can be reached, seen when reached, and left again."""

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.house import House
from tests.browser.visitor import PHONE, Arrive, Visitor

pytestmark = pytest.mark.browser

NEW = "seven lanterns over the mill"
_MOST = 40  # stops on a page

# what has the focus: its name, and what keeps one from seeing that it has it
_FOCUS = """() => {
    const one = document.activeElement;
    if (one === document.body) return ["", ""];
    const [style, box] = [getComputedStyle(one), one.getBoundingClientRect()];
    const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
    const name = `${one.localName} ${one.name || one.textContent.trim().slice(0, 40)}`;
    if (style.outlineStyle !== "solid" || parseFloat(style.outlineWidth) < 3) return [name, "no ring"];
    const inside = box.top >= 0 && box.bottom <= innerHeight && box.left >= 0 && box.right <= innerWidth;
    if (!inside) return [name, "out of sight"];
    return [name, top && (one.contains(top) || top.contains(one)) ? "" : "covered"];
}"""
_STOPS = """() => [...document.querySelectorAll("a[href], button, input, summary, [tabindex='0']")]
    .filter((one) => one.tabIndex >= 0 && one.type !== "hidden" && one.checkVisibility())
    .map((one) => `${one.localName} ${one.name || one.textContent.trim().slice(0, 40)}`)"""


@pytest.fixture
def visitor(arrive: Arrive, house: House) -> Visitor:
    """Somebody with a small screen and a clipboard."""
    return arrive(house.address, viewport=PHONE, permissions=["clipboard-read", "clipboard-write"])


def stop(page: Page, key: str = "Tab") -> str:
    """Go to the next stop, where the focus has to be seen, and name it; empty where it left the page."""
    page.keyboard.press(key)
    name, wrong = page.evaluate(_FOCUS)
    assert not wrong, f"{name}: {wrong}"
    return str(name)


def reach(page: Page, wanted: Locator) -> None:
    """Tab until it has the focus."""
    expect(wanted).to_be_visible()
    for _ in range(_MOST):
        stop(page)
        if wanted.evaluate("one => one === document.activeElement"):
            return
    raise AssertionError(f"{wanted} cannot be reached")


def around(page: Page, key: str) -> list[str]:
    """Every stop on the way once around the page, beginning with the link past the top, the first on each."""
    stops: list[str] = []
    for _ in range(_MOST):
        name = stop(page, key)
        if not name:
            continue  # between the last and the first the focus is nowhere
        if not stops:
            page.evaluate("window.firstStop = document.activeElement")
        elif page.evaluate("document.activeElement === window.firstStop"):
            top = stops.index("a Skip to the content")
            return stops[top:] + stops[:top]
        stops.append(name)
    raise AssertionError(f"there is no way out: {stops}")


def paste(page: Page, field: Locator, text: str) -> None:
    """Paste into the field that has the focus."""
    expect(field).to_be_focused()
    page.evaluate("text => navigator.clipboard.writeText(text)", text)
    page.keyboard.press("Control+A")
    page.keyboard.press("Control+V")
    expect(field).to_have_value(text)


def test_the_first_stop_leads_past_the_top_of_the_page(visitor: Visitor) -> None:
    """WCAG 2.2, 2.4.1; it is there for those who need it, and seen by nobody else."""
    visitor.go("/recovery/other-ways")
    skip = visitor.page.get_by_role("link", name="Skip to the content")
    box = skip.bounding_box()
    assert box
    assert box["width"] <= 1
    assert stop(visitor.page) == "a Skip to the content"
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.locator("#content")).to_be_focused()
    visitor.page.keyboard.press("Tab")
    assert visitor.page.evaluate("document.querySelector('#content').contains(document.activeElement)")


def test_a_password_is_recovered_with_keys_alone(visitor: Visitor, house: House) -> None:
    person, page = house.somebody(), visitor.page
    visitor.go("/")
    expect(visitor.field("user_id")).to_be_focused()
    page.keyboard.press("Enter")  # nothing was typed
    expect(visitor.alert).to_contain_text("Enter your User ID.")
    paste(page, visitor.field("user_id"), person.user_id)
    page.keyboard.press("Enter")

    visitor.at("/sign-in/password")
    paste(page, visitor.field("password"), "not this one")
    reach(page, visitor.button("Show password"))
    page.keyboard.press("Space")
    expect(visitor.field("password")).to_have_attribute("type", "text")
    expect(visitor.button("Hide password")).to_be_focused()
    reach(page, visitor.button("Continue"))
    page.keyboard.press("Space")
    expect(visitor.alert).to_contain_text("The User ID or the password is not right.")
    expect(visitor.field("password")).to_be_focused()
    reach(page, page.get_by_role("link", name="Password locked or forgotten?"))
    page.keyboard.press("Enter")

    visitor.at("/recovery/token")
    paste(page, visitor.field("code"), person.wrong_code())
    page.keyboard.press("Enter")
    expect(visitor.alert).to_contain_text("This code was not accepted.")
    code = person.code()
    paste(page, visitor.field("code"), f"{code[:3]} {code[3:]}")
    reach(page, visitor.button("Continue"))
    page.keyboard.press("Enter")

    visitor.at("/recovery/pin")
    house.text(person)
    expect(visitor.field("pin")).to_be_focused()
    reach(page, visitor.button("Send a new PIN"))
    page.keyboard.press("Space")  # too soon: it can be reached and read, and does nothing
    reach(page, visitor.button("Send it by e-mail"))
    page.keyboard.press("Enter")
    expect(page.locator("#pin-hint")).to_contain_text("by e-mail")
    pin = house.mail(person).pin
    wrong = f"{(int(pin) + 1) % 10**8:08}"
    paste(page, visitor.field("pin"), f"{wrong[:4]} {wrong[4:]}")
    page.keyboard.press("Enter")
    expect(visitor.alert).to_contain_text("This is not the PIN that we sent last.")
    paste(page, visitor.field("pin"), f" {pin[:4]} {pin[4:]} ")
    page.keyboard.press("Enter")

    visitor.at("/recovery/password")
    expect(page.locator("body")).to_be_focused()  # the rules come first
    reach(page, visitor.field("new_password"))
    paste(page, visitor.field("new_password"), "too short")
    page.keyboard.press("Enter")
    expect(visitor.alert).to_contain_text("It has fewer than 12 characters.")
    paste(page, visitor.field("new_password"), NEW)
    reach(page, visitor.field("confirm_password"))
    paste(page, visitor.field("confirm_password"), NEW)
    reach(page, visitor.button("Save the new password"))
    page.keyboard.press("Space")

    visitor.at("/recovery/done")
    house.text(person, 2)
    house.mail(person, 2)
    reach(page, page.get_by_role("main").get_by_role("link", name="Sign in"))
    page.keyboard.press("Enter")
    visitor.at("/sign-in")
    page.keyboard.type(person.user_id)
    page.keyboard.press("Enter")
    visitor.at("/sign-in/password")
    page.keyboard.type(NEW)
    page.keyboard.press("Enter")
    visitor.at("/sign-in/verify")


def test_on_every_step_tab_goes_through_everything_and_back_again(visitor: Visitor, house: House) -> None:
    person, page = house.somebody(), visitor.page

    def check() -> None:
        forth = around(page, "Tab")
        assert forth == page.evaluate(_STOPS)
        back = around(page, "Shift+Tab")
        assert [back[0], *back[:0:-1]] == forth

    visitor.to_password(person.user_id)
    check()
    page.get_by_role("link", name="Password locked or forgotten?").press("Enter")
    visitor.at("/recovery/token")
    check()
    visitor.field("code").fill(person.code())
    visitor.field("code").press("Enter")
    visitor.at("/recovery/pin")
    check()
    visitor.field("pin").fill(house.text(person).pin)
    visitor.field("pin").press("Enter")
    visitor.at("/recovery/password")
    check()
    page.locator("details.help summary").press("Enter")
    check()
    assert "a +49 30 5550 100" in around(page, "Tab")


def test_a_focus_that_cannot_be_seen_is_noticed(visitor: Visitor) -> None:
    visitor.go("/sign-in")
    hide = {
        "no ring": "one => { one.style.outline = 'none'; }",
        "covered": "one => { const lid = document.createElement('p'); lid.style.position = 'fixed';"
        " lid.style.inset = '0'; document.body.append(lid); }",
        "out of sight": "one => { one.style.position = 'fixed'; one.style.top = '-99px'; }",
    }
    for wrong, change in hide.items():
        visitor.page.reload()
        expect(visitor.field("user_id")).to_be_focused()
        visitor.button("Continue").evaluate(change)
        with pytest.raises(AssertionError, match=wrong):
            stop(visitor.page)
