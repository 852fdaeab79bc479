"""What password managers and phones go by when they fill in, generate and save."""

import os
import re
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.house import House, Person
from tests.browser.visitor import Visitor

pytestmark = pytest.mark.browser


def attributes(field: Locator) -> dict[str, Any]:
    """All of a field's attributes."""
    found: dict[str, Any] = field.evaluate("one => Object.fromEntries([...one.attributes].map(a => [a.name, a.value]))")
    return found


def has_its_user_id(visitor: Visitor, person: Person) -> None:
    """Before the passwords of a form stands whose they are, in a field that is there but asks nothing of anybody."""
    form = visitor.page.locator("main form").first
    fields = form.locator("input:not([type=hidden])")
    kinds = fields.evaluate_all("all => all.map(one => one.autocomplete)")
    assert kinds[0] == "username"
    assert kinds.count("username") == 1
    expect(fields.first).to_have_value(person.user_id)
    expect(fields.first).not_to_be_editable()
    assert attributes(fields.first)["tabindex"] == "-1"
    assert attributes(fields.first)["aria-hidden"] == "true"


def is_one_field_for_a_code(field: Locator) -> None:
    """One field that phones fill in, that brings up digits, and that takes blanks (requirements W-04, X-02)."""
    expect(field).to_have_count(1)
    given = attributes(field)
    assert given["autocomplete"] == "one-time-code"
    assert given["inputmode"] == "numeric"
    assert given["type"] == "text"
    assert re.fullmatch(given["pattern"], "123 456")
    assert int(given["maxlength"]) >= len(" 1234 5678 ")
    expect(field.locator("xpath=ancestor::form").locator("input:not([type=hidden])")).to_have_count(1)


def test_each_field_says_what_belongs_into_it(visitor: Visitor, house: House) -> None:
    person, page = house.somebody(), visitor.page
    visitor.go("/")
    assert attributes(visitor.field("user_id"))["autocomplete"] == "username"
    visitor.send(user_id=person.user_id)
    visitor.at("/sign-in/password")
    has_its_user_id(visitor, person)
    assert attributes(visitor.field("password"))["autocomplete"] == "current-password"
    page.get_by_role("link", name="Password locked or forgotten?").click()
    visitor.at("/recovery/token")
    is_one_field_for_a_code(visitor.field("code"))
    visitor.send(code=person.code())
    visitor.at("/recovery/pin")
    is_one_field_for_a_code(visitor.field("pin"))
    text = house.text(person)
    lines = text.body.splitlines()
    assert lines[-1] == f"@127.0.0.1 #{text.pin}"
    visitor.send(pin=text.pin)

    visitor.at("/recovery/password")
    has_its_user_id(visitor, person)
    for name in ("new_password", "confirm_password"):
        given = attributes(visitor.field(name))
        assert given["autocomplete"] == "new-password"
        assert given["type"] == "password"
        rules = dict(re.findall(r"(\w+): ([\w-]+);", given["passwordrules"]))
        assert rules == {"minlength": "12", "maxlength": "256", "allowed": "ascii-printable"}
    shown = page.locator("#rules li").all_text_contents()
    assert shown[0].startswith(f"At least {rules['minlength']} characters")
    assert shown[1].startswith(f"At most {rules['maxlength']} characters")
    # what a manager would make of these rules, as short as they allow
    generated = "".join(chr(33 + byte % 94) for byte in os.urandom(int(rules["minlength"])))
    visitor.choose(generated)
    visitor.at("/recovery/done")
    house.text(person, 2)
    house.mail(person)
    visitor.to_password(person.user_id)
    visitor.send(password=generated)
    visitor.at("/sign-in/verify")


def test_chromium_has_no_advice_about_the_password_forms(visitor: Visitor, house: House) -> None:
    person, page = house.somebody(), visitor.page
    visitor.to_password(person.user_id)
    page.get_by_role("link", name="Password locked or forgotten?").click()
    visitor.at("/recovery/token")
    visitor.send(code=person.code())
    visitor.at("/recovery/pin")
    visitor.send(pin=house.text(person).pin)
    visitor.at("/recovery/password")
    assert visitor.complaints == []
    # and it would have had some, had the User ID been missing
    with page.expect_event("console", lambda message: message.text.startswith("[DOM] Password forms should have")):
        page.evaluate(
            """() => {
                const form = document.querySelector("main form");
                const bare = document.createElement("form");
                const field = document.createElement("input");
                Object.assign(field, { type: "password", name: "bare", autocomplete: "new-password" });
                bare.append(field);
                form.after(bare);
            }"""
        )
    assert len(visitor.complaints) == 1
    visitor.complaints.clear()
