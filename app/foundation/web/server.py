"""The web server: granian's workers below, a WSGI application above, and between them an adapter that waits.

A client that sends its request slowly must cost others nothing. Granian (hyper) keeps heads and replies of slow
clients without a thread; the adapter does the same for bodies: a request reaches the application's threads only
when all of it has arrived (docs/decisions/0002-server.md).
"""

import asyncio
import contextlib
import ctypes
import gc
import ipaddress
import logging
import multiprocessing
import os
import resource
import signal
import socket
import struct
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, cast

from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import Server

from app.foundation.processes import die_with_parent

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Headers = list[tuple[str, str]]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one worker gives to clients. Times in seconds, sizes in bytes."""

    threads: int = 32  # requests at work at one time; more wait in line
    connections: int = 1_000  # more wait with the kernel
    head_seconds: int = 10  # for a request's head to arrive, and for an idle connection
    head_size: int = 65_536
    body_seconds: int = 10  # for a request's body to arrive
    body_size: int = 1_048_576
    larger: Mapping[str, int] = field(default_factory=dict)  # body_size of some paths
    grace_seconds: int = 30  # for replies to finish after TERM


def serve(factory: Callable[[], Application], *, bind: str, workers: int, bounds: Bounds | None = None) -> int:
    """Serve until TERM or INT; returns the exit status. Call it in a process of its own, on the main thread.

    ``factory`` is called once in each worker and builds the application there. What is imported already is
    shared among the workers. ``bind`` is HOST:PORT. Raises OSError where the address cannot be had.
    """
    bounds = bounds or Bounds()
    host, port = claim(bind)
    _raise_open_files(bounds.connections + 256)
    if sys.platform == "linux":
        # workers share the imported code with this process, which has no other thread when it forks
        multiprocessing.set_start_method("fork", force=True)
        gc.collect()
        gc.freeze()
    server = Server(
        target="application",
        address=host,
        port=port,
        interface=Interfaces.RSGI,
        workers=workers,
        loop=Loops.asyncio,
        http=HTTPModes.http1,
        websockets=False,
        backlog=1_024,
        backpressure=bounds.connections,
        http1_settings=HTTP1Settings(header_read_timeout=bounds.head_seconds * 1_000, max_buffer_size=bounds.head_size),
        log_level=LogLevels.warning,
        log_dictconfig=_LOGGING,
        respawn_failed_workers=True,
        workers_kill_timeout=bounds.grace_seconds,
    )
    try:
        server.serve(
            target_loader=cast("Callable[..., Any]", partial(_load, factory, bounds, os.getpid())), wrap_loader=False
        )
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 1
    return 0


# its own words go where ours go
_LOGGING = {"formatters": {}, "handlers": {}, "loggers": {"_granian": {"propagate": True}}}


def claim(bind: str) -> tuple[str, int]:
    """The address as numbers. Raises OSError where it is taken.

    Workers share a port by SO_REUSEPORT, and so would two portals that know nothing of each other, each
    getting half of the requests: this asks without that option first.
    """
    name, _, number = bind.rpartition(":")
    family, _, _, _, address = socket.getaddrinfo(name.strip("[]"), int(number), type=socket.SOCK_STREAM)[0]
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise OSError(
                error.errno, f"cannot listen at {bind}: {error.strerror}; the setting BIND names another place"
            ) from None
    return str(address[0]), int(address[1])


def _raise_open_files(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        enough = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (enough, hard))


def _load(factory: Callable[[], Application], bounds: Bounds, parent: int) -> "Adapter":
    """What a worker serves; runs in the worker, on its main thread."""
    # by KILL until it listens to TERM: the handler that it inherited from its parent would swallow that
    die_with_parent(signal.SIGKILL, parent)
    adapter = Adapter(factory(), bounds, parent)
    # what is built stays until the end: the collector need not walk through it each time, and finds little else
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    return adapter


class Adapter:
    """A WSGI application (PEP 3333) behind RSGI 1.6: whole requests in, whole replies out, or files."""

    def __init__(self, application: Application, bounds: Bounds, parent: int) -> None:
        self._application = application
        self._bounds = bounds
        self._parent = parent
        self._crew = _Crew(bounds.threads)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leaving = False
        self._handed: set[FileReply] = set()  # not deleted yet
        # few at one time: strangers must not fill the memory with bodies that nobody else may send so large
        self._large = asyncio.Semaphore(_LARGE_AT_ONCE)

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Called by the server before the first request, after it has set its own signal handlers."""
        self._loop = loop
        loop.add_signal_handler(signal.SIGTERM, self._leave, loop)
        die_with_parent(signal.SIGTERM, self._parent)  # from here on in order: replies finish first

    def _leave(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let in no new connection, answer those that are here and close them, then let the server end.

        The server by itself closes a connection whose request it has not begun to read, although the client has
        sent it already. SIGINT is its own way to end in order.
        """
        if not self._leaving:
            self._leaving = True
            _shut_the_door()
            loop.call_later(_LAST_REQUESTS, self._end)

    def _end(self) -> None:
        for file in tuple(self._handed):
            self._forget(file)
        signal.raise_signal(signal.SIGINT)

    def _forget(self, file: "FileReply") -> None:
        """Delete a file that the server has opened: what it still sends stays on the disk until it is sent."""
        self._handed.discard(file)
        file.close()

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        """One request: read all of it, let a thread answer it."""
        request = environ(scope)
        if "HTTP_HOST" not in request:
            return _refuse(protocol, 400)
        if request["PATH_INFO"] not in self._bounds.larger:
            return await self._take(protocol, request)
        async with self._large:
            return await self._take(protocol, request)

    async def _take(self, protocol: Any, request: dict[str, Any]) -> None:
        assert self._loop is not None  # noqa: S101 - __rsgi_init__ comes first
        body: bytes | None = b""
        if "CONTENT_LENGTH" in request or "HTTP_TRANSFER_ENCODING" in request:
            try:
                async with asyncio.timeout(self._bounds.body_seconds):
                    body = await self._read(protocol, request)
            except TimeoutError:
                return _refuse(protocol, 408)
            except Exception:  # noqa: BLE001 - the client hung up, or its chunks are malformed: the server has one class for both
                return _refuse(protocol, 400)
            if body is None and request["REQUEST_METHOD"] != "POST":
                return _refuse(protocol, 413)
            if body is not None:
                request["CONTENT_LENGTH"] = str(len(body))
        request["wsgi.input"] = BytesIO(body or b"")
        done = self._loop.create_future()
        # what is too large the application refuses in its own words, as a page, JSON or XML: it sees the length alone
        self._crew.give(partial(self._answer, protocol, request, done, too_large=body is None))
        await done
        return None

    async def _read(self, protocol: Any, request: dict[str, Any]) -> bytes | None:
        """The body, or None where it is too large: CONTENT_LENGTH then says so, in whatever way it came.

        One that is a little too large is read and thrown away: a reply sent before would be lost to most clients,
        whose next packet would meet a closed connection.
        """
        most = self._bounds.larger.get(request["PATH_INFO"], self._bounds.body_size)
        if request.pop("HTTP_TRANSFER_ENCODING", None) is None:
            length = int(request["CONTENT_LENGTH"])
            if length <= most:
                return cast("bytes", await protocol())
            if length > most * 16 or "HTTP_EXPECT" in request:
                return None
        chunks: list[bytes] = []
        size = ends = 0
        async for chunk in protocol:
            ends += not chunk
            if ends > 1:
                # a stream ends with one empty chunk; what breaks off or is no chunk at all comes as another
                raise ValueError("malformed chunks")
            size += len(chunk)
            if size <= most:
                chunks.append(chunk)
            elif size > most * 16:
                break
        if size <= most:
            return b"".join(chunks)
        request["CONTENT_LENGTH"] = str(size)
        return None

    def _answer(
        self, protocol: Any, request: dict[str, Any], done: asyncio.Future[None], *, too_large: bool = False
    ) -> None:
        assert self._loop is not None  # noqa: S101
        try:
            status, headers, body = answer(self._application, request)
            if self._leaving or too_large:
                headers.append(("connection", "close"))
            if too_large and status != 413:
                _refuse(protocol, 413)  # it looks at no length, and has answered a request that it was not given whole
            elif isinstance(body, FileReply):
                # the server opens it by itself, and then sends what the client takes, without a thread of ours
                self._handed.add(body)
                protocol.response_file(status, headers, body.path)
                self._loop.call_soon_threadsafe(self._loop.call_later, _OPENED, self._forget, body)
            else:
                protocol.response_bytes(status, headers, body)
        except BaseException:  # noqa: BLE001 - nothing may end this thread, not even a SystemExit
            _log.exception("the application broke")
            protocol.response_bytes(500, [("content-type", "text/plain"), _SERVER], b"Internal Server Error\n")
        with contextlib.suppress(RuntimeError):  # the loop ended meanwhile, the reply is out
            self._loop.call_soon_threadsafe(done.set_result, None)


class FileReply:
    """``wsgi.file_wrapper``: a reply that is a file with a name, from its beginning.

    By its name and not by the number of its descriptor: a number that was given back may be another file by the time
    the server comes to open it.
    """

    def __init__(self, file: BinaryIO, size: int = 65_536) -> None:
        """``size`` is that of the parts for servers that do not know of this class."""
        self._file = file
        self._size = size
        self.path, self.close = file.name, file.close

    def __iter__(self) -> Iterator[bytes]:
        while part := self._file.read(self._size):
            yield part


class _Crew:
    """Threads for requests, started as they are needed. The one that became idle last works next.

    With one line for all of them, each request would wake another thread, whose memory is cold and whose own
    connections grow old.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._started = 0
        self._lock = threading.Lock()
        self._waiting: deque[Callable[[], None]] = deque()
        self._idle: list[tuple[list[Callable[[], None]], threading.Lock]] = []

    def give(self, work: Callable[[], None]) -> None:
        """Have it done: at once by an idle thread or a new one, else in turn."""
        with self._lock:
            if self._idle:
                hand, bell = self._idle.pop()
                hand.append(work)
                bell.release()
            elif self._started < self._most:
                self._started += 1
                # a worker ends when its replies are sent; threads that wait in vain must not hold it
                threading.Thread(target=self._run, args=(work,), name=f"request-{self._started}", daemon=True).start()
            else:
                self._waiting.append(work)

    def _run(self, work: Callable[[], None]) -> None:
        hand: list[Callable[[], None]] = []
        bell = threading.Lock()
        bell.acquire()
        while True:
            work()
            with self._lock:
                if self._waiting:
                    work = self._waiting.popleft()
                    continue
                self._idle.append((hand, bell))
            bell.acquire()
            work = hand.pop()


_SERVER = ("server", "web")  # ASVS 13.4.6: neither a product nor a version
_OPENED = 10.0  # seconds in which the server has surely opened a file that it was handed
_LARGE_AT_ONCE = 4
_LAST_REQUESTS = 0.5  # seconds for clients that are connected to be heard


def _refuse(protocol: Any, status: int) -> None:
    protocol.response_bytes(status, [("content-type", "text/plain"), ("connection", "close"), _SERVER], b"")


def _shut_the_door() -> None:
    """Drop new connections' packets at the listening sockets, but keep the connections that wait to be accepted.

    Their clients try again a second later and find another server or a closed port. Closing the sockets
    would reset those that wait. Linux only (socket(7), SO_ATTACH_FILTER); elsewhere the few that wait are lost.
    """
    if sys.platform != "linux":
        return
    drop_all = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # one instruction: BPF_RET, 0 bytes
    program = struct.pack("HP", 1, ctypes.addressof(drop_all))
    for entry in list(Path("/proc/self/fd").iterdir()):
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(int(entry.name))) as candidate:
            if candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                candidate.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


