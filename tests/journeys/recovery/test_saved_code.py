"""A saved code as the first proof of a recovery: beside the app's, and no second supply of guesses."""

import threading

import pytest

from tests.journeys import behind
from tests.portal import NEW_PASSWORD

PHONE, EMAIL = "+491700000001", "jane@example.org"
CODE, TOKEN, PIN = "/recovery/code", "/recovery/token", "/recovery/pin"
DAY = 86_400


def test_somebody_without_a_phone_app_recovers_by_a_saved_code_and_a_pin(portal):
    jane = portal.add("jane", phone=PHONE, email=EMAIL)
    codes = portal.add_codes(jane)
    browser = portal.browser()
    browser.get("/recovery/other-ways")
    assert f'href="{CODE}"' in browser.page.text
    browser.recover_to_pin_by_code("jane", codes[0])
    portal.deliver()
    assert browser.post(PIN, pin=behind.pins_by_sms(portal, PHONE)[-1]).location == "/recovery/password"
    browser.get("/recovery/password")
    done = browser.post("/recovery/password", new_password=NEW_PASSWORD, confirm_password=NEW_PASSWORD)
    assert done.status_code == 303
    assert "9 are left" in browser.get("/recovery/done").text
    assert behind.signs_in(portal, "jane", NEW_PASSWORD)
    assert {row["channel"] for row in behind.queued(portal, "notice_code_used")} == {"sms", "email"}


def test_a_code_alone_opens_nothing_and_two_codes_are_one_factor(one_portal):
    jane = one_portal.add("jane", phone=PHONE, email=EMAIL)
    codes = one_portal.add_codes(jane)
    browser = one_portal.browser()
    browser.recover_to_pin_by_code("jane", codes[0])
    assert browser.post(CODE, code=codes[1]).status_code == 409
    assert browser.post(TOKEN, code=one_portal.code("jane")).status_code == 409
    answer = browser.post("/recovery/password", new_password=NEW_PASSWORD, confirm_password=NEW_PASSWORD)
    assert answer.status_code == 409
    # the second code was not judged, let alone spent
    other = one_portal.browser()
    other.recover_to_pin_by_code("jane", codes[1])


def test_the_proof_of_a_code_is_good_for_ten_minutes(one_portal):
    jane = one_portal.add("jane", phone=PHONE)
    browser = one_portal.browser()
    browser.recover_to_pin_by_code("jane", one_portal.add_codes(jane)[0])
    one_portal.base.clock.advance(600)
    assert browser.get(PIN).location == "/recovery"


def test_the_sign_in_page_carries_the_user_id_here_too(one_portal):
    jane = one_portal.add("jane", phone=PHONE)
    codes = one_portal.add_codes(jane)
    browser = one_portal.browser()
    browser.get("/sign-in")
    browser.post("/sign-in", user_id="jane")
    assert browser.get(CODE).status_code == 200
    assert browser.post(CODE, code=codes[0]).location == PIN


def test_without_a_flow_the_page_leads_to_the_user_id(one_portal):
    assert one_portal.browser().get(CODE).location == "/recovery"


def test_saved_codes_and_app_codes_share_the_six_of_strangers(one_portal):
    jane = one_portal.add("jane", phone=PHONE)
    codes = one_portal.add_codes(jane)
    browser = one_portal.browser(REMOTE_ADDR="203.0.113.66")
    browser.recover_to_token("jane")
    for number in range(5):
        path, code = (CODE, "0" * 16) if number % 2 else (TOKEN, one_portal.wrong_code("jane"))
        assert browser.post(path, code=code).status_code == 422
    one_portal.base.clock.advance(30)
    assert browser.post(CODE, code="0" * 16).status_code == 422
    one_portal.base.clock.advance(3_600)
    browser.recover_to_token("jane")
    right, wrong = (browser.post(CODE, code=code) for code in (codes[0], "0" * 16))
    assert (right.status_code, wrong.status_code) == (429, 429)
    assert right.headers["Retry-After"] == wrong.headers["Retry-After"]
    assert 'href="/recovery/link"' in right.text
    # refused, it was not used up
    one_portal.base.clock.advance(DAY)
    one_portal.browser().recover_to_pin_by_code("jane", codes[0])


def test_of_twelve_at_once_over_all_doors_one_code_opens_one(portal):
    jane = portal.add("jane", phone=PHONE, email=EMAIL)
    code = portal.add_codes(jane)[0]
    browsers = []
    for number in range(12):
        browser = portal.browser(REMOTE_ADDR=f"203.0.113.{number}")
        if number % 2:
            browser.recover_to_token("jane")
            browsers.append((browser, CODE))
        else:
            browser.sign_in_to_verify("jane")
            browsers.append((browser, "/sign-in/code"))
    statuses, barrier = [], threading.Barrier(len(browsers))

    def post(browser, path):
        barrier.wait(30)
        statuses.append(browser.post(path, code=code).status_code)

    threads = [threading.Thread(target=post, args=pair) for pair in browsers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(statuses) == 12
    assert statuses.count(303) == 1
    assert set(statuses) <= {303, 422, 429}
    assert behind.happened(portal, jane.id, "authn_recovery_code_success") == 1


@pytest.mark.parametrize("path", [CODE, TOKEN])
def test_with_too_many_tries_known_and_unknown_are_shown_the_same_way_out(one_portal, path):
    one_portal.add("jane", phone=PHONE)
    told = set()
    for user_id in ("jane", "john"):
        browser = one_portal.browser(REMOTE_ADDR="203.0.113.66")
        browser.recover_to_token(user_id)
        wrong = "0" * 16 if path == CODE else one_portal.wrong_code("jane")
        for _ in range(6):
            answer = browser.post(path, code=wrong)
        assert answer.status_code == 429
        assert 'href="/recovery/link"' in answer.text
        told.add(answer.headers["Retry-After"])
    assert len(told) == 1
