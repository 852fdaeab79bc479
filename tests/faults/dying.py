"""A portal, or its sender of messages, that is killed just before its n-th step towards the database.

One process imports everything once and makes a child for each order: ``python -m tests.faults.dying``. The child
writes every answer that a visitor got into a ledger before it may die again.
"""

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event
from werkzeug.test import Client

from app.foundation.chance import SystemChance
from app.foundation.secretbox import Keyring, MasterKey
from app.wiring import build_foundation, build_means, build_web, build_worker
from tests.hands import HandClock
from tests.portal import test_settings

ROOT = Path(__file__).parents[2]
NEVER = 1_000_000


@dataclass(frozen=True, slots=True)
class Death:
    """How an order ended: whether it was killed before it was done, and what visitors had been told by then."""

    killed: bool
    ledger: list[dict[str, Any]]


class Mortals:
    """Runs orders, each in a child of its own that dies at the step it is told."""

    def __init__(self, process: "subprocess.Popen[str]", directory: Path) -> None:
        self._process = process
        self._ledger = directory / "ledger"

    def run(self, what: dict[str, Any], *, die_at: int = NEVER) -> Death:
        """Do it in a child; die before the step with that number, counted from 1."""
        self._ledger.unlink(missing_ok=True)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({**what, "die_at": die_at, "ledger": str(self._ledger)}) + "\n")
        self._process.stdin.flush()
        status = int(self._process.stdout.readline())
        assert status in {0, signal.SIGKILL}, f"the child ended by itself with {status}"
        lines = self._ledger.read_text().splitlines() if self._ledger.exists() else []
        return Death(killed=status == signal.SIGKILL, ledger=[json.loads(line) for line in lines])


@contextlib.contextmanager
def mortals(directory: Path) -> Iterator[Mortals]:
    """The process that makes the children."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KEYTURN_")}
    with (directory / "dying.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.dying"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    with process:
        yield Mortals(process, directory)
        assert process.stdin is not None
        process.stdin.close()


def _count_down(engine: Engine, steps: int) -> None:
    left = steps

    def step(*_: object, **__: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    # each statement, each commit, and each return of a connection, which comes after the commit
    for name in ("before_cursor_execute", "commit", "checkin"):
        event.listen(engine, name, step)


def _live(order: dict[str, Any]) -> None:
    chance = SystemChance()
    base = build_foundation(
        test_settings(**order["settings"]),
        ephemeral_url=order["store_url"],
        clock=HandClock(order["now"]),
        chance=chance,
        keyring=Keyring([MasterKey(name, bytes.fromhex(key)) for name, key in order["keys"]], chance),
    )
    web = build_web(base, build_means(base)) if order["posts"] else None
    _count_down(base.database.engine, order["die_at"])
    if web is None:
        worker = build_worker(base)
        while worker.run_once():
            pass
        return
    client = Client(web)
    for name, value in order["cookies"].items():
        client.set_cookie(name, value)
    for path, fields in order["posts"]:
        answer = client.post(path, data=fields, environ_overrides={"REMOTE_ADDR": "192.0.2.10"})
        cookies = {name: held.value for (_, _, name), held in (client._cookies or {}).items()}
        told = {"path": path, "status": answer.status_code, "location": answer.location, "cookies": cookies}
        with Path(order["ledger"]).open("a") as ledger:
            ledger.write(json.dumps(told) + "\n")
            ledger.flush()
            os.fsync(ledger.fileno())


def _main() -> None:
    # what the sender imports when it needs it, once for all the children
    for name in ("smtplib", "app.records.delivery.channels.twilio_client"):
        importlib.import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.dup2(2, 1)  # its log must not stand between the answers
                _live(json.loads(line))
                code = 0
            finally:
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        print(os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status), flush=True)  # noqa: T201


if __name__ == "__main__":
    _main()
