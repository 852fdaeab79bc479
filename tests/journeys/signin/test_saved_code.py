"""A saved code as the second proof at sign-in, and as a fresh one (T-18)."""

import json

import pytest

from app.records.attempts.model import Factor
from tests.journeys import behind
from tests.meanwhile import before_writing
from tests.portal import NEW_PASSWORD

PHONE, EMAIL = "+491700000001", "jane@example.org"
CODE, HOME = "/sign-in/code", "/authenticators"


@pytest.fixture
def jane(one_portal):
    return one_portal.add("jane", phone=PHONE, email=EMAIL)


@pytest.fixture
def codes(one_portal, jane):
    return one_portal.add_codes(jane)


def test_a_password_and_a_saved_code_sign_in_with_two_factors_and_the_owner_is_told(one_portal, jane, codes):
    browser = one_portal.browser()
    browser.sign_in_to_verify("jane")
    assert f'href="{CODE}"' in browser.page.text
    browser.get(CODE)
    typed = "-".join(codes[3][at : at + 4] for at in range(0, 16, 4)).lower()
    assert browser.post(CODE, code=f" {typed} ").location == HOME
    assert behind.sessions(one_portal, jane.id) == [(["password", "recovery_code"], 2)]
    assert {row["channel"] for row in behind.queued(one_portal, "notice_code_used")} == {"sms", "email"}
    one_portal.deliver()
    assert "Codes left: 9." in one_portal.mailbox.to(EMAIL)[-1].text
    assert behind.happened(one_portal, jane.id, "authn_recovery_code_success") == 1


def test_a_used_code_signs_nobody_in(one_portal, jane, codes):
    for expected in (303, 422):
        browser = one_portal.browser()
        browser.sign_in_to_verify("jane")
        browser.get(CODE)
        answer = browser.post(CODE, code=codes[0])
        assert answer.status_code == expected
    assert "used before" in answer.text
    assert behind.happened(one_portal, jane.id, "authn_recovery_code_reuse") == 1


def test_a_code_is_good_while_a_pin_is_on_its_way(one_portal, jane, codes):
    browser = one_portal.browser()
    browser.sign_in_to_verify("jane")
    browser.post("/sign-in/alternative", channel="sms")
    assert browser.get(CODE).status_code == 200
    assert browser.post(CODE, code=codes[0]).location == HOME


def test_who_has_no_code_left_is_offered_none(one_portal, jane):
    browser = one_portal.browser()
    browser.sign_in_to_verify("jane")
    assert f'href="{CODE}"' not in browser.page.text
    assert browser.get(CODE).status_code == 200
    assert browser.post(CODE, code="0" * 16).status_code == 422


@pytest.mark.parametrize("typed", ["", "123456", "not a code at all", "U" * 16])
def test_what_is_no_code_costs_neither_a_try_nor_a_hash(one_portal, jane, codes, typed):
    browser = one_portal.browser()
    browser.sign_in_to_verify("jane")
    hashed = one_portal.base.hasher.done
    assert browser.post(CODE, code=typed).status_code == 422
    assert one_portal.base.hasher.done == hashed
    with one_portal.base.database.read() as looking:
        assert one_portal.means.tries.failures_today(looking, jane.id, Factor.APP) == 0


def test_wrong_saved_codes_and_wrong_app_codes_spend_the_same_tries(one_portal, jane, codes):
    browser = one_portal.browser()
    browser.sign_in_to_verify("jane")
    for number in range(5):
        path, code = (CODE, "0" * 16) if number % 2 else ("/sign-in/verify", one_portal.wrong_code("jane"))
        assert browser.post(path, code=code).status_code == 422
    assert browser.post(CODE, code=codes[0]).status_code == 429
    assert browser.post("/sign-in/verify", code=one_portal.code("jane")).status_code == 429
    one_portal.base.clock.advance(30)
    assert browser.post(CODE, code=codes[0]).status_code == 303


def test_a_saved_code_signs_in_in_the_day_after_a_recovery(one_portal, jane, codes):
    with one_portal.base.database.begin() as transaction:
        from app.records.people import store as people

        people.mark_recovered(transaction, jane.id, one_portal.base.clock.now())
    browser = one_portal.browser()
    browser.sign_in_to_verify("jane")
    assert browser.post(CODE, code=codes[0]).location == HOME


def test_a_saved_code_is_a_fresh_proof(one_portal, jane, codes):
    browser = one_portal.browser()
    browser.sign_in(one_portal, "jane")
    one_portal.base.clock.advance(400)
    before = browser.cookie("keyturn-session")
    browser.get("/step-up")
    assert 'href="/step-up/code"' in browser.page.text
    browser.get("/step-up/code")
    assert browser.post("/step-up/code", code=codes[0]).location == HOME
    assert browser.cookie("keyturn-session") != before
    assert behind.sessions(one_portal, jane.id) == [(["password", "app", "recovery_code"], 2)]
    assert browser.post("/step-up/code", code=codes[0]).status_code == 422


def test_a_busy_hasher_takes_no_try_of_the_persons_or_the_installations(one_portal, jane, codes, monkeypatch):
    from app.foundation.refusals import Code, Unavailable

    browser = one_portal.browser()
    browser.sign_in_to_verify("jane")

    def busy(*_):
        raise Unavailable(Code.HASHER_BUSY, retry_after=5)

    with monkeypatch.context() as patched:
        patched.setattr(one_portal.base.hasher, "raw", busy)
        assert browser.post(CODE, code=codes[0]).status_code == 503
    with one_portal.base.database.read() as looking:
        assert one_portal.means.tries.failures_today(looking, jane.id, Factor.APP) == 0
    strangers = ("installation:sign_in", "strangers")
    [counted] = [row[2] for row in behind.tables(one_portal)["attempts"] if row[:2] == strangers]
    assert sum(json.loads(counted).values()) == 0
    assert browser.post(CODE, code=codes[0]).status_code == 303


def test_a_sign_in_that_began_before_a_recovery_makes_no_browser_known_after_it(one_portal, jane, codes):
    """A saved code is hashed after its person was looked up, and a busy hasher makes that long."""
    thief, owner = one_portal.browser(), one_portal.browser()
    thief.sign_in_to_verify("jane")
    thief.get("/sign-in/code")
    owner.recover_to_password(one_portal, "jane", PHONE)

    def recover():
        owner.post("/recovery/password", new_password=NEW_PASSWORD, confirm_password=NEW_PASSWORD)

    with before_writing(one_portal.base.database, recover, 2):
        assert thief.post("/sign-in/code", code=codes[0]).status_code == 409
    tables = behind.tables(one_portal)
    assert (tables["known_browsers"], tables["sessions"]) == ([], [])
    one_portal.base.clock.advance(30)
    owner.sign_in_to_verify("jane", NEW_PASSWORD)
    owner.get("/sign-in/code")
    assert owner.post("/sign-in/code", code=codes[0]).status_code == 303  # it was not spent
