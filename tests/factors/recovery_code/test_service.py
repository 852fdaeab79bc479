"""Sets of saved codes and their spending, on real stores."""

import threading

import pytest
from sqlalchemy import select

from app.factors.recovery_code import rules, store
from app.factors.recovery_code.model import Finding, Use
from app.factors.recovery_code.service import WAITING, RecoveryCodes
from app.foundation.slowhash import SlowHasher
from tests.cast import add_person

DAY = 86_400


@pytest.fixture
def hasher(chance):
    made = SlowHasher(memory_kib=64, passes=1, slots=2, queue=32, chance=chance)
    yield made
    made.close()


@pytest.fixture
def codes(hasher, keyring, chance):
    return RecoveryCodes(hasher, keyring, chance)


@pytest.fixture
def jane(database, chance):
    with database.begin() as transaction:
        return add_person(transaction, "jane", chance)


def bind(database, codes, person, now, usable_from, **options):
    new = codes.draw()
    with database.begin() as transaction:
        return new, codes.bind(transaction, person_id=person.id, new=new, now=now, usable_from=usable_from, **options)


def typed(database, codes, person_id, code, use, now):
    with database.read() as looking:
        counting = codes.counting(looking, person_id, use, now)
    digest = codes.digest(counting, code)
    with database.begin() as transaction:
        return codes.settle(transaction, counting, digest, use, now)


def test_a_code_works_once_and_the_others_go_on(database, codes, jane, clock):
    now = clock.now()
    new, _ = bind(database, codes, jane, now, now)
    first = typed(database, codes, jane.id, new.codes[0], Use.RECOVERY, now)
    assert (first.finding, first.left, first.waiting) == (Finding.ACCEPTED, 9, False)
    assert typed(database, codes, jane.id, new.codes[0], Use.SIGN_IN, now).finding is Finding.USED
    assert typed(database, codes, jane.id, new.codes[9], Use.SIGN_IN, now).left == 8
    assert len(set(new.codes)) == 10


def test_a_try_costs_one_slow_hash_with_a_set_without_one_and_for_nobody(database, codes, jane, hasher, clock):
    now = clock.now()
    omar_id, wrong = 10_000, rules.written(bytes(10))
    bind(database, codes, jane, now, now)
    for person_id in (jane.id, omar_id, None):
        before = hasher.done
        assert typed(database, codes, person_id, wrong, Use.RECOVERY, now).finding is Finding.WRONG
        assert hasher.done == before + 1


def test_what_is_stored_is_a_keyed_digest_under_one_salt_and_tells_no_code(database, codes, jane, clock, keyring):
    now = clock.now()
    new, made = bind(database, codes, jane, now, now)
    with database.read() as looking:
        kept = looking.execute(select(store.codes)).all()
        rows = repr(kept) + repr(looking.execute(select(store.sets)).all())
    assert len(kept) == 10
    assert not any(code in rows for code in new.codes)
    assert not any(code in repr((new, made)) for code in new.codes)
    assert made.key == keyring.active
    raw = codes._hasher.raw(new.codes[0].encode(), made.salt)
    assert raw.hex() not in rows  # the slow hash alone is worth nothing without the key


def test_the_old_set_serves_recovery_until_the_new_one_may(database, codes, jane, clock):
    now = clock.now()
    old, _ = bind(database, codes, jane, now, now)
    later = now + 5_000
    new, _ = bind(database, codes, jane, later, later + WAITING)
    assert typed(database, codes, jane.id, old.codes[0], Use.SIGN_IN, later).finding is Finding.WRONG
    assert typed(database, codes, jane.id, new.codes[0], Use.RECOVERY, later).finding is Finding.WRONG
    assert typed(database, codes, jane.id, old.codes[0], Use.RECOVERY, later).finding is Finding.ACCEPTED
    signed_in = typed(database, codes, jane.id, new.codes[1], Use.SIGN_IN, later)
    assert (signed_in.finding, signed_in.waiting) == (Finding.ACCEPTED, True)
    assert typed(database, codes, jane.id, old.codes[2], Use.RECOVERY, later + DAY).finding is Finding.WRONG
    assert typed(database, codes, jane.id, new.codes[2], Use.RECOVERY, later + DAY).finding is Finding.ACCEPTED


def test_sets_made_again_and_again_leave_the_owner_the_one_that_served(database, codes, jane, clock):
    now = clock.now()
    old, _ = bind(database, codes, jane, now, now)
    for hours in (1, 20):
        at = now + hours * 3_600
        last, _ = bind(database, codes, jane, at, at + WAITING)
    soon = now + 26 * 3_600
    assert typed(database, codes, jane.id, old.codes[0], Use.RECOVERY, soon).finding is Finding.ACCEPTED
    assert typed(database, codes, jane.id, last.codes[0], Use.RECOVERY, soon + DAY).finding is Finding.ACCEPTED


def test_a_set_reported_stolen_serves_nothing_from_then_on(database, codes, jane, clock):
    now = clock.now()
    old, _ = bind(database, codes, jane, now, now)
    bind(database, codes, jane, now, now + WAITING, replaced_serve=False)
    assert typed(database, codes, jane.id, old.codes[0], Use.RECOVERY, now).finding is Finding.WRONG


def test_a_set_that_was_voided_while_a_code_was_being_judged_spends_nothing(database, codes, jane, clock):
    now = clock.now()
    old, _ = bind(database, codes, jane, now, now)
    with database.read() as looking:
        counting = codes.counting(looking, jane.id, Use.SIGN_IN, now)
    digest = codes.digest(counting, old.codes[0])
    bind(database, codes, jane, now, now + WAITING)
    with database.begin() as transaction:
        assert codes.settle(transaction, counting, digest, Use.SIGN_IN, now).finding is Finding.WRONG


def test_undo_revives_a_set_with_its_used_codes_used(database, codes, jane, clock):
    now = clock.now()
    old, first = bind(database, codes, jane, now, now)
    typed(database, codes, jane.id, old.codes[0], Use.SIGN_IN, now)
    thiefs, second = bind(database, codes, jane, now, now + WAITING)
    with database.begin() as transaction:
        assert store.void(transaction, jane.id, second.id, now)
        assert store.revive(transaction, jane.id, first.id)
        assert not store.revive(transaction, jane.id + 1, first.id)
    assert typed(database, codes, jane.id, thiefs.codes[0], Use.SIGN_IN, now).finding is Finding.WRONG
    assert typed(database, codes, jane.id, old.codes[0], Use.SIGN_IN, now).finding is Finding.USED
    assert typed(database, codes, jane.id, old.codes[1], Use.SIGN_IN, now).finding is Finding.ACCEPTED


def test_another_persons_code_is_wrong(database, codes, jane, chance, clock):
    now = clock.now()
    with database.begin() as transaction:
        omar = add_person(transaction, "omar", chance)
    new, _ = bind(database, codes, jane, now, now)
    bind(database, codes, omar, now, now)
    assert typed(database, codes, omar.id, new.codes[0], Use.RECOVERY, now).finding is Finding.WRONG


def test_of_twelve_threads_with_one_code_one_spends_it(database, codes, jane, clock):
    now = clock.now()
    new, _ = bind(database, codes, jane, now, now)
    found, barrier = [], threading.Barrier(12)

    def race(use):
        barrier.wait(30)
        found.append(typed(database, codes, jane.id, new.codes[0], use, now).finding)

    threads = [threading.Thread(target=race, args=(list(Use)[n % 3],)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(found) == [Finding.ACCEPTED] + [Finding.USED] * 11
