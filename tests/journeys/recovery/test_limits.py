"""How many tries, for whom, and what gives none back (security rules 1 to 3; requirements R)."""

import re

import pytest

from app.records.attempts.model import Factor
from tests.journeys import behind
from tests.portal import NEW_PASSWORD, PASSWORD, opened

PHONE = "+491700000001"
EMAIL = "jane@example.org"
TOKEN, PIN, NEW = "/recovery/token", "/recovery/pin", "/recovery/password"
SIGN_IN = "/sign-in/password"
DAY = 86_400


@pytest.fixture
def jane(one_portal):
    return one_portal.add("jane", phone=PHONE, email=EMAIL)


def at_sign_in(portal, user_id="jane", **environ):
    browser = portal.browser(**{"REMOTE_ADDR": "203.0.113.66", **environ})
    browser.get("/sign-in")
    assert browser.post("/sign-in", user_id=user_id).status_code == 303
    browser.get(SIGN_IN)
    return browser


def at_token(portal, user_id="jane", **environ):
    browser = portal.browser(**{"REMOTE_ADDR": "203.0.113.66", **environ})
    browser.recover_to_token(user_id)
    return browser


def guess_passwords(portal, browser, times, start=0):
    """So many different wrong passwords, waiting whenever told to; the waits, in seconds."""
    waits = []
    tried = 0
    while tried < times:
        answer = browser.post(SIGN_IN, password=f"a wrong guess, number {start + tried}")
        if answer.status_code == 429:
            waits.append(int(answer.headers["Retry-After"]))
            portal.base.clock.advance(waits[-1])
        elif answer.status_code == 409:  # the flow's time is over
            browser.post("/sign-in", user_id="jane")
        else:
            assert answer.status_code == 422
            tried += 1
    return waits


def without_tokens(answer):
    """What a visitor can compare: status, headers and bytes but for what is random in every answer."""
    text = re.sub(r'name="csrf_token"[^>]*value="[^"]+"', "", answer.text)
    text = re.sub(r'<span class="figure">[0-9a-f]{32}</span>', "", text)
    headers = {name: value for name, value in answer.headers if name not in {"X-Request-Id", "Content-Length"}}
    return answer.status_code, headers, text


# ---- the ladder


def test_sign_in_gives_five_tries_and_then_waits_that_grow(one_portal, jane):
    browser = at_sign_in(one_portal)
    waits = guess_passwords(one_portal, browser, 16)
    assert waits == [30, 60, 120, 240, 300, 300, 600, 1_200, 2_400, 3_600, 3_600]


def test_a_wait_can_be_seen_in_the_answer_and_ends_when_it_says(one_portal, jane):
    browser = at_sign_in(one_portal)
    guess_passwords(one_portal, browser, 5)
    one_portal.base.clock.advance(29)
    answer = browser.post(SIGN_IN, password=PASSWORD)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Try again in 1 second." in answer.text
    one_portal.base.clock.advance(1)
    assert browser.post(SIGN_IN, password=PASSWORD).status_code == 303


def test_tries_while_one_has_to_wait_neither_count_nor_lengthen_the_wait(one_portal, jane):
    browser = at_sign_in(one_portal)
    guess_passwords(one_portal, browser, 5)
    hashed = one_portal.base.hasher.done
    for second in range(20):
        answer = browser.post(SIGN_IN, password=f"in vain {second}")
        assert int(answer.headers["Retry-After"]) == 30 - second
        one_portal.base.clock.advance(1)
    assert one_portal.base.hasher.done == hashed
    one_portal.base.clock.advance(10)
    assert browser.post(SIGN_IN, password=PASSWORD).status_code == 303


def test_a_success_ends_the_run_of_failures(one_portal, jane):
    guess_passwords(one_portal, at_sign_in(one_portal), 4)
    assert at_sign_in(one_portal).post(SIGN_IN, password=PASSWORD).status_code == 303
    assert guess_passwords(one_portal, at_sign_in(one_portal), 5, start=100) == []


# ---- the day's shares


