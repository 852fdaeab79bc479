"""The keys of one machine: made at first start, kept in STATE_DIR/keys, read by nobody else (security rule 16).

The file has the form of SECRET_KEYS, one key a line, the active one first. It stays out of backups of the
database: a copy of both is a copy of every secret.
"""

import base64
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from app.foundation.chance import Chance
from app.foundation.secretbox import MASTER, MasterKey
from app.foundation.settings import BadSetting, Settings, parse_keys

NAME = "keys"
_MOST_BYTES = 64 * 1024


def path_of(settings: Settings) -> Path:
    """Where the keys lie while SECRET_KEYS is not set."""
    return settings.state_dir / NAME


def keys_of(settings: Settings, chance: Chance) -> tuple[MasterKey, ...]:
    """SECRET_KEYS, else the keys of STATE_DIR, made now if there are none. Raises BadSetting."""
    if settings.secret_keys:
        return settings.secret_keys
    make_state_dir(settings.state_dir)
    path = path_of(settings)
    with _locked(settings.state_dir):
        if not os.path.lexists(path):  # Path.exists follows links
            _make(path, chance)
        return read(path)


def make_state_dir(directory: Path) -> None:
    """Make STATE_DIR and its parents, closed to others. One that exists keeps its mode. Raises BadSetting."""
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            directory.mkdir(mode=0o700)
        facts = directory.stat()
    except OSError as error:
        raise BadSetting(f"STATE_DIR: {error.strerror}: {directory}") from None
    if not stat.S_ISDIR(facts.st_mode):
        raise BadSetting(f"STATE_DIR: {directory} is not a directory")
    if facts.st_mode & 0o022 and not facts.st_mode & stat.S_ISVTX:
        raise BadSetting(f"STATE_DIR: others may write to {directory}; run: chmod go-w {directory}")


def read(path: Path) -> tuple[MasterKey, ...]:
    """The keys of a file that belongs to us and that nobody else may read. Raises BadSetting."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise BadSetting(f"{path}: {error.strerror}") from None
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise BadSetting(f"{path}: is not a file")
        if facts.st_uid != os.geteuid():
            raise BadSetting(f"{path}: belongs to another user; run: chown {os.geteuid()} {path}")
        if facts.st_mode & 0o077:
            raise BadSetting(f"{path}: others may read it; run: chmod 600 {path}")
        text = file.read(_MOST_BYTES)
    try:
        keys = parse_keys(text.decode("ascii"))
    except ValueError as error:  # UnicodeDecodeError too, whose text shows what was in the file
        reason = "is not text" if isinstance(error, UnicodeError) else str(error)
        raise BadSetting(f"{path}: {reason}") from None
    if not keys:
        raise BadSetting(f"{path}: holds no key")
    return keys


def _make(path: Path, chance: Chance) -> None:
    # a name of its own for each key, so that a row tells which key sealed it even after two databases were mixed up
    line = f"k{chance.name()[:8]}:{base64.b64encode(chance.octets(MASTER)).decode()}\n"
    new = path.with_name(f"{path.name}.new")
    try:
        new.unlink(missing_ok=True)  # a start that was killed half-way left it; we hold the lock
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(line)
            file.flush()
            os.fsync(descriptor)
        new.rename(path)
        _sync(path.parent)
    except OSError as error:
        raise BadSetting(f"{path}: {error.strerror}") from None


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold the directory itself, so that of two first starts one makes the key and the other reads it."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise BadSetting(f"STATE_DIR: {error.strerror}: {directory}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
