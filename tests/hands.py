"""A clock and a chance held in the hand: tests say what time it is and what is drawn."""

import random
import threading
from uuid import UUID

from app.foundation.chance import Chance
from app.foundation.clock import Clock

START = 1_790_000_000  # seconds since the epoch: 2026-09-21T14:13:20Z


class HandClock:
    """A Clock that stands still until a test moves it. Several threads may share one."""

    def __init__(self, start: float = START) -> None:
        self._start = start
        self._elapsed = 0.0
        self._lock = threading.Lock()

    def now(self) -> int:
        return int(self.precise())

    def precise(self) -> float:
        with self._lock:
            return self._start + self._elapsed

    def monotonic(self) -> float:
        with self._lock:
            return self._elapsed

    def sleep(self, seconds: float) -> None:
        """Returns at once; the hands have moved on."""
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Let that many seconds pass."""
        if seconds < 0:
            raise ValueError("time does not run backwards; make a new HandClock")
        with self._lock:
            self._elapsed += seconds


class SeededChance:
    """A Chance that draws the same values in every run of a test. One call is one draw, also among threads."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self._lock = threading.Lock()

    def octets(self, count: int) -> bytes:
        with self._lock:
            return self._random.randbytes(count)

    def token(self) -> str:
        with self._lock:
            return "".join(self._random.choices(_URL_SAFE, k=43))

    def name(self) -> str:
        return self.octets(16).hex()

    def uuid(self) -> str:
        return str(UUID(bytes=self.octets(16), version=4))

    def digits(self, count: int) -> str:
        with self._lock:
            return f"{self._random.randrange(10**count):0{count}d}"

    def fraction(self) -> float:
        with self._lock:
            return self._random.random()


_URL_SAFE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

_clock: type[Clock] = HandClock  # a type check, that both keep the shapes they stand in for
_chance: type[Chance] = SeededChance
