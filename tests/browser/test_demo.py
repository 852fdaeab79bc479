"""The demo: a phone and a mailbox on one page, and the portal beside it."""

import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Locator, expect

from app.journeys.demo.model import CAST
from tests.browser.house import code_of, demonstrating
from tests.browser.inspection import faults
from tests.browser.visitor import DESKTOP, PHONE, Arrive, Visitor

pytestmark = pytest.mark.browser

NEW = "seven lanterns over the mill"
PASSWORDS = {role.user_id: role.password for role in CAST}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The demo's."""
    with demonstrating() as running:
        yield running


@pytest.fixture
def desk(arrive: Arrive, address: str) -> Visitor:
    """Somebody who looks at the phone and the mailbox, and never loads the page again."""
    visitor = arrive(address, viewport=DESKTOP)
    visitor.go("/demo")
    visitor.page.evaluate("window.neverReloaded = true")
    return visitor


@pytest.fixture
def visitor(arrive: Arrive, address: str) -> Visitor:
    """Somebody at the portal, with a phone in their hand."""
    return arrive(address, viewport=PHONE)


def card(desk: Visitor, user_id: str) -> Locator:
    """One person's authenticator app."""
    return desk.page.locator(f"[data-person={user_id}]")


def shown_code(desk: Visitor, user_id: str) -> str:
    """What it shows now."""
    return card(desk, user_id).locator("[data-code]").inner_text().replace(" ", "")


def arrived(desk: Visitor, channel: str, to: str, words: str = "") -> Locator:
    """The newest message of a kind to somebody."""
    return desk.page.locator(f"[data-inbox={channel}] li").filter(has_text=to).filter(has_text=words).first


def pin_in(message: Locator) -> str:
    """The PIN that stands out in it."""
    return message.locator(".pin").inner_text()


def test_the_phone_shows_the_code_of_the_moment_and_what_arrives(desk: Visitor, visitor: Visitor) -> None:
    bar = card(desk, "sam").locator("progress")
    first, left = shown_code(desk, "sam"), int(bar.evaluate("bar => bar.value"))
    expect(arrived(desk, "sms", "+491700000004")).to_be_hidden()
    visitor.to_token("sam")
    visitor.send(code=first)
    visitor.at("/recovery/pin")
    text = arrived(desk, "sms", "+491700000004")
    expect(text).to_contain_text("Your one-time PIN for Keyturn")
    expect(visitor.page.get_by_text("Delivered to your phone").first).to_be_visible()
    visitor.send(pin=pin_in(text))
    visitor.at("/recovery/password")
    visitor.choose(NEW)
    visitor.at("/recovery/done")
    expect(arrived(desk, "sms", "+491700000004")).to_contain_text("your password was changed")
    expect(arrived(desk, "email", "sam@example.org")).to_contain_text("was changed")
    visitor.to_password("sam")
    visitor.send(password=PASSWORDS["sam"])
    expect(visitor.alert).to_be_visible()
    visitor.send(password=NEW)
    visitor.at("/sign-in/verify")

    if shown_code(desk, "sam") == first:
        assert int(bar.evaluate("bar => bar.value")) < left  # it counts down
    expect(card(desk, "sam").locator("[data-code]")).not_to_have_text(f"{first[:3]} {first[3:]}", timeout=90_000)
    assert shown_code(desk, "sam") != first
    assert desk.page.evaluate("window.neverReloaded") is True


def test_the_picture_the_link_and_the_text_are_one_key_that_any_app_takes(desk: Visitor, oathtool: Path) -> None:
    person = card(desk, "alex")
    person.get_by_text("Put it on a real phone").click()
    picture = person.get_by_role("img")
    picture.scroll_into_view_if_needed()
    expect(picture).to_have_js_property("complete", value=True)
    with Image.open(io.BytesIO(picture.screenshot())) as seen:
        (code,) = zxingcpp.read_barcodes(seen)
    link = person.get_by_role("link", name="Open in an app").get_attribute("href")
    assert code.text == link
    key = person.locator("[data-totp-key]").inner_text()
    assert re.fullmatch(r"([A-Z2-7]{4} ){7}[A-Z2-7]{4}", key)
    secret = key.replace(" ", "")
    assert code.text == f"otpauth://totp/Keyturn:alex?secret={secret}&issuer=Keyturn"
    # once more where a step passes between the two looks
    assert any(shown_code(desk, "alex") == code_of(oathtool, secret) for _ in range(2))


