"""Sixty clients that are slow on purpose leave other visitors under a second, and do not stay for ever."""

import socket
import threading
import time
import wsgiref.simple_server
from collections.abc import Iterator

import pytest

from tests.faults.clients import KINDS, Kind, SlowClients, visit
from tests.faults.served import Served, served
from tests.faults.tiny import application


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    # far fewer threads than slow clients: none of them may hold one
    with served(tmp_path_factory.mktemp("slow"), workers=2, bounds="threads=4") as running:
        yield running


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_sixty_slow_clients_leave_other_visitors_under_a_second(server: Served, kind: Kind):
    with SlowClients(server.address, kind, count=60) as slow:
        assert slow.opened >= 60
        # a server that waits for them does so every time, and a machine that is busy elsewhere does not
        for _ in range(3):
            visits = visit(server.address, 1.0, at_least=10)
            assert not visits.failures
            if visits.worst < 1.0:
                break
    assert visits.worst < 1.0


def test_the_measurement_notices_a_server_that_waits_for_slow_clients():
    """The same clients and visitors at a server that is known to fail: one request after the other."""

    class Quiet(wsgiref.simple_server.WSGIRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with wsgiref.simple_server.make_server("127.0.0.1", 0, application, handler_class=Quiet) as naive:
        serving = threading.Thread(target=naive.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        address = ("127.0.0.1", naive.server_port)
        with SlowClients(address, KINDS[0], count=2):
            visits = visit(address, 0.1, patience=1.5)
        naive.shutdown()
        serving.join()
    assert visits.failures
    assert visits.worst > 1.0


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The same server with bounds that a test can wait for."""
    with served(tmp_path_factory.mktemp("hasty"), workers=1, bounds="head_seconds=1, body_seconds=1") as running:
        yield running


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.ends], ids=lambda kind: kind.name)
def test_a_request_that_does_not_end_is_ended(hasty: Served, kind: Kind):
    heard = b""
    begin = time.monotonic()
    with socket.create_connection(hasty.address) as client:
        client.sendall(kind.first)
        client.settimeout(0.1)
        while time.monotonic() - begin < 20:
            try:
                if kind.drip:
                    client.sendall(kind.drip)
                part = client.recv(65_536)
            except TimeoutError:
                continue
            except OSError:
                break
            if not part:
                break
            heard += part
    assert time.monotonic() - begin < 9  # one second is set, ten are usual
    if "body" in kind.name or "chunks" in kind.name:
        assert heard.startswith(b"HTTP/1.1 408 ")
    elif "continue" in kind.name:
        assert heard.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 408 ")
