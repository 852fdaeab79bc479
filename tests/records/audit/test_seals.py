"""Seals over the audit log: whatever is done to what is sealed is found, and the first of it is named."""

import threading
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, update

from app.foundation.chance import SystemChance
from app.foundation.secretbox import Keyring, MasterKey
from app.records.audit import store
from app.records.audit.model import Event, Fault, Record, Tampering
from app.records.audit.rules import read, safe_cell, written
from app.records.audit.service import BATCH, LATE, Seals
from tests.meanwhile import before_writing

EVENTS = store.events
SEALS = store.seals
TEXTS = ("event", "organization_id", "actor", "outcome", "reason", "address", "details")
ORGANIZATION = "0b8f8a3e-7a39-4c44-9d0c-6f3f2f2c8a11"


@pytest.fixture
def seals(database, keyring, clock) -> Seals:
    return Seals(database, keyring, clock)


def happen(database, clock, count=1, **changes):
    with database.begin() as transaction:
        for number in range(count):
            record = Record(Event.PIN_SENT, clock.now(), None, f"{number} somebody", "success", "why", "192.0.2.1")
            store.add(transaction, replace(record, organization_id=ORGANIZATION, **changes))


def numbers(database):
    with database.read() as looking:
        return store.numbers_after(looking, -1, 10_000)


def do(database, statement):
    with database.begin() as transaction:
        transaction.execute(statement)


def fault(seals, **more):
    return seals.verify(**more).fault


def test_what_is_sealed_and_untouched_is_found_whole_and_what_is_not_sealed_yet_is_counted(database, clock, seals):
    assert seals.seal() is None
    happen(database, clock, 5)
    newest = seals.seal()
    assert (newest.number, newest.events) == (1, 5)
    happen(database, clock, 2)
    verdict = seals.verify()
    assert (verdict.seals, verdict.events, verdict.waiting, verdict.fault) == (1, 5, 2, None)
    assert verdict.head.chain == newest.chain
    assert seals.seal().number == 2
    assert seals.verify().events == 7
    assert seals.seal() is None


def test_many_events_are_sealed_in_batches_of_which_each_signs_the_one_before(database, clock, seals):
    happen(database, clock, 2 * BATCH + 3)
    newest = seals.seal()
    assert (newest.number, newest.events) == (3, 3)
    verdict = seals.verify()
    assert (verdict.seals, verdict.events, verdict.fault) == (3, 2 * BATCH + 3, None)


@pytest.mark.parametrize("column", TEXTS)
def test_one_altered_character_in_any_column_is_found_and_its_event_named(database, clock, seals, column):
    happen(database, clock, 9)
    seals.seal()
    number = numbers(database)[4]
    with database.begin() as transaction:
        kept = transaction.execute(select(EVENTS.c[column]).where(EVENTS.c.id == number)).scalar_one()
        altered = kept[:-1] + chr(ord(kept[-1]) ^ 1)
        transaction.execute(update(EVENTS).where(EVENTS.c.id == number).values({column: altered}))
    assert fault(seals) == Fault(Tampering.EDITED, number)


@pytest.mark.parametrize(("column", "value"), [("at", 1), ("person_id", 7)])
def test_an_altered_number_is_found(database, clock, seals, portal_free_person, column, value):
    happen(database, clock, 3)
    seals.seal()
    number = numbers(database)[1]
    wanted = portal_free_person if column == "person_id" else value
    do(database, update(EVENTS).where(EVENTS.c.id == number).values({column: wanted}))
    assert fault(seals) == Fault(Tampering.EDITED, number)


@pytest.mark.parametrize(("was", "becomes"), [(ORGANIZATION, None), (ORGANIZATION, ""), (None, ""), (None, "x")])
def test_an_organization_that_was_put_in_or_taken_away_is_found(database, clock, seals, was, becomes):
    happen(database, clock, 3)
    number = numbers(database)[1]
    change = update(EVENTS).where(EVENTS.c.id == number)
    do(database, change.values(organization_id=was))
    seals.seal()
    do(database, change.values(organization_id=becomes))
    assert fault(seals) == Fault(Tampering.EDITED, number)


@pytest.fixture
def portal_free_person(database, chance):
    """The id of somebody whom an event may be pinned on."""
    from tests.cast import add_person

    with database.begin() as transaction:
        return add_person(transaction, "jane", chance).id


@pytest.mark.parametrize("which", [0, 4, -1])
def test_a_removed_event_is_found_also_the_first_and_the_last(database, clock, seals, which):
    happen(database, clock, 9)
    seals.seal()
    number = numbers(database)[which]
    do(database, delete(EVENTS).where(EVENTS.c.id == number))
    assert fault(seals) == Fault(Tampering.REMOVED, number)


