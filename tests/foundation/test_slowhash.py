"""Argon2id by its published vectors, hashes made elsewhere, and a pool that neither grows nor starves."""

import base64
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from argon2 import PasswordHasher, profiles
from argon2.low_level import ARGON2_VERSION, Type, core, ffi

from app.foundation.chance import SystemChance
from app.foundation.refusals import Code, Unavailable
from app.foundation.settings import ROOT
from app.foundation.slowhash import SlowHasher, acceptable
from tests.hands import SeededChance


def make(
    *, memory_kib: int = 64, passes: int = 1, slots: int = 1, queue: int = 4, patience: float = 10.0
) -> SlowHasher:
    return SlowHasher(
        memory_kib=memory_kib, passes=passes, slots=slots, queue=queue, chance=SystemChance(), patience=patience
    )


@pytest.fixture
def hasher() -> Iterator[SlowHasher]:
    it = make()
    yield it
    it.close()


def unpadded(octets: bytes) -> str:
    return base64.b64encode(octets).decode().rstrip("=")


# ---- vectors


def test_the_argon2_that_is_linked_computes_the_vector_of_rfc_9106_section_5_3():
    out = ffi.new("uint8_t[]", 32)
    password, salt, secret, data = (
        ffi.new("uint8_t[]", octets) for octets in (b"\1" * 32, b"\2" * 16, b"\3" * 8, b"\4" * 12)
    )
    context = ffi.new(
        "argon2_context *",
        {
            "version": ARGON2_VERSION,
            "out": out,
            "outlen": 32,
            "pwd": password,
            "pwdlen": 32,
            "salt": salt,
            "saltlen": 16,
            "secret": secret,
            "secretlen": 8,
            "ad": data,
            "adlen": 12,
            "t_cost": 3,
            "m_cost": 32,
            "lanes": 4,
            "threads": 4,
            "allocate_cbk": ffi.NULL,
            "free_cbk": ffi.NULL,
            "flags": 0,
        },
    )

    assert core(context, Type.ID.value) == 0  # ARGON2_OK
    assert bytes(out).hex() == "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659"


def test_the_reference_implementations_own_test_hash_is_verified(hasher):
    phc = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"

    assert hasher.verify(phc, b"password")
    assert not hasher.verify(phc, b"Password")


def test_pbkdf2_computes_the_vector_of_rfc_7914_section_11_in_passlibs_spelling(hasher):
    tag = bytes.fromhex("4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56")
    phc = f"$pbkdf2-sha256$80000${unpadded(b'NaCl')}${unpadded(tag).replace('+', '.')}"

    assert hasher.verify(phc, b"Password")
    assert not hasher.verify(phc, b"password")


def test_argon2_cffi_verifies_our_hashes_and_we_verify_its_hashes(hasher):
    library = PasswordHasher.from_parameters(profiles.CHEAPEST)
    theirs = PasswordHasher(time_cost=1, memory_cost=64, parallelism=2, hash_len=24, salt_len=12)

    assert library.verify(hasher.hash(b"a secret"), b"a secret")
    assert hasher.verify(theirs.hash(b"a secret"), b"a secret")


# ---- hashing


def test_a_hash_names_its_scheme_and_cost_and_fits_its_secret_alone(hasher):
    phc = hasher.hash(b"a secret")

    assert phc.startswith("$argon2id$v=19$m=64,t=1,p=1$")
    salt, tag = phc.split("$")[4:]
    assert len(base64.b64decode(salt + "==")) == 16
    assert len(base64.b64decode(tag + "=")) == 32
    assert hasher.verify(phc, b"a secret")
    assert not hasher.verify(phc, b"a secret ")


def test_the_same_secret_is_hashed_differently_each_time(hasher):
    assert hasher.hash(b"a secret") != hasher.hash(b"a secret")


def test_nothing_is_cut_off_at_a_nul_or_at_the_end(hasher):
    long = b"x" * 1024
    for secret, other in ((b"one\0two", b"one\0three"), (b"one\0two", b"one"), (long + b"a", long + b"b")):
        assert not hasher.verify(hasher.hash(secret), other)


def test_a_digest_under_a_salt_can_be_computed_again_after_the_parameters_were_raised(hasher):
    salt = hasher.salt()
    before = hasher.raw(b"a secret", salt)
    raised = make(memory_kib=128, passes=2)

    assert raised.raw(b"a secret", salt) == before
    assert raised.raw(b"a secret", raised.salt()) != before
    assert len(before) == 32
    raised.close()


