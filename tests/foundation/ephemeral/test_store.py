"""The ephemeral store's client: each step is atomic, on Valkey and on Redis, and decided by the caller's clock."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

import pytest
import redis
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.foundation.ephemeral.store import Census, Ephemeral, Limit
from app.foundation.refusals import StoreAway
from tests import services
from tests.conftest import found
from tests.edges import closed_port
from tests.hands import START

_T = TypeVar("_T")


@pytest.fixture
def raw(redis_url):
    """The store itself, without our client."""
    with redis.Redis.from_url(redis_url) as client:
        yield client


def at_once(many: int, call: Callable[[int], _T]) -> list[_T]:
    """The results of a call by many threads that start together."""
    start = threading.Barrier(many)
    results: list[_T] = []

    def run(number: int) -> None:
        start.wait()
        results.append(call(number))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == many
    return results


# ---- single values


def test_a_value_is_what_was_put_until_it_is_dropped(ephemeral):
    assert ephemeral.get("k") is None
    ephemeral.put("k", b"one", 60)
    ephemeral.put("k", b"\x00two\xff", 60)
    assert ephemeral.get("k") == b"\x00two\xff"
    ephemeral.drop("k", "another")
    assert ephemeral.get("k") is None


def test_what_is_written_is_swept_up(ephemeral, raw):
    ephemeral.put("put", b"x", 60)
    ephemeral.swap("swapped", None, b"x", 60)
    ephemeral.swap("from", None, b"x", 60)
    ephemeral.move("from", b"x", "to", b"y", b"mark", 60)
    ephemeral.admit("admitted", b"x", 60, now=START, censuses=[Census("census", 5)])
    ephemeral.hit([Limit("limit", 5, 60)], START)
    ephemeral.give("list", b"x", most=5, ttl=60)
    keys = sorted(key.decode() for key in raw.scan_iter())
    assert keys == ["admitted", "census", "from", "limit", "list", "put", "swapped", "to"]
    assert all(0 < raw.ttl(key) <= 120 for key in keys)


# ---- compare and set


def test_a_swap_writes_only_where_the_value_is_still_the_one_that_was_read(ephemeral):
    assert ephemeral.swap("k", None, b"1", 60)
    assert not ephemeral.swap("k", None, b"2", 60)
    assert not ephemeral.swap("k", b"0", b"2", 60)
    assert ephemeral.swap("k", b"1", b"2", 60)
    assert not ephemeral.swap("k", b"1", b"3", 60)
    assert ephemeral.get("k") == b"2"
    assert not ephemeral.swap("none", b"1", b"2", 60)
    assert ephemeral.get("none") is None


@pytest.mark.parametrize("held", [None, b"held"])
def test_of_many_swaps_of_one_value_one_succeeds(ephemeral, held):
    if held:
        ephemeral.put("k", held, 60)
    results = at_once(60, lambda number: ephemeral.swap("k", held, b"by %d" % number, 60))
    assert sum(results) == 1


def test_a_move_leaves_a_mark_and_happens_once(ephemeral):
    ephemeral.put("old", b"1", 60)
    assert not ephemeral.move("old", b"0", "new", b"2", b"mark", 60)
    assert ephemeral.get("new") is None
    assert ephemeral.move("old", b"1", "new", b"2", b"mark", 60)
    assert (ephemeral.get("old"), ephemeral.get("new")) == (b"mark", b"2")
    assert not ephemeral.move("old", b"1", "newer", b"3", b"mark", 60)
    assert not ephemeral.move("none", b"", "newer", b"3", b"mark", 60)
    assert ephemeral.get("newer") is None


def test_of_many_moves_of_one_value_one_succeeds(ephemeral, raw):
    ephemeral.put("old", b"1", 60)
    results = at_once(60, lambda number: ephemeral.move("old", b"1", f"new:{number}", b"2", b"mark", 60))
    assert sum(results) == 1
    assert raw.dbsize() == 2


# ---- caps


def admit(ephemeral: Ephemeral, key: str, now: int, *caps: tuple[str, int]) -> int:
    return ephemeral.admit(key, b"x", 100, now=now, censuses=[Census(name, most) for name, most in caps])


def test_a_full_census_refuses_the_new_entry_and_pushes_nobody_out(ephemeral):
    for number in range(3):
        assert admit(ephemeral, f"k{number}", START, ("block", 3), ("all", 5)) == 0
    assert admit(ephemeral, "k3", START, ("block", 3), ("all", 5)) == 1
    assert ephemeral.get("k3") is None
    assert all(ephemeral.get(f"k{number}") == b"x" for number in range(3))
    for number in range(3, 5):
        assert admit(ephemeral, f"k{number}", START, ("other", 3), ("all", 5)) == 0
    assert admit(ephemeral, "k5", START, ("third", 3), ("all", 5)) == 2


def test_a_refused_entry_is_counted_nowhere(ephemeral, raw):
    assert admit(ephemeral, "k0", START, ("block", 9), ("all", 1)) == 0
    for _ in range(5):
        assert admit(ephemeral, "k1", START, ("block", 9), ("all", 1)) == 2
    assert raw.zcard("block") == 1


def test_entries_leave_the_census_when_their_time_is_over_by_the_given_clock(ephemeral):
    assert admit(ephemeral, "k0", START, ("block", 1)) == 0
    assert admit(ephemeral, "k1", START + 99, ("block", 1)) == 1
    assert admit(ephemeral, "k1", START + 100, ("block", 1)) == 0


def test_of_many_at_once_no_more_than_the_cap_are_admitted(ephemeral, raw):
    results = at_once(60, lambda number: admit(ephemeral, f"k{number}", START, ("block", 10), ("all", 1000)))
    assert sorted(results) == [0] * 10 + [1] * 50
    assert raw.zcard("all") == 10


# ---- limits


def test_a_limit_lets_so_many_pass_and_tells_the_next_how_long_to_wait(ephemeral):
    limit = [Limit("k", 3, 600)]
    assert [ephemeral.hit(limit, START + seconds) for seconds in (0, 10, 20)] == [0, 0, 0]
    assert ephemeral.hit(limit, START + 30) == 570
    assert ephemeral.hit(limit, START + 599) == 1
    assert ephemeral.hit(limit, START + 600) == 0
    assert ephemeral.hit(limit, START + 600) == 10


@pytest.mark.parametrize("most", [1, 7, 60])
def test_a_burst_at_the_end_of_a_window_gives_no_second_one_at_the_start_of_the_next(ephemeral, most):
    limit = [Limit("k", most, 600)]
    start = START // 600 * 600  # the worst case for windows that are fixed
    assert sum(ephemeral.hit(limit, start + 599) == 0 for _ in range(most + 5)) == most
    assert sum(ephemeral.hit(limit, now) == 0 for now in range(start + 600, start + 1199)) == 0
    assert sum(ephemeral.hit(limit, start + 1199) == 0 for _ in range(most + 5)) == most


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    most=st.integers(1, 6),
    window=st.integers(2, 40),
    gaps=st.lists(st.integers(0, 15), min_size=1, max_size=60),
    phase=st.integers(0, 1000),
)
@example(most=3, window=20, gaps=[19, 0, 0, *[1] * 18], phase=0)
def test_in_no_window_more_than_the_limit_pass_and_waiting_as_told_suffices(ephemeral, raw, most, window, gaps, phase):
    raw.flushall()
    limit = [Limit("k", most, window)]
    now = START + phase
    passed: list[int] = []
    for gap in gaps:
        now += gap
        wait = ephemeral.hit(limit, now)
        assert 0 <= wait <= window
        if wait:
            # a refusal is earned: so many passed within the window that ends now
            assert sum(now - window < at <= now for at in passed) >= most
            if wait > 1:
                assert ephemeral.hit(limit, now + wait - 1) > 0
            now += wait
            assert ephemeral.hit(limit, now) == 0
        passed.append(now)
        assert sum(now - window < at <= now for at in passed) <= most


def test_of_many_at_once_exactly_the_limit_pass(ephemeral):
    results = at_once(60, lambda _: ephemeral.hit([Limit("k", 10, 600)], START))
    assert sum(wait == 0 for wait in results) == 10
    assert all(wait in {0, 600} for wait in results)


def test_a_hit_counts_on_every_limit_or_on_none_and_the_longest_wait_is_told(ephemeral):
    narrow, wide = Limit("narrow", 1, 10), Limit("wide", 2, 1000)
    assert ephemeral.hit([narrow, wide], START) == 0
    for _ in range(20):
        assert ephemeral.hit([narrow, wide], START + 1) == 9
    assert ephemeral.hit([narrow, wide], START + 10) == 0
    assert ephemeral.hit([narrow, wide], START + 11) == 989
    assert ephemeral.hit([narrow], START + 20) == 0
    assert ephemeral.hit([Limit("another", 1, 10)], START + 11) == 0


def test_a_lower_limit_counts_at_once_and_a_higher_one_gives_room(ephemeral):
    for _ in range(5):
        assert ephemeral.hit([Limit("k", 5, 600)], START) == 0
    assert ephemeral.hit([Limit("k", 3, 600)], START) == 600
    assert ephemeral.hit([Limit("k", 6, 600)], START) == 0


def test_a_clock_that_was_set_back_makes_nobody_wait_longer_than_a_window(ephemeral):
    limit = [Limit("k", 2, 600)]
    assert [ephemeral.hit(limit, START) for _ in range(2)] == [0, 0]
    assert ephemeral.hit(limit, START - 86_400) == 600


def test_a_limit_that_is_hit_all_day_takes_no_more_memory_than_its_limit(ephemeral, raw):
    for number in range(2_000):
        ephemeral.hit([Limit("k", 60, 600)], START + number * 5)
    assert raw.memory_usage("k") < 2_000


# ---- lists


def test_a_list_keeps_the_newest(ephemeral):
    assert ephemeral.listed("k") == []
    for number in range(7):
        ephemeral.give("k", b"%d" % number, most=3, ttl=60)
    assert ephemeral.listed("k") == [b"4", b"5", b"6"]


# ---- the store is away

CALLS: dict[str, Callable[[Ephemeral], object]] = {
    "ping": lambda store: store.ping(),
    "get": lambda store: store.get("k"),
    "put": lambda store: store.put("k", b"x", 60),
    "drop": lambda store: store.drop("k"),
    "swap": lambda store: store.swap("k", None, b"x", 60),
    "move": lambda store: store.move("k", b"x", "l", b"y", b"m", 60),
    "admit": lambda store: admit(store, "k", START, ("block", 3)),
    "hit": lambda store: store.hit([Limit("k", 3, 60)], START),
    "give": lambda store: store.give("k", b"x", most=3, ttl=60),
    "listed": lambda store: store.listed("k"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_where_nobody_listens_every_call_says_that_the_store_is_away(call):
    with closed_port() as port:
        store = Ephemeral(f"redis://127.0.0.1:{port}")
        with pytest.raises(StoreAway) as away:
            call(store)
        store.close()
    assert (away.value.status, away.value.what) == (503, "ephemeral store")
    assert away.value.retry_after > 0


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_what_the_store_cannot_do_is_not_taken_for_an_answer(ephemeral, raw, call):
    raw.hset("k", "no", "string")
    raw.hset("block", "no", "set")
    try:
        call(ephemeral)
    except StoreAway:
        return
    assert call in {CALLS["ping"], CALLS["put"], CALLS["drop"]}


def test_a_store_that_hangs_is_away_after_a_second_and_serves_again_when_it_wakes():
    server = services.RedisServer(found(services.find_valkey))
    server.start()
    store = Ephemeral(server.url)
    try:
        store.put("k", b"x", 60)
        server.pause()
        for call in (CALLS["get"], CALLS["hit"], CALLS["ping"]):
            before = time.monotonic()
            with pytest.raises(StoreAway):
                call(store)
            assert time.monotonic() - before < 10  # without a limit it would be for ever
        server.resume()
        assert store.get("k") == b"x"
        # a call whose answer was lost is never repeated: one hit was sent, so at most one was counted
        waits = [store.hit([Limit("k2", 3, 60)], START) for _ in range(4)]
        assert waits == [0, 0, 0, 60]
        server.kill()
        with pytest.raises(StoreAway):
            store.get("k")
        server.start()
        assert store.get("k") is None
        assert store.hit([Limit("k", 3, 60)], START) == 0  # the scripts are loaded anew
    finally:
        store.close()
        server.stop()


def fill(store: Ephemeral) -> None:
    for number in range(1_000):
        store.put(f"k{number}", b"x" * 10_000, 600)


def test_a_full_store_refuses_and_forgets_nothing():
    server = services.RedisServer(found(services.find_valkey), ["--maxmemory", "3mb"])
    server.start()
    store = Ephemeral(server.url)
    try:
        store.put("first", b"x", 600)
        with pytest.raises(StoreAway):
            fill(store)
        assert store.get("first") == b"x"
        with pytest.raises(StoreAway):
            store.hit([Limit("limit", 3, 60)], START)
    finally:
        store.close()
        server.stop()


def test_nothing_shows_the_password_of_the_store():
    with closed_port() as port:
        store = Ephemeral(f"redis://:marked-password@127.0.0.1:{port}")
        with pytest.raises(StoreAway) as away:
            store.ping()
        store.close()
    assert "marked" not in repr(store) + str(away.value) + repr(away.value.__cause__)
