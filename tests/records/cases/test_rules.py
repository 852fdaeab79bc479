"""The state machine of a request, walked at random: nothing is done before everybody who has a say said yes."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.records.cases import rules
from app.records.cases.model import (
    APPROVAL_LIFE,
    LIVING_REQUEST,
    REQUEST_LIFE,
    WAITING,
    Action,
    Move,
    Needs,
    Request,
    RequestState,
)

START = 1_000_000
LIVING = set(LIVING_REQUEST)


def request(action: Action, *, reachable: bool = True, activating: bool = False) -> Request:
    asked = Request(
        id="0" * 32,
        person_id=1,
        organization_id="o",
        action=action,
        target="",
        reason="because",
        state=RequestState.ASKED,
        needs=rules.needs(action, reachable=reachable, activating=activating),
        asked_by=2,
        asked_at=START,
        expires_at=START,
    )
    return rules.begun(asked, START)


@pytest.mark.parametrize("action", list(Action))
@pytest.mark.parametrize("reachable", [True, False])
def test_what_weakens_an_account_in_use_always_needs_a_second_agent_and_a_day(action, reachable):
    needed = rules.needs(action, reachable=reachable)
    if action in rules.WEAKENING:
        assert needed == Needs(approval=reachable, second=True, waiting=WAITING)
    if not reachable and action not in (Action.FREEZE, Action.RESEND_ACTIVATION):
        assert (needed.second, needed.waiting) == (True, WAITING)


def test_the_waiting_time_is_left_out_at_activation_alone_and_never_where_nobody_approves():
    assert rules.needs(Action.ACCESS_CODE, reachable=True, activating=True).waiting == 0
    assert rules.needs(Action.ACCESS_CODE, reachable=False, activating=True).waiting == WAITING


moves = st.lists(st.tuples(st.sampled_from(list(Move)), st.integers(0, 40 * 3_600)), max_size=12)


@given(action=st.sampled_from(list(Action)), reachable=st.booleans(), activating=st.booleans(), walk=moves)
def test_nothing_is_done_before_everybody_said_yes_and_the_clock_agrees(action, reachable, activating, walk):
    now = START
    at = request(action, reachable=reachable, activating=activating)
    made: dict[Move, int] = {}
    for move, later in walk:
        now += later
        before = at
        after = rules.moved(at, move, now)
        if after is None:
            continue
        at = after
        if move is Move.EXPIRE:
            assert now >= before.expires_at
        else:
            assert now < before.expires_at
        assert before.state in LIVING, "an end is an end"
        if move is Move.CARRY_OUT:
            needed = at.needs
            assert not needed.approval or Move.APPROVE in made
            assert not needed.second or Move.CONFIRM in made
            assert now - max(made.get(Move.CONFIRM, START), made.get(Move.APPROVE, START)) >= needed.waiting
            assert now < START + REQUEST_LIFE
        made.setdefault(move, now)
        assert at.asked_at == START
        assert at.needs == before.needs
        assert (at.state in LIVING) is (at.ended_at is None)
    if at.state is RequestState.DONE:
        assert Move.CARRY_OUT in made


@given(later=st.integers(0, 2 * REQUEST_LIFE))
def test_unapproved_it_is_over_after_a_day(later):
    moved = rules.moved(request(Action.UNLOCK), Move.APPROVE, START + later)
    assert (moved is not None) is (later < APPROVAL_LIFE)


@given(later=st.integers(0, 2 * REQUEST_LIFE))
def test_a_second_agent_may_agree_for_as_long_as_the_waiting_time_still_fits_in(later):
    at = request(Action.REMOVE_APP, reachable=False)
    moved = rules.moved(at, Move.CONFIRM, START + later)
    assert (moved is not None) is (later < REQUEST_LIFE - WAITING)
    if moved is not None:
        assert moved.ready_at is not None
        assert moved.ready_at < moved.expires_at


@pytest.mark.parametrize("state", [state for state in RequestState if state not in LIVING])
@pytest.mark.parametrize("move", list(Move))
def test_what_has_ended_moves_no_more(state, move):
    ended = replace(request(Action.UNLOCK), state=state, ended_at=START)
    assert rules.moved(ended, move, START + 1) is None
    assert rules.moved(ended, move, START + 10 * REQUEST_LIFE) is None