@pytest.mark.parametrize(
    "salt", ["", "x", "$argon2id$v=19$m=64,t=1,p=1$", "$argon2i$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAA"]
)
def test_what_is_no_salt_is_a_mistake_of_the_caller(hasher, salt):
    with pytest.raises(ValueError, match="not a salt"):
        hasher.raw(b"a secret", salt)


NO_HASHES = (
    "",
    "x",
    "password",
    "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ",
    "$argon2id$v=19$m=0,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
    "$argon2id$v=19$m=64,t=1,p=9$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",  # 8 KiB a lane are needed
    "$argon2id$v=19$m=064,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
    "$argon2id$v=19$m=9999999999,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
    "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHR$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",  # bits beyond the last byte
    "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc\n",
    "$argon2id$v=19$m=٦٤,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
    "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW",
    "\ud800",
)


@pytest.mark.parametrize("phc", NO_HASHES)
def test_what_is_no_hash_fits_nothing_and_costs_one_hash_all_the_same(hasher, phc):
    assert not hasher.verify(phc, b"")
    assert hasher.done == 1


def test_the_dummy_costs_one_hash_and_building_the_hasher_none(hasher):
    assert hasher.done == 0
    hasher.dummy(b"a secret")
    hasher.dummy()

    assert hasher.done == 2


def cpu_of(work: Callable[[], object], times: int = 12) -> float:
    """The least CPU seconds of all threads: the least is what the machine's other work disturbs least."""
    spent = []
    for _ in range(times):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return min(spent)


def test_a_hash_of_former_parameters_costs_what_the_dummy_costs():
    """Or, after the parameters were raised, time would tell who exists and has not signed in since."""
    former, present = make(memory_kib=4_096, passes=1), make(memory_kib=8_192, passes=2)
    phc = former.hash(b"a secret")
    assert present.verify(phc, b"a secret")

    ratio = cpu_of(lambda: present.verify(phc, b"a secret")) / cpu_of(present.dummy)

    assert 0.6 < ratio < 1.6  # without it: a quarter
    former.close()
    present.close()


def test_what_is_no_hash_costs_what_the_dummy_costs():
    hasher = make(memory_kib=8_192, passes=2)
    hasher.dummy()

    ratio = cpu_of(lambda: hasher.verify("x", b"a secret")) / cpu_of(hasher.dummy)

    assert 0.6 < ratio < 1.6
    hasher.close()


# ---- raising the parameters


def test_only_a_hash_of_exactly_the_present_parameters_is_left_alone(hasher):
    own = hasher.hash(b"a secret")
    stronger = make(memory_kib=128)

    assert not hasher.needs_rehash(own)
    assert stronger.needs_rehash(own)
    assert hasher.needs_rehash(stronger.hash(b"a secret"))
    assert hasher.needs_rehash(own.replace("p=1", "p=2"))
    assert hasher.needs_rehash(PasswordHasher(1, 64, 1, hash_len=16, salt_len=16).hash("a secret"))
    assert hasher.needs_rehash(PasswordHasher(1, 64, 1, hash_len=32, salt_len=8).hash("a secret"))
    for phc in NO_HASHES:
        assert hasher.needs_rehash(phc)
    stronger.close()


# ---- hashes made elsewhere

TAIL = "$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
PBKDF2 = "$pbkdf2-sha256${}$c29tZXNhbHRzb21lc2FsdA$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"


@pytest.mark.parametrize(
    "phc",
    [
        "$argon2id$v=19$m=19456,t=2,p=1" + TAIL,
        "$argon2id$v=19$m=47104,t=1,p=1" + TAIL,
        "$argon2id$v=19$m=7168,t=5,p=1" + TAIL,
        "$argon2id$v=19$m=65536,t=3,p=4" + TAIL,  # argon2-cffi's default, RFC 9106's second choice
        "$argon2id$v=19$m=102400,t=2,p=8" + TAIL,  # argon2-cffi before 21.2
        "$argon2id$v=19$m=65536,t=2,p=1" + TAIL,  # libsodium INTERACTIVE
        "$argon2id$v=19$m=262144,t=3,p=1" + TAIL,  # libsodium MODERATE
        PBKDF2.format(600_000),
        PBKDF2.format(1_000_000),
    ],
)
def test_hashes_of_the_usual_settings_may_be_imported(phc):
    assert acceptable(phc)


