"""A right code of a wrong time is named, burned and never accepted (product.md 7.2, security rule 7).

The codes come from oathtool, an authenticator that shares no line with ours.
"""

import base64
import re
import subprocess
from datetime import UTC, datetime

import pytest

from app.records.attempts.model import Factor
from tests.journeys import behind
from tests.portal import NEW_PASSWORD

PHONE = "+491700000001"
EMAIL = "jane@example.org"
TOKEN, PIN, NEW = "/recovery/token", "/recovery/pin", "/recovery/password"


@pytest.fixture
def authenticator(oathtool):
    """What an app with this seed shows when its own clock says so."""

    def show(seed: bytes, at: int) -> str:
        when = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        command = [oathtool, "--totp", "--base32", "--now", when, base64.b32encode(seed).decode()]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    return show


@pytest.fixture
def jane(one_portal):
    return one_portal.add("jane", phone=PHONE, email=EMAIL)


@pytest.fixture
def shown(one_portal, authenticator, jane):
    """The code on Jane's phone, whose clock is off by so many seconds."""
    return lambda off=0: authenticator(one_portal.seeds["jane"], one_portal.base.clock.now() + off)


def at_token(portal):
    browser = portal.browser()
    browser.recover_to_token("jane")
    return browser


def said(answer):
    """The sentence beside the field."""
    return re.sub(r"<[^>]+>|\s+", " ", answer.text[answer.text.index('role="alert"') :]).strip()


# ---- the whole recovery with somebody else's authenticator


def test_a_recovery_with_the_codes_of_an_independent_authenticator(portal, authenticator):
    portal.add("jane", phone=PHONE, email=EMAIL)
    browser = at_token(portal)
    code = authenticator(portal.seeds["jane"], portal.base.clock.now())
    assert browser.post(TOKEN, code=f"{code[:3]} {code[3:]}").location == PIN
    portal.deliver()
    assert browser.post(PIN, pin=behind.pins_by_sms(portal, PHONE)[-1]).location == NEW
    assert browser.post(NEW, new_password=NEW_PASSWORD, confirm_password=NEW_PASSWORD).status_code == 303
    assert behind.signs_in(portal, "jane", NEW_PASSWORD)


# ---- the window: one step either side, and no further (requirements T-04, T-05)


@pytest.mark.parametrize("place", [0, 29])
@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_codes_of_the_step_before_the_present_one_and_the_next_are_accepted(one_portal, shown, steps, place):
    one_portal.base.clock.advance((place - one_portal.base.clock.now()) % 30)
    assert at_token(one_portal).post(TOKEN, code=shown(steps * 30)).location == PIN


@pytest.mark.parametrize("steps", [-20, -2, 2, 20])
def test_codes_further_off_are_named_and_not_accepted(one_portal, jane, shown, steps):
    browser = at_token(one_portal)
    answer = browser.post(TOKEN, code=shown(steps * 30))
    assert answer.status_code == 422
    assert ("slow" if steps < 0 else "fast") in said(answer)
    assert browser.get(PIN).location == TOKEN
    assert behind.queued(one_portal) == []


@pytest.mark.parametrize("steps", [-21, 21])
def test_codes_more_than_ten_minutes_off_are_like_any_wrong_code(one_portal, shown, steps):
    answer = at_token(one_portal).post(TOKEN, code=shown(steps * 30))
    assert answer.status_code == 422
    assert "clock" not in said(answer)
    assert "This code was not accepted." in said(answer)


@pytest.mark.parametrize(
    ("off", "words"),
    [
        (-60, "about 1 minute slow"),
        (-90, "about 1½ minutes slow"),
        (-120, "about 2 minutes slow"),
        (-600, "about 10 minutes slow"),
        (60, "about 1 minute fast"),
        (150, "about 2½ minutes fast"),
    ],
)
def test_how_far_a_phones_clock_is_off_is_told_in_half_minutes_with_the_remedy(one_portal, shown, off, words):
    answer = at_token(one_portal).post(TOKEN, code=shown(off))
    assert f"Your phone's clock is {words}." in said(answer).replace("&#39;", "'")
    assert "turn on automatic date and time" in answer.text


def test_the_offset_is_told_in_german_too(one_portal, shown):
    browser = one_portal.browser(HTTP_ACCEPT_LANGUAGE="de")
    browser.recover_to_token("jane")
    answer = browser.post(TOKEN, code=shown(-90))
    assert "1½ Minuten" in said(answer)


# ---- it costs a try, is burned, and stays useless


def test_a_named_code_costs_a_try_like_a_wrong_one(one_portal, jane, shown):
    browser = at_token(one_portal)
    for number in range(5):
        assert browser.post(TOKEN, code=shown(-90 - 30 * number)).status_code == 422
    answer = browser.post(TOKEN, code=shown())
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "30")
    assert behind.happened(one_portal, jane.id, "authn_token_fail") == 5


def test_while_blocked_no_offset_is_told(one_portal, shown):
    browser = at_token(one_portal)
    for _ in range(5):
        browser.post(TOKEN, code=one_portal.wrong_code("jane"))
    answer = browser.post(TOKEN, code=shown(-90))
    assert answer.status_code == 429
    assert "clock" not in answer.text


