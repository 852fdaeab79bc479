"""What failed sign-ins lead to where an organization wants more than the waits that hold for everybody."""

import re
import threading
from datetime import UTC, datetime

import pytest

from app.cli.people import _lock
from app.foundation.refusals import Code, Unavailable
from app.journeys.administration.service import Administration
from app.records.attempts.model import Factor
from app.records.organizations.model import PRESETS, LockoutPolicy, OnFailures, Policy, Profile
from app.wiring import build_steps
from tests.journeys import behind
from tests.portal import NEW_PASSWORD, PASSWORD, Browser

PHONE, EMAIL = "+491700000001", "jane@example.org"
ENTER, VERIFY = "/sign-in/password", "/sign-in/verify"


def policy(on_failures=OnFailures.LOCK, after=3, minutes=0):
    return Policy(lockout=LockoutPolicy(on_failures, after, minutes))


LOCK, FIFTEEN = policy(), policy(minutes=15)
DELAY, RETRY = policy(OnFailures.DELAY, minutes=15), policy(OnFailures.RETRY)


@pytest.fixture
def jane(one_portal):
    return one_portal.add("jane", phone=PHONE, email=EMAIL)


def begun(portal, user_id="jane", **environ):
    browser = portal.browser(**environ)
    browser.get("/sign-in")
    browser.post("/sign-in", user_id=user_id)
    browser.get(ENTER)
    return browser


def fail(portal, times, user_id="jane", browser=None, start=0):
    browser = browser or begun(portal, user_id)
    for number in range(start, start + times):
        answer = browser.post(ENTER, password=f"wrong horse battery {number}")
        assert answer.status_code == 422, answer.status_code
    return browser


def opens(portal, password=PASSWORD, browser: Browser | None = None):
    browser = browser or begun(portal)
    return browser.post(ENTER, password=password).status_code == 303


def known(portal):
    """A browser in which Jane has signed in."""
    browser = portal.browser()
    browser.sign_in(portal, "jane")
    browser.get("/authenticators")
    browser.post("/sign-out")
    portal.base.clock.advance(30)
    return browser


def again(browser, user_id="jane"):
    browser.get("/sign-in")
    browser.post("/sign-in", user_id=user_id)
    browser.get(ENTER)
    return browser


def operator(portal):
    base, means = portal.base, portal.means
    return Administration(
        database=base.database,
        passwords=means.passwords,
        apps=means.apps,
        tries=means.tries,
        outbox=means.outbox,
        undo=means.undo,
        clock=base.clock,
        chance=base.chance,
        issuer="Keyturn",
        language="en",
        invitations=build_steps(base, means).invitations,
        hands=1,
    )


def locked(portal, person):
    with portal.base.database.read() as looking:
        return portal.means.tries.standing(looking, person.id, Factor.PASSWORD).locked_until


# ---- when it begins


def test_after_so_many_wrong_passwords_the_right_one_is_answered_like_a_wrong_one(one_portal, jane):
    one_portal.decide(LOCK)
    fail(one_portal, 3)
    right, wrong = begun(one_portal), begun(one_portal)
    answers = [right.post(ENTER, password=PASSWORD), wrong.post(ENTER, password="wrong horse battery 99")]
    same = [re.sub(r'name="csrf_token" value="[^"]+"', "", one.text) for one in answers]
    assert [one.status_code for one in answers] == [422, 422]
    assert same[0] == same[1]


def test_one_less_locks_nothing_and_the_last_allowed_one_may_be_right(one_portal, jane):
    one_portal.decide(LOCK)
    fail(one_portal, 2)
    assert opens(one_portal)
    assert locked(one_portal, jane) == 0
    fail(one_portal, 2, start=10)
    assert opens(one_portal)


def test_an_unknown_name_is_answered_and_counted_alike(one_portal, jane):
    """Every answer, with what it is told to wait, for the locked one, who gives the right password, and for nobody."""
    one_portal.decide(LOCK)
    told: dict[str, list[tuple[int, str | None, str]]] = {"jane": [], "nobody": []}
    for user_id, answers in told.items():
        browser = begun(one_portal, user_id)
        for number in range(12):
            typed = PASSWORD if user_id == "jane" and number > 2 else f"wrong horse battery {number}"
            answer = browser.post(ENTER, password=typed)
            alike = re.sub(r'name="csrf_token" value="[^"]+"', "", answer.text).replace(user_id, "X")
            answers.append((answer.status_code, answer.headers.get("Retry-After"), alike))
    # the same password again counts once, so that Jane's fourth to twelfth count as one
    assert told["jane"][:5] == told["nobody"][:5]
    assert {status for status, _, _ in told["jane"]} == {422}


