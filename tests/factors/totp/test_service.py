"""An app's code counts once, over all threads and processes; a code of another time never."""

import threading

import pytest

from app.factors.totp import rules, store
from app.factors.totp.model import AppState, Finding
from app.factors.totp.service import AuthenticatorApps, BadSeed, BoundBefore, from_base32, provisioning_uri, to_base32
from app.foundation.secretbox import Unreadable
from tests.cast import add_person

SEED = b"12345678901234567890"


@pytest.fixture
def apps(keyring, chance):
    return AuthenticatorApps(keyring, chance)


@pytest.fixture
def bound(database, apps, clock, chance):
    with database.begin() as transaction:
        person = add_person(transaction, "jane", chance)
        return apps.bind(
            transaction, person_id=person.id, seed=SEED, label="Phone", now=clock.now(), usable_from=clock.now()
        )


def check(database, apps, app, code, now):
    with database.read() as looking:
        usable = apps.usable(looking, app.person_id, now)
    match = apps.recognise(usable, code, now)
    with database.begin() as transaction:
        return apps.settle(transaction, match, now)


def code_at(now, offset=0):
    return rules.hotp(SEED, rules.step_at(now) + offset)


def test_a_code_is_accepted_once(database, apps, bound, clock):
    code = code_at(clock.now())
    assert check(database, apps, bound, code, clock.now()).finding is Finding.ACCEPTED
    assert check(database, apps, bound, code, clock.now()).finding is Finding.USED


def test_an_earlier_code_is_refused_after_a_later_one(database, apps, bound, clock):
    assert check(database, apps, bound, code_at(clock.now(), 1), clock.now()).finding is Finding.ACCEPTED
    assert check(database, apps, bound, code_at(clock.now(), 0), clock.now()).finding is Finding.USED
    assert check(database, apps, bound, code_at(clock.now(), -1), clock.now()).finding is Finding.USED


