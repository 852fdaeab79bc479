"""Whom Help names: the installation's support before a proof, the home organization's after it, and if it is open."""

import html
import re

import pytest

from app.records.organizations.model import Opening, Policy, SupportLine, SupportPolicy
from tests.journeys import behind
from tests.portal import NEW_PASSWORD

PHONE = "+491700000001"
OURS = "+1 555 0100"
LINES = (
    SupportLine("DE", "+49 (30) 12-34", "0 for an outside line", "hilfe@acme.example"),
    SupportLine(email="help@acme.example"),
)
WEEK = tuple(Opening(day, "08:00", "17:00") for day in range(5))
# tests begin on a Monday, at 16:13 in Berlin
ACME = Policy(support=SupportPolicy(LINES, "Europe/Berlin", WEEK))


@pytest.fixture
def jane(one_portal):
    person = one_portal.add("jane", phone=PHONE)
    one_portal.decide(ACME)
    return person


def help_on(page):
    found = re.search(r'<details class="help">(.*?)</details>', page, re.DOTALL)
    assert found
    return html.unescape(re.sub(r"\s+", " ", found[1]))


@pytest.fixture
def signed(one_portal, jane):
    browser = one_portal.browser()
    browser.sign_in(one_portal, "jane")
    return browser


def test_before_a_proof_help_is_the_installations_for_everybody(one_portal, jane):
    for path, field in (("/sign-in", "/sign-in/password"), ("/recovery", "/recovery/token")):
        seen = set()
        for user_id in ("jane", "nobody"):
            browser = one_portal.browser()
            browser.get(path)
            browser.post(path, user_id=user_id)
            seen.add(help_on(browser.get(field).text))
        assert len(seen) == 1
        assert OURS in seen.pop()
    browser = one_portal.browser()
    browser.recover_to_token("jane")
    assert OURS in help_on(browser.get("/recovery/other-ways").text)
    assert OURS in help_on(browser.post("/recovery/token", code="000000").text)


def test_signed_in_it_is_the_home_organizations_with_links_that_dial_and_mail(signed):
    said = help_on(signed.get("/authenticators").text)
    assert OURS not in said
    assert '<a href="tel:+49301234">+49 (30) 12-34</a> (<span>0 for an outside line</span>)' in said
    assert '<a href="mailto:hilfe@acme.example">hilfe@acme.example</a>' in said
    assert '<a href="mailto:help@acme.example">help@acme.example</a>' in said
    assert "Staff never ask for a code, a PIN or a password." in said


def test_after_the_right_password_it_is_the_home_organizations(one_portal, jane):
    browser = one_portal.browser()
    browser.sign_in_to_verify("jane")
    for path in ("/sign-in/verify", "/sign-in/code"):
        assert "hilfe@acme.example" in help_on(browser.get(path).text)
    browser.post("/sign-in/alternative", channel="sms")
    assert "hilfe@acme.example" in help_on(browser.get("/sign-in/pin").text)


def test_after_a_wrong_password_it_is_not(one_portal, jane):
    browser = one_portal.browser()
    browser.get("/sign-in")
    browser.post("/sign-in", user_id="jane")
    browser.get("/sign-in/password")
    assert OURS in help_on(browser.post("/sign-in/password", password="wrong horse battery").text)


def test_in_a_recovery_it_is_from_the_first_proof_to_the_end(one_portal, jane):
    browser = one_portal.browser()
    browser.recover_to_password(one_portal, "jane", PHONE)
    assert "hilfe@acme.example" in help_on(browser.page.text)
    browser.post("/recovery/password", new_password=NEW_PASSWORD, confirm_password=NEW_PASSWORD)
    assert "hilfe@acme.example" in help_on(browser.get("/recovery/done").text)
    other = one_portal.browser()
    other.recover_to_token("jane")
    assert OURS in help_on(other.page.text)


