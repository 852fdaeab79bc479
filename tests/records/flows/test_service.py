"""Flows: changed by whoever is first, moved at each rise of rights, capped, and spent for good in SQL."""

import contextlib
import json
import threading
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.foundation.chance import SystemChance
from app.foundation.refusals import Code, Throttled, Unavailable
from app.foundation.visit import Visit
from app.records.flows import store as grants
from app.records.flows.model import LIFE, PROOF_LIFE, Flow, Held, Moved, Proof
from app.records.flows.service import Flows
from tests.cast import add_person

JANE: dict[str, Any] = {"subject": "ab" * 32, "person_id": 7, "user_id": "Jane", "stamp": "0" * 32}
BLOCK = "192.0.2.1"


@pytest.fixture
def flows(ephemeral, clock, chance):
    return Flows(ephemeral, clock, chance)


@pytest.fixture
def stored(redis_url):
    """Everything the store holds, as one text."""

    def look() -> str:
        with redis.Redis.from_url(redis_url) as client:
            keys = list(client.scan_iter())
            values = [client.get(key) if client.type(key) == b"string" else client.zrange(key, 0, -1) for key in keys]
        return repr((keys, values))

    return look


def begin(flows: Flows, purpose: str = "recovery", block: str = BLOCK) -> tuple[str, Held]:
    return flows.create(purpose, "token", visit=Visit(block, "en", ""), **JANE)


def held(found) -> Held:
    assert isinstance(found, Held)
    return found


def test_a_flow_is_found_by_its_cookie_as_it_was_made(flows, clock):
    cookie, made = begin(flows)
    assert held(flows.load(cookie, "recovery")) == made
    flow = made.flow
    assert (flow.state, flow.version, flow.proofs, flow.created_at) == ("token", 1, (), clock.now())
    assert {name: getattr(flow, name) for name in JANE} == JANE


def test_the_store_never_holds_a_cookie(flows, stored):
    first, made = begin(flows)
    second, _ = flows.advance(made, state="pin") or pytest.fail("not advanced")
    everything = stored()
    assert "flow:" in everything
    assert first not in everything
    assert second not in everything


@pytest.mark.parametrize("cookie", [None, "", "x", "x" * 43, "x" * 65, "x" * 100_000, "\ud800", "flow:x", "../x", "é"])
def test_a_cookie_that_we_did_not_give_out_finds_nothing(flows, cookie):
    begin(flows)
    assert flows.load(cookie, "recovery") is None


def test_a_cookie_of_one_journey_is_none_in_another(flows):
    cookie, made = begin(flows, "sign_in")
    assert flows.load(cookie, "recovery") is None
    flows.advance(made, state="verify")
    assert flows.load(cookie, "recovery") is None
    assert isinstance(flows.load(cookie, "sign_in"), Moved)


def test_a_change_stays_under_the_same_cookie_and_keeps_the_other_notes(flows):
    cookie, made = begin(flows)
    changed = flows.change(made, pin_tries=1, earlier_void=False)
    again = flows.change(changed, pin_tries=2)
    assert again is not None
    assert again.flow.version == 3
    assert again.flow.notes == {"pin_tries": 2, "earlier_void": False}
    assert held(flows.load(cookie, "recovery")) == again
    assert flows.again(made) == again


def test_a_change_of_what_somebody_changed_meanwhile_is_refused(flows):
    cookie, made = begin(flows)
    assert flows.change(made, n=1) is not None
    assert flows.change(made, n=2) is None
    assert flows.advance(made, state="pin") is None
    assert held(flows.load(cookie, "recovery")).flow.notes == {"n": 1}


def test_an_advance_gives_a_new_cookie_and_leaves_a_mark_without_rights_under_the_old(flows, clock, stored):
    cookie, made = begin(flows)
    proof = Proof("app", clock.now())
    new, after = flows.advance(made, state="pin", proof=proof, n=1) or pytest.fail("not advanced")
    assert new != cookie
    assert flows.load(cookie, "recovery") == Moved("pin")
    assert held(flows.load(new, "recovery")) == after
    assert after.flow.txn == made.flow.txn
    assert (after.flow.state, after.flow.proofs, after.flow.version) == ("pin", (proof,), 2)
    assert stored().count("Jane") == 1
    assert flows.again(made) is None


def test_what_was_moved_cannot_be_changed_or_moved_again(flows):
    _, made = begin(flows)
    flows.advance(made, state="pin")
    assert flows.change(made, n=1) is None
    assert flows.advance(made, state="pin") is None


def test_a_stamp_may_change_with_an_advance(flows):
    _, made = begin(flows)
    _, after = flows.advance(made, state="done", stamp="1" * 32) or pytest.fail("not advanced")
    assert after.flow.stamp == "1" * 32