def test_where_the_policy_wants_no_lock_the_waits_that_hold_for_everybody_suffice(one_portal, jane):
    one_portal.decide(RETRY)
    fail(one_portal, 4)
    assert opens(one_portal)


def test_the_same_wrong_password_again_counts_once(one_portal, jane):
    one_portal.decide(LOCK)
    browser = begun(one_portal)
    for _ in range(5):
        assert browser.post(ENTER, password="the very same wrong one").status_code == 422
    fail(one_portal, 1)
    assert opens(one_portal)
    assert locked(one_portal, jane) == 0


def test_of_twenty_wrong_passwords_at_once_no_more_are_judged_than_allowed_and_one_locks(portal):
    jane = portal.add("jane", phone=PHONE, email=EMAIL)
    portal.decide(LOCK)
    browsers = [begun(portal, REMOTE_ADDR=f"203.0.113.{number}") for number in range(20)]
    barrier = threading.Barrier(20)

    def post(number):
        barrier.wait(30)
        browsers[number].post(ENTER, password=f"wrong horse battery {number}")

    threads = [threading.Thread(target=post, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    reasons = behind.reasons(portal, jane.id, "authn_login_fail")
    assert reasons.count("wrong_password") == 3
    assert behind.happened(portal, jane.id, "authn_login_lock") == 1
    assert len(behind.queued(portal, "notice_locked")) == 2  # to the phone and the mailbox


def test_a_busy_hasher_counts_for_no_lock(one_portal, jane, monkeypatch):
    one_portal.decide(LOCK)

    def busy(*_):
        raise Unavailable(Code.HASHER_BUSY, retry_after=1)

    browser = begun(one_portal)
    with monkeypatch.context() as patched:
        patched.setattr(one_portal.means.passwords, "check", busy)
        for number in range(5):
            assert browser.post(ENTER, password=f"some password {number}").status_code == 503
    assert locked(one_portal, jane) == 0
    assert opens(one_portal)


# ---- who is told


def test_the_owner_is_told_on_every_channel_once_when_a_lock_begins(one_portal, jane):
    one_portal.decide(FIFTEEN)
    browser = fail(one_portal, 3)
    browser.post(ENTER, password="one more that is not judged")
    one_portal.deliver()
    assert len(behind.queued(one_portal, "notice_locked")) == 2
    mail = one_portal.mailbox.to(EMAIL)[-1].text
    ends = datetime.fromtimestamp(one_portal.base.clock.now() + 900, UTC)
    assert f"{ends:%H:%M}" in mail
    assert "is locked until" in one_portal.phone.to(PHONE)[-1].body
    assert behind.reasons(one_portal, jane.id, "authn_login_fail")[-1] == "locked"


def test_a_delay_is_told_once_and_not_at_each_further_failure(one_portal, jane):
    one_portal.decide(DELAY)
    browser = fail(one_portal, 3)
    for number in (10, 11):
        one_portal.base.clock.advance(900)
        again(browser)
        fail(one_portal, 1, browser=browser, start=number)
    assert len(behind.queued(one_portal, "notice_locked")) == 2
    assert behind.happened(one_portal, jane.id, "authn_login_lock") == 3


# ---- how it ends


@pytest.mark.parametrize("kind", [FIFTEEN, DELAY])
def test_a_lock_with_a_time_ends_by_itself(one_portal, jane, kind):
    one_portal.decide(kind)
    fail(one_portal, 3)
    one_portal.base.clock.advance(899)
    assert not opens(one_portal)
    one_portal.base.clock.advance(1)
    assert opens(one_portal)


def test_a_lock_without_a_time_stays_for_days(one_portal, jane):
    one_portal.decide(LOCK)
    fail(one_portal, 3)
    one_portal.base.clock.advance(90 * 86_400)
    assert not opens(one_portal)


def test_a_lock_begins_anew_after_as_many_failures_as_at_first(one_portal, jane):
    one_portal.decide(FIFTEEN)
    fail(one_portal, 3)
    one_portal.base.clock.advance(900)
    fail(one_portal, 2, start=10)
    assert locked(one_portal, jane) == 0
    one_portal.base.clock.advance(60)
    fail(one_portal, 1, start=20)
    assert locked(one_portal, jane) == one_portal.base.clock.now() + 900


def test_a_recovery_with_two_factors_ends_it(one_portal, jane):
    one_portal.decide(LOCK)
    fail(one_portal, 3)
    one_portal.deliver()
    browser = one_portal.browser()
    browser.recover_to_password(one_portal, "jane", PHONE)
    answer = browser.post("/recovery/password", new_password=NEW_PASSWORD, confirm_password=NEW_PASSWORD)
    assert answer.status_code == 303
    assert opens(one_portal, NEW_PASSWORD)


def test_the_recoverys_only_unlock_ends_it_and_keeps_the_password(one_portal, jane):
    one_portal.decide(LOCK)
    fail(one_portal, 3)
    one_portal.deliver()
    browser = one_portal.browser()
    browser.recover_to_password(one_portal, "jane", PHONE)
    assert "/recovery/unlock" in browser.page.text
    assert browser.post("/recovery/unlock").status_code == 303
    assert opens(one_portal)


def test_an_operators_unlock_ends_it(one_portal, jane):
    one_portal.decide(LOCK)
    fail(one_portal, 3)
    done = operator(one_portal).unlock("jane", "locked out on a journey")
    assert done.cleared == (Factor.PASSWORD,)
    assert opens(one_portal)


def test_a_policy_that_wants_no_lock_any_more_does_not_end_one_that_began(one_portal, jane):
    one_portal.decide(LOCK)
    fail(one_portal, 3)
    one_portal.decide(RETRY)
    assert not opens(one_portal)


# ---- what it does not touch (security rule 1)


def test_a_lock_leaves_the_owners_known_browser_open(one_portal, jane):
    one_portal.decide(LOCK)
    own = known(one_portal)
    fail(one_portal, 3)
    assert not opens(one_portal)
    assert opens(one_portal, browser=again(own))
    assert not opens(one_portal)  # and what happened there does not end it


def test_a_known_browser_locks_by_its_own_failures(one_portal, jane):
    one_portal.decide(LOCK)
    own = known(one_portal)
    fail(one_portal, 3, browser=again(own))
    assert not opens(one_portal, browser=again(own))
    assert opens(one_portal)


def test_a_lock_never_closes_recovery(one_portal, jane):
    one_portal.decide(LOCK)
    fail(one_portal, 4)
    assert one_portal.browser().recover_to_pin(one_portal, "jane").status_code == 303


def test_failed_recoveries_lock_no_sign_in(one_portal, jane):
    one_portal.decide(LOCK)
    browser = one_portal.browser()
    browser.recover_to_token("jane")
    for _ in range(4):
        browser.post("/recovery/token", code=one_portal.wrong_code("jane"))
    assert opens(one_portal)


# ---- who sees it


def test_the_own_page_says_that_it_is_locked_and_how_that_ends(one_portal, jane):
    one_portal.decide(LOCK)
    own = known(one_portal)
    fail(one_portal, 3)
    again(own)
    own.post(ENTER, password=PASSWORD)
    own.get(VERIFY)
    own.post(VERIFY, code=one_portal.code("jane"))
    page = own.get("/authenticators").text
    assert 'data-kind="password" data-state="locked"' in page
    assert "until a recovery or until support unlocks it" in page


def test_the_preset_classic_locks_after_five_until_somebody_unlocks(one_portal, jane):
    one_portal.decide(PRESETS[Profile.CLASSIC])
    browser = fail(one_portal, 4)
    assert locked(one_portal, jane) == 0
    fail(one_portal, 1, browser=browser, start=4)
    one_portal.base.clock.advance(86_400)
    assert not opens(one_portal)


def test_the_strictest_of_several_organizations_counts(one_portal, jane):
    one_portal.decide(RETRY)
    one_portal.decide(LOCK, "other")
    behind.join(one_portal, jane, "other")
    fail(one_portal, 3)
    assert not opens(one_portal)


@pytest.mark.parametrize(("kind", "word"), [(LOCK, "until unlocked or recovered"), (FIFTEEN, "locked until 2026-")])
def test_the_command_tells_until_when_it_is_locked(one_portal, jane, kind, word):
    one_portal.decide(kind)
    fail(one_portal, 3)
    shown = operator(one_portal).show("jane")
    lock = next(one for one in shown.locks if one.factor is Factor.PASSWORD)
    assert lock.locked
    assert word in _lock(lock, shown.now)
