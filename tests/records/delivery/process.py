"""A worker, or a change with its notice, in a process of its own that stops at a given step, to be killed there.

``python -m tests.records.delivery.process '{"stage": …}'``; it writes "here" to standard output at the step.
"""

import json
import sys
import threading
from typing import Any, NoReturn

import app.records.people.store  # noqa: F401 - its tables are what the outbox refers to
from app.foundation.chance import SystemChance
from app.foundation.secretbox import Keyring, MasterKey
from app.foundation.sql import Database
from app.records.delivery.channels import build
from app.records.delivery.channels.letters import Letters
from app.records.delivery.model import Accepted, Fate, Message, Sender
from app.records.delivery.outbox import Outbox
from app.records.delivery.worker import Worker
from app.records.people import store as people
from app.records.people.model import Status
from tests.hands import HandClock
from tests.records.delivery.parts import lookup, settings

KEY = MasterKey("only", bytes(range(32)))


def here() -> NoReturn:
    """Say so, and wait for the end."""
    print("here", flush=True)  # noqa: T201
    threading.Event().wait()
    raise AssertionError("unreachable")


class Stopping:
    """A channel that stops before or after it hands over."""

    def __init__(self, sender: Sender, stage: str) -> None:
        self._sender = sender
        self._stage = stage

    def send(self, message: Message) -> Accepted:
        if self._stage == "claimed":
            here()
        accepted = self._sender.send(message)
        if self._stage == "answered":
            here()
        return accepted

    def fate(self, provider_sid: str) -> Fate:
        return self._sender.fate(provider_sid)


def main(given: dict[str, Any]) -> None:
    stage, clock, chance = given["stage"], HandClock(given["now"]), SystemChance()
    database, keyring = Database(given["database"]), Keyring([KEY], chance)
    if stage in {"enqueued", "committed"}:
        outbox = Outbox(keyring, chance, "keyturn.example.org")
        with database.begin() as transaction:
            people.set_status(transaction, given["person"], Status.INACTIVE)
            outbox.notify(
                transaction,
                contacts=people.contacts_of(transaction, given["person"]),
                template="notice_password_changed",
                variables={"at": clock.now(), "address": "203.0.113.7", "undo": "https://keyturn.example.org/undo/x"},
                language="en",
                now=clock.now(),
            )
            if stage == "enqueued":
                here()
        here()
    world = settings(sms=given["sms"], mail=given["mail"])
    channels: dict[Any, Sender] = {name: Stopping(way, stage) for name, way in build(world, clock).items()}
    worker = Worker(database, keyring, chance, clock, channels=channels, letters=Letters(world), lookup=lookup)
    if stage == "recorded":
        while worker.run_once():
            pass
        here()
    worker.run(threading.Event())


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
