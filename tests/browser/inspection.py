"""What is wrong with a page as it stands in the browser now."""

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.visitor import NARROW

# AAA for text (7:1) and the size of targets are off in axe unless asked for
_EVERYTHING = {
    "rules": {"color-contrast-enhanced": {"enabled": True}, "target-size": {"enabled": True}},
    "resultTypes": ["violations"],
}
_COLOURS = {
    "runOnly": {"type": "rule", "values": ["color-contrast", "color-contrast-enhanced"]},
    "resultTypes": ["violations"],
}

# WCAG 2.5.8: at least 24 by 24 CSS pixels, but for links in the middle of a sentence
_SMALL = """() => [...document.querySelectorAll("a[href], button, input, summary, select, textarea")]
    .filter((one) => !one.closest(".sr, .skip:not(:focus), [hidden]") && one.type !== "hidden" && one.checkVisibility())
    .filter((one) => !(getComputedStyle(one).display === "inline"
        && one.parentElement.textContent.trim() !== one.textContent.trim()))
    .map((one) => [one, one.getBoundingClientRect()])
    .filter(([, box]) => box.width < 24 || box.height < 24)
    .map(([one, box]) => `${one.outerHTML.slice(0, 80)} is ${box.width} by ${box.height}`)"""

# WCAG 3.2.6: what comes where, seen from the outside
_PLACES = """() => ["header", "main", "footer > details.help", "footer form.languages"]
    .flatMap((place) => [...document.querySelectorAll(`body > ${place}`)].map((one) => [place, one]))
    .sort(([, one], [, other]) => one.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1)
    .map(([place]) => place).join(", ")"""
_USUAL = "header, main, footer > details.help, footer form.languages"

_TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def faults(page: Page) -> list[str]:
    """Everything, in light and dark, as wide as the page is and 320 pixels wide; the page is left as it was."""
    size = page.viewport_size
    page.emulate_media(color_scheme="light")
    found = _violations(page, _EVERYTHING)
    page.emulate_media(color_scheme="dark")
    found += _violations(page, _COLOURS)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(NARROW)
    found += narrow_faults(page)
    if size:
        page.set_viewport_size(size)
    places = page.evaluate(_PLACES)
    if places != _USUAL:
        found.append(f"the frame is {places}")
    return found


def narrow_faults(page: Page) -> list[str]:
    """What sticks out of the window, and what is too small for a finger."""
    wide = page.evaluate(_TOO_WIDE)
    return [*([f"{wide} pixels too wide"] if wide > 0 else []), *page.evaluate(_SMALL)]


def _violations(page: Page, options: dict[str, Any]) -> list[str]:
    there = page.evaluate("typeof axe === 'object'")
    found = (Axe("void 0") if there else Axe()).run(page, options=options).response["violations"]
    return [f"{one['id']}: {node['html'][:160]} {node['failureSummary']}" for one in found for node in one["nodes"]]
