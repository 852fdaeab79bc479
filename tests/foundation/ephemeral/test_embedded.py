"""The embedded store: closed to others, nothing lost, never alone (security rule 16, R-12)."""

import os
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.foundation.chance import SystemChance
from app.foundation.clock import SystemClock
from app.foundation.ephemeral.embedded import EmbeddedStore, EmbeddedStoreError, find_server
from app.foundation.ephemeral.store import Ephemeral
from tests import services
from tests.conftest import found

Starter = Callable[..., EmbeddedStore]

# fmt: off
FORBIDDEN = [
    "FLUSHALL", "FLUSHDB", "CONFIG GET *", "CONFIG SET appendonly no", "KEYS *", "SCAN 0", "RANDOMKEY",
    "DBSIZE", "DEBUG SLEEP 0", "MODULE LIST", "SHUTDOWN NOSAVE", "SCRIPT KILL", "SCRIPT FLUSH",
    "FUNCTION FLUSH", "FUNCTION LIST", "CLIENT LIST", "CLIENT KILL ID 1", "CLIENT PAUSE 1000", "INFO",
    "ACL LIST", "ACL SETUSER default nopass", "SAVE", "BGSAVE", "BGREWRITEAOF", "REPLICAOF NO ONE", "MONITOR",
    "SWAPDB 0 0", "SORT a", "MIGRATE h 1 k 0 1", "DUMP a", "RESTORE a 0 x", "SUBSCRIBE a", "PUBLISH a b",
    "BLPOP a 1", "SLOWLOG GET", "MEMORY DOCTOR", "COPY a b", "RENAME a b",
    "EVAL return(redis.call('FLUSHALL')) 0", "EVAL return(redis.call('KEYS','*')) 0",
    "EVAL return(redis.call('CONFIG','GET','*')) 0",
]
# fmt: on


@pytest.fixture(params=["valkey", "redis"])
def server(request: pytest.FixtureRequest) -> Path:
    return found(services.find_valkey if request.param == "valkey" else services.find_redis)


@pytest.fixture
def store_of(server: Path) -> Iterator[Starter]:
    """Makes stores that are stopped at the end."""
    made: list[EmbeddedStore] = []

    def make(state_dir: Path, **options: object) -> EmbeddedStore:
        store = EmbeddedStore(state_dir, SystemChance(), SystemClock(), server=server, **options)  # type: ignore[arg-type]
        made.append(store)
        return store

    yield make
    for store in made:
        store.stop()


@pytest.fixture
def state_dir() -> Iterator[Path]:
    directory = services.short_directory()
    yield directory
    subprocess.run(["rm", "-rf", str(directory)], check=True)


def client(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=5)


def password_of(url: str) -> str:
    return url.removeprefix("unix://:").partition("@")[0]


