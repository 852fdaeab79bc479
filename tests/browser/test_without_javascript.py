"""The whole recovery without a script, on the narrowest phone, in German."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.house import House
from tests.browser.inspection import narrow_faults
from tests.browser.visitor import NARROW, Arrive, Visitor
from tests.edges import wait_until

pytestmark = pytest.mark.browser

NEW = "sieben Laternen über der Mühle"


@pytest.fixture
def visitor(arrive: Arrive, house: House) -> Visitor:
    """A browser that runs nothing and asks for German."""
    return arrive(house.address, java_script_enabled=False, viewport=NARROW, locale="de-DE")


def seen(page: Page, heading: str) -> None:
    """The page of this heading is there, in German, and fits."""
    expect(page.get_by_role("heading", level=1)).to_have_text(heading)
    expect(page.locator("html")).to_have_attribute("lang", "de")
    assert narrow_faults(page) == []


def test_a_password_is_recovered_without_scripts_in_german_at_320_pixels(visitor: Visitor, house: House) -> None:
    person, page = house.somebody(), visitor.page
    state = page.locator("#pin-state [data-when]:visible")
    visitor.go("/")
    seen(page, "Anmelden")
    visitor.send("Weiter", user_id=person.user_id)
    seen(page, "Geben Sie Ihr Passwort ein")
    visitor.send("Weiter", password="nicht dieses")
    expect(visitor.alert).to_contain_text("Die Benutzer-ID oder das Passwort stimmt nicht.")
    expect(visitor.field("password")).to_be_focused()
    seen(page, "Geben Sie Ihr Passwort ein")
    page.get_by_role("link", name="Passwort gesperrt oder vergessen?").click()
    seen(page, "Geben Sie das Einmalpasswort ein, das Ihr Token erzeugt.")
    visitor.send("Weiter", code=person.code(late=3))
    expect(visitor.alert).to_contain_text("Minuten nach")
    seen(page, "Geben Sie das Einmalpasswort ein, das Ihr Token erzeugt.")
    visitor.send("Weiter", code=person.code())

    seen(page, "Geben Sie Ihre Einmal-PIN ein")
    text = house.text(person)
    house.phone.tell(text.sid, "delivered")
    assert "Ihre Einmal-PIN" in text.body
    # without a script a look again is what tells the news
    told = [state.inner_text()]

    def looks_again() -> bool:
        page.reload()
        told.append(state.inner_text())
        return told[-1] == "Auf Ihr Telefon zugestellt"

    wait_until(looks_again, 20, lambda: told[-1])
    assert set(told) <= {"Unterwegs zum Mobilfunkanbieter", "Vom Mobilfunkanbieter angenommen", told[-1]}
    expect(page.get_by_text("Eine neue PIN können Sie in 0:")).to_be_visible()
    seen(page, "Geben Sie Ihre Einmal-PIN ein")
    visitor.button("Neue PIN senden").click()  # nothing stops the press, so the portal says that it is too soon
    expect(visitor.alert).to_contain_text("Gerade eben wurde eine PIN gesendet.")
    seen(page, "Geben Sie Ihre Einmal-PIN ein")
    expect(page.get_by_role("heading", name="Alternative Authentifizierung")).to_be_visible()
    visitor.button("Per E-Mail senden an p•••@e•••.org").click()
    expect(page.locator("#pin-hint")).to_contain_text("Ihre frühere PIN gilt nicht mehr.")
    seen(page, "Geben Sie Ihre Einmal-PIN ein")
    mail = house.mail(person)
    visitor.send("Weiter", pin=f"{mail.pin[:4]} {mail.pin[4:]}")

    seen(page, "Wählen Sie ein neues Passwort")
    expect(page.locator("#rules li").first).to_have_text("Mindestens 12 Zeichen")
    visitor.send("Neues Passwort speichern", new_password=person.user_id, confirm_password="anders")
    broken = visitor.alert.get_by_role("listitem")
    expect(broken).to_have_count(3)  # too short, made of the User ID, and not the same: all at once
    expect(visitor.field("new_password")).to_have_value("")
    seen(page, "Wählen Sie ein neues Passwort")
    visitor.send("Neues Passwort speichern", new_password=NEW, confirm_password=NEW)
    seen(page, "Ihr Passwort ist geändert")
    visitor.at("/recovery/done")
    assert "geändert" in house.text(person, 2).body
    assert "geändert" in house.mail(person, 2).subject
    page.get_by_role("link", name="Anmelden").click()
    visitor.send("Weiter", user_id=person.user_id)
    visitor.send("Weiter", password=NEW)
    visitor.at("/sign-in/verify")


def test_the_language_is_changed_without_scripts_and_kept_on_the_way(visitor: Visitor, house: House) -> None:
    visitor.go("/sign-in")
    visitor.send("Weiter", user_id=house.somebody().user_id)
    seen(visitor.page, "Geben Sie Ihr Passwort ein")
    visitor.page.get_by_role("button", name="English").click()
    visitor.at("/sign-in/password")
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Enter your password")
    visitor.page.get_by_role("link", name="Password locked or forgotten?").click()
    expect(visitor.page.locator("html")).to_have_attribute("lang", "en")


def test_a_double_click_that_no_script_catches_changes_the_password_once(visitor: Visitor, house: House) -> None:
    person, page = house.somebody(), visitor.page
    visitor.go("/sign-in")
    visitor.send("Weiter", user_id=person.user_id)
    page.get_by_role("link", name="Passwort gesperrt oder vergessen?").click()
    visitor.send("Weiter", code=person.code())
    visitor.at("/recovery/pin")
    visitor.send("Weiter", pin=house.text(person).pin)
    visitor.at("/recovery/password")
    visitor.field("new_password").fill(NEW)
    visitor.field("confirm_password").fill(NEW)
    visitor.press_twice("Neues Passwort speichern")
    # the second form overtook the first one's answer, and its cookie with it
    expect(page).to_have_title(re.compile("Das ist schon erledigt|Ihr Passwort ist geändert"))
    expect(page.get_by_text("Ein anderer Schritt")).to_have_count(0)
    house.text(person, 2)
    house.mail(person)
    page.get_by_role("main").get_by_role("link", name="Anmelden").click()
    visitor.at("/sign-in")
    visitor.send("Weiter", user_id=person.user_id)
    visitor.send("Weiter", password=NEW)
    visitor.at("/sign-in/verify")
    assert len(house.phone.to(person.phone)) == 2
    assert len(house.mailbox.to(person.email)) == 1
