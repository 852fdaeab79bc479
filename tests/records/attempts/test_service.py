"""Counting in both stores: atomic, the same for known and unknown people, and nothing given back."""

import threading

import pytest

from app.foundation.refusals import Code, Throttled
from app.foundation.secretbox import Keyring, MasterKey
from app.foundation.visit import Visit
from app.records.attempts import store
from app.records.attempts.model import Door, Factor, Subject
from app.records.attempts.service import AddressLimits, Tries
from tests.cast import add_person


@pytest.fixture
def tries(database, ephemeral, keyring, clock):
    return Tries(database, ephemeral, keyring, clock, stranger_failures_per_day=3000)


@pytest.fixture
def known(database, tries, chance):
    with database.begin() as transaction:
        person = add_person(transaction, "jane", chance)
    return tries.subject("jane", person.id)


@pytest.fixture(params=["known", "unknown"])
def subject(request, tries, known) -> Subject:
    chosen: Subject = known if request.param == "known" else tries.subject("nobody", None)
    return chosen


def refused(tries, subject, factor=Factor.APP, door=Door.RECOVERY) -> int:
    try:
        tries.spend(subject, factor, door)
    except Throttled as throttled:
        return throttled.retry_after
    return 0


def test_known_and_unknown_people_are_refused_at_the_same_try_for_the_same_time(tries, known, clock):
    unknown = tries.subject("nobody", None)
    seen: dict[str, list[int]] = {known.key: [], unknown.key: []}
    for _ in range(40):
        for one in (known, unknown):
            seen[one.key].append(refused(tries, one))
        clock.advance(45)
    assert seen[known.key] == seen[unknown.key]
    assert any(seen[known.key])


