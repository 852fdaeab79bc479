"""TERM under load: every request that was sent is answered in full, and then the server ends."""

import contextlib
import http.client
import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.edges import wait_until
from tests.faults.clients import KINDS, Address, SlowClients
from tests.faults.served import Served, served
from tests.faults.tiny import FILE, LARGE

BODIES = {"/": b"hello\n", "/slow": b"slow\n", "/large": LARGE}


class Load:
    """Visitors that ask again and again; each reply is counted as whole, refused (no connection) or cut."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.asked: Counter[str] = Counter()
        self.count: Counter[str] = Counter()
        self.cuts: list[str] = []

    def _note(self, what: str, story: str = "") -> None:
        with self._lock:
            self.count[what] += 1
            if story:
                self.cuts.append(story)

    def _visitor(self, path: str, *, keep: bool) -> None:
        """On a new connection for each request, or on one as long as the server keeps it."""
        while not self._stop.is_set():
            connection = http.client.HTTPConnection(*self._address, timeout=60)
            try:
                connection.connect()
            except OSError:
                self._note("refused")
                self._stop.wait(0.02)
                continue
            try:
                while not self._stop.is_set():
                    connection.request("GET", path, headers={} if keep else {"Connection": "close"})
                    with self._lock:
                        self.asked[path] += 1
                    reply = connection.getresponse()
                    body = reply.read()
                    if (reply.status, body) == (200, BODIES[path]):
                        self._note(f"whole {path}")
                    else:
                        self._note("cut", f"{path}: {reply.status}, {len(body)} bytes")
                    if reply.will_close:
                        break
            except (OSError, http.client.HTTPException) as error:
                self._note("cut", f"{path}: {error!r}")
            finally:
                connection.close()

    @contextlib.contextmanager
    def running(self) -> Iterator["Load"]:
        plan = [("/", False)] * 6 + [("/", True)] * 4 + [("/slow", False)] * 4 + [("/large", False)] * 2
        visitors = [threading.Thread(target=self._visitor, args=(path,), kwargs={"keep": keep}) for path, keep in plan]
        for visitor in visitors:
            visitor.start()
        try:
            yield self
        finally:
            self._stop.set()
            for visitor in visitors:
                visitor.join()

    def heavy(self) -> bool:
        """Whether there are replies of each kind, and all the slow ones are under way."""
        whole = self.count["whole /"] > 50 and self.count["whole /large"] > 2
        return whole and self.asked["/slow"] - self.count["whole /slow"] == 4


def under_load(directory: Path, end: Callable[[Served], object]) -> tuple[Load, int, float]:
    """Load, then the end; returns what was counted, how many slow ones were whole before, and how long the end took."""
    with served(directory, workers=2) as server, Load(server.address).running() as load:
        wait_until(load.heavy, 60, lambda: f"{load.count}, {load.cuts}")
        before, begin = load.count["whole /slow"], time.monotonic()
        end(server)
        took = time.monotonic() - begin
        wait_until(lambda: load.count["refused"] > 0, 60, lambda: f"{load.count}")
    return load, before, took


def test_term_under_load_cuts_no_reply(tmp_path: Path):
    load, before, took = under_load(tmp_path, Served.terminate)
    assert load.cuts == []
    assert load.count["whole /slow"] >= before + 4  # they had up to 3 s to go
    assert load.count["refused"] > 0
    assert took < 20  # and not as long as its grace


def test_the_count_notices_replies_that_are_cut(tmp_path: Path):
    """The same load, and an end that is known to cut."""

    def kill(server: Served) -> None:
        workers = server.workers()
        server.process.kill()
        for pid in workers:
            os.kill(pid, signal.SIGKILL)

    load, _, _ = under_load(tmp_path, kill)
    assert len(load.cuts) >= 4  # the slow ones at least


def test_connections_that_wait_to_be_accepted_are_answered(tmp_path: Path):
    with served(tmp_path, workers=1) as server, contextlib.ExitStack() as stack:
        (worker,) = server.workers()
        os.kill(worker, signal.SIGSTOP)
        # of two signals that wait for a process the kernel hands over TERM first, which would stop it too late
        wait_until(lambda: is_stopped(worker), 60, lambda: "the worker does not stop")
        waiting = [stack.enter_context(socket.create_connection(server.address)) for _ in range(20)]
        for client in waiting:
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        server.process.terminate()
        wait_until(lambda: is_pending(worker, signal.SIGTERM), 60, lambda: "the parent has not passed TERM on")
        os.kill(worker, signal.SIGCONT)
        for client in waiting:
            client.settimeout(60)
            reply = client.recv(65_536)
            assert reply.startswith(b"HTTP/1.1 200 ")
        assert server.process.wait(60) == 0


def test_a_file_that_was_just_handed_over_is_deleted_by_term_and_arrives_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with served(tmp_path, workers=1) as server, socket.create_connection(server.address) as client:
        client.sendall(b"GET /file HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        reply = client.makefile("rb")
        head = b"".join(iter(reply.readline, b"\r\n"))
        assert f"content-length: {FILE}".encode() in head.lower()
        assert leftovers(tmp_path)
        server.process.terminate()
        wait_until(lambda: not leftovers(tmp_path), 60, lambda: "the file is still there")
        assert len(reply.read()) == FILE
        assert server.process.wait(60) == 0


def leftovers(folder: Path) -> list[Path]:
    """Files of replies."""
    return list(folder.glob("keyturn-download-*"))


def test_who_is_answered_after_term_is_told_to_ask_elsewhere(tmp_path: Path):
    with served(tmp_path, workers=1) as server, socket.create_connection(server.address) as client:
        gate = tmp_path / "gate"
        client.sendall(f"GET /gate?{gate} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        wait_until(Path(f"{gate}.reached").exists, 60, lambda: "the request does not arrive")
        server.process.terminate()
        wait_until(lambda: not lets_in(server.address), 60, lambda: "TERM is not heard")
        gate.touch()
        client.settimeout(60)
        reply = client.recv(65_536)
        assert reply.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close" in reply


def is_stopped(pid: int) -> bool:
    """Whether every thread of a process has stopped (proc(5), state T)."""
    tasks = [task.read_text() for task in Path(f"/proc/{pid}/task").glob("*/stat")]
    return all(task.rpartition(")")[2].split()[0] == "T" for task in tasks)


def is_pending(pid: int, number: signal.Signals) -> bool:
    """Whether a signal waits for a process that is stopped (proc(5), ShdPnd)."""
    status = Path(f"/proc/{pid}/status").read_text()
    waiting = next(line.split()[1] for line in status.splitlines() if line.startswith("ShdPnd:"))
    return bool(int(waiting, 16) & 1 << (number - 1))


def test_nobody_new_is_let_in_after_term(tmp_path: Path):
    """A connection made now would be reset when the listening socket closes; its client is to try again later."""
    with served(tmp_path, workers=1) as server:
        (worker,) = server.workers()
        with socket.create_connection(server.address) as early:
            early.sendall(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")  # it stays for this one
            os.kill(worker, signal.SIGTERM)  # and not its parent, which would start no other one
            wait_until(lambda: not lets_in(server.address), 60, lambda: "it still lets visitors in")


def lets_in(address: Address) -> bool:
    """Whether a connection is made, which the kernel does at once or not at all."""
    with socket.socket() as late:
        late.settimeout(0.15)
        try:
            late.connect(address)
        except TimeoutError:
            return False
        return True


def test_term_ends_the_server_with_status_0_and_frees_the_port(tmp_path: Path):
    with served(tmp_path) as server:
        assert server.terminate() == 0
        with socket.socket() as next_one:
            next_one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            next_one.bind(server.address)


def test_an_interrupt_at_the_terminal_is_in_order_too(tmp_path: Path):
    with served(tmp_path) as server:
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(60) == 0


def test_slow_clients_hold_no_server_back_for_long(tmp_path: Path):
    """Those who send slowly are waited for as long as ever, those who read slowly for the grace."""
    for kind in (kind for kind in KINDS if kind.name in {"dribbling a body", "silent", "never reading"}):
        with served(tmp_path, workers=1, bounds="body_seconds=2, head_seconds=2, grace_seconds=3") as server:
            with SlowClients(server.address, kind, count=10):
                begin = time.monotonic()
                status = server.terminate()
                took = time.monotonic() - begin
            assert status == 0, kind.name
            assert took < 20, kind.name  # some would stay for ever
