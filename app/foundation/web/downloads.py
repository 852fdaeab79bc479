"""Files that replies are made of, where they are too large for memory. They are forgotten once they are handed over."""

import contextlib
import os
import tempfile
from pathlib import Path
from typing import IO

_NAME = "keyturn-download-"
_STALE = 60.0  # seconds


def new() -> IO[bytes]:
    """An empty file with a name that nobody guesses, readable by us alone; closing it deletes it."""
    return tempfile.NamedTemporaryFile(prefix=_NAME)


def forget(now: float) -> None:
    """Delete what a process that was killed had yet to hand over. ``now`` in seconds since the epoch."""
    for path in Path(tempfile.gettempdir()).glob(f"{_NAME}*"):
        with contextlib.suppress(OSError):
            held = path.lstat()
            if held.st_uid == os.getuid() and held.st_mtime < now - _STALE:
                path.unlink()
