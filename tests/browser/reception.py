"""A portal in this process with a clock in the hand, open to browsers: for what takes a day, or a cast of one's own."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from werkzeug.serving import WSGIRequestHandler, make_server

from tests.browser.visitor import Visitor
from tests.doors import standing
from tests.faults.clients import free_port
from tests.hands import HandClock
from tests.portal import PASSWORD, Portal
from tests.services import RedisServer


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name
        """No line per request."""


@dataclass(frozen=True)
class Reception:
    """A portal, and where browsers find it."""

    portal: Portal
    clock: HandClock
    address: str
    seen: set[str] = field(default_factory=set)

    def enter(self, visitor: Visitor, user_id: str, password: str = PASSWORD) -> Visitor:
        """Sign in with the app, as far as AUTHENTICATORS; again only a minute later, when the app has another code."""
        self.clock.advance(60 if user_id in self.seen else 0)
        self.seen.add(user_id)
        visitor.to_password(user_id)
        visitor.send(password=password)
        visitor.send(code=self.portal.code(user_id))
        visitor.at("/authenticators")
        return visitor

    def wait(self, visitor: Visitor, seconds: int) -> None:
        """Let time pass here and in the browser, whose clock is in the hand too."""
        self.clock.advance(seconds)
        visitor.context.clock.fast_forward(seconds * 1_000)


@contextmanager
def receiving(template: Path, folder: Path, server: RedisServer) -> Iterator[Reception]:
    """One whose stores are empty."""
    server.flush()
    clock, port = HandClock(), free_port()
    address = f"http://127.0.0.1:{port}"
    with standing(template, folder, server.url, clock=clock, public_url=address) as portal:
        web = make_server("127.0.0.1", port, portal.web, threaded=True, request_handler=_Quiet)
        thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield Reception(portal, clock, address)
        finally:
            web.shutdown()
            thread.join()
            web.server_close()
