"""kill -9 at every step of sending; then what arrived is compared with what the outbox says."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select

from app.foundation.secretbox import Keyring
from app.foundation.settings import Settings
from app.foundation.sql import Database
from app.records.delivery import rules, store
from app.records.people import store as people
from app.records.people.model import Status
from tests.edges import Answer, Mailbox, Phone, wait_until
from tests.hands import HandClock, SeededChance
from tests.records.delivery.parts import House, drain
from tests.records.delivery.process import KEY


@pytest.fixture
def house(database: Database, chance: SeededChance, clock: HandClock) -> House:
    return House(database, Keyring([KEY], chance), chance, clock)


@contextmanager
def process(house: House, stage: str, *, sms: str = "", mail: str = "") -> Iterator[subprocess.Popen[str]]:
    """Another process on the same database, killed at the end of the block."""
    given: dict[str, Any] = {
        "stage": stage,
        "now": house.clock.now(),
        "person": house.jane.id,
        "sms": sms,
        "mail": mail,
    }
    given["database"] = house.database.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "tests.records.delivery.process", json.dumps(given)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        try:
            yield running
        finally:
            running.kill()


def reached(running: subprocess.Popen[str]) -> None:
    """Wait until it stands at its step."""
    assert running.stdout is not None
    for line in running.stdout:
        if line.strip() == "here":
            return
    raise AssertionError("the process ended before its step")


Wait = Callable[[Phone, Mailbox], object]

# stage, what the providers do, until when the process lives (None: until it says so)
# and then: texts that arrived, the SMS's state, letters that arrived
STEPS = [
    ("claimed", None, None, 0, "unknown", 1),
    ("sending", Answer(accepts=False, delay=60), lambda phone, _: phone.posts, 0, "unknown", None),
    ("sending", Answer(delay=60), lambda phone, _: phone.texts, 1, "unknown", None),
    ("sending", "hold", lambda _, mailbox: mailbox.mails, None, "", 2),
    ("answered", None, None, 1, "unknown", 2),
    ("recorded", None, None, 1, "sent", 1),
]


@pytest.mark.parametrize(("stage", "answer", "alive", "texts", "state", "letters"), STEPS)
def test_a_worker_killed_at_any_step_keeps_both_promises(
    house: House,
    world: Settings,
    phone: Phone,
    mailbox: Mailbox,
    clock: HandClock,
    stage: str,
    answer: Answer | str | None,
    alive: Wait | None,
    texts: int | None,
    state: str,
    letters: int | None,
) -> None:
    for wanted, contact in ((texts, house.phone), (letters, house.mail)):
        if wanted is None:
            continue
        outbox_id = house.notice(contact)
        if isinstance(answer, Answer):
            phone.plan(answer)
        elif answer:
            mailbox.hold.clear()
            mailbox.plan("DATA", answer)
        with process(house, stage, sms=world.twilio_api_base, mail=world.smtp_url) as running:
            if alive is None:
                reached(running)
            else:
                wait_until(partial(happened, alive, phone, mailbox), 60, lambda: "it did not happen")
        mailbox.hold.set()
        assert house.state(outbox_id)[0] == ("sent" if stage == "recorded" else "sending")
        drain(house.worker(world))  # its lease still runs, so nobody touches it
        assert house.state(outbox_id)[0] == ("sent" if stage == "recorded" else "sending")
        clock.advance(rules.LEASE)
        drain(house.worker(world))
        assert house.row(outbox_id).payload is None
        if contact is house.phone:
            assert len(phone.texts) == texts
            assert house.state(outbox_id)[0] == state
        else:
            assert house.state(outbox_id)[0] == "sent"
            assert [mail.message["Message-ID"] for mail in mailbox.mails] == [house.row(outbox_id).message_id] * wanted
    clock.advance(rules.NOTICE_LIFE)
    drain(house.worker(world))
    assert (len(phone.texts), len(mailbox.mails)) == (texts or 0, letters or 0)


def test_a_process_killed_before_its_commit_changed_nothing_and_told_nobody(
    house: House, world: Settings, phone: Phone, mailbox: Mailbox
) -> None:
    with process(house, "enqueued") as running:
        reached(running)
    drain(house.worker(world))
    assert (phone.texts, mailbox.mails) == ([], [])
    assert status(house) is Status.ACTIVE


def test_a_process_killed_after_its_commit_has_changed_it_and_every_contact_is_told(
    house: House, world: Settings, phone: Phone, mailbox: Mailbox
) -> None:
    with process(house, "committed") as running:
        reached(running)
    assert status(house) is Status.INACTIVE
    drain(house.worker(world))
    assert (len(phone.texts), len(mailbox.mails)) == (1, 1)


@pytest.mark.slow
def test_killed_again_and_again_the_ledger_and_the_inboxes_agree(
    house: House, world: Settings, phone: Phone, mailbox: Mailbox, clock: HandClock, chance: SeededChance
) -> None:
    ids = {f"{number:06d}": house.pin(house.phone, f"{number:06d}", life=36_000) for number in range(24)}
    letters = [house.notice(house.mail) for _ in range(24)]
    phone.plan(*[Answer(delay=0.05 * (number % 3)) for number in range(24)])
    for _ in range(4):
        seen = len(phone.texts) + len(mailbox.mails)
        more = 1 + int(chance.fraction() * 8)
        enough = min(seen + more, 48)
        with process(house, "sending", sms=world.twilio_api_base, mail=world.smtp_url):
            wait_until(partial(arrivals, phone, mailbox, enough), 60, lambda: "nothing more arrives")
        clock.advance(rules.LEASE)
    drain(house.worker(world))
    arrived = [sms.pin for sms in phone.texts]
    assert len(arrived) == len(set(arrived)), "an SMS was posted twice"
    with house.database.read() as looking:
        rows = {row.id: row for row in looking.execute(select(store.outbox))}
    assert {row.payload for row in rows.values()} == {None}
    for pin, outbox_id in ids.items():
        assert rows[outbox_id].state in {"sent", "unknown"}
        assert pin in arrived or rows[outbox_id].state == "unknown"
    by_letter = [mail.message["Message-ID"] for mail in mailbox.mails]
    assert {rows[one].state for one in letters} == {"sent"}
    assert set(by_letter) == {rows[one].message_id for one in letters}


def happened(what: Wait, phone: Phone, mailbox: Mailbox) -> bool:
    return bool(what(phone, mailbox))


def arrivals(phone: Phone, mailbox: Mailbox, enough: int) -> bool:
    return len(phone.texts) + len(mailbox.mails) >= enough


def status(house: House) -> Status:
    with house.database.read() as looking:
        person = people.get(looking, house.jane.id)
    assert person is not None
    return person.status
