"""How many tries there are: the arithmetic of security rules 1 to 3, as tables and properties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.records.attempts import rules
from app.records.attempts.model import FOREVER, Door, Factor, History, Lockout

NOW = 1_790_000_000
DAY = 86_400


def spend_all(factor, door, *, history=None, now=NOW, patient=True, most=1000, codes_at_once=3, until=None):
    """Fail again and again, waiting out each wait where ``patient``, for one day; (history, tries, judged)."""
    history = history or History()
    tries = judged = 0
    end = until or now + DAY
    while now < end and tries < most:
        verdict = rules.spend(history, factor, door, now, codes_at_once=codes_at_once)
        if verdict.allowed:
            history, tries, judged = verdict.history, tries + 1, judged + verdict.judged
        elif patient and verdict.retry_after < DAY:
            now += verdict.retry_after
        else:
            break
    return history, tries, judged


@pytest.mark.parametrize(
    ("failures", "wait"),
    [
        (0, 0),
        (4, 0),
        (5, 30),
        (6, 60),
        (7, 120),
        (8, 240),
        (9, 300),
        (10, 300),
        (11, 600),
        (12, 1200),
        (14, 3600),
        (90, 3600),
    ],
)
def test_waits_double_from_thirty_seconds_to_five_minutes_and_after_the_tenth_to_an_hour(failures, wait):
    assert rules.wait_after(failures) == wait


@pytest.mark.parametrize(
    ("factor", "door", "most"),
    [
        (Factor.APP, Door.SIGN_IN, 8),
        (Factor.APP, Door.RECOVERY, 6),
        (Factor.APP, Door.LANE, 6),
        (Factor.PIN, Door.SIGN_IN, 10),
        (Factor.PIN, Door.RECOVERY, 15),
    ],
)
def test_a_door_gives_its_share_of_a_day_and_no_more(factor, door, most):
    assert spend_all(factor, door)[1] == most


def test_strangers_cannot_spend_what_is_kept_for_the_owners_lanes():
    history, at_sign_in, _ = spend_all(Factor.APP, Door.SIGN_IN)
    history, at_recovery, _ = spend_all(Factor.APP, Door.RECOVERY, history=history)
    _, in_lanes, _ = spend_all(Factor.APP, Door.LANE, history=history)
    assert (at_sign_in, at_recovery, in_lanes) == (8, 6, 6)


def test_sign_in_cannot_spend_the_five_pins_and_three_sends_that_recovery_keeps():
    history, _, _ = spend_all(Factor.PIN, Door.SIGN_IN)
    assert spend_all(Factor.PIN, Door.RECOVERY, history=history)[1] == 5
    history, sends, _ = spend_all(Factor.SEND, Door.SIGN_IN)
    assert sends == 7
    assert spend_all(Factor.SEND, Door.RECOVERY, history=history, now=NOW + 7200, until=NOW + DAY)[1] == 3


def test_failed_sign_ins_do_not_make_recovery_wait_nor_the_other_way_round():
    history, tries, _ = spend_all(Factor.APP, Door.SIGN_IN, patient=False)
    assert tries == 5
    assert not rules.spend(history, Factor.APP, Door.SIGN_IN, NOW).allowed
    assert rules.spend(history, Factor.APP, Door.RECOVERY, NOW).allowed


def test_messages_to_one_number_are_three_in_a_quarter_of_an_hour_and_ten_a_day():
    _, at_once, _ = spend_all(Factor.SEND, Door.RECOVERY, patient=False)
    _, in_a_day, _ = spend_all(Factor.SEND, Door.RECOVERY)
    assert (at_once, in_a_day) == (3, 10)


def test_strangers_spend_at_most_fifty_of_the_hundred_failures_in_a_row():
    history, tries, closed = History(), 0, 0
    for day in range(200):
        for _ in range(100):
            verdict = rules.spend(history, Factor.PASSWORD, Door.SIGN_IN, NOW + day * DAY * 2 + tries * 3600)
            if not verdict.allowed:
                break
            history, tries, closed = verdict.history, tries + 1, closed + verdict.closed_to_strangers
    assert (tries, closed) == (50, 1)
    assert rules.spend(history, Factor.PASSWORD, Door.LANE, NOW + 900 * DAY).allowed


def a_day_of_guesses_between_successes(history: History, now: int) -> tuple[History, int]:
    guesses = 0
    for minute in range(1_000):
        at = now + minute * 60
        for door in [Door.SIGN_IN] * 4:
            verdict = rules.spend(history, Factor.PASSWORD, door, at)
            if not verdict.allowed:
                return history, guesses
            history, guesses = verdict.history, guesses + 1
        own = rules.spend(history, Factor.PASSWORD, Door.SIGN_IN, at)
        if own.allowed:
            history = rules.succeed(own.history, Door.SIGN_IN, at, at)
    raise AssertionError


def test_however_often_the_owner_succeeds_in_between_a_guesser_has_a_hundred_passwords_a_day():
    history, guesses = a_day_of_guesses_between_successes(History(), NOW)
    assert guesses == 100
    assert rules.spend(history, Factor.PASSWORD, Door.LANE, NOW + 3600).allowed
    assert rules.standing(history, Factor.PASSWORD, NOW + 3600).locked(NOW + 3600)
    assert rules.spend(history, Factor.PASSWORD, Door.SIGN_IN, NOW + 2 * DAY).allowed


def test_an_operators_unlock_gives_a_guesser_of_passwords_half_a_day_more_and_never_another():
    history, now, guesses = History(), NOW, 0
    for _ in range(3):
        history, more = a_day_of_guesses_between_successes(history, now)
        history, now, guesses = rules.forgive(history), now + 7_200, guesses + more
    assert guesses == 150


def test_a_new_password_has_none_of_the_tries_of_the_old_one():
    history, _ = a_day_of_guesses_between_successes(History(), NOW)
    assert rules.spend(rules.clear(history, Factor.PASSWORD), Factor.PASSWORD, Door.SIGN_IN, NOW + 3600).allowed


def test_after_a_hundred_failures_in_a_row_not_even_a_lane_is_open():
    history = History(consecutive=99, strangers={"recovery": 25})
    verdict = rules.spend(history, Factor.APP, Door.LANE, NOW)
    assert verdict.allowed
    assert not rules.spend(verdict.history, Factor.APP, Door.LANE, NOW + 30 * DAY).allowed


def test_an_own_success_in_between_gives_a_guesser_nothing_back():
    history, now, wrong = History(), NOW, 0
    for _ in range(300):
        verdict = rules.spend(history, Factor.APP, Door.RECOVERY, now)
        if verdict.allowed:
            wrong += 1
            history = verdict.history
        own = rules.spend(history, Factor.APP, Door.LANE, now)
        if own.allowed:
            history = rules.succeed(own.history, Door.LANE, now, now)
        now += 60
    assert wrong == 6


@pytest.mark.parametrize("apps", [1, 2, 3, 4, 5])
def test_the_chance_to_guess_an_app_code_in_a_day_stays_below_six_in_a_hundred_thousand(apps):
    codes = 3 * apps
    history, judged = History(), 0
    for door in (Door.SIGN_IN, Door.RECOVERY, Door.LANE):
        history, tries, seen = spend_all(Factor.APP, door, history=history, codes_at_once=codes)
        judged += seen
        assert tries == {Door.SIGN_IN: 8, Door.RECOVERY: 6, Door.LANE: 6}[door]  # what shows is the same for everybody
    assert judged >= 3  # every door stays open at all
    assert judged * codes / 1e6 <= 6e-5


@given(
    gaps=st.lists(st.integers(0, 20_000), max_size=120),
    doors=st.lists(st.sampled_from(list(Door)), min_size=120, max_size=120),
    rights=st.lists(st.booleans(), min_size=120, max_size=120),
)
def test_in_no_twenty_four_hours_are_more_than_twenty_wrong_app_codes_judged(gaps, doors, rights):
    history, now, wrong = History(), NOW, []
    for gap, door, right in zip(gaps, doors, rights, strict=False):
        now += gap
        verdict = rules.spend(history, Factor.APP, door, now)
        if not verdict.allowed:
            assert verdict.history == history
            assert verdict.retry_after > 0
            continue
        history = verdict.history
        if right:
            history = rules.succeed(history, door, now, now)
        else:
            wrong.append(now)
    for start in wrong:
        assert sum(start <= at < start + DAY for at in wrong) <= 20


@given(gap=st.integers(1, DAY), tries=st.integers(1, 40))
def test_waiting_exactly_as_long_as_told_is_enough(gap, tries):
    history, now = History(), NOW
    for _ in range(tries):
        verdict = rules.spend(history, Factor.PIN, Door.RECOVERY, now)
        if verdict.closed_to_strangers:
            return  # from here on no waiting opens this door, but a success or an unlock
        if verdict.allowed:
            history = verdict.history
            now += gap % 400
        else:
            assert not rules.spend(history, Factor.PIN, Door.RECOVERY, now + verdict.retry_after - 1).allowed
            now += verdict.retry_after
            assert rules.spend(history, Factor.PIN, Door.RECOVERY, now).allowed


def test_a_try_that_could_not_be_judged_is_taken_back():
    before, _, _ = spend_all(Factor.APP, Door.SIGN_IN, patient=False, most=3)
    verdict = rules.spend(before, Factor.APP, Door.SIGN_IN, NOW + 7)
    assert rules.take_back(verdict.history, Door.SIGN_IN, NOW + 7) == before


def test_an_unlock_ends_the_wait_and_leaves_the_days_count():
    history, _, _ = spend_all(Factor.APP, Door.RECOVERY)
    cleared = rules.clear(history, Factor.APP)
    assert rules.standing(cleared, Factor.APP, NOW).consecutive == 0
    assert not rules.spend(cleared, Factor.APP, Door.RECOVERY, NOW + 2 * 3600).allowed


def test_an_operators_unlock_opens_a_door_whose_share_of_the_day_is_spent_and_never_more_than_the_days_sum():
    history, now = History(), NOW
    for _ in range(10):
        history, _, _ = spend_all(Factor.APP, Door.RECOVERY, history=history, now=now, until=now + 7200)
        assert rules.standing(history, Factor.APP, now + 7200).locked(now + 7200)
        history = rules.forgive(history)
        now += 3600
    assert rules.failures_today(history, now) == 20
    assert rules.standing(history, Factor.APP, now).locked(now)


def test_the_tally_of_a_day_slides_by_hours_and_never_forgets_too_early():
    hours: dict[int, int] = {}
    for hour in range(48):
        hours = rules.count_hour(hours, NOW + hour * 3600)
    assert rules.total_of_day(hours, NOW + 47 * 3600) == 25
    last = NOW + 47 * 3600
    assert rules.total_of_day(hours, last + rules.until_less(hours, last)) == 24
    assert rules.total_of_day(hours, NOW + 80 * 3600) == 0


# ---- what an organization wants beside the waits that hold for everybody

LOCK, DELAY = Lockout(3, 900), Lockout(3, 900, each=True)


@given(
    gaps=st.lists(st.integers(0, 5_000), max_size=60),
    doors=st.lists(st.sampled_from([Door.SIGN_IN, Door.LANE]), min_size=60, max_size=60),
    lockout=st.sampled_from([LOCK, DELAY, Lockout(3, 0), Lockout(5, 60)]),
)
def test_what_a_visitor_can_see_goes_on_under_a_lockout_as_without(gaps, doors, lockout):
    plain, locking, now = History(), History(), NOW
    for gap, door in zip(gaps, doors, strict=False):
        now += gap
        without = rules.spend(plain, Factor.PASSWORD, door, now)
        under = rules.spend(locking, Factor.PASSWORD, door, now, lockout=lockout)
        assert (without.allowed, without.retry_after) == (under.allowed, under.retry_after)
        assert without.closed_to_strangers == under.closed_to_strangers
        plain, locking = without.history, under.history


@given(
    gaps=st.lists(st.integers(0, 2_000), max_size=60),
    after=st.integers(3, 6),
    seconds=st.sampled_from([0, 60, 900, 3_600]),
)
def test_no_more_wrong_passwords_are_judged_than_a_lock_allows_until_it_ends(gaps, after, seconds):
    history, now, judged, until = History(), NOW, 0, 0
    for gap in gaps:
        now += gap
        verdict = rules.spend(history, Factor.PASSWORD, Door.SIGN_IN, now, lockout=Lockout(after, seconds))
        if not verdict.allowed:
            continue
        history = verdict.history
        assert verdict.judged == (now >= until)
        if until and now >= until:
            judged, until = 0, 0
        judged += verdict.judged
        assert judged <= after
        if verdict.locked_until:
            assert judged == after
            until = verdict.locked_until
            assert until == (now + seconds if seconds else FOREVER)


def test_a_delay_begins_again_after_each_further_failure_and_is_news_once():
    history, now, news, ends = History(), NOW, 0, []
    for _ in range(6):
        verdict = rules.spend(history, Factor.PASSWORD, Door.SIGN_IN, now, lockout=DELAY)
        history, news = verdict.history, news + verdict.lock_is_news
        ends.append(verdict.locked_until)
        now += 900
    assert [bool(end) for end in ends] == [False, False, True, True, True, True]
    assert news == 1


def test_a_lock_of_one_door_leaves_the_other_open_and_a_success_there_does_not_end_it():
    history = History()
    for _ in range(3):
        history = rules.spend(history, Factor.PASSWORD, Door.SIGN_IN, NOW, lockout=Lockout(3, 0)).history
    own = rules.spend(history, Factor.PASSWORD, Door.LANE, NOW, lockout=Lockout(3, 0))
    assert own.judged
    history = rules.succeed(own.history, Door.LANE, NOW, NOW)
    assert rules.standing(history, Factor.PASSWORD, NOW).locked_until == FOREVER
    assert not rules.spend(history, Factor.PASSWORD, Door.SIGN_IN, NOW + 9 * DAY, lockout=Lockout(3, 0)).judged


def test_the_try_that_would_lock_locks_nothing_where_it_is_right_or_could_not_be_judged():
    history = History()
    for _ in range(2):
        history = rules.spend(history, Factor.PASSWORD, Door.SIGN_IN, NOW, lockout=LOCK).history
    third = rules.spend(history, Factor.PASSWORD, Door.SIGN_IN, NOW, lockout=LOCK)
    assert third.judged
    assert third.locked_until == NOW + 900
    assert rules.succeed(third.history, Door.SIGN_IN, NOW, NOW).locks == {}
    assert rules.take_back(third.history, Door.SIGN_IN, NOW, third.locked_until).locks == history.locks


def test_an_unlock_ends_a_lock():
    history = History(locks={"sign_in": (3, FOREVER)})
    assert rules.standing(history, Factor.PASSWORD, NOW).locked(NOW)
    for cleared in (rules.clear(history, Factor.PASSWORD), rules.forgive(history)):
        assert not rules.standing(cleared, Factor.PASSWORD, NOW).locked(NOW)


def test_an_answer_survives_twenty_failures_in_a_row_and_five_tries_a_day_over_all_doors() -> None:
    history, now = History(), 1_000_000
    for number in range(20):
        now += rules.DAY + 1
        verdict = rules.spend(history, Factor.ANSWER, Door.LANE, now)
        assert verdict.allowed, number
        history = verdict.history
    assert rules.standing(history, Factor.ANSWER, now).disabled
    assert not rules.spend(history, Factor.ANSWER, Door.LANE, now + 2 * rules.DAY).allowed
    for door in (Door.LANE, Door.SIGN_IN):
        history = History()
        for _ in range(5):
            history = rules.clear(rules.spend(history, Factor.ANSWER, door, now).history, Factor.ANSWER)
        assert rules.spend(history, Factor.ANSWER, Door.SIGN_IN, now).retry_after == rules.DAY
