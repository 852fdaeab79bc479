"""Visitors: the steps of a sign-in and of a recovery, one request each, over kept-alive connections."""

import http.client
import itertools
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlencode

from tests.bench.seed import NEW_PASSWORD, PASSWORD, Somebody
from tests.edges import Phone, wait_until
from tests.faults.clients import Address

_PIN = re.compile(r"^[0-9]{6}$", re.MULTILINE)
_TOKEN = re.compile(rb'name="csrf_token"[^>]*value="([^"]+)"')
_addresses = itertools.count(1)


class Handsets(Phone):
    """Phones that take every message at once, and remember the newest PIN of each."""

    def __init__(self) -> None:
        super().__init__()
        self.pins: dict[str, str] = {}

    def take(self, fields: dict[str, str], user: str) -> str:
        sid = super().take(fields, user)
        self.tell(sid, "delivered")
        found = _PIN.search(fields["Body"])
        if found:  # a notice has none
            self.pins[fields["To"]] = found[0]
        return sid


class Line:
    """One connection, as a reverse proxy keeps it: many visitors' requests, one after the other."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._connection = http.client.HTTPConnection(*address, timeout=60)

    def ask(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None = None
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """One request; once more on a new connection where the server had closed the idle one."""
        for last in (False, True):
            try:
                self._connection.request(method, path, body=body, headers=headers)
                reply = self._connection.getresponse()
                return reply.status, reply.getheaders(), reply.read()
            except (http.client.RemoteDisconnected, ConnectionError):
                self._connection.close()
                if last:
                    raise
        raise AssertionError("unreachable")

    def close(self) -> None:
        self._connection.close()


class Unexpected(Exception):
    """A reply that a step did not wait for."""

    def __init__(self, what: str, status: int, expected: int, content: bytes) -> None:
        super().__init__(f"{what}: {status} instead of {expected}\n{content[:2_000].decode(errors='replace')}")
        self.status = status


@dataclass
class Visitor:
    """A browser without JavaScript at an address of its own."""

    line: Line
    who: Somebody | None = None  # None: a User ID that does not exist
    language: str = "en"
    cookies: dict[str, str] = field(default_factory=dict)
    number: int = field(default_factory=lambda: next(_addresses))
    page: bytes = b""
    html: int = 0  # bytes of pages received

    @property
    def user_id(self) -> str:
        return self.who.user_id if self.who else f"nobody{self.number:07d}"

    def get(self, path: str, expected: int = 200) -> bytes:
        """Open a page."""
        return self._ask("GET", path, None, expected)

    def post(self, path: str, expected: int = 303, **fields: str) -> bytes:
        """Fill in the form of the page that is open."""
        found = _TOKEN.search(self.page)
        token = found[1].decode() if found else ""
        return self._ask("POST", path, urlencode({"csrf_token": token, **fields}).encode(), expected)

    def _ask(self, method: str, path: str, body: bytes | None, expected: int) -> bytes:
        # far from one another's, also from those of other client processes: limits count addresses and networks
        place = self.number * 0x9E3779B1 + os.getpid() * 0x85EBCA6B
        address = f"10.{place >> 16 & 255}.{place >> 8 & 255}.{place & 255}"
        headers = {
            "Host": ":".join(map(str, self.line.address)),
            "X-Forwarded-For": address,
            "Accept-Language": self.language,
        }
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        status, replied, content = self.line.ask(method, path, headers, body)
        kind = ""
        for name, value in replied:
            if name.lower() == "set-cookie":
                cookie, _, rest = value.partition(";")[0].partition("=")
                self.cookies[cookie] = rest
            elif name.lower() == "content-type":
                kind = value
        if status != expected:
            raise Unexpected(f"{method} {path}", status, expected, content)
        if kind.startswith("text/html") and status == 200:
            self.page = content
            self.html += len(content)
        return content


@dataclass(frozen=True, slots=True)
class Step:
    """One request of a journey. ``do`` makes it; ``hashes`` is how many slow hashes it must do."""

    name: str
    do: Callable[[Visitor, Handsets], object]
    hashes: int = 0
    counts: bool = True  # whether it belongs to every walk of the journey


def _code(visitor: Visitor) -> str:
    return visitor.who.code() if visitor.who else "000000"


def pin_of(visitor: Visitor, phone: Handsets, seconds: float = 30) -> str:
    """The PIN that arrived on the visitor's phone."""
    assert visitor.who
    number = visitor.who.phone
    wait_until(lambda: number in phone.pins, seconds, lambda: f"no PIN arrived at {number}")
    return phone.pins[number]


SIGN_IN = (
    Step("GET /sign-in", lambda v, _: v.get("/sign-in")),
    Step("POST /sign-in", lambda v, _: v.post("/sign-in", user_id=v.user_id)),
    Step("GET /sign-in/password", lambda v, _: v.get("/sign-in/password")),
    Step("POST /sign-in/password", lambda v, _: v.post("/sign-in/password", password=PASSWORD), hashes=1),
    Step("GET /sign-in/verify", lambda v, _: v.get("/sign-in/verify")),
)
RECOVERY = (
    Step("GET /recovery", lambda v, _: v.get("/recovery")),
    Step("POST /recovery", lambda v, _: v.post("/recovery", user_id=v.user_id)),
    Step("GET /recovery/token", lambda v, _: v.get("/recovery/token")),
    Step("POST /recovery/token", lambda v, _: v.post("/recovery/token", code=_code(v))),
    Step("GET /recovery/pin", lambda v, _: v.get("/recovery/pin")),
    Step("GET /recovery/pin/status", lambda v, _: v.get("/recovery/pin/status"), counts=False),
    Step("POST /recovery/pin", lambda v, phone: v.post("/recovery/pin", pin=pin_of(v, phone))),
    Step("GET /recovery/password", lambda v, _: v.get("/recovery/password")),
    Step(
        "POST /recovery/password",
        lambda v, _: v.post("/recovery/password", new_password=NEW_PASSWORD, confirm_password=NEW_PASSWORD),
        hashes=2,
    ),
    Step("GET /recovery/done", lambda v, _: v.get("/recovery/done")),
)


def in_turn(least: int, most: int) -> Iterator[Somebody]:
    """People with numbers from ``least`` to ``most``, spread over the whole range, each once in a round."""
    count = most - least + 1
    stride = next(n for n in range(int(count * 0.618), count + 1) if n and _coprime(n, count)) if count > 1 else 1
    place = 0
    while True:
        yield Somebody(least + place)
        place = (place + stride) % count


def _coprime(one: int, other: int) -> bool:
    while other:
        one, other = other, one % other
    return one == 1
