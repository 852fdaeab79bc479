"""The hands that tests hold: a clock that obeys, and chance that repeats."""

import threading

from sqlalchemy import text

from app.foundation.ephemeral.store import Ephemeral
from app.foundation.sql import Database
from tests.hands import START, HandClock, SeededChance


def test_a_hand_clock_stands_still_until_it_is_advanced():
    clock = HandClock()
    assert (clock.now(), clock.precise()) == (START, float(START))
    clock.advance(1.5)
    assert (clock.now(), clock.precise(), clock.monotonic()) == (START + 1, START + 1.5, 1.5)


def test_sleeping_on_a_hand_clock_moves_its_hands():
    clock = HandClock(start=100)
    clock.sleep(30)
    assert clock.now() == 130


def test_threads_that_advance_a_hand_clock_lose_no_second():
    clock = HandClock(start=0)

    def work() -> None:
        for _ in range(500):
            clock.advance(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock.now() == 4_000


def test_seeded_chance_repeats_itself_and_seeds_differ():
    def draw(seed: int) -> list[object]:
        chance = SeededChance(seed)
        return [chance.octets(5), chance.token(), chance.name(), chance.digits(8), chance.fraction()]

    assert draw(1) == draw(1) != draw(2)
    octets, token, name, digits, fraction = draw(3)
    assert (len(str(token)), len(str(name)), len(str(digits))) == (43, 32, 8)
    assert len(bytes(octets)) == 5  # type: ignore[call-overload]
    assert 0 <= float(str(fraction)) < 1


def test_each_test_gets_a_database_of_its_own_first(database: Database):
    _leave_a_trace(database)


def test_each_test_gets_a_database_of_its_own_second(database: Database):
    _leave_a_trace(database)


def _leave_a_trace(database: Database) -> None:
    """Fails the second time if the two tests shared a database."""
    with database.begin() as transaction:
        assert transaction.execute(text("SELECT count(*) FROM people")).scalar() == 0
        transaction.execute(text("CREATE TABLE a_trace (x INTEGER)"))


def test_each_test_gets_an_empty_store_first(ephemeral: Ephemeral):
    assert ephemeral.get("a-trace") is None
    ephemeral.put("a-trace", b"left", 60)


def test_each_test_gets_an_empty_store_second(ephemeral: Ephemeral):
    assert ephemeral.get("a-trace") is None
    ephemeral.put("a-trace", b"left", 60)