def test_strangers_get_six_wrong_app_codes_a_day_at_recovery(one_portal, jane):
    start = one_portal.base.clock.now()
    browser = at_token(one_portal)
    for _ in range(5):
        assert browser.post(TOKEN, code=one_portal.wrong_code("jane")).status_code == 422
    one_portal.base.clock.advance(30)
    assert browser.post(TOKEN, code=one_portal.wrong_code("jane")).status_code == 422
    one_portal.base.clock.advance(60)
    for code in (one_portal.wrong_code("jane"), one_portal.code("jane")):
        answer = browser.post(TOKEN, code=code)
        assert answer.status_code == 429
        assert int(answer.headers["Retry-After"]) == start + DAY - one_portal.base.clock.now()
    assert behind.happened(one_portal, jane.id, "authn_token_fail") == 6
    one_portal.base.clock.advance(start + DAY - one_portal.base.clock.now())
    assert at_token(one_portal).post(TOKEN, code=one_portal.code("jane")).status_code == 303


def test_a_right_code_in_between_does_not_refill_the_day(one_portal, jane):
    browser = at_token(one_portal)
    for _ in range(5):
        browser.post(TOKEN, code=one_portal.wrong_code("jane"))
    one_portal.base.clock.advance(30)
    assert browser.post(TOKEN, code=one_portal.code("jane")).status_code == 303
    again = at_token(one_portal)
    assert again.post(TOKEN, code=one_portal.wrong_code("jane")).status_code == 422
    one_portal.base.clock.advance(3_600)
    assert at_token(one_portal).post(TOKEN, code=one_portal.wrong_code("jane")).status_code == 429


def test_a_recovery_gets_fifteen_wrong_pins_a_day_over_all_flows_and_channels(one_portal, jane):
    clock = one_portal.base.clock
    start = clock.now()
    judged_at: list[int] = []
    while clock.now() < start + DAY:
        browser = at_token(one_portal)
        assert browser.post(TOKEN, code=one_portal.code("jane")).status_code == 303
        if len(judged_at) % 2:
            browser.post("/recovery/pin/send", channel="email")
        answer = browser.post(PIN, pin="00000000" if len(judged_at) % 2 else "000000")
        while answer.status_code == 422 and behind.happened(one_portal, jane.id, "authn_pin_fail") > len(judged_at):
            judged_at.append(clock.now())
            answer = browser.post(PIN, pin="000000")
        if answer.status_code == 409 and behind.happened(one_portal, jane.id, "authn_pin_fail") > len(judged_at):
            judged_at.append(clock.now())
        clock.advance(int(answer.headers.get("Retry-After", 300)))
    assert len(judged_at) == 15
    # the window slides: the next is judged a day after the first, and no sooner
    browser = at_token(one_portal)
    browser.post(TOKEN, code=one_portal.code("jane"))
    assert browser.post(PIN, pin="000000").status_code == 422
    assert clock.now() - judged_at[0] >= DAY


def test_a_right_code_clears_no_count_of_pins(one_portal, jane):
    """Requirement R-03: a success clears the counters of what was used, and only those."""
    browser = at_token(one_portal)
    browser.post(TOKEN, code=one_portal.code("jane"))
    for _ in range(5):
        browser.post(PIN, pin="000000")
    one_portal.base.clock.advance(29)
    again = at_token(one_portal)
    one_portal.base.clock.advance(1)
    assert again.post(TOKEN, code=one_portal.code("jane")).status_code == 303
    one_portal.deliver()
    assert again.post(PIN, pin=behind.pins_by_sms(one_portal, PHONE)[-1]).status_code == 303
    # and the right PIN cleared the wait, but not the day
    with one_portal.base.database.read() as looking:
        assert one_portal.means.tries.failures_today(looking, jane.id, Factor.PIN) == 5


# ---- while blocked nothing tells right from wrong (requirement R-13, privacyIDEA keycloak-provider 71)


def test_while_a_person_has_to_wait_the_right_password_is_answered_like_a_wrong_one(portal):
    portal.add("jane", phone=PHONE, email=EMAIL)
    browser = at_sign_in(portal)
    guess_passwords(portal, browser, 5)
    right, wrong = (browser.post(SIGN_IN, password=word) for word in (PASSWORD, "a wrong guess, number 9"))
    known = browser.post(SIGN_IN, password="a wrong guess, number 1")
    assert without_tokens(right) == without_tokens(wrong) == without_tokens(known)
    assert right.status_code == 429


