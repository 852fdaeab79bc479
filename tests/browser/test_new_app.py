"""A new authenticator app in a real browser: what a camera reads is what the link and the text say."""

import io
import re

import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import expect

from tests.browser.house import House, code_of
from tests.browser.visitor import DESKTOP, PHONE, Arrive

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_camera_reads_from_the_page_what_adds_the_app(arrive: Arrive, house: House, scheme: str) -> None:
    person = house.somebody()
    visitor = arrive(house.address, viewport=PHONE if scheme == "light" else DESKTOP, color_scheme=scheme)
    visitor.to_password(person.user_id)
    visitor.send(password=person.password)
    visitor.send(code=person.code())
    visitor.at("/authenticators")
    visitor.go("/authenticators/app/new")
    picture = visitor.page.get_by_role("img", name="QR code")
    with Image.open(io.BytesIO(picture.screenshot())) as seen:
        (code,) = zxingcpp.read_barcodes(seen)
    key = visitor.page.locator("[data-totp-key]").inner_text()
    assert re.fullmatch(r"([A-Z2-7]{4} ){7}[A-Z2-7]{4}", key)
    secret = key.replace(" ", "")
    assert code.text == f"otpauth://totp/Keyturn:{person.user_id}?secret={secret}&issuer=Keyturn"
    link = visitor.page.get_by_role("link", name="Open it in an app on this device")
    expect(link).to_have_attribute("href", code.text)
    expect(visitor.button("Copy")).to_be_visible()
    visitor.send("Add the app", label="Tablet", code=code_of(person.oathtool, secret))
    visitor.at("/authenticators")
    expect(visitor.page.get_by_role("main")).to_contain_text("Tablet")
    assert house.text(person).body
