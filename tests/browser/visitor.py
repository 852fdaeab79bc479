"""Somebody in front of a browser: what they do at each step, and what their browser complains of."""

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page, Request, ViewportSize, expect

from tests.browser.house import House, Person

# a page of 403, 409, 422 or 429 is an answer like any other, but Chromium notes it as a resource that failed
_NOTICE = re.compile(r"Failed to load resource: the server responded with a status of 4(00|03|04|09|22|29) ")
_PAGES = re.compile(r"/(admin|approve|recovery|sessions|sign-in|support|nowhere)(/|$)")

PHONE: ViewportSize = {"width": 390, "height": 844}
NARROW: ViewportSize = {"width": 320, "height": 640}
DESKTOP: ViewportSize = {"width": 1280, "height": 900}


class Visitor:
    """A browser with cookies of its own. What it complains of is kept, and has to be nothing in the end."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.context = context
        self.address = address
        self.complaints: list[str] = []
        context.set_default_timeout(60_000)
        self.page = self.open_tab()

    def open_tab(self) -> Page:
        """Another tab of the same browser."""
        page = self.context.new_page()
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("request", self._see)
        return page

    def _hear(self, message: ConsoleMessage) -> None:
        noticed = _NOTICE.match(message.text) and _PAGES.match(urlsplit(message.location["url"]).path)
        advice = message.text.startswith("[DOM]")  # about forms that password managers would not understand
        if advice or (message.type in {"error", "warning"} and not noticed):
            self.complaints.append(f"{message.type}: {message.text}")

    def _see(self, request: Request) -> None:
        if not request.url.startswith((f"{self.address}/", "data:", "blob:")):
            self.complaints.append(f"another site was asked: {request.url}")

    # ---- what one does

    def go(self, path: str) -> None:
        """Type an address."""
        self.page.goto(f"{self.address}{path}")

    def at(self, path: str) -> None:
        """Wait until the page of this path is there."""
        expect(self.page).to_have_url(f"{self.address}{path}")

    def field(self, name: str) -> Locator:
        """A form's field."""
        return self.page.locator(f"main [name={name}]")

    def button(self, name: str) -> Locator:
        """A button by its words."""
        return self.page.get_by_role("main").get_by_role("button", name=name)

    def press_twice(self, button: str) -> None:
        """Press a button twice, with nothing between: Playwright's own double click waits for what the first does."""
        pressed = self.button(button)
        pressed.scroll_into_view_if_needed()
        box = pressed.bounding_box()
        assert box is not None
        fingers = self.context.new_cdp_session(self.page)
        for count in (1, 2):
            for kind in ("mousePressed", "mouseReleased"):
                at = {"x": box["x"] + 20, "y": box["y"] + 20, "button": "left", "clickCount": count}
                fingers.send("Input.dispatchMouseEvent", {"type": kind, **at})

    @property
    def alert(self) -> Locator:
        """What went wrong."""
        return self.page.get_by_role("main").get_by_role("alert")

    @property
    def said(self) -> Locator:
        """What a screen reader is told without asking."""
        return self.page.locator("main > [role=status]")

    def send(self, button: str = "Continue", **fields: str) -> None:
        """Fill in a form, press its button, and wait until the answer takes the page's place."""
        for name, value in fields.items():
            self.field(name).fill(value)
        with self.page.expect_navigation(wait_until="commit"):
            self.button(button).click()

    # ---- the steps, each by what one sees and clicks

    def to_password(self, user_id: str) -> None:
        """From the front door to the question for the password."""
        self.go("/")
        self.send(user_id=user_id)
        self.at("/sign-in/password")

    def to_token(self, user_id: str) -> None:
        """To the question for the app's code, by the link of the sign-in page."""
        self.to_password(user_id)
        self.page.get_by_role("link", name="Password locked or forgotten?").click()
        self.at("/recovery/token")

    def to_pin(self, person: Person) -> None:
        """To the question for the PIN."""
        self.to_token(person.user_id)
        self.send(code=person.code())
        self.at("/recovery/pin")

    def to_new_password(self, house: House, person: Person) -> None:
        """To the choice of a new password, by SMS."""
        self.to_pin(person)
        self.send(pin=house.text(person).pin)
        self.at("/recovery/password")

    def choose(self, password: str) -> None:
        """Save a new password."""
        self.send("Save the new password", new_password=password, confirm_password=password)


Arrive = Callable[..., Visitor]