def test_while_a_person_has_to_wait_the_right_code_is_answered_like_a_wrong_one_and_is_not_used_up(portal):
    portal.add("jane", phone=PHONE, email=EMAIL)
    browser = at_token(portal)
    for _ in range(5):
        browser.post(TOKEN, code=portal.wrong_code("jane"))
    # the right one, a wrong one, one that was right ten minutes ago, one that a slow phone would show
    codes = [portal.code("jane"), portal.wrong_code("jane"), portal.code("jane", -20), portal.code("jane", -3)]
    answers = {repr(without_tokens(browser.post(TOKEN, code=code))) for code in codes}
    assert len(answers) == 1
    assert "(429, " in answers.pop()
    portal.base.clock.advance(30)
    assert browser.post(TOKEN, code=codes[0]).status_code == 303  # of the step before, never looked at


def test_while_a_person_has_to_wait_the_right_pin_is_answered_like_a_wrong_one(portal):
    portal.add("jane", phone=PHONE, email=EMAIL)
    first = at_token(portal)
    first.post(TOKEN, code=portal.code("jane"))
    portal.base.clock.advance(30)
    second = at_token(portal)
    second.post(TOKEN, code=portal.code("jane"))
    portal.deliver()
    pin = behind.pins_by_sms(portal, PHONE)[-1]
    for _ in range(5):
        first.post(PIN, pin="000000")
    key = behind.flow_key(second.cookie(behind.RECOVERY))
    before = portal.base.ephemeral.get(key)
    right = second.post(PIN, pin=pin)
    portal.base.ephemeral.put(key, before, 1_800)  # the flow's own tries are counted all the same
    wrong = second.post(PIN, pin="000000")
    assert right.status_code == 429
    assert without_tokens(right) == without_tokens(wrong)


# ---- one door never closes another (security rule 1, requirement R-08)


def test_a_hundred_failed_recoveries_do_not_lock_sign_in(one_portal, jane):
    for number in range(20):
        browser = at_token(one_portal, REMOTE_ADDR=f"203.0.113.{number}")
        for _ in range(5):
            assert browser.post(TOKEN, code=one_portal.wrong_code("jane")).status_code in {422, 429}
    assert at_token(one_portal).post(TOKEN, code=one_portal.code("jane")).status_code == 429
    assert behind.signs_in(one_portal, "jane", PASSWORD)


def test_failed_pins_do_not_lock_sign_in(one_portal, jane):
    browser = at_token(one_portal)
    browser.post(TOKEN, code=one_portal.code("jane"))
    for _ in range(5):
        browser.post(PIN, pin="000000")
    assert behind.signs_in(one_portal, "jane", PASSWORD)


def test_no_number_of_failed_sign_ins_closes_recovery(one_portal, jane):
    guess_passwords(one_portal, at_sign_in(one_portal), 50)
    assert at_sign_in(one_portal).post(SIGN_IN, password=PASSWORD).status_code == 429
    one_portal.deliver()
    owner = one_portal.browser()
    owner.recover_to_password(one_portal, "jane", PHONE)
    assert owner.post(NEW, new_password=NEW_PASSWORD, confirm_password=NEW_PASSWORD).status_code == 303
    assert behind.signs_in(one_portal, "jane", NEW_PASSWORD)


# ---- what gives no try back

ELSEWHERE = {
    "a new browser": {},
    "another address": {"REMOTE_ADDR": "198.51.100.1"},
    "an IPv6 address": {"REMOTE_ADDR": "2001:db8::1"},
    "X-Forwarded-For": {"HTTP_X_FORWARDED_FOR": "198.51.100.2"},
    "Forwarded": {"HTTP_FORWARDED": "for=198.51.100.3"},
    "X-Real-IP": {"HTTP_X_REAL_IP": "198.51.100.4"},
    "a header that cannot be read": {"HTTP_X_FORWARDED_FOR": "not an address"},
    "another agent": {"HTTP_USER_AGENT": "curl/8"},
}
SPELLINGS = ("JANE", " jane\t", behind.full_width("jane"), behind.full_width("JANE"), "Jane")


def test_no_other_browser_address_header_or_spelling_gives_a_password_another_try(one_portal, jane):
    """Django-allauth 2020 and 65.14.2, Authelia CVE-2025-24806, authentik CVE-2024-47070."""
    guess_passwords(one_portal, at_sign_in(one_portal), 5)
    for name, environ in ELSEWHERE.items():
        assert at_sign_in(one_portal, **environ).post(SIGN_IN, password=PASSWORD).status_code == 429, name
    for spelling in SPELLINGS:
        assert at_sign_in(one_portal, spelling).post(SIGN_IN, password=PASSWORD).status_code == 429, spelling


