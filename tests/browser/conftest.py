"""One browser and one portal for this folder's tests, and for each test a visitor who has never been here."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Playwright, expect, sync_playwright

from tests.browser.house import House, serving
from tests.browser.visitor import Arrive, Visitor
from tests.pages.shots import ARGUMENTS

_PATIENCE = 60_000  # ms; a portal that hashes on two busy cores


# of this package, not of the session: Playwright's loop may run only once in a thread, and other folders have theirs
@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    """The driver."""
    expect.set_options(timeout=_PATIENCE)
    with sync_playwright() as started:
        yield started
    expect.set_options(timeout=5_000)


@pytest.fixture(scope="package")
def browser(playwright: Playwright, chromium: Path) -> Iterator[Browser]:
    """Chromium."""
    started = playwright.chromium.launch(executable_path=str(chromium), args=ARGUMENTS)
    yield started
    started.close()


@pytest.fixture(scope="package")
def house(oathtool: Path) -> Iterator[House]:
    """The portal with people whom nobody has met."""
    with serving(oathtool, [f"lindqvist{n:02}" for n in range(40)]) as running:
        yield running


@pytest.fixture
def arrive(browser: Browser) -> Iterator[Arrive]:
    """Brings visitors, each with a browser of their own, and asks at the end what their browsers complained of."""
    came: list[Visitor] = []

    def come(address: str, **options: Any) -> Visitor:
        came.append(Visitor(browser.new_context(**{"reduced_motion": "reduce", **options}), address))
        return came[-1]

    yield come
    for visitor in came:
        visitor.context.close()
    assert [complaint for visitor in came for complaint in visitor.complaints] == []


@pytest.fixture
def visitor(arrive: Arrive, house: House) -> Visitor:
    """One of them, in front of the portal."""
    return arrive(house.address)
