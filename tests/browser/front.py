"""A reverse proxy that ends TLS, as one stands before every portal on the open net."""

import http.client
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.edges import HOST, Certificates

_OF_THE_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "server", "date"}


class Front:
    """https on a port of this machine, passed on to ``behind``; says of each visitor that they are ``client``."""

    def __init__(self, certificates: Certificates, behind: tuple[str, int], client: str) -> None:
        front = self

        class Handler(_Passing):
            at = front

        self.behind = behind
        self.client = client
        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self._server.daemon_threads = True
        self._server.socket = certificates.server().wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Passing(BaseHTTPRequestHandler):
    at: Front
    protocol_version = "HTTP/1.1"

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        told = [(name, value) for name, value in self.headers.items() if name.lower() not in _OF_THE_HOP]
        told = [(name, value) for name, value in told if name.lower() != "x-forwarded-for"]
        # it adds to what the visitor claims, as proxies do, so the visitor's own word comes first
        chain = [*self.headers.get_all("X-Forwarded-For", []), self.at.client]
        connection = http.client.HTTPConnection(*self.at.behind, timeout=30)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in [*told, ("X-Forwarded-For", ", ".join(chain)), ("Content-Length", str(len(body)))]:
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        with suppress(OSError):  # the browser has gone elsewhere
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _OF_THE_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    do_GET = do_POST = _pass  # noqa: N815 - names that http.server looks for

    def handle(self) -> None:
        with suppress(OSError):
            super().handle()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
