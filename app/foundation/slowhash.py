"""The only place that computes slow hashes: Argon2id, in a few threads of its own.

A pool of its own, because request threads that hash inline take five times the memory and keep every other
page waiting (docs/decisions/0004-passwords.md). The C code gives up the GIL while it computes.
"""

import base64
import hashlib
import hmac
import os
import re
import threading
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from argon2.exceptions import HashingError
from argon2.low_level import Type, hash_secret_raw

from app.foundation.chance import Chance
from app.foundation.refusals import Code, Unavailable
from app.foundation.settings import OWASP_SETS

_T = TypeVar("_T")

SALT = 16  # bytes: RFC 9106 sec. 3.1 recommends 128 bits
TAG = 32  # bytes: RFC 9106 sec. 4 asks for 256 bits
RETRY_AFTER = 5  # seconds

# A hash that was made elsewhere is computed for anybody who knows the User ID, so its cost is bounded above too.
# The heaviest that is taken is libsodium's MODERATE; RFC 9106's second choice and argon2-cffi's default are lighter.
MOST_MEMORY = 262_144  # KiB
MOST_PASSES = 10
MOST_LANES = 8
MOST_WORK = 786_432  # KiB times passes
PBKDF2_ROUNDS = range(600_000, 2_000_001)  # from OWASP's minimum to about a second


class SlowHasher:
    """Argon2id with one lane (more lanes give half the rate on busy cores), and checks of hashes made elsewhere.

    At most ``slots`` computations run at once and ``queue`` more wait, first come first served. Whoever finds
    the queue full, or has waited ``patience`` seconds for a turn, gets Unavailable(HASHER_BUSY). ``slots`` and
    ``queue`` together should stay below the number of the server's request threads, or a flood of sign-ins
    leaves none for the other pages.

    Threads start with the first computation, in whichever process that is: it may be built before a fork.
    """

    def __init__(
        self, *, memory_kib: int, passes: int, slots: int, queue: int, chance: Chance, patience: float = 10.0
    ) -> None:
        if slots < 1 or queue < 0:
            raise ValueError("a hasher needs a slot, and a queue of 0 or more")
        self._memory = memory_kib
        self._passes = passes
        self._chance = chance
        self._pool = _Pool(slots, queue, patience)
        # drawn, not computed: starting costs no hash, checking it costs what all cost, and no secret is known to fit
        self._dummy = _Argon2id(memory_kib, passes, 1, chance.octets(SALT), chance.octets(TAG))

    @property
    def done(self) -> int:
        """Slow hashes computed since the start."""
        return self._pool.done

    @property
    def refused(self) -> int:
        """Computations turned away since the start because there were too many."""
        return self._pool.refused

    @property
    def waiting(self) -> int:
        """Computations that wait for a slot at this moment."""
        return self._pool.waiting

    def salt(self) -> str:
        """A fresh salt with the present parameters: a PHC string without its last part."""
        return f"$argon2id$v=19$m={self._memory},t={self._passes},p=1${_b64(self._chance.octets(SALT))}"

    def hash(self, secret: bytes) -> str:
        """The PHC string to store. Raises Unavailable."""
        salt = self.salt()
        return f"{salt}${_b64(self.raw(secret, salt))}"

    def raw(self, secret: bytes, salt: str) -> bytes:
        """The bare 32 bytes under a salt of ``salt()``; a cheaper one costs what all cost. Raises Unavailable."""
        recipe = _argon2id(f"{salt}${_b64(bytes(TAG))}")
        if recipe is None:
            raise ValueError("not a salt of a slow hasher")
        return self._pool.run(lambda: self._computed(secret, recipe))

    def verify(self, phc: str, secret: bytes) -> bool:
        """Whether a secret fits; False for what is no hash at all, at the same cost. Raises Unavailable."""
        return self._pool.run(lambda: self._check(phc, secret))

    def dummy(self, secret: bytes = b"") -> None:
        """Cost what ``verify`` costs, for people who do not exist (OWASP Authentication). Raises Unavailable."""
        self._pool.run(lambda: _compute(secret, self._dummy))

    def needs_rehash(self, phc: str) -> bool:
        """Whether it was made with other parameters than the present ones, or elsewhere.

        Stronger ones too: when all hashes cost the same, time does not tell whose differs from the dummy.
        """
        recipe = _argon2id(phc)
        if recipe is None or (recipe.memory, recipe.passes, recipe.lanes) != (self._memory, self._passes, 1):
            return True
        return len(recipe.salt) != SALT or len(recipe.tag) != TAG

    def close(self) -> None:
        """Do what is queued, then end the threads."""
        self._pool.close()

    def _check(self, phc: str, secret: bytes) -> bool:
        imported = _pbkdf2(phc)
        if imported is not None:
            computed = hashlib.pbkdf2_hmac("sha256", secret, imported.salt, imported.rounds)
            return hmac.compare_digest(computed, imported.tag)
        recipe = _argon2id(phc) or self._dummy
        return hmac.compare_digest(self._computed(secret, recipe), recipe.tag)

    def _computed(self, secret: bytes, recipe: "_Argon2id") -> bytes:
        computed = _compute(secret, recipe)
        # After the parameters were raised, those who have not signed in since would answer sooner than nobody does.
        missing = (self._memory * self._passes - recipe.memory * recipe.passes) // self._passes
        if missing >= 8:  # KiB: RFC 9106 sec. 3.1 asks for 8 times the lanes
            _compute(secret, _Argon2id(missing, self._passes, 1, self._dummy.salt, self._dummy.tag))
        return computed