def test_where_the_phone_is_switched_off_the_page_offers_the_mailbox_at_once(desk: Visitor, visitor: Visitor) -> None:
    desk.page.get_by_role("button", name="Switch the phone off").click()
    expect(desk.page.get_by_text("Switched off: no SMS arrives.")).to_be_visible()
    visitor.to_token("alex")
    visitor.send(code=shown_code(desk, "alex"))
    visitor.at("/recovery/pin")
    expect(visitor.page.locator("#pin-state")).to_have_attribute("data-state", "failed")
    expect(visitor.page.locator("#pin-state + *")).to_have_id("other")
    visitor.button("Send it by e-mail to a•••@e•••.org").click()
    mail = arrived(desk, "email", "alex@example.org")
    expect(mail).to_contain_text("Your one-time PIN for Keyturn")
    expect(desk.page.locator("[data-inbox=sms] li").filter(has_text="+491700000005")).to_have_count(0)
    visitor.send(pin=pin_in(mail))
    visitor.at("/recovery/password")
    desk.page.get_by_role("button", name="Switch the phone on").click()
    expect(desk.page.get_by_text("Switched off: no SMS arrives.")).to_be_hidden()


def test_ana_learns_that_her_clock_is_slow_and_gets_in_once_it_is_set(
    desk: Visitor, visitor: Visitor, oathtool: Path
) -> None:
    visitor.to_token("ana")
    slow = shown_code(desk, "ana")
    visitor.send(code=slow)
    # 95 seconds are three time-steps, or four where the present one has just begun
    expect(visitor.alert).to_have_text(
        re.compile(r"Your phone's clock is about (1½|2) minutes slow\. That is why the code does not work\.")
    )
    expect(visitor.alert.get_by_role("listitem")).to_have_text(
        [
            "In your phone's settings, turn on automatic date and time.",
            "Open the app again, wait for a new code and enter it here.",
        ]
    )
    expect(visitor.field("code")).to_be_focused()
    visitor.send(code=slow)
    expect(visitor.alert).to_contain_text("This code was used before")  # burned, so that it never works
    card(desk, "ana").get_by_text("Put it on a real phone").click()
    secret = card(desk, "ana").locator("[data-totp-key]").inner_text().replace(" ", "")
    visitor.send(code=code_of(oathtool, secret))
    visitor.at("/recovery/pin")
    visitor.send(pin=pin_in(arrived(desk, "sms", "+491700000003")))
    visitor.at("/recovery/password")


def test_omar_who_has_no_phone_gets_his_pin_by_mail(desk: Visitor, visitor: Visitor) -> None:
    visitor.to_token("omar")
    visitor.send(code=shown_code(desk, "omar"))
    visitor.at("/recovery/pin")
    expect(visitor.page.locator("#pin-hint")).to_have_text("A PIN of 8 digits goes by e-mail to o•••@e•••.org.")
    expect(visitor.page.get_by_text("There is no other contact to which a PIN may go now.")).to_be_visible()
    visitor.send(pin=pin_in(arrived(desk, "email", "omar@example.org")))
    visitor.at("/recovery/password")


def test_jane_who_is_locked_out_keeps_her_password_and_only_unlocks_it(desk: Visitor, visitor: Visitor) -> None:
    visitor.to_password("jane")
    visitor.send(password=PASSWORDS["jane"])
    expect(visitor.alert).to_contain_text("There were too many tries.")
    visitor.page.get_by_role("link", name="Password locked or forgotten?").click()
    visitor.at("/recovery/token")
    visitor.send(code=shown_code(desk, "jane"))
    visitor.at("/recovery/pin")
    visitor.send(pin=pin_in(arrived(desk, "sms", "+491700000001")))
    visitor.at("/recovery/password")
    visitor.button("Keep my password, only unlock").click()
    visitor.at("/recovery/done")
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Your account is unlocked")
    expect(arrived(desk, "sms", "+491700000001")).to_contain_text("unlocked")
    expect(arrived(desk, "email", "jane@example.org", "unlocked")).to_be_visible()
    visitor.to_password("jane")
    visitor.send(password=PASSWORDS["jane"])
    visitor.at("/sign-in/verify")


def test_the_page_of_the_phone_and_the_mailbox_is_sound(desk: Visitor) -> None:
    page = desk.page
    page.get_by_role("button", name="Let the mailbox be full").click()
    expect(page.get_by_text("Full: no e-mail arrives.")).to_be_visible()
    for summary in page.get_by_text("Put it on a real phone").all():
        summary.click()
    assert "\n".join(faults(page)) == ""
    page.get_by_role("button", name="Empty the mailbox").click()
    expect(page.get_by_text("Full: no e-mail arrives.")).to_be_hidden()
