"""Lengths, lives and tries of PINs as an organization sets them."""

import re

import pytest

from app.records.organizations.model import PinPolicy, Policy
from tests.journeys import behind

PHONE, EMAIL = "+491700000001", "jane@example.org"
PIN, SEND = "/recovery/pin", "/recovery/pin/send"
LONG = Policy(pin=PinPolicy(sms_digits=8, email_digits=7, sms_minutes=2, email_minutes=3, tries=3))


@pytest.fixture
def jane(one_portal):
    person = one_portal.add("jane", phone=PHONE, email=EMAIL)
    one_portal.decide(LONG)
    return person


def wrong(pin):
    return f"{(int(pin) + 1) % 10 ** len(pin):0{len(pin)}d}"


def test_a_pin_is_as_long_as_the_policy_says_and_stands_alone_on_its_line(one_portal, jane):
    browser = one_portal.browser()
    browser.recover_to_pin(one_portal, "jane")
    assert "A PIN of 8 digits goes by SMS" in " ".join(browser.page.text.split())
    one_portal.deliver()
    text = one_portal.phone.to(PHONE)[-1].body
    assert re.search(r"^\d{8}$", text, re.MULTILINE)
    assert len(re.findall(r"(?<!\d)\d{6,8}(?!\d)", text)) <= 2  # itself, and in the line that is bound to the domain
    assert "good for 2 min" in text
    browser.post(SEND, channel="email")
    page = browser.get(PIN).text
    assert "A PIN of 7 digits goes by e-mail" in " ".join(page.split())
    one_portal.deliver()
    pin = one_portal.last_pin(EMAIL)
    assert len(pin) == 7
    assert browser.post(PIN, pin=pin).status_code == 303


@pytest.mark.parametrize(("channel", "seconds"), [("sms", 120), ("email", 180)])
def test_a_pin_lives_as_long_as_the_policy_says(one_portal, jane, channel, seconds):
    browser = one_portal.browser()
    browser.recover_to_pin(one_portal, "jane")
    if channel == "email":
        browser.post(SEND, channel="email")
    assert browser.get("/recovery/pin/status").json["expires_in"] == seconds
    one_portal.deliver()
    pin = one_portal.last_pin(PHONE if channel == "sms" else EMAIL)
    one_portal.base.clock.advance(seconds)
    answer = browser.post(PIN, pin=pin)
    assert (answer.status_code, "expired" in answer.text) == (422, True)


def test_a_flow_has_as_many_tries_as_the_policy_says(one_portal, jane):
    browser = one_portal.browser()
    browser.recover_to_pin(one_portal, "jane")
    one_portal.deliver()
    pin = one_portal.last_pin(PHONE)
    for left in (2, 1):
        assert browser.post(PIN, pin=wrong(pin)).status_code == 422
        assert browser.get("/recovery/pin/status").json["tries_left"] == left
    assert browser.post(PIN, pin=wrong(pin)).status_code == 409
    assert browser.post(PIN, pin=pin).status_code == 409
    assert behind.happened(one_portal, jane.id, "authn_pin_fail") == 3


def test_a_resend_gives_no_try_back(one_portal, jane):
    browser = one_portal.browser()
    browser.recover_to_pin(one_portal, "jane")
    one_portal.deliver()
    browser.post(PIN, pin=wrong(one_portal.last_pin(PHONE)))
    browser.post(SEND, channel="email")
    assert browser.get("/recovery/pin/status").json["tries_left"] == 2


def test_a_pin_at_sign_in_follows_the_policy_too(one_portal, jane):
    browser = one_portal.browser()
    browser.sign_in_to_verify("jane")
    browser.post("/sign-in/alternative", channel="sms")
    status = browser.get("/sign-in/pin/status").json
    assert (status["expires_in"], status["tries_left"]) == (120, 3)
    one_portal.deliver()
    assert len(one_portal.last_pin(PHONE)) == 8


def test_the_strictest_of_several_organizations_counts(one_portal, jane):
    one_portal.decide(Policy(pin=PinPolicy(tries=4, email_digits=8)), "other")
    behind.join(one_portal, jane, "other")
    browser = one_portal.browser()
    browser.recover_to_pin(one_portal, "jane")
    browser.post(SEND, channel="email")
    one_portal.deliver()
    assert len(one_portal.last_pin(EMAIL)) == 8
    assert browser.get("/recovery/pin/status").json["tries_left"] == 3