def acceptable(phc: str) -> bool:
    """Whether a hash made elsewhere may be imported: an allowed scheme, neither weaker nor heavier than allowed.

    Argon2id (version 19) of at least one of OWASP's sets, and passlib's ``$pbkdf2-sha256$`` of 600,000 rounds
    or more. Others (bcrypt cuts at 72 bytes, Argon2i and Argon2d are not OWASP's choice) are not taken.
    """
    pbkdf2 = _pbkdf2(phc)
    if pbkdf2 is not None:
        return pbkdf2.rounds in PBKDF2_ROUNDS and len(pbkdf2.salt) >= 8  # bytes, as Argon2 itself wants
    recipe = _argon2id(phc)
    if recipe is None:
        return False
    strong = any(recipe.memory >= memory and recipe.passes >= passes for memory, passes in OWASP_SETS)
    bounded = recipe.memory <= MOST_MEMORY and recipe.passes <= MOST_PASSES and recipe.lanes <= MOST_LANES
    return strong and bounded and recipe.memory * recipe.passes <= MOST_WORK


@dataclass(frozen=True, slots=True)
class _Argon2id:
    memory: int  # KiB
    passes: int
    lanes: int
    salt: bytes
    tag: bytes


@dataclass(frozen=True, slots=True)
class _Pbkdf2:
    rounds: int
    salt: bytes
    tag: bytes


# PHC string format: decimal numbers without leading zeros, base64 without padding
_NUMBER = "([1-9][0-9]{0,9})"
_ARGON2ID = re.compile(
    rf"\$argon2id\$v=19\$m={_NUMBER},t={_NUMBER},p={_NUMBER}\$([A-Za-z0-9+/]{{11,86}})\$([A-Za-z0-9+/]{{22,86}})"
)
_PBKDF2 = re.compile(rf"\$pbkdf2-sha256\${_NUMBER}\$([A-Za-z0-9./]{{0,86}})\$([A-Za-z0-9./]{{43}})")


def _argon2id(phc: str) -> _Argon2id | None:
    match = _ARGON2ID.fullmatch(phc)
    salt, tag = (_octets(match[4]), _octets(match[5])) if match else (None, None)
    if match is None or salt is None or tag is None:
        return None
    memory, passes, lanes = int(match[1]), int(match[2]), int(match[3])
    if memory < 8 * lanes or max(memory, passes) >= 2**32:  # RFC 9106 sec. 3.1
        return None
    return _Argon2id(memory, passes, lanes, salt, tag)


