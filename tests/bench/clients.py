"""Clients that run beside the server, in processes of their own, so that they do not hold up each other.

``python -m tests.bench.clients flood PORT CLIENTS SECONDS LEAST MOST`` signs in without a pause;
``python -m tests.bench.clients probe PORT SECONDS LEAST MOST`` opens other pages and takes the time.
Both print one line of JSON.
"""

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from tests.bench.anchor import ROOT
from tests.bench.seed import PASSWORD, Somebody
from tests.bench.walk import Line, Unexpected, Visitor, in_turn
from tests.faults.clients import Address

_PAUSE = 0.03  # seconds between two probes


def flood(address: Address, clients: int, seconds: float, least: int, most: int) -> dict[str, Any]:
    """So many clients that sign in, each on its own connection, until the time is over."""
    end = time.monotonic() + seconds
    outcomes: Counter[str] = Counter()
    lock = threading.Lock()

    def client(people: Iterator[Somebody]) -> None:
        line = Line(address)
        while time.monotonic() < end:
            visitor = Visitor(line, next(people))
            outcome = "signed_in"
            try:
                visitor.get("/sign-in")
                visitor.post("/sign-in", user_id=visitor.user_id)
                visitor.get("/sign-in/password")
                visitor.post("/sign-in/password", password=PASSWORD)
            except Unexpected as unexpected:
                outcome = str(unexpected.status)
            with lock:
                outcomes[outcome] += 1

    share = (most - least + 1) // clients
    ranges = [in_turn(least + place * share, least + (place + 1) * share - 1) for place in range(clients)]
    threads = [threading.Thread(target=client, args=(people,)) for people in ranges]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"seconds": time.monotonic() - began, "outcomes": dict(outcomes)}


def probe(address: Address, seconds: float, least: int, most: int) -> dict[str, Any]:
    """Pages that need no slow hash, each on a new connection: the wall seconds of each."""
    end = time.monotonic() + seconds
    people = in_turn(least, most)
    took: dict[str, list[float]] = {}

    def timed(name: str, visitor: Visitor, do: Callable[[], object]) -> None:
        visitor.line = Line(address)
        began = time.monotonic()
        do()
        took.setdefault(name, []).append(time.monotonic() - began)
        visitor.line.close()
        time.sleep(_PAUSE)

    while time.monotonic() < end:
        visitor = Visitor(Line(address), next(people))
        timed("GET /recovery", visitor, lambda: visitor.get("/recovery"))  # noqa: B023 - called at once
        timed("POST /recovery", visitor, lambda: visitor.post("/recovery", user_id=visitor.user_id))  # noqa: B023
        timed("GET /recovery/token", visitor, lambda: visitor.get("/recovery/token"))  # noqa: B023
        timed("GET /sign-in", visitor, lambda: visitor.get("/sign-in"))  # noqa: B023
        timed("GET /healthz", visitor, lambda: visitor.get("/healthz"))  # noqa: B023
    return took


@contextlib.contextmanager
def beside(*words: object) -> Iterator[Callable[[], Any]]:
    """Run this module with those words; what is given waits for its end and returns what it printed."""
    command = [sys.executable, "-m", "tests.bench.clients", *map(str, words)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)

    def result() -> Any:
        told, _ = process.communicate()
        if process.returncode:
            raise RuntimeError(f"the clients failed: {words}")
        return json.loads(told)

    try:
        yield result
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """One of the two."""
    kind, port, *numbers = sys.argv[1:]
    address = ("127.0.0.1", int(port))
    if kind == "flood":
        clients, seconds, least, most = numbers
        told = flood(address, int(clients), float(seconds), int(least), int(most))
    else:
        seconds, least, most = numbers
        told = probe(address, float(seconds), int(least), int(most))
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
