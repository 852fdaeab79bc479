"""The page of the recovery codes: ten new ones, shown once (T-18, A-09, security rule 6)."""

import re

import pytest

from app.records.people import store as people
from app.records.sessions import store as sessions
from tests.journeys import behind
from tests.meanwhile import before_writing
from tests.portal import NEW_PASSWORD

PHONE, EMAIL = "+491700000001", "jane@example.org"
PAGE = "/authenticators/recovery-codes"
DAY = 86_400


@pytest.fixture
def jane(one_portal):
    return one_portal.add("jane", phone=PHONE, email=EMAIL)


@pytest.fixture
def browser(one_portal, jane):
    signed_in = one_portal.browser()
    signed_in.sign_in(one_portal, "jane")
    signed_in.get(PAGE)
    return signed_in


def codes_on(page):
    return re.findall(r'data-recovery-code="([^"]+)"', page.text)


def made(browser, **fields):
    assert browser.post(PAGE, **fields).location == PAGE
    return codes_on(browser.get(PAGE))


def test_ten_codes_are_shown_until_they_are_saved_and_never_again(one_portal, jane, browser):
    codes = made(browser)
    assert len(set(codes)) == 10
    assert all(re.fullmatch(r"([0-9A-HJKMNP-TV-Z]{4}-){3}[0-9A-HJKMNP-TV-Z]{4}", code) for code in codes)
    assert codes_on(browser.get(PAGE)) == codes  # read as often as one likes
    assert browser.post(f"{PAGE}/saved").location == "/authenticators"
    assert codes_on(browser.get(PAGE)) == []
    assert browser.get(f"{PAGE}/download").location == PAGE
    assert browser.post(f"{PAGE}/saved").status_code == 409
    assert behind.happened(one_portal, jane.id, "recovery_codes_created") == 1
    assert {row["channel"] for row in behind.queued(one_portal, "notice_codes_made")} == {"sms", "email"}


def test_after_ten_minutes_they_are_shown_no_more(one_portal, jane, browser):
    made(browser)
    one_portal.base.clock.advance(599)
    assert len(codes_on(browser.get(PAGE))) == 10
    one_portal.base.clock.advance(1)
    assert browser.get(PAGE).location == "/step-up"


def test_another_session_of_the_same_person_does_not_see_them(one_portal, jane, browser, valkey_url):
    codes = made(browser)
    one_portal.base.clock.advance(30)
    other = one_portal.browser()
    other.sign_in(one_portal, "jane")
    assert codes_on(other.get(PAGE)) == []
    assert other.get(f"{PAGE}/download").location == PAGE
    kept = b"".join(behind.stored(valkey_url).values())
    assert not any(code.encode() in kept or code.replace("-", "").encode() in kept for code in codes)


def test_they_can_be_saved_as_a_text_file_that_no_cache_keeps(browser):
    codes = made(browser)
    answer = browser.get(f"{PAGE}/download")
    assert answer.mimetype == "text/plain"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="recovery-codes.txt"'
    assert answer.headers["Cache-Control"] == "no-store"
    assert [line for line in answer.text.split("\n") if line in codes] == codes
    assert "jane" in answer.text
    assert "Recovery codes for Keyturn" in answer.text


def test_new_codes_need_a_fresh_proof(one_portal, jane, browser):
    one_portal.base.clock.advance(300)
    assert browser.post(PAGE).status_code == 409
    assert browser.get(PAGE).location == "/step-up"
    assert browser.post("/step-up", code=one_portal.code("jane")).location == PAGE
    browser.get(PAGE)
    assert browser.post(PAGE).location == PAGE


def test_a_mailed_pin_makes_no_codes(one_portal, jane):
    lower = one_portal.browser()
    lower.sign_in_by_pin(one_portal, "jane", EMAIL)
    assert lower.get(PAGE).location == "/step-up"
    assert lower.post(PAGE).status_code == 409


def test_for_a_day_after_a_recovery_no_codes_are_made_and_the_page_says_so(one_portal, jane):
    owner = one_portal.browser()
    owner.recover_to_password(one_portal, "jane", PHONE)
    owner.post("/recovery/password", new_password=NEW_PASSWORD, confirm_password=NEW_PASSWORD)
    one_portal.base.clock.advance(30)
    owner.sign_in(one_portal, "jane", NEW_PASSWORD)
    page = owner.get(PAGE)
    assert (page.status_code, "less than a day ago" in page.text) == (200, True)
    assert f'action="{PAGE}"' not in page.text
    assert owner.post(PAGE).status_code == 409


