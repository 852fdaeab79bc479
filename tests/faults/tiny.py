"""A WSGI application of a few pages, for tests of the server below it."""

import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from app.foundation.web import downloads

LARGE = b"x" * 1_000_000  # more than the kernel buffers for a client that does not read
FILE = 64 * 1_048_576  # bytes
PART = b"y" * 65_536


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """``/`` at once, ``/slow`` after 3 s, ``/gate?FILE`` when that is there, ``/large`` much, ``/echo`` what came,
    ``/file`` a large file, ``/lengths`` no more than 1,000 bytes."""
    path = environ["PATH_INFO"]
    status, kind, body = "200 OK", "text/plain", b"hello\n"
    if path == "/slow":
        time.sleep(3)
        body = b"slow\n"
    elif path == "/gate":
        gate = Path(environ["QUERY_STRING"])
        Path(f"{gate}.reached").touch()
        while not gate.exists():
            time.sleep(0.01)
    elif path == "/large":
        body = LARGE
    elif path == "/file":
        file = downloads.new()
        for _ in range(FILE // len(PART)):
            file.write(PART)
        file.flush()
        file.seek(0)
        start_response(status, [("Content-Type", kind), ("Content-Length", str(FILE))])
        made: Iterable[bytes] = environ["wsgi.file_wrapper"](file)
        return made
    elif path == "/echo":
        kind = "application/json"
        body = json.dumps(
            {
                "pid": os.getpid(),
                "body": environ["wsgi.input"].read().decode("latin-1"),
                "environ": {key: value for key, value in environ.items() if isinstance(value, str)},
            }
        ).encode()
    elif path == "/lengths":
        length, seen = int(environ.get("CONTENT_LENGTH") or 0), len(environ["wsgi.input"].read())
        status = "413 Content Too Large" if length > 1_000 else status
        body = f"{length} bytes, of which {seen} are here\n".encode()
    elif path == "/broken":
        raise RuntimeError("a page that breaks")
    elif path == "/empty":
        status, body = "204 No Content", b""
    elif path != "/":
        status, body = "404 Not Found", f"no such page: {path.encode('latin-1')!r}\n".replace("b'", "'").encode()
    headers = [("Content-Type", kind)]
    if status != "204 No Content":
        headers.append(("Content-Length", str(len(body))))
    start_response(status, headers)
    return [body]


def factory() -> Callable[..., Iterable[bytes]]:
    """The same, as something to be called once in each worker."""
    return application