def test_no_other_browser_address_header_or_spelling_gives_a_code_another_try(one_portal, jane):
    browser = at_token(one_portal)
    for _ in range(5):
        browser.post(TOKEN, code=one_portal.wrong_code("jane"))
    for name, environ in ELSEWHERE.items():
        assert at_token(one_portal, **environ).post(TOKEN, code=one_portal.code("jane")).status_code == 429, name
    for spelling in SPELLINGS:
        assert at_token(one_portal, spelling).post(TOKEN, code=one_portal.code("jane")).status_code == 429, spelling
    carried = at_sign_in(one_portal, "Jane")
    assert carried.post(TOKEN, code=one_portal.code("jane")).status_code == 429


def test_tries_spread_over_spellings_and_addresses_are_counted_together(one_portal, jane):
    answers = []
    for number, spelling in enumerate((*SPELLINGS, "jane")):
        browser = at_token(one_portal, spelling, REMOTE_ADDR=f"198.51.100.{number}")
        answers.append(browser.post(TOKEN, code=one_portal.wrong_code("jane")).status_code)
    assert answers == [422] * 5 + [429]


def test_a_new_flow_and_a_new_pin_give_no_pin_another_try(one_portal, jane):
    """AuthQuake 2024: ten tries a session, and sessions without end."""
    browser = at_token(one_portal)
    browser.post(TOKEN, code=one_portal.code("jane"))
    for _ in range(4):
        assert browser.post(PIN, pin="000000").status_code == 422
    browser.post("/recovery/pin/send", channel="email")
    assert browser.post(PIN, pin="00000000").status_code == 409
    one_portal.base.clock.advance(29)
    another = at_token(one_portal)
    code = one_portal.code("jane", 1)
    assert another.post(TOKEN, code=code).status_code == 303
    one_portal.deliver()
    answer = another.post(PIN, pin=behind.pins_by_sms(one_portal, PHONE)[-1])
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")


def test_a_portal_started_anew_remembers_every_try(portal, redis_url, clock, keyring):
    portal.add("jane", phone=PHONE, email=EMAIL)
    guess_passwords(portal, at_sign_in(portal), 5)
    browser = at_token(portal)
    for _ in range(5):
        browser.post(TOKEN, code=portal.wrong_code("jane"))
    with opened(portal.base.database, redis_url, clock, keyring) as another:
        assert at_sign_in(another).post(SIGN_IN, password=PASSWORD).status_code == 429
        assert at_token(another).post(TOKEN, code=portal.code("jane")).status_code == 429


# ---- the same wrong password counts once (security rule 3)


@pytest.mark.parametrize("who", ["jane", "nobody"])
def test_the_same_wrong_password_counts_once_and_is_hashed_every_time(one_portal, jane, who):
    """A mail program that keeps trying the old password must not lock its owner out."""
    hashed = one_portal.base.hasher.done
    for _ in range(12):
        assert at_sign_in(one_portal, who).post(SIGN_IN, password="the old one, still saved").status_code == 422
    assert one_portal.base.hasher.done == hashed + 12
    browser = at_sign_in(one_portal, who)
    answers = [browser.post(SIGN_IN, password=f"another {n}").status_code for n in range(5)]
    assert answers == [422, 422, 422, 422, 429]


def test_the_same_wrong_password_is_written_down_once_and_buries_nothing_that_the_owner_looks_for(one_portal, jane):
    browser = at_sign_in(one_portal)
    for _ in range(10):
        assert browser.post(SIGN_IN, password="the same wrong one").status_code == 422
    assert behind.happened(one_portal, jane.id, "authn_login_fail") == 1
    assert browser.post(SIGN_IN, password="another wrong one").status_code == 422
    assert behind.happened(one_portal, jane.id, "authn_login_fail") == 2


