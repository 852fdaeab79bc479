"""What wrong PINs, codes and passwords cost on the way of an activation, and what many presses at once bring about."""

import threading

import pytest

from app.records.attempts.model import Factor
from tests.journeys import behind
from tests.portal import NEW_PASSWORD

PHONE, EMAIL = "+491700000001", "nina@example.org"


@pytest.fixture
def nina(one_portal):
    return one_portal.invite("nina", phone=PHONE, email=EMAIL)


def failures(portal, person, factor):
    with portal.base.database.read() as looking:
        return portal.means.tries.standing(looking, person.id, factor).consecutive


def wrong(pin):
    return f"{(int(pin) + 1) % 1_000_000:06d}"


def test_five_wrong_pins_end_the_flow_and_count_against_the_person(one_portal, nina):
    thief = one_portal.browser()
    thief.activate_to(one_portal, nina, -1, PHONE)
    one_portal.deliver()
    pin = one_portal.last_pin(PHONE)
    for _ in range(4):
        assert thief.post("/activate/pin", pin=wrong(pin)).status_code == 422
    assert thief.post("/activate/pin", pin=wrong(pin)).status_code == 409
    assert thief.post("/activate/pin", pin=pin).status_code == 409
    assert failures(one_portal, nina.person, Factor.PIN) == 5


def test_a_new_flow_gives_no_tries_back(one_portal, nina):
    for _ in range(2):
        thief = one_portal.browser()
        thief.activate_to(one_portal, nina, -1, PHONE)
        one_portal.deliver()
        pin = one_portal.last_pin(PHONE)
        for _ in range(2):
            thief.post("/activate/pin", pin=wrong(pin))
        one_portal.base.clock.advance(60)
    assert failures(one_portal, nina.person, Factor.PIN) == 4


def test_whoever_holds_the_link_cannot_flood_the_phone(one_portal, nina):
    for _ in range(8):
        browser = one_portal.browser()
        browser.get(nina.path)
        assert browser.post(nina.path).location == "/activate/pin"
    one_portal.deliver()
    assert len(one_portal.phone.to(PHONE)) == 3
    assert "No PIN was sent" in browser.get("/activate/pin").text


def test_wrong_passwords_count_where_somebody_goes_on(one_portal, nina):
    one_portal.browser().activate_to(one_portal, nina, 1, PHONE)
    one_portal.deliver()
    one_portal.base.clock.advance(60)
    thief = one_portal.browser()
    thief.activate_to(one_portal, nina, 0, PHONE)
    thief.get("/activate/resume")
    for number in range(5):
        assert thief.post("/activate/resume", password=f"guess number {number}").status_code == 422
    answer = thief.post("/activate/resume", password=NEW_PASSWORD)
    assert (answer.status_code, "Retry-After" in answer.headers) == (429, True)
    assert failures(one_portal, nina.person, Factor.PASSWORD) == 5


def press_at_once(portal, browser, path, times=6, **fields):
    token = browser.token()
    cookies = {name: browser.cookie(name) for name in ("keyturn-task", "keyturn")}
    gate, answers = threading.Barrier(times), []

    def press():
        mine = portal.browser()
        for name, value in cookies.items():
            mine.client.set_cookie(name, value or "")
        gate.wait()
        answers.append(mine.post(path, csrf_token=token, **fields).status_code)

    running = [threading.Thread(target=press) for _ in range(times)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return answers


def test_of_many_guesses_at_the_code_at_once_ten_are_judged(portal):
    omar = portal.invite("omar", email="omar@example.org")
    browser = portal.browser()
    browser.activate_to(portal, omar, -1, PHONE)
    answers = press_at_once(portal, browser, "/activate/code", times=14, code="0" * 16)
    assert sorted(answers) == [409] * 4 + [422] * 10
    assert browser.post("/activate/code", code=omar.code).status_code == 409


def test_of_many_endings_at_once_one_ends_it(portal):
    guest = portal.invite("nina", phone=PHONE, email=EMAIL)
    browser = portal.browser()
    browser.activate_to(portal, guest, 4, PHONE)
    answers = press_at_once(portal, browser, "/activate/codes/saved")
    assert sorted(answers) == [303] + [409] * 5
    assert behind.happened(portal, guest.person.id, "user_activated") == 1


def test_of_many_choices_of_a_password_at_once_one_counts(portal):
    guest = portal.invite("nina", phone=PHONE, email=EMAIL)
    browser = portal.browser()
    browser.activate_to(portal, guest, 0, PHONE)
    fields = {"new_password": NEW_PASSWORD, "confirm_password": NEW_PASSWORD}
    answers = press_at_once(portal, browser, "/activate/password", **fields)
    assert sorted(answers) == [303] + [409] * 5
    assert behind.happened(portal, guest.person.id, "authn_password_change") == 1
