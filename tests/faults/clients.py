"""Clients that are slow on purpose, and ordinary visitors beside them. Loopback only, bounded in number and time."""

import contextlib
import errno
import http.client
import itertools
import os
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import Self

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Kind:
    """How a client is slow: what it sends at first, what it sends at each tick, how much it reads at each tick."""

    name: str
    first: bytes
    drip: bytes = b""
    reads: int = 65_536
    buffer: int = 0  # bytes of receive buffer; 0: as the system likes
    ends: bool = True  # whether the server can end it by itself


_POST = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n"
KINDS = (
    Kind("silent", b""),
    Kind("dribbling headers", b"GET / HTTP/1.1\r\nHost: localhost\r\n", b"X-More: and more\r\n"),
    Kind("dribbling the first line", b"GET /", b"x"),
    Kind("half a head, then idle", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Half"),
    Kind("dribbling a body", _POST + b"Content-Length: 10000\r\n\r\n", b"x"),
    Kind("half a body, then idle", _POST + b"Content-Length: 10000\r\n\r\nhalf of it"),
    Kind("dribbling chunks", _POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    Kind("asking to continue, then idle", _POST + b"Content-Length: 10\r\nExpect: 100-continue\r\n\r\n"),
    Kind("never closing after Connection: close", b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
    Kind("idle after a reply", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    Kind("reading slowly", b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n", b"", 1, 4_096, ends=False),
    Kind("never reading", b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3, b"", 0, 4_096, ends=False),
    Kind("asking much, reading nothing", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 300, b"", 0, 4_096, ends=False),
)


class SlowClients:
    """So many clients of one kind, each replaced as soon as the server hangs up on it."""

    def __init__(self, address: Address, kind: Kind, count: int = 60, tick: float = 0.2) -> None:
        self._address = address
        self._kind = kind
        self._count = count
        self._tick = tick
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.opened = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _open(self) -> socket.socket | None:
        client = socket.socket()
        try:
            if self._kind.buffer:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._kind.buffer)
            client.settimeout(2)
            client.connect(self._address)
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.send(self._kind.first)
        except OSError:
            client.close()
            return None
        self.opened += 1
        return client

    def _step(self, client: socket.socket) -> bool:
        """One tick of one client; False when the server has hung up and this kind would notice."""
        try:
            if self._kind.drip:
                client.send(self._kind.drip)
            if self._kind.reads:
                # the end of the stream is no reason to close: some kinds never do
                ended = client.recv(self._kind.reads) == b""
                return not ended or "never closing" in self._kind.name
        except BlockingIOError:
            return True
        except OSError:
            return False
        return True

    def _run(self) -> None:
        clients = [self._open() for _ in range(self._count)]
        self._ready.set()
        while not self._stop.wait(self._tick):
            for place, client in enumerate(clients):
                if client is None or not self._step(client):
                    if client is not None:
                        client.close()
                    clients[place] = self._open()
        for client in clients:
            if client is not None:
                client.close()


@dataclass
class Visits:
    """What ordinary visitors lived through."""

    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def worst(self) -> float:
        return max(self.seconds, default=float("inf"))


def ask(
    address: Address,
    path: str = "/",
    body: bytes | None = None,
    seconds: float = 20,
    headers: dict[str, str] | None = None,
) -> tuple[int, dict[str, str], bytes]:
    """One request on a connection of its own: status, headers with lower-case names, body."""
    connection = http.client.HTTPConnection(*address, timeout=seconds)
    try:
        connection.request("GET" if body is None else "POST", path, body=body, headers=headers or {})
        reply = connection.getresponse()
        return reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read()
    finally:
        connection.close()


def visit(address: Address, during: float, *, at_least: int = 0, pause: float = 0.05, patience: float = 20) -> Visits:
    """An ordinary visitor for that many seconds: pages and small forms in turn, each on a new connection."""
    visits = Visits()
    end = time.monotonic() + during
    while time.monotonic() < end or len(visits.seconds) < at_least:
        for path, body in (("/", None), ("/echo", b"user_id=jane")):
            begin = time.monotonic()
            try:
                status, _, _ = ask(address, path, body, patience)
                if status != 200:
                    visits.failures.append(f"{path}: {status}")
            except (OSError, http.client.HTTPException) as error:
                visits.failures.append(f"{path}: {error!r}")
            visits.seconds.append(time.monotonic() - begin)
        time.sleep(pause)
    return visits


# Below the range that Linux gives to outgoing connections by itself, or one of those could take a port between
# its choice and the listener's bind. Processes that test side by side begin at different places.
_PORTS = range(16_000, 32_000)
_turn = itertools.count(os.getpid() * 7_919 % len(_PORTS))


def free_port(host: str = "127.0.0.1") -> int:
    """A port that is free, and that no connection of this machine is given by chance.

    Raises:
        OSError: If none is free.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for turn in itertools.islice(_turn, len(_PORTS)):
        port = _PORTS[turn % len(_PORTS)]
        with socket.socket(family) as probe, contextlib.suppress(OSError):
            probe.bind((host, port))
            return port
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), host)


def wait_for(address: Address, seconds: float = 20) -> None:
    """Wait until a server answers there."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            ask(address, seconds=1)
        except (OSError, http.client.HTTPException):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