def test_all_events_removed_are_found(database, clock, seals):
    happen(database, clock, 3)
    seals.seal()
    first = numbers(database)[0]
    do(database, delete(EVENTS))
    assert fault(seals) == Fault(Tampering.REMOVED, first)


def test_two_that_were_swapped_are_named_as_such(database, clock, seals):
    happen(database, clock, 9)
    seals.seal()
    one, other = numbers(database)[2], numbers(database)[6]
    with database.begin() as transaction:
        contents = {
            number: transaction.execute(select(EVENTS).where(EVENTS.c.id == number)).mappings().one()
            for number in (one, other)
        }
        for number, source in ((one, other), (other, one)):
            values = {name: value for name, value in contents[source].items() if name != "id"}
            transaction.execute(update(EVENTS).where(EVENTS.c.id == number).values(values))
    assert fault(seals) == Fault(Tampering.REORDERED, one)


@pytest.mark.parametrize("number", [-5, 0])
def test_an_event_put_in_before_the_others_is_found(database, clock, seals, number):
    happen(database, clock, 3)
    seals.seal()
    clock.advance(LATE + 1)
    happen(database, clock, 1)
    seals.seal()
    put_in(database, number)
    assert fault(seals) == Fault(Tampering.INSERTED, number)


def put_in(database, number):
    values = {"id": number, "event": "x", "at": 1, "actor": "x", "outcome": "x", "reason": "", "address": ""}
    do(database, insert(EVENTS).values(**values, details="{}"))


def test_an_event_put_into_a_gap_is_found_once_none_can_come_late_any_more(database, clock, seals):
    happen(database, clock, 3)
    gap = numbers(database)[1]
    do(database, delete(EVENTS).where(EVENTS.c.id == gap))  # as an insert that was rolled back leaves it
    seals.seal()
    clock.advance(LATE + 1)
    put_in(database, gap)
    assert seals.seal() is None
    assert fault(seals) == Fault(Tampering.INSERTED, gap)


def test_an_event_that_comes_late_is_sealed_with_the_next(database, clock, seals):
    happen(database, clock, 3)
    gap = numbers(database)[1]
    do(database, delete(EVENTS).where(EVENTS.c.id == gap))
    seals.seal()
    clock.advance(LATE - 1)
    put_in(database, gap)
    newest = seals.seal()
    assert (newest.first_id, newest.last_id) == (gap, gap)
    verdict = seals.verify()
    assert (verdict.events, verdict.waiting, verdict.fault) == (3, 0, None)


def test_what_comes_late_below_many_new_ones_is_sealed_too(database, clock, keyring):
    seals = Seals(database, keyring, clock, batch=3)
    happen(database, clock, 5)
    gaps = numbers(database)[1:3]
    for gap in gaps:
        do(database, delete(EVENTS).where(EVENTS.c.id == gap))
    seals.seal()
    happen(database, clock, 7)
    for gap in gaps:
        put_in(database, gap)
    seals.seal()
    seals.seal()
    verdict = seals.verify()
    assert (verdict.events, verdict.waiting, verdict.fault) == (12, 0, None)


def test_whoever_writes_does_not_wait_while_a_seal_is_made(sqlite_database, clock, keyring):
    """What happens just before the seal is written happened after all was read that it seals, and has the next one."""
    happen(sqlite_database, clock, 3)
    seals = Seals(sqlite_database, keyring, clock)
    with before_writing(sqlite_database, lambda: happen(sqlite_database, clock, 1)):
        seals.seal()
    verdict = seals.verify()
    assert (verdict.seals, verdict.events, verdict.waiting, verdict.fault) == (2, 4, 0, None)


# ---- the seals themselves


@pytest.mark.parametrize(
    "column",
    ["previous", "first_id", "last_id", "upto", "events", "last_at", "at", "key", "body", "body_digest", "chain"],
)
def test_an_altered_seal_is_found(database, clock, seals, column):
    for _ in range(3):
        happen(database, clock, 2)
        seals.seal()
    with database.begin() as transaction:
        kept = transaction.execute(select(SEALS.c[column]).where(SEALS.c.number == 2)).scalar_one()
        altered = kept + 1 if isinstance(kept, int) else chr(ord(kept[0]) ^ 1) + kept[1:]
        transaction.execute(update(SEALS).where(SEALS.c.number == 2).values({column: altered}))
    assert fault(seals) == Fault(Tampering.SEAL, 2)


@pytest.mark.parametrize("number", [1, 2])
def test_a_removed_seal_is_found(database, clock, seals, number):
    for _ in range(3):
        happen(database, clock, 2)
        seals.seal()
    do(database, delete(SEALS).where(SEALS.c.number == number))
    assert fault(seals) == Fault(Tampering.SEAL, number)