def test_the_same_wrong_password_counts_again_from_elsewhere_and_after_an_hour(one_portal, jane):
    with one_portal.base.database.read() as looking:
        assert one_portal.means.tries.standing(looking, jane.id, Factor.PASSWORD).consecutive == 0
    for number, environ in enumerate(({}, {}, {"REMOTE_ADDR": "198.51.100.1"}, {"REMOTE_ADDR": "198.51.100.2"})):
        at_sign_in(one_portal, **environ).post(SIGN_IN, password="the old one, still saved")
        with one_portal.base.database.read() as looking:
            standing = one_portal.means.tries.standing(looking, jane.id, Factor.PASSWORD)
        assert standing.consecutive == max(1, number)


def test_a_sixth_wrong_password_pushes_out_the_first(one_portal, jane):
    subject = one_portal.means.tries.subject("jane", jane.id)
    for number in range(6):
        one_portal.means.tries.remember_wrong(subject, f"guess {number}", jane.stamp, "203.0.113.66")
    seen = [one_portal.means.tries.seen_wrong(subject, f"guess {n}", jane.stamp, "203.0.113.66") for n in range(6)]
    assert seen == [False, True, True, True, True, True]


def test_a_wrong_password_is_remembered_without_itself_and_for_one_password_alone(one_portal, jane, valkey_url):
    at_sign_in(one_portal).post(SIGN_IN, password="the old one, still saved")
    kept = behind.stored(valkey_url)
    assert not any(b"still saved" in value for value in kept.values())
    subject = one_portal.means.tries.subject("jane", jane.id)
    assert one_portal.means.tries.seen_wrong(subject, "the old one, still saved", jane.stamp, "203.0.113.66")
    assert not one_portal.means.tries.seen_wrong(subject, "the old one, still saved", "another stamp", "203.0.113.66")


# ---- strangers may spend half of what an authenticator survives, and the owner is told


def test_after_fifty_failures_in_a_row_sign_in_is_closed_to_strangers_and_the_owner_is_told_once(one_portal, jane):
    guess_passwords(one_portal, at_sign_in(one_portal), 49)
    assert behind.queued(one_portal, "notice_strangers") == []
    guess_passwords(one_portal, at_sign_in(one_portal), 1, start=49)
    assert {row["channel"] for row in behind.queued(one_portal, "notice_strangers")} == {"sms", "email"}
    for days in range(1, 4):
        one_portal.base.clock.advance(DAY)
        answer = at_sign_in(one_portal).post(SIGN_IN, password=PASSWORD)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, str(DAY)), days
    assert len(behind.queued(one_portal, "notice_strangers")) == 2
    # a recovery opens it again
    one_portal.deliver()
    owner = one_portal.browser()
    owner.recover_to_password(one_portal, "jane", PHONE)
    assert owner.post("/recovery/unlock").status_code == 303
    assert behind.signs_in(one_portal, "jane", PASSWORD)


def test_after_25_wrong_codes_in_a_row_recovery_is_closed_to_strangers_and_the_owner_is_told_once(one_portal, jane):
    tried = 0
    browser = at_token(one_portal)
    while tried < 25:
        answer = browser.post(TOKEN, code=one_portal.wrong_code("jane"))
        if answer.status_code == 429:
            one_portal.base.clock.advance(int(answer.headers["Retry-After"]))
        elif answer.status_code == 409:
            browser = at_token(one_portal)
        else:
            tried += 1
            assert bool(behind.queued(one_portal, "notice_strangers")) == (tried == 25)
    one_portal.base.clock.advance(2 * DAY)
    assert at_token(one_portal).post(TOKEN, code=one_portal.code("jane")).status_code == 429
    assert len(behind.queued(one_portal, "notice_strangers")) == 2
    assert behind.signs_in(one_portal, "jane", PASSWORD)


# ---- addresses


@pytest.mark.parametrize("path", ["/recovery", "/sign-in"])
def test_sixty_flows_in_ten_minutes_may_start_from_one_address(one_portal, path):
    browser = one_portal.browser()
    token = browser.token()

    def start(number, address="203.0.113.66", where=path):
        browser.environ["REMOTE_ADDR"] = address
        return browser.post(where, csrf_token=token, user_id=f"somebody {number}")

    assert {start(number).status_code for number in range(60)} == {303}
    answer = start(60)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 1_200
    assert start(61, "203.0.113.67").status_code == 303
    # who starts many recoveries hinders nobody there from signing in, and the other way round
    assert start(62, where="/sign-in" if path == "/recovery" else "/recovery").status_code == 303
    one_portal.base.clock.advance(1_200)
    assert start(63).status_code == 303


