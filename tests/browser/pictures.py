"""The README's pictures, taken from the running portal: `python -m tests.browser.pictures [FOLDER]`."""

import io
import sys
import time
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, ViewportSize, expect, sync_playwright

from app.foundation.settings import ROOT
from tests.browser.house import STEP, House, Person, demonstrating, serving
from tests.browser.visitor import PHONE, Visitor
from tests.pages.shots import launch
from tests.services import find_oathtool

_NEW = "seven lanterns over the mill"
_EDGE = 20  # pixels below the last thing shown


def _visitor(browser: Browser, address: str, scheme: str, viewport: ViewportSize, scale: float) -> Visitor:
    options: dict[str, Any] = {"viewport": viewport, "color_scheme": scheme, "device_scale_factor": scale}
    return Visitor(browser.new_context(reduced_motion="reduce", locale="en-GB", **options), address)


def _take(visitor: Visitor, path: Path, until: str) -> None:
    """The page from its top to just below the last of these, in at most 256 colours."""
    page = visitor.page
    bottom = page.locator(until).last.evaluate("one => one.getBoundingClientRect().bottom + scrollY")
    width = page.evaluate("document.documentElement.clientWidth")
    clip: Any = {"x": 0, "y": 0, "width": width, "height": bottom + _EDGE}
    with Image.open(io.BytesIO(page.screenshot(full_page=True, clip=clip, caret="hide"))) as taken:
        taken.convert("RGB").quantize(256).save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")  # noqa: T201


def _slow_clock(browser: Browser, house: House, person: Person, path: Path) -> None:
    while time.time() % STEP > STEP / 2:  # else the step may pass, and the clock be off by another half-minute
        time.sleep(0.2)
    visitor = _visitor(browser, house.address, "light", PHONE, 2)
    visitor.to_token(person.user_id)
    visitor.send(code=person.code(late=3))
    expect(visitor.alert).to_contain_text("1½ minutes slow")
    _take(visitor, path, ".card")


def _pin_and_password(browser: Browser, house: House, person: Person, pin: Path, password: Path) -> None:
    visitor = _visitor(browser, house.address, "dark", PHONE, 2)
    visitor.to_pin(person)
    text = house.text(person)
    house.phone.tell(text.sid, "delivered")
    expect(visitor.page.get_by_text("Delivered to your phone").first).to_be_visible()
    visitor.field("pin").fill(text.pin)
    _take(visitor, pin, ".card")
    visitor.page.emulate_media(color_scheme="light")
    visitor.send(pin=text.pin)
    visitor.at("/recovery/password")
    visitor.field("new_password").fill(_NEW)
    expect(visitor.page.locator("#rules .met")).to_have_count(2)
    _take(visitor, password, ".card")


def _authenticators(browser: Browser, house: House, person: Person, path: Path) -> None:
    visitor = _visitor(browser, house.address, "light", {"width": 1000, "height": 900}, 1)
    visitor.to_password(person.user_id)
    visitor.send(password=person.password)
    visitor.send(code=person.code())
    visitor.at("/authenticators")
    _take(visitor, path, ".ready")


def _demo(browser: Browser, address: str, path: Path) -> None:
    desk = _visitor(browser, address, "light", {"width": 1280, "height": 900}, 1)
    desk.go("/demo")
    visitor = _visitor(browser, address, "light", PHONE, 1)
    visitor.to_token("jane")
    visitor.send(code=desk.page.locator("[data-person=jane] [data-code]").inner_text())
    visitor.at("/recovery/pin")
    visitor.send(pin=desk.page.locator("[data-inbox=sms] .pin").inner_text())
    visitor.at("/recovery/password")
    visitor.choose(_NEW)
    visitor.at("/recovery/done")
    expect(desk.page.locator("[data-inbox=sms] li")).to_have_count(2)
    expect(desk.page.locator("[data-inbox=email] li")).to_have_count(2)  # with the invitation
    desk.page.reload()  # so that nothing is marked as new
    _take(desk, path, ".phone")


def main(folder: Path) -> None:
    """All of them."""
    folder.mkdir(parents=True, exist_ok=True)
    expect.set_options(timeout=20_000)
    with sync_playwright() as playwright:
        browser = launch(playwright)
        with serving(find_oathtool(), ["jane", "ana", "omar"]) as house:
            _slow_clock(browser, house, house.somebody(), folder / "clock-phone.png")
            _authenticators(browser, house, house.somebody(), folder / "authenticators-desktop.png")
            one = house.somebody()
            _pin_and_password(browser, house, one, folder / "pin-phone-dark.png", folder / "password-phone.png")
        with demonstrating() as address:
            _demo(browser, address, folder / "demo-desktop.png")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "pictures")