def until(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_it_serves_the_client_of_the_house(store_of: Starter, state_dir: Path):
    ephemeral = Ephemeral(store_of(state_dir).start())
    assert ephemeral.swap("step", None, b"one", 60)
    assert not ephemeral.swap("step", None, b"two", 60)
    assert ephemeral.get("step") == b"one"
    ephemeral.close()


def test_the_server_of_the_dependencies_is_taken_where_none_is_named(state_dir: Path):
    store = EmbeddedStore(state_dir, SystemChance(), SystemClock())
    try:
        with client(store.start()) as connection:
            assert connection.ping()
        assert store.pid is not None
        assert Path(f"/proc/{store.pid}/exe").resolve() == find_server().resolve()
    finally:
        store.stop()


def test_nobody_else_can_reach_it(store_of: Starter, state_dir: Path):
    store = store_of(state_dir)
    with client(store.start()) as connection:
        connection.set("a", "1")
    directory = state_dir / "store"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(store.socket.stat().st_mode) & 0o077 == 0
    for path in directory.rglob("*"):
        assert stat.S_IMODE(path.lstat().st_mode) & 0o077 == 0, path
    inodes = {str(link.readlink()) for link in Path(f"/proc/{store.pid}/fd").iterdir()}
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            assert f"socket:[{line.split()[9]}]" not in inodes, "it listens to a network"


def test_an_open_directory_is_closed_before_the_start(store_of: Starter, state_dir: Path):
    (state_dir / "store").mkdir(mode=0o777)
    (state_dir / "store").chmod(0o777)
    store_of(state_dir).start()
    assert stat.S_IMODE((state_dir / "store").stat().st_mode) == 0o700


def test_a_link_in_place_of_the_directory_is_refused(store_of: Starter, state_dir: Path, tmp_path: Path):
    (state_dir / "store").symlink_to(tmp_path)
    with pytest.raises(EmbeddedStoreError, match="not a directory of ours"):
        store_of(state_dir).start()


def test_the_password_stands_in_no_file_and_in_no_process_list(store_of: Starter, state_dir: Path):
    store = store_of(state_dir)
    secret = password_of(store.start()).encode()
    assert len(secret) == 43
    for path in (state_dir / "store").rglob("*"):
        if path.is_file():
            assert secret not in path.read_bytes(), path
    for place in ("cmdline", "environ"):
        for path in Path("/proc").glob(f"[0-9]*/{place}"):
            try:
                assert secret not in path.read_bytes(), path
            except OSError:
                continue  # it ended meanwhile
    assert secret.decode() not in repr(store)


def test_each_start_has_a_password_of_its_own_and_no_other_opens(store_of: Starter, state_dir: Path):
    store = store_of(state_dir)
    first = password_of(store.start())
    store.stop()
    second = password_of(store.start())
    assert first != second
    for wrong in (first, "", None):
        with (
            redis.Redis(unix_socket_path=str(store.socket), password=wrong, retry=Retry(NoBackoff(), 0)) as connection,
            pytest.raises(redis.exceptions.AuthenticationError),
        ):
            connection.get("a")


@pytest.mark.parametrize("command", FORBIDDEN)
def test_what_could_empty_read_out_or_reconfigure_it_is_refused(shared_store: str, command: str):
    with client(shared_store) as connection:
        connection.set("a", "1")
        with pytest.raises(redis.ResponseError, match=r"(?i)no permissions|not allowed|can't run"):
            connection.execute_command(*command.split(" "))
        assert connection.get("a") == b"1"


@pytest.fixture(scope="module", params=["valkey", "redis"])
def shared_store(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of one store for many tests that change nothing."""
    binary = found(services.find_valkey if request.param == "valkey" else services.find_redis)
    directory = services.short_directory()
    store = EmbeddedStore(directory, SystemChance(), SystemClock(), server=binary)
    try:
        yield store.start()
    finally:
        store.stop()
        subprocess.run(["rm", "-rf", str(directory)], check=True)


def test_what_was_written_is_there_after_a_stop_and_a_start(store_of: Starter, state_dir: Path):
    store = store_of(state_dir)
    with client(store.start()) as connection:
        connection.set("count", "7")
        connection.set("passing", "1", ex=1_000)
    store.stop()
    with client(store.start()) as connection:
        assert connection.get("count") == b"7"
        assert 0 < int(str(connection.ttl("passing"))) <= 1_000


def test_a_kill_loses_no_acknowledged_write_and_ensure_brings_it_back_under_the_same_url(
    store_of: Starter, state_dir: Path
):
    store = store_of(state_dir)
    url = store.start()
    acknowledged = [0] * 4
    killed = threading.Event()

    def count(who: int) -> None:
        with client(url) as connection:
            while not killed.is_set():
                try:
                    acknowledged[who] = int(str(connection.incr(f"count:{who}")))
                except redis.ConnectionError:
                    return

    writers = [threading.Thread(target=count, args=(who,)) for who in range(4)]
    for writer in writers:
        writer.start()
    assert until(lambda: min(acknowledged) > 200)
    assert store.pid is not None
    os.kill(store.pid, signal.SIGKILL)
    assert until(lambda: not store.alive())
    killed.set()
    for writer in writers:
        writer.join()

    assert store.ensure() is True
    assert store.ensure() is False
    with client(url) as connection:
        for who, count_told in enumerate(acknowledged):
            kept = int(connection.get(f"count:{who}") or 0)
            assert count_told <= kept <= count_told + 1  # one write may have gone in without its reply


def test_a_half_written_end_of_the_file_does_not_stop_the_next_start(store_of: Starter, state_dir: Path):
    store = store_of(state_dir)
    with client(store.start()) as connection:
        connection.set("kept", "1")
    store.stop()
    newest = max((state_dir / "store" / "appendonlydir").glob("*.incr.aof"))
    with newest.open("ab") as file:
        file.write(b"*3\r\n$3\r\nSET\r\n$4\r\nhal")
    with client(store.start()) as connection:
        assert connection.get("kept") == b"1"


def test_nothing_is_pushed_out_when_its_memory_is_full(store_of: Starter, state_dir: Path):
    store = store_of(state_dir, memory="4mb")
    with client(store.start()) as connection:
        connection.set("first", "1")

        def fill() -> None:
            for number in range(10_000):
                connection.set(f"fill:{number}", "x" * 10_000)

        with pytest.raises(redis.exceptions.OutOfMemoryError):
            fill()
        assert connection.get("first") == b"1"
        assert connection.get("fill:0") is not None


def test_two_never_write_the_same_file(store_of: Starter, state_dir: Path):
    first = store_of(state_dir)
    first.start()
    with pytest.raises(EmbeddedStoreError, match="in use"):
        store_of(state_dir).start()
    assert first.alive()


def test_a_server_that_outlived_its_parent_keeps_the_directory_in_use(store_of: Starter, state_dir: Path):
    store = store_of(state_dir)
    store.start()
    pid = store.pid
    assert pid is not None
    store.detach()  # what is left is the server's own hold
    try:
        with pytest.raises(EmbeddedStoreError, match="in use"):
            store_of(state_dir).start()
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_a_fork_that_let_go_does_not_keep_the_directory_in_use(store_of: Starter, state_dir: Path):
    store = store_of(state_dir)
    store.start()
    fork = os.fork()
    if fork == 0:
        store.detach()
        store.stop()  # of which the server must not notice
        signal.pause()
        os._exit(0)
    try:
        time.sleep(0.1)
        assert store.alive()
        store.stop()
        store_of(state_dir).start()
    finally:
        os.kill(fork, signal.SIGKILL)
        os.waitpid(fork, 0)


def test_starting_twice_is_a_mistake_that_is_told(store_of: Starter, state_dir: Path):
    store = store_of(state_dir)
    store.start()
    with pytest.raises(EmbeddedStoreError, match="already"):
        store.start()
    with pytest.raises(EmbeddedStoreError, match="not started"):
        store_of(state_dir / "other").ensure()


def test_a_server_that_cannot_start_says_why(state_dir: Path):
    store = EmbeddedStore(
        state_dir, SystemChance(), SystemClock(), memory="nonsense", server=found(services.find_valkey)
    )
    with pytest.raises(EmbeddedStoreError, match="maxmemory"):
        store.start()
    EmbeddedStore(state_dir, SystemChance(), SystemClock()).stop()


@pytest.mark.parametrize("name", ['with "quotes" and \\ # %41 ü', "x" * 120])
def test_any_name_of_a_directory_will_do(store_of: Starter, state_dir: Path, name: str):
    store = store_of(state_dir / name)
    with client(store.start()) as connection:
        connection.set("a", "1")
    assert len(os.fsencode(store.socket)) <= 100
    assert stat.S_IMODE(store.socket.parent.stat().st_mode) == 0o700
    elsewhere = store.socket.parent
    assert (state_dir / name / "store" / "appendonlydir").is_dir()
    store.stop()
    assert not elsewhere.exists() or elsewhere == state_dir / name / "store"


PARENT = """
    import sys, time
    from pathlib import Path
    from app.foundation.chance import SystemChance
    from app.foundation.clock import SystemClock
    from app.foundation.ephemeral.embedded import EmbeddedStore

    store = EmbeddedStore(Path(sys.argv[1]), SystemChance(), SystemClock(), server=Path(sys.argv[2]))
    url = store.start()
    print(store.pid, url, flush=True)
    time.sleep(60)
"""


def test_it_dies_with_its_parent_and_the_next_parent_finds_everything(store_of: Starter, state_dir: Path, server: Path):
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT), str(state_dir), str(server)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    with parent.stdout:
        pid, url = parent.stdout.readline().split()
        with client(url) as connection:
            connection.set("kept", "1")
        parent.kill()
        parent.wait()
        with client(store_of(state_dir).start()) as connection:
            assert connection.get("kept") == b"1"
    assert services.gone(int(pid))


def test_even_a_stopped_one_dies_with_its_parent(state_dir: Path, server: Path):
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT), str(state_dir), str(server)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    with parent.stdout:
        pid = int(parent.stdout.readline().split()[0])
        os.kill(pid, signal.SIGSTOP)
        parent.kill()
        parent.wait()
    assert until(lambda: services.gone(pid))


def test_a_ctrl_c_at_the_terminal_does_not_reach_it(store_of: Starter, state_dir: Path):
    store = store_of(state_dir)
    store.start()
    assert store.pid is not None
    assert os.getsid(store.pid) == store.pid != os.getsid(0)


def test_a_stop_leaves_no_process_and_no_open_door(store_of: Starter, state_dir: Path):
    store = store_of(state_dir)
    store.start()
    pid = store.pid
    assert pid is not None
    store.stop()
    store.stop()
    assert services.gone(pid)
    assert not store.alive()
    with socket.socket(socket.AF_UNIX) as knock, pytest.raises(OSError):
        knock.connect(str(store.socket))