def test_new_codes_void_the_old_ones_at_sign_in_and_wait_a_day_for_recovery(one_portal, jane, browser):
    old = one_portal.add_codes(jane)
    browser.get(PAGE)
    new = made(browser)
    for code, status in ((old[0], 422), (new[0], 303)):
        other = one_portal.browser()
        other.sign_in_to_verify("jane")
        assert other.post("/sign-in/code", code=code).status_code == status
    other.recover_to_token("jane")
    assert other.post("/recovery/code", code=new[1]).status_code == 422
    assert other.post("/recovery/code", code=old[1]).status_code == 303
    one_portal.base.clock.advance(DAY)
    other.recover_to_token("jane")
    assert other.post("/recovery/code", code=old[2]).status_code == 422
    assert other.post("/recovery/code", code=new[2]).status_code == 303


def test_codes_that_somebody_saw_serve_no_recovery_from_that_moment(one_portal, jane, browser):
    old = one_portal.add_codes(jane)
    browser.get(PAGE)
    made(browser, stolen="yes")
    other = one_portal.browser()
    other.recover_to_token("jane")
    assert other.post("/recovery/code", code=old[1]).status_code == 422


def test_a_code_that_still_waits_signs_in_and_lets_nobody_change_a_factor(one_portal, jane, browser):
    new = made(browser)
    other = one_portal.browser()
    other.sign_in_to_verify("jane")
    assert other.post("/sign-in/code", code=new[0]).location == "/authenticators"
    assert (["password", "new_recovery_code"], 2) in behind.sessions(one_portal, jane.id)
    assert other.get(PAGE).location == "/step-up"
    other.get("/step-up/code")
    assert other.post("/step-up/code", code=new[1]).status_code == 422
    one_portal.base.clock.advance(DAY)
    other.sign_in_to_verify("jane")
    assert other.post("/sign-in/code", code=new[1]).status_code == 303
    assert other.get(PAGE).status_code == 200


def test_the_page_of_authenticators_shows_how_many_are_left_and_offers_new_ones_after_one_was_used(one_portal, jane):
    codes = one_portal.add_codes(jane)
    other = one_portal.browser()
    other.sign_in_to_verify("jane")
    other.post("/sign-in/code", code=codes[0])
    page = other.get("/authenticators").text
    assert "9 of ten are left" in page
    assert f'href="{PAGE}"' in page


def test_sets_made_over_and_over_flood_nobody(one_portal, jane, browser):
    for _ in range(3):
        assert made(browser)
        browser.post(f"{PAGE}/saved")
        browser.get(PAGE)
    answer = browser.post(PAGE)
    assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (429, True)
    assert behind.happened(one_portal, jane.id, "recovery_codes_created") == 3


def test_a_set_that_was_asked_for_before_a_recovery_is_not_made_after_it(one_portal, jane, browser):
    """Ten hashes take a while, and longer where the hasher is busy."""
    codes = one_portal.add_codes(jane)

    def recover():
        owner = one_portal.browser()
        one_portal.base.clock.advance(30)
        owner.recover_to_password(one_portal, "jane", PHONE)
        owner.post("/recovery/password", new_password=NEW_PASSWORD, confirm_password=NEW_PASSWORD)

    with before_writing(one_portal.base.database, recover, 2):
        assert browser.post(PAGE, stolen="yes").status_code == 409
    assert behind.happened(one_portal, jane.id, "recovery_codes_created") == 0
    one_portal.base.clock.advance(30)
    later = one_portal.browser()
    later.sign_in_to_verify("jane", NEW_PASSWORD)
    later.get("/sign-in/code")
    assert later.post("/sign-in/code", code=codes[0]).status_code == 303


def test_an_account_that_is_frozen_while_codes_are_drawn_gets_none(one_portal, jane, browser):
    def freeze():
        with one_portal.base.database.begin() as transaction:
            assert people.freeze(transaction, jane.id, one_portal.base.chance.name())

    with before_writing(one_portal.base.database, freeze, 2):
        assert browser.post(PAGE).status_code == 409
    with one_portal.base.database.read() as looking:
        assert one_portal.means.codes.standing(looking, jane.id) is None
    assert not behind.queued(one_portal, "notice_codes_made")


def test_whoever_is_signed_out_while_codes_are_drawn_gets_none(one_portal, jane, browser):
    def end():
        with one_portal.base.database.begin() as transaction:
            sessions.end_all(transaction, jane.id)

    with before_writing(one_portal.base.database, end, 2):
        assert browser.post(PAGE).status_code == 409
    with one_portal.base.database.read() as looking:
        assert one_portal.means.codes.standing(looking, jane.id) is None
