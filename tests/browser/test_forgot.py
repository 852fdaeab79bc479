"""The classic way of a forgotten password in a real browser, from the sign-in page to the first page behind it."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.house import PASSWORD, Person, serving
from tests.browser.inspection import narrow_faults
from tests.browser.visitor import NARROW, PHONE, Arrive

pytestmark = pytest.mark.browser

CHOSEN = "Nine lanterns over the mill"


def test_somebody_of_a_classic_organization_gets_in_again_by_mail_and_phone(arrive: Arrive, oathtool: Path) -> None:
    rosa = Person("rosa", "", "+491700000778", "rosa@example.org", oathtool, PASSWORD)
    with serving(oathtool, ["lindqvist99"]) as house:
        house.command("org", "create", "Northwind")
        house.command("org", "policy", "Northwind", "--profile", "classic")
        contacts = ("--email", rosa.email, "--phone", rosa.phone, "--contacts-verified")
        known = ("--password-stdin", "--keep-password", "--organization", "Northwind")
        house.command("user", "create", rosa.user_id, *contacts, *known, typed=PASSWORD)

        visitor = arrive(house.address, viewport=PHONE)
        page = visitor.page
        visitor.to_password(rosa.user_id)
        page.get_by_role("link", name="Forgot Password? Click Here").click()
        visitor.at("/forgot")
        expect(visitor.field("user_id")).to_have_value(rosa.user_id)
        visitor.send("Send My Reset Link")
        visitor.at("/forgot?news=asked")
        found = re.search(r"/forgot/\S{43}$", house.mail(rosa).text, re.MULTILINE)
        assert found

        visitor.go(found[0])
        page.reload()
        assert house.phone.to(rosa.phone) == []  # looking changes nothing
        visitor.send("Make a temporary password")
        visitor.at("/forgot/password")
        temporary = page.locator("[data-temporary-password]").input_value()
        page.set_viewport_size(NARROW)
        assert narrow_faults(page) == []
        page.set_viewport_size(PHONE)
        page.reload()
        expect(page.get_by_role("heading", level=1)).to_have_text("Shown already")
        assert temporary not in page.content()
        assert temporary not in house.mail(rosa, 2).text + house.text(rosa).body

        page.get_by_role("link", name="Sign in", exact=True).click()
        visitor.send(user_id=rosa.user_id)
        visitor.send(password=PASSWORD)
        expect(visitor.alert).to_contain_text("The User ID or the password is not right.")
        visitor.send(password=temporary)
        visitor.at("/sign-in/verify")
        assert page.locator("main [name=channel]").evaluate_all("all => all.map(one => one.value)") == ["sms"]
        page.get_by_role("button", name="Send it by SMS to").click()
        visitor.at("/sign-in/pin")
        visitor.send(pin=house.text(rosa, 2).pin)
        visitor.at("/sign-in/new-password")
        visitor.choose(temporary)
        expect(visitor.alert).to_contain_text("It is your present password.")
        visitor.choose(CHOSEN)
        visitor.at("/sign-in/security-question")
        page.locator("main [name=question]").first.select_option("first_concert")
        visitor.send("Save the question", answer="The Beatles")
        visitor.at("/authenticators")
