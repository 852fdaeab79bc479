"""What an organization asks of passwords, met at every page where one is set or used."""

import html
from dataclasses import replace

import pytest

from app.factors.password import store as passwords
from app.records.organizations.model import PRESETS, PasswordPolicy, Policy, Profile
from tests.journeys import behind
from tests.portal import NEW_PASSWORD, PASSWORD

PHONE = "+491700000001"
DAY = 86_400
CHANGE, OWED, RECOVERED = "/authenticators/password", "/sign-in/new-password", "/recovery/password"
THREE_KINDS = Policy(password=PasswordPolicy(classes=3))
STRONG = Policy(password=PasswordPolicy(min_strength=3))
EXPIRING = Policy(password=PasswordPolicy(max_age_days=90))
KEPT = Policy(password=PasswordPolicy(min_age_hours=24))
MIXED = "Another fine long passphrase 7"


@pytest.fixture
def jane(one_portal):
    return one_portal.add("jane", phone=PHONE)


def change(browser, candidate, current=PASSWORD):
    browser.get(CHANGE)
    return browser.post(
        CHANGE, current_password=current, new_password=candidate, confirm_password=candidate, everywhere="yes"
    )


def choose(browser, path, candidate):
    return browser.post(path, new_password=candidate, confirm_password=candidate)


def signed_in(portal, user_id="jane", password=PASSWORD):
    browser = portal.browser()
    browser.sign_in(portal, user_id, password)
    portal.base.clock.advance(30)  # so that the app shows another code
    return browser


# ---- what a new one needs


def test_kinds_of_characters_are_printed_ticked_generated_and_judged_alike(one_portal, jane):
    one_portal.decide(THREE_KINDS)
    browser = signed_in(one_portal)
    page = browser.get(CHANGE).text
    assert 'data-rule="classes" data-count="3" data-live' in page
    assert "required: lower; required: upper; required: digit;" in html.unescape(page)
    answer = change(browser, NEW_PASSWORD)
    assert answer.status_code == 422
    assert "fewer than 3 of these four" in answer.text
    assert "Symbols, digits and capitals are not needed." not in answer.text
    assert change(browser, MIXED).status_code == 303


def test_a_strength_that_an_organization_asks_for_is_a_rule_and_not_only_advice(one_portal, jane):
    one_portal.decide(STRONG)
    browser = signed_in(one_portal)
    assert 'data-rule="strength"' in browser.get(CHANGE).text
    answer = change(browser, "dragon dragon dragon")
    assert (answer.status_code, "too easy to guess" in answer.text) == (422, True)
    assert change(browser, NEW_PASSWORD).status_code == 303


def test_without_a_policy_neither_is_asked_for(one_portal, jane):
    browser = signed_in(one_portal)
    page = browser.get(CHANGE).text
    assert 'data-rule="classes"' not in page
    assert 'data-rule="strength"' not in page
    assert change(browser, "dragon dragon dragon").status_code == 303


def test_a_recovery_asks_for_the_same(one_portal, jane):
    one_portal.decide(THREE_KINDS)
    browser = one_portal.browser()
    browser.recover_to_password(one_portal, "jane", PHONE)
    assert 'data-rule="classes"' in browser.page.text
    assert choose(browser, RECOVERED, NEW_PASSWORD).status_code == 422
    assert choose(browser, RECOVERED, MIXED).status_code == 303


# ---- how long one is kept


def test_a_password_may_not_be_changed_again_at_once_where_an_organization_wants_it_kept(one_portal, jane):
    one_portal.decide(KEPT)
    browser = signed_in(one_portal)
    assert "You can change it again from" in browser.get(CHANGE).text
    answer = change(browser, NEW_PASSWORD)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, str(DAY - 30))
    assert "kept for a while" in answer.text
    assert behind.happened(one_portal, jane.id, "authn_password_change") == 0
    one_portal.base.clock.advance(DAY)
    browser = signed_in(one_portal)
    assert "You can change it again from" not in browser.get(CHANGE).text
    assert change(browser, NEW_PASSWORD).status_code == 303


def test_whoever_recovers_waits_for_nothing(one_portal, jane):
    one_portal.decide(KEPT)
    browser = one_portal.browser()
    browser.recover_to_password(one_portal, "jane", PHONE)
    assert choose(browser, RECOVERED, NEW_PASSWORD).status_code == 303