def test_a_seal_of_a_thief_without_the_key_is_found(database, clock, seals):
    happen(database, clock, 2)
    seals.seal()
    chance = SystemChance()
    thief = Seals(database, Keyring([MasterKey("only", chance.octets(32))], chance), clock)
    happen(database, clock, 1, actor="the thief's story")
    thief.seal()
    assert fault(seals) == Fault(Tampering.SEAL, 2)


def test_a_tail_cut_off_with_its_seals_shows_by_a_seal_that_was_kept_outside(database, clock, seals):
    happen(database, clock, 2)
    seals.seal()
    happen(database, clock, 2)
    outside = seals.seal()
    do(database, delete(EVENTS).where(EVENTS.c.id >= outside.first_id))
    do(database, delete(SEALS).where(SEALS.c.number == 2))
    assert fault(seals) is None  # nothing inside can tell
    assert fault(seals, known=[(outside.number, outside.chain)]) == Fault(Tampering.CUT, 2)
    happen(database, clock, 1, actor="another story")
    seals.seal()
    assert fault(seals, known=[(outside.number, outside.chain)]) == Fault(Tampering.CUT, 2)


# ---- keys, workers, retention


def test_seals_outlive_the_rotation_of_the_key(database, clock, chance):
    old, new = MasterKey("old", chance.octets(32)), MasterKey("new", chance.octets(32))
    happen(database, clock, 2)
    Seals(database, Keyring([old], chance), clock).seal()
    both = Seals(database, Keyring([new, old], chance), clock)
    happen(database, clock, 2)
    both.seal()
    assert both.verify().fault is None
    without = Seals(database, Keyring([new], chance), clock)
    assert without.verify().fault == Fault(Tampering.SEAL, 1)


def test_workers_that_seal_at_once_seal_each_event_once(database, clock, keyring):
    happen(database, clock, 60)
    gate = threading.Barrier(4)

    def work():
        gate.wait()
        Seals(database, keyring, clock, batch=10).seal()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seals = Seals(database, keyring, clock)
    seals.seal()
    verdict = seals.verify()
    assert (verdict.events, verdict.waiting, verdict.fault) == (60, 0, None)


def test_old_events_go_with_their_whole_seals_and_the_chain_still_holds(database, clock, seals):
    for _ in range(3):
        happen(database, clock, 2)
        seals.seal()
        clock.advance(1_000)
    before = clock.now() - 2_000
    assert seals.forget(before) == 2
    assert len(numbers(database)) == 4
    assert seals.verify(kept_since=before).fault is None
    assert seals.forget(before) == 0
    happen(database, clock, 1)
    seals.seal()
    assert seals.verify(kept_since=before).fault is None


def test_what_must_still_be_kept_cannot_be_passed_off_as_forgotten(database, clock, seals):
    for _ in range(2):
        happen(database, clock, 2)
        seals.seal()
        clock.advance(1_000)
    seals.forget(clock.now())
    assert fault(seals, kept_since=clock.now() - 5_000) == Fault(Tampering.SEAL, 1)


def test_only_the_oldest_may_be_forgotten(database, clock, seals):
    for _ in range(3):
        happen(database, clock, 2)
        seals.seal()
    with database.begin() as transaction:
        transaction.execute(update(SEALS).where(SEALS.c.number == 2).values(body=None))
    assert fault(seals, kept_since=clock.now() + 1) == Fault(Tampering.SEAL, 2)


# ---- any edit at all


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    which=st.integers(0, 3),
    column=st.sampled_from(TEXTS),
    place=st.floats(0, 1),
    put=st.characters(codec="utf-8", exclude_characters="\x00"),
    instead=st.booleans(),
)
def test_no_edit_of_a_single_character_goes_unnoticed(
    sqlite_database, clock, keyring, which, column, place, put, instead
):
    do(sqlite_database, delete(EVENTS))
    do(sqlite_database, delete(SEALS))
    seals = Seals(sqlite_database, keyring, clock)
    happen(sqlite_database, clock, 4)
    seals.seal()
    number = numbers(sqlite_database)[which]
    with sqlite_database.begin() as transaction:
        text = transaction.execute(select(EVENTS.c[column]).where(EVENTS.c.id == number)).scalar_one()
        at = int(place * len(text))
        altered = text[:at] + put + text[at + instead :]
        transaction.execute(update(EVENTS).where(EVENTS.c.id == number).values({column: altered}))
    found = fault(seals)
    assert (found is None) == (altered == text)
    assert found is None or found.number == number


def test_the_body_of_a_seal_reads_as_it_was_written():
    digests = {7: b"x" * 16, 2**40: b"y" * 16}
    assert read(written(digests)) == digests
    with pytest.raises(ValueError, match="whole entries"):
        read("AAAA")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@sum", "\tx", "\rx"])
def test_no_cell_is_a_formula(text):
    assert safe_cell(text) == "'" + text
    assert safe_cell("plain") == "plain"
