"""A first activation in a real browser: from the invitation to the first sign-in, its app fed by the picture."""

import io
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import expect

from tests.browser.house import House, Person, code_of
from tests.browser.inspection import narrow_faults
from tests.browser.visitor import NARROW, PHONE, Arrive, Visitor
from tests.edges import Mail

pytestmark = pytest.mark.browser

CHOSEN = "nine lanterns over the mill"


def link_in(mail: Mail) -> str:
    found = re.search(r"/activate/\S+$", mail.text, re.MULTILINE)
    assert found, mail.text
    return found[0]


def seen_by_camera(visitor: Visitor, name: str) -> str:
    """The key in the picture, which is what the text says."""
    picture = visitor.page.get_by_role("img", name=name)
    with Image.open(io.BytesIO(picture.screenshot())) as seen:
        (code,) = zxingcpp.read_barcodes(seen)
    (secret,) = parse_qs(urlsplit(code.text).query)["secret"]
    assert visitor.page.locator("[data-totp-key]").inner_text().replace(" ", "") == secret
    return secret


def test_somebody_who_was_invited_activates_the_account_and_signs_in(
    arrive: Arrive, house: House, oathtool: Path
) -> None:
    nina = Person("nina", "", "+491700000777", "nina@example.org", oathtool, CHOSEN)
    house.command("user", "create", nina.user_id, "--email", nina.email, "--phone", nina.phone)
    assert house.command("user", "invite", nina.user_id) == "invited: the link goes to n•••@e•••.org\n"
    visitor = arrive(house.address, viewport=PHONE)
    page = visitor.page
    visitor.go(link_in(house.mail(nina)))
    expect(page.get_by_role("main")).to_contain_text(nina.user_id)
    assert house.phone.to(nina.phone) == []  # looking sends nothing
    visitor.send("Send the PIN and begin")
    visitor.at("/activate/pin")
    visitor.send(pin=house.text(nina).pin)
    visitor.at("/activate/password")
    visitor.send("Save the password", new_password=CHOSEN, confirm_password=CHOSEN)
    visitor.at("/activate/contacts")
    visitor.send("Yes, go on")
    visitor.at("/activate/app")
    secret = seen_by_camera(visitor, "QR code")
    visitor.send("Add the app", label="Phone", code=code_of(oathtool, secret))
    visitor.at("/activate/codes")
    visitor.send("Make ten codes")
    expect(page.locator("[data-recovery-code]")).to_have_count(10)
    saved = page.locator("[data-recovery-code]").all_inner_texts()
    with page.expect_download() as download:
        page.get_by_role("link", name="Save as a text file").click()
    assert all(code in download.value.path().read_text() for code in saved)
    visitor.send("I have saved them")
    visitor.at("/activate/done")
    expect(page.get_by_role("heading", level=1)).to_have_text("Your account is ready")

    page.get_by_role("main").get_by_role("link", name="Sign in").click()
    visitor.at("/sign-in")
    visitor.send(user_id=nina.user_id)
    visitor.send(password=CHOSEN)
    # the code that confirmed the app is spent, so the next one
    visitor.send(code=code_of(oathtool, secret, late=-1))
    visitor.at("/authenticators")
    expect(page.get_by_role("main")).to_contain_text("Phone")


def test_the_code_that_was_handed_over_serves_without_scripts_in_german_at_320_pixels(
    arrive: Arrive, house: House, oathtool: Path
) -> None:
    olga = Person("olga", "", "", "olga@example.org", oathtool, CHOSEN)
    house.command("user", "create", olga.user_id, "--email", olga.email)
    code = house.command("user", "invite", olga.user_id).split()[-1]
    visitor = arrive(house.address, java_script_enabled=False, viewport=NARROW, locale="de-DE")
    page = visitor.page

    def seen(path: str) -> None:
        visitor.at(path)
        expect(page.locator("html")).to_have_attribute("lang", "de")
        assert narrow_faults(page) == []

    link = link_in(house.mail(olga))
    visitor.go(link)
    seen(link)
    visitor.send("Beginnen")
    seen("/activate/code")
    visitor.send("Weiter", code=code.lower().replace("-", " "))
    seen("/activate/password")
    visitor.send("Passwort speichern", new_password=CHOSEN, confirm_password=CHOSEN)
    seen("/activate/contacts")
    visitor.send("Ja, weiter")
    seen("/activate/app")
    secret = seen_by_camera(visitor, "QR-Code")
    visitor.send("App hinzufügen", label="Telefon", code=code_of(oathtool, secret))
    seen("/activate/codes")
    visitor.send("Zehn Codes erstellen")
    seen("/activate/codes")
    visitor.send("Ich habe sie gespeichert")
    seen("/activate/done")
    visitor.go(link)
    seen("/activate")
