"""The list of common passwords: a sorted file of short digests, mapped into memory and shared by all workers.

Layout: 8 bytes of magic, the number of entries as 8 bytes big-endian, then the entries in ascending order, each
the first 5 bytes of the SHA-256 of a folded password in UTF-8. With n entries a password that is not on the
list is taken for one with probability n / 2**40: one in 2.3 million for the list that is shipped.
"""

import hashlib
import mmap
from bisect import bisect_left
from collections.abc import Iterable
from pathlib import Path

from app.factors.password import rules

MAGIC = b"KTBLOCK1"
_HEADER = len(MAGIC) + 8
_WIDTH = 5  # bytes


class Blocklist:
    """Answers whether a whole password is a common one (NIST SP 800-63B-4 sec. 3.1.1.2; ASVS 6.2.4, 6.2.12).

    Raises ValueError or OSError at once where the file is not such a list.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._count = int.from_bytes(self._map[len(MAGIC) : _HEADER])
        if self._map[: len(MAGIC)] != MAGIC or len(self._map) != _HEADER + self._count * _WIDTH:
            raise ValueError(f"{path}: not a list of common passwords, or cut off")

    def __len__(self) -> int:
        return self._count

    def blocked(self, password: str) -> bool:
        """Whether a normalised password, in any capitals, is on the list."""
        wanted = _digest(rules.fold(password))
        return self._entry(bisect_left(range(self._count), wanted, key=self._entry)) == wanted

    def _entry(self, place: int) -> bytes:
        start = _HEADER + place * _WIDTH
        return self._map[start : start + _WIDTH]


def pack(passwords: Iterable[str]) -> bytes:
    """The file for a list of passwords. Those shorter than any policy allows, or that nobody can have, are left out."""
    entries = set()
    for password in passwords:
        try:
            folded = rules.fold(rules.normalise(password))
        except rules.Unfit:
            continue
        if len(folded) >= rules.LEAST:
            entries.add(_digest(folded))
    return MAGIC + len(entries).to_bytes(8) + b"".join(sorted(entries))


def _digest(folded: str) -> bytes:
    return hashlib.sha256(folded.encode()).digest()[:_WIDTH]
