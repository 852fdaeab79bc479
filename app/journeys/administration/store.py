"""Which User IDs a running import has seen: on disk, so that a long file takes no more memory than a short one."""

import hashlib
import sqlite3
from contextlib import closing
from types import TracebackType
from typing import Self

_CACHE_KIB = 512
_KEY = 16  # bytes


class Seen:
    """A private table that vanishes with the import. It holds keyed digests, so nobody's User ID is left on a disk."""

    def __init__(self, key: bytes) -> None:
        """``key``: 16 to 64 random bytes."""
        self._key = key
        # an empty name is SQLite's temporary database: in memory at first, in an unlinked file when it grows
        self._table = sqlite3.connect("", isolation_level=None)
        for statement in (
            f"PRAGMA cache_size = -{_CACHE_KIB}",
            "PRAGMA journal_mode = OFF",
            "PRAGMA synchronous = OFF",
            "CREATE TABLE seen (digest BLOB PRIMARY KEY, line INTEGER NOT NULL) WITHOUT ROWID",
            "BEGIN",
        ):
            self._table.execute(statement)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._table.close()

    def before(self, canonical_id: str, line: int) -> int | None:
        """The line of the same User ID earlier in the file; None, and it is remembered, where this is the first."""
        digest = hashlib.blake2b(canonical_id.encode(), key=self._key, digest_size=_KEY).digest()
        with closing(self._table.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (digest, line))) as written:
            if written.rowcount == 1:
                return None
        found = self._table.execute("SELECT line FROM seen WHERE digest = ?", (digest,)).fetchone()
        return int(found[0])
