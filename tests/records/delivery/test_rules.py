"""The order of states, when to try again, and what fits into one SMS."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.records.delivery import rules
from app.records.delivery.model import Channel, Destination, Outcome, Purpose, State

FINAL = {State.DELIVERED, State.FAILED}
# what a reader of the page is told, from knowing least to knowing most
KNOWLEDGE = {State.QUEUED: 0, State.UNKNOWN: 1, State.SENT: 2, State.DELIVERED: 3, State.FAILED: 3}
STATES = st.sampled_from(State)


def test_every_state_has_a_row_in_the_table() -> None:
    assert set(rules.MOVES) == set(State)


def test_final_states_lead_nowhere() -> None:
    assert {state for state in State if not rules.MOVES[state]} == FINAL


@given(st.lists(STATES, min_size=1, max_size=30))
def test_whatever_is_reported_in_whatever_order_the_page_never_goes_back(reports: list[State]) -> None:
    state, shown = State.QUEUED, [State.QUEUED]
    for report in reports:
        if rules.may_move(state, report):
            state = report
        shown.append(state.shown)
    assert all(KNOWLEDGE[old] <= KNOWLEDGE[new] for old, new in pairwise(shown))
    first_final = next((at for at, one in enumerate(shown) if one in FINAL), len(shown))
    assert len(set(shown[first_final:])) <= 1


@given(STATES, STATES)
def test_the_condition_of_the_write_says_what_the_table_says(old: State, new: State) -> None:
    assert (old in rules.before(new)) == rules.may_move(old, new)


def test_an_sms_of_unknown_outcome_never_returns_to_the_queue() -> None:
    reachable: set[State] = set()
    left = [State.UNKNOWN]
    while left:
        following = rules.MOVES[left.pop()] - reachable
        reachable |= following
        left.extend(following)
    assert reachable == {State.SENT, State.DELIVERED, State.FAILED}


def test_a_lost_lease_repeats_an_email_and_leaves_an_sms_unknown() -> None:
    assert rules.after_lost_lease(Channel.EMAIL) is State.QUEUED
    assert rules.after_lost_lease(Channel.SMS) is State.UNKNOWN


@pytest.mark.parametrize("purpose", Purpose)
@pytest.mark.parametrize("removed", [True, False])
@pytest.mark.parametrize("active", [True, False])
def test_a_pin_goes_only_to_a_present_contact_of_an_active_person(
    purpose: Purpose, removed: bool, active: bool
) -> None:
    hindered = bool(rules.obstacle(purpose, Destination("+15005550006", removed=removed, active=active)))
    assert hindered == (purpose is Purpose.PIN and (removed or not active))


@pytest.mark.parametrize("purpose", Purpose)
def test_nothing_goes_to_a_contact_that_is_not_there(purpose: Purpose) -> None:
    assert rules.obstacle(purpose, None) == "no_contact"


def after(outcome: Outcome, **more: object) -> object:
    values = {"operator": False, "purpose": Purpose.PIN, "tries": 1, "now": 1000, "expires_at": 1300, "fraction": 0.0}
    return rules.after(outcome, **(values | more))  # type: ignore[arg-type]


def test_what_is_temporary_is_tried_again_until_it_would_expire() -> None:
    assert after(Outcome.TEMPORARY) == rules.Again(1002)
    assert after(Outcome.TEMPORARY, expires_at=1002) == rules.End(State.FAILED)


def test_what_is_permanent_fails_at_once() -> None:
    assert after(Outcome.PERMANENT) == rules.End(State.FAILED)


def test_what_the_operator_can_mend_fails_a_pin_but_not_a_notice() -> None:
    assert after(Outcome.PERMANENT, operator=True) == rules.End(State.FAILED)
    assert after(Outcome.PERMANENT, operator=True, purpose=Purpose.NOTICE) == rules.Again(1002)


@given(st.booleans(), st.sampled_from(Purpose), st.integers(1, 100))
def test_an_unknown_outcome_is_never_tried_again(operator: bool, purpose: Purpose, tries: int) -> None:
    assert after(Outcome.UNKNOWN, operator=operator, purpose=purpose, tries=tries) == rules.End(State.UNKNOWN)


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_pauses_double_up_to_a_cap_and_are_spread(tries: int, fraction: float) -> None:
    for purpose, cap in ((Purpose.PIN, 60), (Purpose.NOTICE, 3600)):
        base = min(2.0**tries if tries < 30 else cap, cap)
        assert base <= rules.pause(tries, purpose, fraction) < 2 * base


@given(st.integers(0, 2000))
def test_fates_are_asked_for_during_ten_minutes_at_most_once_a_minute(elapsed: int) -> None:
    following = rules.next_look(0, elapsed)
    if following is not None:
        assert elapsed + 3 <= following <= min(elapsed + 60, 600)
    else:
        assert elapsed > 600 - 60


def test_the_whole_following_of_a_message_takes_few_questions() -> None:
    looks, at = 0, rules.next_look(0, 0)
    while at is not None:
        looks, at = looks + 1, rules.next_look(0, at)
    assert looks <= 25


def test_septets_are_counted_as_in_the_standard() -> None:
    assert rules.septets("@host #123456") == 13
    assert rules.septets("äöüßñ£") == 6
    assert rules.septets("{}[]~€|^\\") == 18
    with pytest.raises(ValueError, match=r"U\+0160"):
        rules.septets("Š")


@given(st.text())
def test_any_text_becomes_gsm7(text: str) -> None:
    assert rules.septets(rules.to_gsm7(text)) >= 0


def test_letters_keep_their_shape_where_they_can() -> None:
    assert rules.to_gsm7("Škoda \u2013 “Übung” Ŵ 密") == 'Skoda - "Übung" W ?'
    assert rules.to_gsm7("Größe €5 [x]") == "Größe €5 [x]"