@pytest.mark.parametrize("step", ["change", "advance"])
def test_of_many_at_once_one_wins(flows, step):
    _, made = begin(flows)
    start = threading.Barrier(40)
    won = []

    def run(number: int) -> None:
        start.wait()
        done = flows.change(made, n=number) if step == "change" else flows.advance(made, state="pin", n=number)
        if done is not None:
            won.append(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1


def test_a_flow_ends_after_fifteen_minutes_whatever_happens_in_it(flows, clock):
    cookie, made = begin(flows)
    clock.advance(LIFE - 1)
    assert not flows.expired(made.flow)
    after = held(flows.change(made, n=1))
    clock.advance(1)
    assert flows.expired(held(flows.load(cookie, "recovery")).flow)
    assert flows.expired(after.flow)
    assert after.flow.expires_at == made.flow.expires_at


def test_a_proof_is_good_for_ten_minutes_and_for_its_own_factor():
    flow = Flow("t", "recovery", "pin", 1, "s", 7, "jane", "0" * 32, 0, (Proof("app", 100),))
    assert flow.proved("app", 100)
    assert flow.proved("app", 100 + PROOF_LIFE - 1)
    assert not flow.proved("app", 100 + PROOF_LIFE)
    assert not flow.proved("pin", 100)


def test_everything_in_the_store_is_swept_up_in_the_end(flows, redis_url):
    _, made = begin(flows)
    flows.advance(made, state="pin")
    with redis.Redis.from_url(redis_url) as client:
        left = [client.ttl(key) for key in client.scan_iter()]
    assert len(left) == 5  # the flow, its mark and the three censuses
    assert all(LIFE < seconds <= 2 * LIFE for seconds in left)


# ---- caps (security rule 14)


def test_a_full_block_is_told_to_wait_and_waiting_so_long_suffices(ephemeral, clock, chance):
    flows = Flows(ephemeral, clock, chance, most_per_block=3)
    for _ in range(3):
        begin(flows)
    with pytest.raises(Throttled) as refused:
        begin(flows)
    assert refused.value.code is Code.TOO_MANY_STARTS
    begin(flows, block="192.0.2.2")
    clock.advance(refused.value.retry_after - 1)
    with pytest.raises(Throttled):
        begin(flows)
    clock.advance(1)
    begin(flows)


def test_a_full_store_is_unavailable_and_forgets_nobody_who_is_under_way(ephemeral, clock, chance):
    flows = Flows(ephemeral, clock, chance, most_in_all=3)
    cookies = [begin(flows, block=f"192.0.2.{n}")[0] for n in range(3)]
    with pytest.raises(Unavailable) as refused:
        begin(flows, block="192.0.2.9")
    assert refused.value.status == 503
    assert refused.value.retry_after > 0
    assert all(isinstance(flows.load(cookie, "recovery"), Held) for cookie in cookies)


def test_of_many_at_once_no_more_than_the_cap_come_in(ephemeral, clock):
    flows = Flows(ephemeral, clock, SystemChance(), most_per_block=10)
    start = threading.Barrier(40)
    inside = []

    def run() -> None:
        start.wait()
        with contextlib.suppress(Throttled):
            inside.append(begin(flows)[0])

    threads = [threading.Thread(target=run) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(inside) == len(set(inside)) == 10


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(user_id=st.text(max_size=50), notes=st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text()))
def test_whatever_was_typed_comes_back_as_it_was(flows, user_id, notes):
    _, made = flows.create(
        "recovery", "token", subject="s", person_id=None, user_id=user_id, stamp="x", visit=Visit(user_id[:3], "en", "")
    )
    changed = flows.change(made)
    _, after = flows.advance(changed, state="pin", told=notes) or pytest.fail("not advanced")
    assert json.loads(after.raw)["user_id"] == user_id
    assert held(flows.again(after)).flow == after.flow
    assert after.flow.notes["told"] == notes


# ---- grants


@pytest.fixture
def granted(database, chance, clock):
    """Jane's id and stamp, and a grant of hers."""
    with database.begin() as transaction:
        person = add_person(transaction, "jane", chance)
        grants.give(transaction, "g1", person.id, person.stamp, clock.now(), clock.now() + LIFE)
    return person


def spend(database, person_id, stamp, now, grant="g1") -> bool:
    with database.begin() as transaction:
        return grants.spend(transaction, grant, person_id, stamp, now)


def test_a_grant_is_spent_once(database, granted, clock):
    assert spend(database, granted.id, granted.stamp, clock.now())
    assert not spend(database, granted.id, granted.stamp, clock.now())


def test_a_grant_is_nobody_elses_and_of_no_other_stamp_and_time(database, granted, clock):
    now = clock.now()
    assert not spend(database, granted.id + 1, granted.stamp, now)
    assert not spend(database, granted.id, "f" * 32, now)
    assert not spend(database, granted.id, granted.stamp, now, grant="g2")
    assert not spend(database, granted.id, granted.stamp, now, grant="")
    assert not spend(database, granted.id, granted.stamp, now + LIFE)
    assert spend(database, granted.id, granted.stamp, now + LIFE - 1)


def test_a_spending_that_is_rolled_back_was_none(database, granted, clock):
    def fail_halfway() -> None:
        with database.begin() as transaction:
            assert grants.spend(transaction, "g1", granted.id, granted.stamp, clock.now())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_halfway()
    assert spend(database, granted.id, granted.stamp, clock.now())


def test_a_new_password_revokes_all_grants_that_are_left_of_that_person(database, granted, clock, chance):
    now = clock.now()
    with database.begin() as transaction:
        other = add_person(transaction, "omar", chance)
        grants.give(transaction, "g2", granted.id, granted.stamp, now, now + LIFE)
        grants.give(transaction, "g3", other.id, other.stamp, now, now + LIFE)
        assert grants.spend(transaction, "g1", granted.id, granted.stamp, now)
        assert grants.revoke_others(transaction, granted.id, now) == 1
        assert not grants.spend(transaction, "g2", granted.id, granted.stamp, now)
        assert not grants.spend(transaction, "g2", granted.id, granted.stamp, now - LIFE)  # whatever the clock does
        assert not grants.give(transaction, "g2", granted.id, granted.stamp, now, now + LIFE)
        assert [grants.was_spent(transaction, name) for name in ("g1", "g2", "g3", "g4")] == [True, False, False, False]
        assert grants.spend(transaction, "g3", other.id, other.stamp, now)
