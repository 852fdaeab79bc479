"""A move is judged again in the write itself, whatever its caller saw before."""

from dataclasses import replace

import pytest

from app.records.cases import rules, store
from app.records.cases.model import WAITING, Move
from tests.journeys.approvals.conftest import Desk


@pytest.fixture
def desk(portal) -> Desk:
    return Desk(portal)


def test_of_two_moves_from_one_state_the_second_finds_it_gone(desk):
    before = desk.asked("remove-app", app=desk.app())
    approved, cancelled = (rules.moved(before, move, desk.now) for move in (Move.APPROVE, Move.CANCEL))
    assert approved is not None
    assert cancelled is not None
    with desk.portal.base.database.begin() as transaction:
        assert store.move_request(transaction, before, cancelled, desk.now)
        assert not store.move_request(transaction, before, approved, desk.now)
    assert desk.state == "cancelled"


def test_the_write_looks_at_the_end_of_the_state_and_at_the_waiting_time(desk):
    before = desk.asked("remove-app", at="nowhere", app=desk.app())
    granted = rules.moved(before, Move.CONFIRM, desk.now)
    assert granted is not None
    done = rules.moved(replace(granted, ready_at=desk.now), Move.CARRY_OUT, desk.now)
    assert done is not None
    with desk.portal.base.database.begin() as transaction:
        assert not store.move_request(transaction, before, granted, before.expires_at)
        assert store.move_request(transaction, before, granted, desk.now)
        assert not store.move_request(transaction, granted, done, desk.now + WAITING - 1)
        assert store.move_request(transaction, granted, done, desk.now + WAITING)