_SO_ATTACH_FILTER = 26


def environ(scope: Any) -> dict[str, Any]:
    """The WSGI environment of an RSGI scope, but for the body. REMOTE_ADDR is the true peer, whatever headers say.

    A header with an underscore in its name is left out: in this environment `X_Forwarded_For` and
    `X-Forwarded-For` are one, and a proxy that overwrites the one passes the other on. Without HTTP_HOST where the
    request names two hosts, or none and is not HTTP/1.0 (RFC 9112 sec. 3.2).
    """
    peer, _, port = scope.client.rpartition(":")
    name, _, number = scope.server.rpartition(":")
    old = scope.http_version == "1"
    request: dict[str, Any] = {
        "REQUEST_METHOD": scope.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": scope.path.encode("utf-8", "replace").decode("latin-1"),
        "QUERY_STRING": scope.query_string.encode("utf-8", "replace").decode("latin-1"),
        "SERVER_NAME": name.strip("[]"),
        "SERVER_PORT": number,
        "SERVER_PROTOCOL": "HTTP/1.0" if old else "HTTP/1.1",
        "REMOTE_ADDR": _plain(peer.strip("[]")),
        "REMOTE_PORT": port,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input_terminated": True,
        "wsgi.file_wrapper": FileReply,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    hosts = 0
    for header, value in scope.headers.items():
        if "_" in header:
            continue
        key = "HTTP_" + header.upper().replace("-", "_")
        hosts += key == "HTTP_HOST"
        if key in request:
            request[key] += ("; " if header == "cookie" else ",") + value
        else:
            request[key] = value
    if hosts > 1 or scope.authority not in {None, request.get("HTTP_HOST")}:
        request.pop("HTTP_HOST", None)
    elif old:
        request.setdefault("HTTP_HOST", "")
    for plain in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if f"HTTP_{plain}" in request:
            request[plain] = request.pop(f"HTTP_{plain}")
    return request


def _plain(address: str) -> str:
    """An IPv4 address that arrived at an IPv6 socket as what it is (RFC 4291 sec. 2.5.5.2)."""
    if not address.startswith("::ffff:"):
        return address
    mapped = cast("ipaddress.IPv6Address", ipaddress.ip_address(address)).ipv4_mapped
    return str(mapped) if mapped else address


def answer(application: Application, request: dict[str, Any]) -> tuple[int, Headers, bytes | FileReply]:
    """Call a WSGI application and collect its reply, unless it is a file, which the caller closes."""
    started: list[tuple[str, Headers]] = []
    written: list[bytes] = []

    def start_response(status: str, headers: Headers, exc_info: object = None) -> Callable[[bytes], object]:
        if started and exc_info is None:
            raise AssertionError("start_response was called twice")
        started[:] = [(status, headers)]
        return written.append

    parts = application(request, start_response)
    if isinstance(parts, FileReply):
        status, headers = started[0]
        return int(status[:3]), [*headers, _SERVER], parts
    try:
        written.extend(parts)
    finally:
        close = getattr(parts, "close", None)
        if close is not None:
            close()
    status, headers = started[0]
    return int(status[:3]), [*headers, _SERVER], b"".join(written)
