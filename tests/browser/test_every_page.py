"""Every page of the portal in the states that a walk brings it to: accessible, narrow, the same frame, no complaint."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.house import House
from tests.browser.inspection import faults
from tests.browser.visitor import DESKTOP, Arrive, Visitor

pytestmark = pytest.mark.browser

NEW = "seven lanterns over the mill"


class Inspector:
    """Goes along, looks at each page and writes down what is wrong."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def look(self, page: Page, title: str) -> None:
        """The page is the one of this title, and is looked at."""
        expect(page).to_have_title(f"{title} \N{EN DASH} Keyturn")
        self.found += [f"{title}: {fault}" for fault in faults(page)]


@pytest.fixture
def inspector() -> Inspector:
    """One for the test."""
    return Inspector()


def test_every_page_of_a_recovery_is_sound(arrive: Arrive, house: House, inspector: Inspector) -> None:
    visitor = arrive(house.address, viewport=DESKTOP)
    person, page = house.somebody(), visitor.page
    visitor.go("/")
    inspector.look(page, "Sign in")
    visitor.send(user_id="")
    inspector.look(page, "Error: Sign in")
    visitor.send(user_id=person.user_id)
    inspector.look(page, "Enter your password")
    visitor.send(password="not this one")
    inspector.look(page, "Error: Enter your password")
    visitor.go("/recovery?user_id=lindqvist")
    inspector.look(page, "Password locked or forgotten?")
    visitor.go("/recovery/token")
    page.locator("details.help summary").click()
    inspector.look(page, "Enter the code from your app")
    visitor.send(code=person.wrong_code())
    inspector.look(page, "Error: Enter the code from your app")
    visitor.send(code=person.code(late=5))
    expect(visitor.alert).to_contain_text("minutes slow")
    inspector.look(page, "Error: Enter the code from your app")
    page.get_by_role("link", name="I don't have my authenticator app").click()
    inspector.look(page, "Without your authenticator app")
    page.get_by_role("link", name="Back to the code from your app").click()
    visitor.send(code=person.code())
    visitor.at("/recovery/pin")
    inspector.look(page, "Enter your one-time PIN")
    text = house.text(person)
    visitor.send(pin="000000" if text.pin != "000000" else "111111")
    inspector.look(page, "Error: Enter your one-time PIN")
    house.phone.tell(text.sid, "undelivered", 30003)
    expect(page.get_by_text("Could not be delivered", exact=True)).to_be_visible()
    inspector.look(page, "Error: Enter your one-time PIN")
    visitor.button("Send it by e-mail").click()
    expect(page.get_by_text("Accepted by the mail service")).to_be_visible()
    inspector.look(page, "Enter your one-time PIN")
    visitor.send(pin=house.mail(person).pin)
    inspector.look(page, "Choose a new password")
    visitor.field("new_password").fill("twelve and more")
    expect(page.locator("#rules .met")).to_have_count(2)
    inspector.look(page, "Choose a new password")
    visitor.send("Save the new password", confirm_password="another")
    inspector.look(page, "Error: Choose a new password")
    expect(visitor.alert).to_contain_text("The two fields are not the same.")
    visitor.choose(NEW)
    inspector.look(page, "Your password is changed")
    visitor.to_password(person.user_id)
    visitor.send(password=NEW)
    inspector.look(page, "Prove that it is you")
    house.text(person, 2)
    house.mail(person, 2)
    assert "\n".join(inspector.found) == ""


def test_every_page_that_refuses_is_sound(visitor: Visitor, arrive: Arrive, house: House, inspector: Inspector) -> None:
    person, page = house.somebody(), visitor.page
    visitor.go("/nowhere")
    inspector.look(page, "There is no such page")
    visitor.to_pin(person)
    text = house.text(person)
    for guess in ("000001", "000002", "000003", "000004"):
        visitor.send(pin=guess if guess != text.pin else "000005")
        expect(visitor.alert).to_be_visible()
    other = visitor.open_tab()
    other.goto(f"{house.address}/recovery/pin")
    visitor.send(pin="000006" if text.pin != "000006" else "000005")
    inspector.look(page, "No tries are left")
    visitor.page = other
    visitor.send(pin=text.pin)  # the right one, too late
    inspector.look(other, "No tries are left")

    blocked = arrive(house.address)
    blocked.to_password(person.user_id)
    for guess in ("one", "two", "three", "four", "five", "six"):
        blocked.send(password=guess)
        expect(blocked.alert).to_be_visible()
    expect(blocked.alert).to_contain_text("There were too many tries.")
    inspector.look(blocked.page, "Error: Enter your password")
    blocked.context.clear_cookies()
    blocked.send(password="seven")
    inspector.look(blocked.page, "Cookies are blocked")
    assert "\n".join(inspector.found) == ""


def test_a_planted_fault_of_each_kind_is_found(visitor: Visitor, inspector: Inspector) -> None:
    visitor.go("/sign-in")
    visitor.page.evaluate(
        """() => {
            const [input, small, text] = ["input", "button", "p"].map((name) => document.createElement(name));
            input.style.width = "200vw";
            small.textContent = "x";
            Object.assign(small.style, { minBlockSize: "0", blockSize: "20px", inlineSize: "20px", padding: "0" });
            text.style.color = "light-dark(#16202c, #777)";
            text.textContent = "Hardly to be read in the dark";
            document.querySelector("main").append(input, small, text);
            document.querySelector("header").before(document.querySelector("footer"));
        }"""
    )
    inspector.look(visitor.page, "Sign in")
    found = "\n".join(inspector.found)
    for wrong in ("label: ", "color-contrast: ", "pixels too wide", "is 20 by 20", "the frame is footer"):
        assert wrong in found


def test_what_the_browser_complains_of_is_heard(arrive: Arrive, house: House) -> None:
    visitor = arrive(house.address)
    visitor.go("/sign-in")
    visitor.page.evaluate(
        """() => {
            const style = document.createElement("style");
            style.textContent = "p { color: red }";
            document.head.append(style);
            const picture = document.createElement("img");
            picture.src = "https://elsewhere.test/picture.png";
            document.body.append(picture);
            setTimeout(() => { throw new Error("on purpose"); });
        }"""
    )
    with visitor.page.expect_event("console"):
        visitor.page.evaluate("console.warn('the last one')")
    heard = "\n".join(visitor.complaints)
    visitor.complaints.clear()
    for wrong in ("style-src", "img-src", "on purpose", "the last one"):
        assert wrong in heard