@pytest.mark.parametrize(
    "phc",
    [
        *NO_HASHES,
        "$argon2id$v=19$m=19455,t=2,p=1" + TAIL,
        "$argon2id$v=19$m=47103,t=1,p=1" + TAIL,
        "$argon2id$v=19$m=64,t=10,p=1" + TAIL,
        "$argon2id$v=19$m=65536,t=3,p=4" + TAIL.replace("Q$", "R$"),  # a second spelling of the same salt
        "$argon2id$v=16$m=65536,t=3,p=1" + TAIL,
        "$argon2i$v=19$m=65536,t=3,p=1" + TAIL,
        "$argon2d$v=19$m=65536,t=3,p=1" + TAIL,
        "$argon2id$v=19$m=262145,t=1,p=1" + TAIL,
        "$argon2id$v=19$m=1048576,t=4,p=1" + TAIL,  # libsodium SENSITIVE: 3.5 s for anybody who types the User ID
        "$argon2id$v=19$m=2097152,t=1,p=4" + TAIL,
        "$argon2id$v=19$m=262144,t=4,p=1" + TAIL,
        "$argon2id$v=19$m=19456,t=11,p=1" + TAIL,
        "$argon2id$v=19$m=65536,t=3,p=9" + TAIL,
        PBKDF2.format(599_999),
        PBKDF2.format(2_000_001),
        PBKDF2.format("0600000"),
        PBKDF2.format(600_000).replace("sha256", "sha512"),
        PBKDF2.format(600_000).replace("c29tZXNhbHRzb21lc2FsdA", "c2FsdA"),
    ],
)
def test_weak_heavy_and_foreign_hashes_may_not(phc):
    assert not acceptable(phc)


# ---- the pool


class Gate:
    """Occupies a slot until it is opened."""

    def __init__(self, hasher: SlowHasher) -> None:
        self._open, entered = threading.Event(), threading.Event()

        def work() -> None:
            entered.set()
            assert self._open.wait(30)

        self._thread = threading.Thread(target=lambda: hasher._pool.run(work))
        self._thread.start()
        assert entered.wait(30)

    def open(self) -> None:
        self._open.set()
        self._thread.join(30)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def at_once(count: int, work: Callable[[], object]) -> list[Any]:
    """What so many threads that start together get, a refusal included."""
    barrier = threading.Barrier(count)
    results: list[Any] = []

    def one() -> None:
        barrier.wait(30)
        try:
            results.append(work())
        except Unavailable as refusal:
            results.append(refusal)

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


def test_of_40_at_once_one_slot_and_a_queue_of_4_serve_5_and_the_rest_are_refused_at_once(hasher):
    phc = hasher.hash(b"a secret")
    gate = Gate(hasher)
    queued: list[object] = []
    waiting = threading.Thread(target=lambda: queued.extend(at_once(4, lambda: hasher.verify(phc, b"a secret"))))
    waiting.start()
    until(lambda: hasher.waiting == 4)

    start = time.monotonic()
    others = at_once(35, lambda: hasher.verify(phc, b"a secret"))

    assert time.monotonic() - start < 5  # the slot is still taken: nobody waited for it
    assert [(type(one), one.code, one.status) for one in others] == [(Unavailable, Code.HASHER_BUSY, 503)] * 35
    assert all(1 <= one.retry_after <= 30 for one in others)
    assert hasher.waiting == 4
    assert hasher.refused == 35
    gate.open()
    waiting.join(30)
    assert queued == [True] * 4
    assert hasher.waiting == 0
    assert hasher.verify(phc, b"a secret")


def test_who_has_waited_too_long_gives_up_the_place_and_its_hash_is_never_computed():
    hasher = make(queue=1, patience=0.05)
    gate = Gate(hasher)

    with pytest.raises(Unavailable) as refused:
        hasher.verify("x", b"a secret")

    assert refused.value.code is Code.HASHER_BUSY
    assert hasher.waiting == 0
    with pytest.raises(Unavailable):  # the place is free again: this one waits too, instead of being refused at once
        hasher.verify("x", b"a secret")
    gate.open()
    assert hasher.done == 1
    assert hasher.refused == 2
    hasher.close()


def test_who_has_begun_is_not_interrupted_by_the_end_of_patience():
    hasher = make(patience=1.0)
    hasher.dummy()  # its thread runs

    assert hasher._pool.run(lambda: threading.Event().wait(1.5)) is False  # it took longer than the patience
    assert hasher.refused == 0
    hasher.close()


def test_places_are_served_in_the_order_of_coming(hasher):
    gate = Gate(hasher)
    order: list[int] = []
    threads = []
    for place in range(4):
        thread = threading.Thread(target=partial(hasher._pool.run, partial(order.append, place)))
        thread.start()
        threads.append(thread)
        until(lambda: hasher.waiting == len(threads))

    gate.open()
    for thread in threads:
        thread.join(30)

    assert order == [0, 1, 2, 3]


