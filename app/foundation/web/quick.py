"""A door that is knocked at all the time: its plain good answer is given before Flask is woken.

Whatever is not plain, or not good, goes on to Flask as if nothing had happened, and is judged, counted and answered
there. So what is given here are the same bytes and headers that the usual way gives, and nothing else.
"""

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from app.foundation.clock import Clock

MOST = 8_192  # bytes of a body that is read here
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that could be answered here: its Content-Type, its Authorization, and its body."""

    kind: str
    authorization: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Told:
    """The answer: JSON, and headers of its own."""

    body: bytes
    headers: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Frame:
    """What is around every answer: the Host that is ours, its headers, and who is told of it.

    ``address`` finds the client's; ``counted`` takes route, method, status and seconds; ``name`` draws a request's id.
    """

    host: str
    headers: Sequence[tuple[str, str]]
    address: Callable[[dict[str, Any]], str]
    counted: Callable[[str, str, int, float], None]
    name: Callable[[], str]
    clock: Clock


def lane(
    inner: Callable[..., Iterable[bytes]], frame: Frame, path: str, answer: Callable[[Asked], Told | None]
) -> Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]:
    """An application that asks ``answer`` first where somebody posts to ``path``. None from it: ``inner`` answers."""

    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != path or not _plain(environ, frame.host):
            return inner(environ, start_response)
        began = frame.clock.monotonic()
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        environ["wsgi.input"] = io.BytesIO(body)
        asked = Asked(environ.get("CONTENT_TYPE", ""), environ.get("HTTP_AUTHORIZATION", ""), body)
        try:
            address = frame.address(environ)
            told = answer(asked)
        except Exception:  # noqa: BLE001 - the usual way meets it again, and knows what to say
            told = None
        if told is None:
            return inner(environ, start_response)
        request_id = frame.name()
        start_response(
            "200 OK",
            [
                ("Content-Type", "application/json"),
                ("Content-Length", str(len(told.body))),
                *told.headers,
                *frame.headers,
                ("X-Request-Id", request_id),
            ],
        )
        took = frame.clock.monotonic() - began
        frame.counted(path, "POST", 200, took)
        ms = round(took * 1000, 1)
        log.info(
            "request", request_id=request_id, method="POST", route=path, status=200, refusal="", address=address, ms=ms
        )
        return [told.body]

    return serve


def _plain(environ: dict[str, Any], host: str) -> bool:
    """Whether a request is a program's, with a body of a known and small length, and with nothing unusual."""
    length = environ.get("CONTENT_LENGTH") or ""
    return (
        environ["REQUEST_METHOD"] == "POST"
        and environ.get("HTTP_HOST", "").lower() == host
        and not environ.get("QUERY_STRING")
        and "HTTP_SEC_FETCH_SITE" not in environ
        and "HTTP_TRANSFER_ENCODING" not in environ
        and length.isascii()
        and length.isdigit()
        and len(length) < 5
        and int(length) <= MOST
    )