def test_a_fresh_proof_shows_it_too(signed):
    for path in ("/step-up", "/step-up/code"):
        assert "hilfe@acme.example" in help_on(signed.get(path).text)


@pytest.mark.parametrize(
    ("ahead", "said"),
    [
        (0, '<li data-open="yes"><b>Open now</b>, until 17:00 (time zone Europe/Berlin)</li>'),
        (3_600, '<li data-open="no"><b>Closed now</b>, opens Tuesday, 08:00 (time zone Europe/Berlin)</li>'),
        (
            4 * 86_400 + 3_600,
            '<li data-open="no"><b>Closed now</b>, opens Monday, 08:00 (time zone Europe/Berlin)</li>',
        ),
        (86_400 - 10 * 3_600, '<li data-open="no"><b>Closed now</b>, opens 08:00 (time zone Europe/Berlin)</li>'),
    ],
)
def test_it_says_whether_somebody_is_there_and_when_that_changes(one_portal, jane, ahead, said):
    one_portal.base.clock.advance(ahead)
    browser = one_portal.browser()
    browser.sign_in(one_portal, "jane")
    assert said in help_on(browser.get("/authenticators").text)


def test_in_german_it_is_said_in_german(one_portal, signed):
    signed.get("/authenticators")
    signed.post("/language", language="de", next="/authenticators")
    assert "<b>Jetzt offen</b>, bis 17:00 (Zeitzone Europe/Berlin)" in help_on(signed.get("/authenticators").text)


def test_more_than_a_week_ahead_a_date_is_said(one_portal, signed):
    closed = (*(f"2026-09-{day}" for day in range(21, 31)), "2026-10-01", "2026-10-02")
    one_portal.decide(Policy(support=SupportPolicy(LINES, "Europe/Berlin", WEEK, closed)))
    assert "opens 5 October 2026, 08:00" in help_on(signed.get("/authenticators").text)


def test_support_without_hours_says_none(one_portal, signed):
    one_portal.decide(Policy(support=SupportPolicy(LINES, "Europe/Berlin")))
    said = help_on(signed.get("/authenticators").text)
    assert "hilfe@acme.example" in said
    assert "data-open" not in said


def test_an_organization_that_names_nobody_leaves_the_installations(one_portal, signed):
    one_portal.decide(Policy(support=SupportPolicy((), "Europe/Berlin", WEEK)))
    assert OURS in help_on(signed.get("/authenticators").text)


def test_of_several_organizations_the_homes_is_shown(one_portal, jane, signed):
    other = Policy(support=SupportPolicy((SupportLine(email="help@other.example"),)))
    one_portal.decide(other, "other")
    behind.join(one_portal, jane, "other")
    said = help_on(signed.get("/authenticators").text)
    assert "hilfe@acme.example" in said
    assert "other.example" not in said


def test_what_an_organization_writes_is_text_and_no_markup(one_portal, signed):
    nasty = SupportLine("DE", 'javascript:alert(1)"><script>+49', "<b>x</b>", 'a"onmouseover="x@e.example')
    one_portal.decide(Policy(support=SupportPolicy((nasty,))))
    page = signed.get("/authenticators").text
    assert "<script>+49" not in page
    assert "<b>x</b>" not in page
    assert 'href="tel:1+49"' not in page
    assert 'href="tel:149"' in page
    assert '"onmouseover' not in page


def test_in_an_activation_it_is_once_the_phone_or_the_handed_code_was_proved(one_portal):
    guest = one_portal.invite("gina", phone=PHONE, email="gina@example.org")
    one_portal.decide(ACME)
    browser = one_portal.browser()
    browser.get(guest.path)
    assert OURS in help_on(browser.page.text)
    browser.activate_to(one_portal, guest, 0, PHONE)
    assert "hilfe@acme.example" in help_on(browser.page.text)
    browser.activate_to(one_portal, guest, -1, PHONE)
    assert OURS in help_on(browser.page.text)