def test_no_thread_runs_before_the_first_hash_and_never_more_than_the_slots():
    hasher = make(slots=2, queue=40)
    assert hasher._pool._threads == []
    at_once(30, lambda: hasher.verify("x", b"a secret"))
    started = list(hasher._pool._threads)

    assert 1 <= len(started) <= 2
    assert all(thread.daemon for thread in started)
    hasher.close()
    assert not any(thread.is_alive() for thread in started)


def test_a_closed_hasher_is_away_like_a_busy_one(hasher):
    hasher.dummy()
    hasher.close()

    with pytest.raises(Unavailable):
        hasher.dummy()


def test_python_goes_on_while_a_hash_is_computed():
    """The C code gives up the GIL, or a flood of sign-ins would stop every page of the worker."""
    hasher = make(memory_kib=65_536, passes=3)
    thread = threading.Thread(target=hasher.dummy)
    thread.start()
    until(lambda: hasher._pool._busy > 0 or not thread.is_alive())
    count = 0
    while thread.is_alive():
        count += 1

    assert count > 1_000  # with the GIL held it would be a handful: one for each switch
    hasher.close()


def test_an_error_belongs_to_who_asked_and_the_thread_goes_on(hasher):
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        hasher._pool.run(fail)

    assert not hasher.verify("x", b"a secret")


@pytest.mark.parametrize(("slots", "queue"), [(0, 1), (-1, 1), (1, -1)])
def test_a_pool_without_places_is_a_mistake(slots, queue):
    with pytest.raises(ValueError, match="slot"):
        make(slots=slots, queue=queue)


def test_two_hashers_never_share_a_dummy():
    one, other = make(), make()

    assert one._dummy.salt != other._dummy.salt
    assert SlowHasher(memory_kib=64, passes=1, slots=1, queue=1, chance=SeededChance(7))._dummy.tag not in {
        one._dummy.tag,
        other._dummy.tag,
    }


def run(script: str) -> str:
    """The output of a script in a process of its own, where threads and memory are nobody else's."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_hasher_that_worked_before_a_fork_works_in_the_child():
    script = """
import os, threading
from app.foundation.chance import SystemChance
from app.foundation.slowhash import SlowHasher

hasher = SlowHasher(memory_kib=64, passes=1, slots=1, queue=4, chance=SystemChance())
phc = hasher.hash(b"a secret")
entered, leave = threading.Event(), threading.Event()
busy = threading.Thread(target=lambda: hasher._pool.run(lambda: (entered.set(), leave.wait(30))))
busy.start()
entered.wait(30)
child = os.fork()
if child == 0:
    os._exit(0 if hasher.verify(phc, b"a secret") and hasher.waiting == 0 else 1)
assert os.waitpid(child, 0)[1] == 0
leave.set()
busy.join(30)
print(hasher.verify(phc, b"a secret"))
"""
    assert run(script) == "True\n"


def test_memory_stays_that_of_one_hash_a_slot_however_many_ask():
    script = """
import threading
from app.foundation.chance import SystemChance
from app.foundation.refusals import Unavailable
from app.foundation.slowhash import SlowHasher

def peak():
    lines = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return int(lines["VmHWM"].split()[0])

def ask(barrier):
    barrier.wait()
    for _ in range(5):
        try:
            hasher.verify("x", b"a secret")
        except Unavailable:
            pass

hasher = SlowHasher(memory_kib=19_456, passes=2, slots=1, queue=4, chance=SystemChance())
before = peak()
barrier = threading.Barrier(40)
threads = [threading.Thread(target=ask, args=(barrier,)) for _ in range(40)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(hasher.done, hasher.refused, (peak() - before) // 1024)
"""
    done, refused, grown = (int(part) for part in run(script).split())

    assert done >= 5
    assert done + refused == 200
    assert grown < 2 * 19  # MiB; forty at once would take 760


def test_a_hash_for_which_there_is_no_memory_is_a_busy_hasher():
    script = """
import resource
from app.foundation.chance import SystemChance
from app.foundation.refusals import Unavailable
from app.foundation.slowhash import SlowHasher

resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
hasher = SlowHasher(memory_kib=64, passes=1, slots=1, queue=4, chance=SystemChance())
phc = hasher.hash(b"a secret")
try:
    hasher.verify(phc.replace("m=64", "m=4194304"), b"a secret")
except Unavailable as refusal:
    print(refusal.code.value, hasher.verify(phc, b"a secret"))
"""
    assert run(script) == "hasher_busy True\n"