def test_a_code_of_the_future_that_was_named_is_refused_when_its_time_has_come(one_portal, shown):
    """A thief who reads a code off a phone that is fast must not use it two minutes later."""
    browser = at_token(one_portal)
    early = shown(120)
    assert "fast" in said(browser.post(TOKEN, code=early))
    one_portal.base.clock.advance(120)
    assert shown() == early
    answer = browser.post(TOKEN, code=early)
    assert answer.status_code == 422
    assert "used before" in said(answer)


def test_only_the_named_step_is_burned(one_portal, shown):
    browser = at_token(one_portal)
    browser.post(TOKEN, code=shown(120))
    one_portal.base.clock.advance(90)
    assert browser.post(TOKEN, code=shown()).location == PIN  # a step before the burned one, and after it was named


def test_a_slow_phone_that_was_put_right_works_at_once(one_portal, shown):
    browser = at_token(one_portal)
    assert "slow" in said(browser.post(TOKEN, code=shown(-90)))
    assert browser.post(TOKEN, code=shown()).location == PIN


def test_a_named_code_sent_again_is_not_named_again(one_portal, shown):
    browser = at_token(one_portal)
    code = shown(-90)
    assert "slow" in said(browser.post(TOKEN, code=code))
    assert "used before" in said(browser.post(TOKEN, code=code))


def test_what_was_found_is_written_down_for_support_without_the_code(one_portal, jane, shown):
    code = shown(-90)
    at_token(one_portal).post(TOKEN, code=code)
    rows = [row for row in behind.tables(one_portal)["audit_events"] if "authn_token_fail" in row]
    assert len(rows) == 1
    assert '"offset_seconds": -90' in repr(rows)
    assert code not in repr(rows)


# ---- a step counts once, over all flows, doors and processes (requirement T-03)


def test_an_accepted_code_is_refused_ever_after_in_every_flow(portal, authenticator):
    portal.add("jane", phone=PHONE, email=EMAIL)
    code = authenticator(portal.seeds["jane"], portal.base.clock.now())
    assert at_token(portal).post(TOKEN, code=code).location == PIN
    other = at_token(portal)
    for spelling in (code, f" {code}", f"{code[:3]}-{code[3:]}"):  # TOB-PYPI26-9: the mark was kept for the text
        answer = other.post(TOKEN, code=spelling)
        assert answer.status_code == 422
        assert "used before" in said(answer)
    portal.base.clock.advance(30)  # TOB-PYPI26-1: still in the window
    assert "used before" in said(other.post(TOKEN, code=code))


def test_after_a_code_no_earlier_one_is_accepted(one_portal, shown):
    earlier, present = shown(-30), shown()
    assert at_token(one_portal).post(TOKEN, code=present).location == PIN
    other = at_token(one_portal)
    assert other.post(TOKEN, code=earlier).status_code == 422
    one_portal.base.clock.advance(30)
    assert other.post(TOKEN, code=shown()).location == PIN


def test_a_code_sent_again_is_written_down_as_such(one_portal, jane, shown):
    """Requirement T-09: somebody else may have used it."""
    at_token(one_portal).post(TOKEN, code=shown())
    at_token(one_portal).post(TOKEN, code=shown())
    assert behind.happened(one_portal, jane.id, "authn_token_reuse") == 1


@pytest.mark.parametrize("later", [60, 240, 600])
def test_an_accepted_code_typed_again_minutes_later_is_called_used_and_no_clock_is_blamed(portal, authenticator, later):
    """Requirement T-09 and product.md 7.2: it is of another time by then, and was accepted in its own."""
    jane = portal.add("jane", phone=PHONE, email=EMAIL)
    code = authenticator(portal.seeds["jane"], portal.base.clock.now())
    assert at_token(portal).post(TOKEN, code=code).location == PIN
    portal.base.clock.advance(later)
    answer = at_token(portal).post(TOKEN, code=code)
    assert answer.status_code == 422
    assert "used before" in said(answer)
    assert "clock" not in said(answer)
    assert behind.happened(portal, jane.id, "authn_token_reuse") == 1
    assert behind.happened(portal, jane.id, "authn_token_fail") == 0


def test_while_blocked_a_used_code_is_not_told_from_any_other(one_portal, jane, shown):
    code = shown()
    assert at_token(one_portal).post(TOKEN, code=code).location == PIN
    one_portal.base.clock.advance(240)
    browser = at_token(one_portal)
    for _ in range(5):
        browser.post(TOKEN, code=one_portal.wrong_code("jane"))
    answer = browser.post(TOKEN, code=code)
    assert answer.status_code == 429
    assert "used" not in answer.text
    assert behind.happened(one_portal, jane.id, "authn_token_reuse") == 0


# ---- what is no code never reaches the search (requirement T-22)


def test_other_digits_than_ascii_are_no_code_and_cost_no_try(one_portal, jane, shown):
    """Unicode knows 680 digits, and pyotp takes many of them; a second spelling is a second try (S-01)."""
    code = shown()
    arabic = code.translate({ord("0") + n: 0x0660 + n for n in range(10)})
    browser = at_token(one_portal)
    for typed in (behind.full_width(code), arabic, f"{code}\x00", f"{code}\n{code}", f"+{code}", f"{code}.0", "²" * 6):
        answer = browser.post(TOKEN, code=typed)
        assert answer.status_code == 422, ascii(typed)
        assert "6 digits" in said(answer)
    assert browser.post(TOKEN, code="1" * 60_000).status_code == 422
    with one_portal.base.database.read() as looking:
        assert one_portal.means.tries.standing(looking, jane.id, Factor.APP).consecutive == 0
    assert browser.post(TOKEN, code=code).location == PIN