def _pbkdf2(phc: str) -> _Pbkdf2 | None:
    match = _PBKDF2.fullmatch(phc)
    # passlib writes "." where base64 has "+"
    salt, tag = (_octets(match[2].replace(".", "+")), _octets(match[3].replace(".", "+"))) if match else (None, None)
    if match is None or salt is None or tag is None:
        return None
    return _Pbkdf2(int(match[1]), salt, tag)


def _octets(text: str) -> bytes | None:
    """The bytes of canonical base64 without padding; None for a second spelling of the same bytes."""
    with suppress(ValueError):
        octets = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        if _b64(octets) == text:
            return octets
    return None


def _b64(octets: bytes) -> str:
    return base64.b64encode(octets).decode().rstrip("=")


def _compute(secret: bytes, recipe: _Argon2id) -> bytes:
    try:
        return hash_secret_raw(
            secret,
            recipe.salt,
            time_cost=recipe.passes,
            memory_cost=recipe.memory,
            parallelism=recipe.lanes,
            hash_len=len(recipe.tag),
            type=Type.ID,
        )
    except HashingError:  # no memory for it at this moment
        raise Unavailable(Code.HASHER_BUSY, retry_after=RETRY_AFTER) from None


class _Pool:
    """A few threads and a short queue. ThreadPoolExecutor has no bound on its queue, and keeps who gave up in it."""

    def __init__(self, slots: int, queue: int, patience: float) -> None:
        self._slots = slots
        self._queue = queue
        self._patience = patience
        self.done = 0
        self.refused = 0
        self._begin()
        pool = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _begin_anew(pool))

    def _begin(self) -> None:
        self._turn = threading.Condition()
        self._line: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._threads: list[threading.Thread] = []
        self._busy = 0
        self._closed = False

    @property
    def waiting(self) -> int:
        return len(self._line)

    def run(self, work: Callable[[], _T]) -> _T:
        future: Future[Any] = Future()
        job = (future, work)
        with self._turn:
            inside = self._busy + len(self._line)
            if self._closed or inside >= self._slots + self._queue:
                raise self._refusal()
            if inside >= len(self._threads) < self._slots:
                thread = threading.Thread(target=self._work, name="slowhash", daemon=True)
                thread.start()
                self._threads.append(thread)
            self._line.append(job)
            self._turn.notify()
        try:
            return cast("_T", future.result(self._patience))
        except TimeoutError:
            if not future.cancel():  # it has begun, and will not take long
                return cast("_T", future.result())
        with self._turn:
            with suppress(ValueError):
                self._line.remove(job)
            raise self._refusal()

    def _refusal(self) -> Unavailable:
        self.refused += 1
        return Unavailable(Code.HASHER_BUSY, retry_after=RETRY_AFTER)

    def _work(self) -> None:
        while True:
            with self._turn:
                while not self._line:
                    if self._closed:
                        return
                    self._turn.wait()
                future, work = self._line.popleft()
                if not future.set_running_or_notify_cancel():
                    continue
                self._busy += 1
            result, error = None, None
            try:
                result = work()
            except BaseException as caught:  # noqa: BLE001 - it belongs to whoever waits for the result
                error = caught
            with self._turn:
                self._busy -= 1
                self.done += 1
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
            del future, work, result, error  # or the secret stays in memory until the next one comes

    def close(self) -> None:
        with self._turn:
            self._closed = True
            self._turn.notify_all()
        for thread in self._threads:
            thread.join()


def _begin_anew(pool: "weakref.ref[_Pool]") -> None:
    """In a forked child neither the threads nor the holders of the lock exist."""
    child = pool()
    if child is not None:
        child._begin()  # noqa: SLF001 - a function of this class in all but its reference