def test_of_two_hundred_simultaneous_right_codes_one_is_accepted(database, apps, bound, clock):
    code, now = code_at(clock.now()), clock.now()
    findings = []

    def one():
        findings.append(check(database, apps, bound, code, now).finding)

    threads = [threading.Thread(target=one) for _ in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert findings.count(Finding.ACCEPTED) == 1
    assert findings.count(Finding.USED) == 199


def test_a_code_of_another_time_is_named_and_burned_so_that_it_never_works(database, apps, bound, clock):
    early = code_at(clock.now(), 4)
    outcome = check(database, apps, bound, early, clock.now())
    assert (outcome.finding, outcome.offset) == (Finding.CLOCK_OFF, 4)
    clock.advance(120)  # now it is the code of the present
    assert check(database, apps, bound, early, clock.now()).finding is Finding.USED


def test_an_accepted_code_is_used_however_much_later_it_is_sent_again(database, apps, bound, clock):
    first = code_at(clock.now())
    check(database, apps, bound, first, clock.now())
    clock.advance(60)
    check(database, apps, bound, code_at(clock.now()), clock.now())
    for _ in range(16):  # as far as codes of another time are recognised
        clock.advance(30)
        assert check(database, apps, bound, first, clock.now()).finding is Finding.USED


def test_a_code_of_another_time_after_the_last_accepted_one_is_named_as_before(database, apps, bound, clock):
    check(database, apps, bound, code_at(clock.now()), clock.now())
    clock.advance(300)
    assert check(database, apps, bound, code_at(clock.now(), -4), clock.now()).finding is Finding.CLOCK_OFF
    assert check(database, apps, bound, code_at(clock.now(), -4), clock.now()).finding is Finding.USED


def test_burning_one_step_leaves_the_others(database, apps, bound, clock):
    check(database, apps, bound, code_at(clock.now(), 4), clock.now())
    clock.advance(90)
    assert check(database, apps, bound, code_at(clock.now()), clock.now()).finding is Finding.ACCEPTED


def test_an_app_in_its_waiting_time_proves_nobody(database, apps, clock, chance):
    with database.begin() as transaction:
        person = add_person(transaction, "omar", chance)
        later = clock.now() + 86_400
        app = apps.bind(transaction, person_id=person.id, seed=SEED, label="New", now=clock.now(), usable_from=later)
    assert check(database, apps, app, code_at(clock.now()), clock.now()).finding is Finding.WRONG
    clock.advance(86_400)
    assert check(database, apps, app, code_at(clock.now()), clock.now()).finding is Finding.ACCEPTED


def test_a_seed_is_encrypted_and_bound_to_its_row_and_person(database, apps, bound, keyring):
    with database.read() as looking:
        stored = store.of_person(looking, bound.person_id)[0].seed
    assert SEED.hex() not in stored
    assert to_base32(SEED) not in stored
    assert keyring.open("totp-seed", stored, f"totp_apps:{bound.id}:{bound.person_id}") == SEED
    with pytest.raises(Unreadable):
        keyring.open("totp-seed", stored, f"totp_apps:{bound.id}:{bound.person_id + 1}")
    assert "seed" not in repr(bound)


def test_the_provisioning_link_is_what_apps_expect():
    uri = provisioning_uri(SEED, "alice@example.com", "Example Co")
    assert uri == (
        "otpauth://totp/Example%20Co:alice%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Example%20Co"
    )


@pytest.mark.parametrize("text", ["gezd gnbv gy3t qojq gezd gnbv gy3t qojq", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ===="])
def test_a_seed_is_read_as_directories_write_it(text):
    assert from_base32(text) == SEED


@pytest.mark.parametrize("text", ["", "GEZDGNBV", "0189", "é" * 32, "A" * 10_000])
def test_a_weak_or_broken_seed_is_refused(text):
    with pytest.raises(BadSeed):
        from_base32(text)


def test_a_new_app_counts_where_somebody_signs_in(database, apps, clock, chance):
    with database.begin() as transaction:
        person = add_person(transaction, "omar", chance)
        later = clock.now() + 86_400
        apps.bind(transaction, person_id=person.id, seed=SEED, label="New", now=clock.now(), usable_from=later)
        assert len(apps.usable(transaction, person.id, clock.now(), waiting=True)) == 1
        assert apps.usable(transaction, person.id, clock.now()) == ()
        assert len(apps.usable(transaction, person.id, later)) == 1


@pytest.mark.parametrize("state", [AppState.DISABLED, AppState.LOCKED, AppState.REMOVED])
def test_an_app_that_is_not_active_counts_nowhere(database, apps, bound, clock, state):
    with database.begin() as transaction:
        assert store.change_state(transaction, bound.id, (AppState.ACTIVE,), state, clock.now())
        assert not store.change_state(transaction, bound.id, (AppState.ACTIVE,), state, clock.now())
        assert apps.usable(transaction, bound.person_id, clock.now(), waiting=True) == ()
        assert not store.accept(transaction, bound.id, rules.step_at(clock.now()), clock.now())
        assert not store.synchronize(transaction, bound.id, rules.step_at(clock.now()), 0, clock.now())


def test_a_seed_is_bound_to_a_person_once_even_after_its_removal(database, apps, bound, clock, chance):
    def again(person_id):
        with database.begin() as transaction:
            apps.bind(transaction, person_id=person_id, seed=SEED, label="Again", now=1, usable_from=1)

    with pytest.raises(BoundBefore):
        again(bound.person_id)
    with database.begin() as transaction:
        store.change_state(transaction, bound.id, (AppState.ACTIVE,), AppState.REMOVED, clock.now())
        other = add_person(transaction, "omar", chance)
    with pytest.raises(BoundBefore):
        again(bound.person_id)
    again(other.id)


def test_a_shift_spends_its_two_steps_once_over_all_threads(database, apps, bound, clock):
    step, shifted = rules.step_at(clock.now()) + 9, []

    def one():
        with database.begin() as transaction:
            shifted.append(store.synchronize(transaction, bound.id, step, 9, clock.now()))

    threads = [threading.Thread(target=one) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shifted.count(True) == 1
    with database.read() as looking:
        kept = store.find(looking, bound.person_id, bound.id)
    assert kept is not None
    assert (kept.drift, kept.last_step) == (9, step)
