"""The only place that reads the time. Everything else is given a Clock."""

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time and waits."""

    def now(self) -> int:
        """Whole seconds since 1970-01-01T00:00:00Z."""

    def precise(self) -> float:
        """Seconds since 1970-01-01T00:00:00Z, with a fraction."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start that never run backwards; only for measuring spans."""

    def sleep(self, seconds: float) -> None:
        """Wait for that many seconds."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> int:
        return int(time.time())

    def precise(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