def test_what_forwarding_headers_say_makes_no_other_address_of_one(sqlite_database, valkey_url, clock, keyring):
    with opened(sqlite_database, valkey_url, clock, keyring, limit_starts_per_address=5) as portal:
        answers = []
        for number in range(6):
            browser = portal.browser(HTTP_X_FORWARDED_FOR=f"198.51.100.{number}", HTTP_X_REAL_IP=f"10.0.0.{number}")
            answers.append(browser.post("/recovery", user_id="jane").status_code)
        assert answers == [303] * 5 + [429]


def test_an_ipv6_network_of_64_bits_is_one_address(sqlite_database, valkey_url, clock, keyring):
    with opened(sqlite_database, valkey_url, clock, keyring, limit_starts_per_address=5) as portal:
        answers = [
            portal.browser(REMOTE_ADDR=f"2001:db8:0:7::{number:x}").post("/recovery", user_id="jane").status_code
            for number in range(6)
        ]
        assert answers == [303] * 5 + [429]
        assert portal.browser(REMOTE_ADDR="2001:db8:0:8::1").post("/recovery", user_id="jane").status_code == 303


def test_the_tries_of_one_address_are_bounded_over_all_people_and_steps(sqlite_database, valkey_url, clock, keyring):
    with opened(sqlite_database, valkey_url, clock, keyring, limit_tries_per_address=6) as portal:
        portal.add("jane", phone=PHONE, email=EMAIL)
        answers = []
        for number in range(4):
            browser = at_sign_in(portal, f"somebody {number}")
            answers.append(browser.post(SIGN_IN, password="a wrong guess").status_code)
        answers += [at_token(portal).post(TOKEN, code="123456").status_code for _ in range(3)]
        assert answers == [422] * 6 + [429]
        assert at_token(portal, REMOTE_ADDR="198.51.100.1").post(TOKEN, code=portal.code("jane")).status_code == 303


def test_one_address_gets_sixty_wrong_codes_a_day_over_all_people(one_portal, jane):
    """Or one machine could use up what strangers may spend over the whole installation, and close it for all."""
    for number in range(12):
        browser = at_token(one_portal, f"somebody {number}")
        for _ in range(5):
            assert browser.post(TOKEN, code="123456").status_code == 422
    for code in (one_portal.wrong_code("jane"), one_portal.code("jane")):
        answer = at_token(one_portal).post(TOKEN, code=code)
        assert answer.status_code == 429
        assert int(answer.headers["Retry-After"]) > 600
    assert at_token(one_portal, REMOTE_ADDR="198.51.100.1").post(TOKEN, code=one_portal.code("jane")).status_code == 303


# ---- spraying: many people, one code each (security rule 2)


def test_above_the_installations_limit_of_a_day_strangers_codes_are_no_longer_judged(
    sqlite_database, valkey_url, clock, keyring
):
    with opened(sqlite_database, valkey_url, clock, keyring, limit_stranger_failures_per_day=10) as portal:
        for number in range(8):
            portal.add(f"p{number}", email=f"p{number}@example.org")
        right = at_token(portal, "p0")
        for _ in range(4):  # right codes are no failures
            assert right.post(TOKEN, code=portal.code("p0")).status_code == 303
            clock.advance(30)
            right = at_token(portal, "p0")
        for number in range(10):  # half of them against people who do not exist
            name = f"p{number}" if number % 2 else f"nobody{number}"
            code = portal.wrong_code(name) if name in portal.seeds else "123456"
            assert at_token(portal, name).post(TOKEN, code=code).status_code == 422
        for name in ("p0", "nobody"):
            answer = at_token(portal, name).post(TOKEN, code=portal.code("p0"))
            assert answer.status_code == 429
            wait = int(answer.headers["Retry-After"])
            assert DAY - 3_600 < wait <= DAY + 3_600  # the day is counted by hours
        assert at_sign_in(portal, "p0").post(SIGN_IN, password=PASSWORD).status_code == 303
        clock.advance(wait)
        assert at_token(portal, "p0").post(TOKEN, code=portal.code("p0")).status_code == 303