def test_whoever_owes_a_change_waits_for_nothing(one_portal):
    one_portal.add("owen", must_change=True)
    one_portal.decide(KEPT)
    browser = one_portal.browser()
    browser.sign_in_to_verify("owen")
    assert browser.post("/sign-in/verify", code=one_portal.code("owen")).location == OWED
    browser.get(OWED)
    assert choose(browser, OWED, NEW_PASSWORD).status_code == 303


def test_whoever_activates_waits_for_nothing(one_portal):
    one_portal.decide(KEPT)
    guest = one_portal.invite("gina", phone=PHONE, email="gina@example.org")
    browser = one_portal.browser()
    browser.activate_to(one_portal, guest, 2, PHONE)  # the second step chooses the password


# ---- how long one is good


def test_an_expired_password_signs_in_to_nothing_but_its_change_and_the_page_says_why(one_portal, jane):
    one_portal.decide(EXPIRING)
    one_portal.base.clock.advance(90 * DAY - 1)
    signed_in(one_portal)
    one_portal.base.clock.advance(1)
    browser = one_portal.browser()
    browser.sign_in_to_verify("jane")
    assert browser.post("/sign-in/verify", code=one_portal.code("jane")).location == OWED
    assert "Your password has expired." in browser.get(OWED).text
    assert browser.get("/authenticators").location == "/sign-in"
    assert choose(browser, OWED, NEW_PASSWORD).location == "/authenticators"
    one_portal.base.clock.advance(60)
    signed_in(one_portal, password=NEW_PASSWORD)


def test_a_temporary_password_is_not_said_to_have_expired(one_portal):
    one_portal.add("owen", must_change=True)
    one_portal.decide(EXPIRING)
    browser = one_portal.browser()
    browser.sign_in_to_verify("owen")
    browser.post("/sign-in/verify", code=one_portal.code("owen"))
    assert "expired" not in browser.get(OWED).text


def test_a_wrong_password_is_not_told_that_the_right_one_has_expired(one_portal, jane):
    one_portal.decide(EXPIRING)
    one_portal.base.clock.advance(91 * DAY)
    browser = one_portal.browser()
    browser.get("/sign-in")
    browser.post("/sign-in", user_id="jane")
    browser.get("/sign-in/password")
    assert "expired" not in browser.post("/sign-in/password", password="wrong horse battery").text


def test_only_unlock_is_refused_where_the_password_has_expired(one_portal, jane):
    one_portal.decide(EXPIRING)
    one_portal.base.clock.advance(91 * DAY)
    one_portal.lock(jane)
    browser = one_portal.browser()
    browser.recover_to_password(one_portal, "jane", PHONE)
    assert "/recovery/unlock" not in browser.page.text
    answer = browser.post("/recovery/unlock")
    assert (answer.status_code, "Your password has expired" in answer.text) == (409, True)
    assert choose(browser, RECOVERED, NEW_PASSWORD).status_code == 303


def test_the_row_of_the_password_says_until_when_it_is_good_and_that_it_is_over(one_portal, jane):
    one_portal.decide(EXPIRING)
    browser = signed_in(one_portal)
    page = browser.get("/authenticators").text
    assert 'data-kind="password" data-state="active"' in page
    assert "Has to be changed by" in page
    with one_portal.base.database.begin() as transaction:  # as if it had been set long ago
        transaction.execute(passwords.passwords.update().values(changed_at=jane.created_at - 91 * DAY))
    page = browser.get("/authenticators").text
    assert 'data-kind="password" data-state="expired"' in page
    assert "Expired, has to be changed" in page


def test_the_strictest_of_several_organizations_counts(one_portal, jane):
    one_portal.decide(replace(THREE_KINDS, password=PasswordPolicy(classes=2)))
    one_portal.decide(THREE_KINDS, "other")
    behind.join(one_portal, jane, "other")
    browser = signed_in(one_portal)
    assert 'data-count="3"' in browser.get(CHANGE).text


def test_the_preset_classic_is_obeyed(one_portal, jane):
    one_portal.decide(PRESETS[Profile.CLASSIC])
    one_portal.base.clock.advance(90 * DAY)
    browser = one_portal.browser()
    browser.sign_in_to_verify("jane")
    assert browser.post("/sign-in/verify", code=one_portal.code("jane")).location == OWED