def test_of_two_hundred_simultaneous_tries_exactly_five_are_let_through(tries, subject):
    passed = []

    def one():
        if not refused(tries, subject):
            passed.append(1)

    threads = [threading.Thread(target=one) for _ in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(passed) == 5


def test_a_wiped_ephemeral_store_gives_a_known_person_nothing_back(tries, known, ephemeral):
    for _ in range(5):
        assert not refused(tries, known)
    assert refused(tries, known)
    ephemeral.drop(f"tries:app:{int(known.key[:8], 16) % (1 << 15)}")
    assert refused(tries, known)


def test_unknown_people_leave_no_rows_behind(tries, database):
    for number in range(300):
        refused(tries, tries.subject(f"nobody{number}", None))
    with database.read() as looking:
        rows = looking.execute(store.attempts.select()).fetchall()
    assert len(rows) <= 65
    assert {row.subject.split(":")[0] for row in rows} <= {"spare", "installation"}


def test_a_success_clears_the_wait_of_its_own_factor_only(tries, known, database):
    for _ in range(5):
        tries.spend(known, Factor.PIN, Door.RECOVERY)
    for _ in range(4):
        tries.spend(known, Factor.APP, Door.RECOVERY)
    spent = tries.spend(known, Factor.APP, Door.RECOVERY)
    with database.begin() as transaction:
        tries.succeed(transaction, spent)
    assert not refused(tries, known, Factor.APP)
    assert refused(tries, known, Factor.PIN)


def test_a_try_taken_back_leaves_room_for_another(tries, subject):
    for _ in range(20):
        tries.take_back(tries.spend(subject, Factor.PASSWORD, Door.SIGN_IN))
    assert not refused(tries, subject, Factor.PASSWORD, Door.SIGN_IN)


def test_the_same_wrong_password_is_recognised_until_the_stamp_changes(tries, subject):
    tries.remember_wrong(subject, "guess", "stamp", "192.0.2.1")
    assert tries.seen_wrong(subject, "guess", "stamp", "192.0.2.1")
    assert not tries.seen_wrong(subject, "guess2", "stamp", "192.0.2.1")
    assert not tries.seen_wrong(subject, "guess", "stamp2", "192.0.2.1")
    assert not tries.seen_wrong(subject, "guess", "stamp", "192.0.2.2")


def test_at_most_five_wrong_passwords_are_remembered(tries, subject):
    for number in range(6):
        tries.remember_wrong(subject, f"guess{number}", "stamp", "192.0.2.1")
    assert not tries.seen_wrong(subject, "guess0", "stamp", "192.0.2.1")
    assert tries.seen_wrong(subject, "guess5", "stamp", "192.0.2.1")


def test_a_repeated_password_is_not_counted_but_still_refused_while_blocked(tries, subject):
    for _ in range(50):
        tries.spend(subject, Factor.PASSWORD, Door.SIGN_IN, again=True)
    for _ in range(5):
        tries.spend(subject, Factor.PASSWORD, Door.SIGN_IN)
    with pytest.raises(Throttled):
        tries.spend(subject, Factor.PASSWORD, Door.SIGN_IN, again=True)


def test_app_codes_from_strangers_are_capped_over_the_whole_installation(database, ephemeral, keyring, clock):
    tries = Tries(database, ephemeral, keyring, clock, stranger_failures_per_day=7)
    for number in range(7):
        tries.spend(tries.subject(f"nobody{number}", None), Factor.APP, Door.RECOVERY)
    with pytest.raises(Throttled) as caught:
        tries.spend(tries.subject("another", None), Factor.APP, Door.RECOVERY)
    assert caught.value.code is Code.SPRAYING
    tries.spend(tries.subject("another", None), Factor.APP, Door.LANE)
    tries.spend(tries.subject("another", None), Factor.PASSWORD, Door.SIGN_IN)


def test_messages_are_counted_by_destination_whoever_asks(tries, database):
    with database.begin() as transaction:
        for _ in range(3):
            tries.spend_send(transaction, "+4917012345", Door.RECOVERY)
        with pytest.raises(Throttled):
            tries.spend_send(transaction, "+4917012345", Door.RECOVERY)
        tries.spend_send(transaction, "+4917012346", Door.RECOVERY)
    with database.read() as looking:
        assert "4917012345" not in str(looking.execute(store.attempts.select()).fetchall())


def test_a_mailbox_is_one_destination_in_whatever_letters_it_is_written(tries, database):
    with database.begin() as transaction:
        for written in ("jane@example.org", "Jane@example.org", "JANE@example.org"):
            tries.spend_send(transaction, written, Door.SIGN_IN)
        with pytest.raises(Throttled):
            tries.spend_send(transaction, "jAne@example.org", Door.SIGN_IN)


def test_an_address_block_starts_so_many_flows_in_ten_minutes(ephemeral, clock):
    limits = AddressLimits(ephemeral, clock, starts=60, tries=300)
    for _ in range(60):
        limits.start(Visit("192.0.2.1", "en", ""), "recovery")
    with pytest.raises(Throttled) as caught:
        limits.start(Visit("192.0.2.1", "en", ""), "recovery")
    assert 0 < caught.value.retry_after <= 1200
    limits.start(Visit("192.0.2.2", "en", ""), "recovery")
    clock.advance(caught.value.retry_after)
    limits.start(Visit("192.0.2.1", "en", ""), "recovery")


def test_made_up_user_ids_take_a_bounded_number_of_places_in_the_ephemeral_store(tries, ephemeral):
    for number in range(50):
        refused(tries, tries.subject(f"nobody{number}", None), Factor.PASSWORD, Door.SIGN_IN)
        tries.remember_wrong(tries.subject(f"nobody{number}", None), "guess", "stamp", "192.0.2.1")
    keys = [key.decode() for key in ephemeral._redis.scan_iter()]
    places = [int(key.rsplit(":", 1)[1]) for key in keys if key.startswith("tries:password:")]
    assert 0 < len(places) <= 50
    assert max(places) < 1 << 15
    assert sum(key.startswith("wrong:") for key in keys) == 1


def test_who_shares_a_place_has_counters_of_their_own_and_who_tried_least_leaves(tries):
    first, *others = (Subject("00000001" + letter * 56, None) for letter in "abcdefgh")
    while not refused(tries, first):
        pass
    for other in others:
        assert not refused(tries, other)
    assert refused(tries, first)  # those who tried once displaced each other


def test_a_new_key_on_the_ring_gives_neither_known_nor_unknown_people_anything_back(
    database, ephemeral, keyring, clock, known, chance
):
    unknown = Tries(database, ephemeral, keyring, clock, stranger_failures_per_day=3000).subject("nobody", None)
    rotated = Keyring([MasterKey("third", chance.octets(32)), *keyring._keys.values()], chance)
    before = Tries(database, ephemeral, keyring, clock, stranger_failures_per_day=3000)
    for one in (known, unknown):
        while not refused(before, one):
            pass
    after = Tries(database, ephemeral, rotated, clock, stranger_failures_per_day=3000)
    assert refused(after, after.subject("jane", known.person_id))
    assert refused(after, after.subject("nobody", None))


def test_wrong_app_codes_from_one_network_run_out_before_the_installations(ephemeral, clock):
    limits = AddressLimits(ephemeral, clock, starts=60, tries=300)
    for block in range(5):
        for _ in range(60):
            try:
                limits.may_guess(Visit(f"2001:db8:0:{block}::1", "en", ""))
            except Throttled:
                break
            limits.guessed_wrong(Visit(f"2001:db8:0:{block}::1", "en", ""))
    with pytest.raises(Throttled) as caught:
        limits.may_guess(Visit("2001:db8:0:77::1", "en", ""))
    assert caught.value.retry_after > 80_000
    limits.may_guess(Visit("2001:db8:1::1", "en", ""))