def test_what_strangers_tried_in_recovery_closes_sign_in_to_nobody(sqlite_database, valkey_url, clock, keyring):
    with opened(sqlite_database, valkey_url, clock, keyring, limit_stranger_failures_per_day=10) as portal:
        portal.add("jane", phone=PHONE, email=EMAIL)
        for number in range(11):
            answer = at_token(portal, f"nobody{number}").post(TOKEN, code="123456")
        assert answer.status_code == 429
        portal.browser().sign_in(portal, "jane")


def test_what_was_tried_at_sign_in_closes_recovery_to_nobody(sqlite_database, valkey_url, clock, keyring):
    with opened(sqlite_database, valkey_url, clock, keyring, limit_stranger_failures_per_day=4) as portal:
        portal.add("jane", phone=PHONE, email=EMAIL)
        portal.add("omar", email="omar@example.org")
        browser = portal.browser()
        browser.sign_in_to_verify("omar")
        for _ in range(4):
            assert browser.post("/sign-in/verify", code=portal.wrong_code("omar")).status_code == 422
        portal.add("ines", email="ines@example.org")
        other = portal.browser()
        other.sign_in_to_verify("ines")
        assert other.post("/sign-in/verify", code=portal.code("ines")).status_code == 429
        assert at_token(portal, "jane").post(TOKEN, code=portal.code("jane")).status_code == 303


# ---- what could not be judged was no try


def test_a_hasher_that_is_too_busy_costs_nobody_a_try(sqlite_database, valkey_url, clock, keyring):
    with opened(sqlite_database, valkey_url, clock, keyring) as portal:
        person = portal.add("jane", phone=PHONE, email=EMAIL)
        guess_passwords(portal, at_sign_in(portal), 3)
        portal.base.hasher.close()  # takes no more work, as when its queue is full
        for who in ("jane", "nobody"):
            browser = at_sign_in(portal, who)
            for number in range(10):
                answer = browser.post(SIGN_IN, password=f"in the flood {number}")
                assert answer.status_code == 503
                assert answer.headers["Retry-After"].isdecimal()
        with portal.base.database.read() as looking:
            assert portal.means.tries.standing(looking, person.id, Factor.PASSWORD).consecutive == 3
        with opened(portal.base.database, valkey_url, clock, keyring) as calm:
            for who, free in (("jane", 2), ("nobody", 5)):
                browser = at_sign_in(calm, who)
                answers = [browser.post(SIGN_IN, password=f"afterwards {n}").status_code for n in range(free + 1)]
                assert answers == [422] * free + [429], who


def test_what_has_the_wrong_shape_costs_no_try(one_portal, jane):
    browser = at_token(one_portal)
    for code in ("", "12345", "1234567", "abcdef", "1" * 60_000, behind.full_width("123456")):
        assert browser.post(TOKEN, code=code).status_code == 422
    signing = at_sign_in(one_portal)
    for password in ("", "x" * 5_000):
        assert signing.post(SIGN_IN, password=password).status_code == 422
    with one_portal.base.database.read() as looking:
        for factor in (Factor.APP, Factor.PASSWORD):
            assert one_portal.means.tries.standing(looking, jane.id, factor).consecutive == 0


# ---- nothing tells a person's counters before a proof (security rules 3 and 14)


def test_people_who_exist_and_people_who_do_not_wait_equally_long(one_portal, jane):
    seen = {}
    for who in ("jane", "nobody"):
        answers = []
        for number in range(8):
            signing, recovering = at_sign_in(one_portal, who), at_token(one_portal, who)
            code = one_portal.wrong_code("jane")
            both = signing.post(SIGN_IN, password=f"guess {number}"), recovering.post(TOKEN, code=code)
            answers += [(answer.status_code, answer.headers.get("Retry-After")) for answer in both]
        seen[who] = answers
    assert seen["jane"] == seen["nobody"]
    assert (429, "30") in seen["jane"]


def test_no_page_before_a_proof_shows_what_others_have_tried(one_portal, jane):
    fresh = {path: without_tokens(at(one_portal).get(path)) for path, at in ((TOKEN, at_token), (SIGN_IN, at_sign_in))}
    guess_passwords(one_portal, at_sign_in(one_portal), 7)
    browser = at_token(one_portal)
    for _ in range(5):
        browser.post(TOKEN, code=one_portal.wrong_code("jane"))
    for path, at in ((TOKEN, at_token), (SIGN_IN, at_sign_in)):
        assert without_tokens(at(one_portal).get(path)) == fresh[path]
