"""The anchor of all ratios: a process that does bare Argon2id verifies and nothing else.

``python -m tests.bench.anchor`` reads counts from standard input, one a line, and answers with the CPU seconds
and the wall seconds that so many verifies took.
"""

import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).parents[2]


class Anchor:
    """One such process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.anchor"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        self.verify(2)  # the first ones fault their memory in
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def begin(self, count: int) -> None:
        """Start so many verifies."""
        assert self._process.stdin
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()

    def end(self) -> tuple[float, float]:
        """CPU and wall seconds of what was started."""
        assert self._process.stdout
        used, took = self._process.stdout.readline().split()
        return float(used), float(took)

    def verify(self, count: int) -> float:
        """CPU seconds of one verify, as the mean of so many."""
        self.begin(count)
        return self.end()[0] / count


def main() -> None:
    """Do what standard input asks for."""
    import argon2

    hasher = argon2.PasswordHasher(memory_cost=19_456, time_cost=2, parallelism=1)
    phc = hasher.hash("a password of a usual length")
    for line in sys.stdin:
        used, took = time.process_time(), time.monotonic()
        for _ in range(int(line)):
            hasher.verify(phc, "a password of a usual length")
        sys.stdout.write(f"{time.process_time() - used} {time.monotonic() - took}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
