"""Two hundred visitors at the same moment: threads here, and threads that speak HTTP to the real server."""

import contextlib
import http.client
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlencode

from app.foundation.chance import SystemChance
from app.foundation.clock import SystemClock
from app.foundation.secretbox import Keyring, MasterKey
from app.wiring import build_foundation, build_means, build_web
from tests.faults.clients import free_port, wait_for
from tests.portal import Browser, Portal, test_settings

MANY = 200
ROOT = Path(__file__).parents[3]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Answer:
    """What one visitor got."""

    status: int
    location: str
    cookies: dict[str, str]


@dataclass(frozen=True, slots=True)
class Form:
    """A form about to be posted: where, with what, and by which browser."""

    path: str
    fields: dict[str, str]
    cookies: dict[str, str]
    address: str


def form(browser: Browser, path: str, **fields: str) -> Form:
    """The form as this browser would post it now, to be posted by any number of threads."""
    cookies = {name: held.value for (_, _, name), held in browser.client._cookies.items()}  # type: ignore[union-attr]
    return Form(path, {"csrf_token": browser.token(), **fields}, cookies, browser.environ["REMOTE_ADDR"])


def all_at_once(jobs: Sequence[Callable[[], _T]]) -> list[_T]:
    """Run each in a thread of its own, all let go at the same moment."""
    gate = threading.Barrier(len(jobs))
    answers: list[_T] = []
    lock = threading.Lock()

    def run(job: Callable[[], _T]) -> None:
        gate.wait(60)
        answer = job()
        with lock:
            answers.append(answer)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert len(answers) == len(jobs), "some of them broke"
    return answers


def here(portal: Portal, forms: Sequence[Form]) -> list[Answer]:
    """Post all of them at once through this process's doors, each by a client of its own."""
    clients = []
    for one in forms:
        browser = portal.browser(REMOTE_ADDR=one.address)
        for name, value in one.cookies.items():
            browser.client.set_cookie(name, value)
        clients.append(browser)

    def post(browser: Browser, one: Form) -> Answer:
        answer = browser.client.post(one.path, data=one.fields, environ_overrides=browser.environ)
        held = {name: kept.value for (_, _, name), kept in browser.client._cookies.items()}  # type: ignore[union-attr]
        return Answer(answer.status_code, answer.location or "", held)

    return all_at_once([lambda b=browser, f=one: post(b, f) for browser, one in zip(clients, forms, strict=True)])  # type: ignore[misc]


def over_http(port: int, forms: Sequence[Form]) -> list[Answer]:
    """Post all of them at once to the real server, each on a connection of its own."""

    def post(one: Form) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        headers = {
            "Cookie": "; ".join(f"{name}={value}" for name, value in one.cookies.items()),
            "Content-Type": "application/x-www-form-urlencoded",
        }
        try:
            connection.request("POST", one.path, urlencode(one.fields), headers)
            answer = connection.getresponse()
            answer.read()
            given = [value.partition(";")[0].partition("=") for value in answer.headers.get_all("Set-Cookie", [])]
            cookies = {**one.cookies, **{name: value for name, _, value in given}}
            return Answer(answer.status, answer.headers.get("Location", ""), cookies)
        finally:
            connection.close()

    return all_at_once([lambda f=one: post(f) for one in forms])  # type: ignore[misc]


def statuses(answers: Sequence[Answer]) -> Counter[int]:
    """How many got which answer."""
    return Counter(answer.status for answer in answers)


# ---- the real server, on stores that this process has opened too


@contextlib.contextmanager
def real_server(
    database_url: str, store_url: str, keyring: Keyring, directory: Path, workers: int = 2
) -> Iterator[int]:
    """The portal behind its real server, with several worker processes. Yields its port."""
    port = free_port()
    orders = {
        "database_url": database_url,
        "store_url": store_url,
        "keys": [[name, keyring._keys[name].material.hex()] for name in keyring.names],
        "port": port,
        "workers": workers,
    }
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KEYTURN_")}
    with (directory / "portal.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.journeys.recovery.rush"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
        )
    assert process.stdin is not None
    process.stdin.write(json.dumps(orders).encode())
    process.stdin.close()
    try:
        wait_for(("127.0.0.1", port), 60)
        yield port
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _serve() -> int:
    from app.foundation.web.server import serve

    orders = json.load(sys.stdin)
    settings = test_settings(
        public_url=f"http://127.0.0.1:{orders['port']}",
        database_url=orders["database_url"],
        limit_tries_per_address=1_000_000,  # one address has all the visitors here
    )

    def factory() -> object:
        chance = SystemChance()
        keyring = Keyring([MasterKey(name, bytes.fromhex(key)) for name, key in orders["keys"]], chance)
        base = build_foundation(
            settings, ephemeral_url=orders["store_url"], clock=SystemClock(), chance=chance, keyring=keyring
        )
        return build_web(base, build_means(base))

    return serve(factory, bind=f"127.0.0.1:{orders['port']}", workers=orders["workers"])  # type: ignore[arg-type]


if __name__ == "__main__":
    sys.exit(_serve())
