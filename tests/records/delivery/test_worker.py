"""The worker: what is promised of each message, whatever the providers and the processes do."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text, update
from structlog.testing import capture_logs

from app.foundation.secretbox import Keyring, MasterKey
from app.foundation.settings import Settings
from app.foundation.sql import Database
from app.records.delivery import rules, store
from app.records.delivery.model import Channel as DeliveryChannel
from app.records.people import store as people
from app.records.people.model import Channel, Contact, Status
from tests.edges import HANG_UP_AFTER, HANG_UP_BEFORE, Answer, Mailbox, Phone, closed_port, refuse
from tests.hands import HandClock, SeededChance
from tests.records.delivery.parts import ADDRESS, NUMBER, PIN_LIFE, House, drain, settings, worker

DAY = 86_400


@contextmanager
def working(house: House, world: Settings) -> Iterator[threading.Event]:
    """A worker that runs as `keyturn worker` does."""
    stop = threading.Event()
    runs = threading.Thread(target=house.worker(world).run, args=(stop,))
    runs.start()
    try:
        yield stop
    finally:
        stop.set()
        runs.join(60)
    assert not runs.is_alive()


def until(what: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# ---- what goes well


def test_a_pin_reaches_the_phone_and_is_wiped(house: House, world: Settings, phone: Phone, clock: HandClock) -> None:
    outbox_id = house.pin(house.phone, "482913")
    clock.advance(13)
    drain(house.worker(world))
    (sms,) = phone.texts
    assert (sms.to, sms.pin) == (NUMBER, "482913")
    assert sms.fields["ValidityPeriod"] == str(PIN_LIFE - 13)
    row = house.row(outbox_id)
    assert (row.state, row.reason, row.payload, row.tries) == ("sent", "", None, 1)
    assert (row.provider_sid, row.sent_at) == (sms.sid, clock.now())


def test_a_pin_reaches_the_mailbox_and_is_wiped(
    house: House, world: Settings, mailbox: Mailbox, clock: HandClock
) -> None:
    outbox_id = house.pin(house.mail, "48291355", life=600)
    drain(house.worker(world))
    (mail,) = mailbox.mails
    assert (mail.to, mail.pin) == ((ADDRESS,), "48291355")
    row = house.row(outbox_id)
    assert mail.message["Message-ID"] == row.message_id
    assert (row.state, row.payload, row.provider_sid, row.next_at) == ("sent", None, None, None)
    clock.advance(DAY)
    drain(house.worker(world))
    assert len(mailbox.mails) == 1
    assert house.state(outbox_id) == ("sent", "")


def test_a_pin_that_leaves_late_says_how_long_it_is_still_good(
    house: House, world: Settings, phone: Phone, clock: HandClock
) -> None:
    house.pin(house.phone)
    clock.advance(PIN_LIFE - 70)
    drain(house.worker(world))
    assert "good for 1 min" in phone.texts[0].body


def test_pins_go_before_notices(house: House, world: Settings, phone: Phone) -> None:
    for _ in range(3):
        house.notice(house.phone)
    house.pin(house.phone)
    drain(house.worker(world))
    assert "@keyturn.example.org #" in phone.texts[0].body
    assert len(phone.texts) == 4


# ---- where it goes


def test_the_destination_is_read_when_it_is_sent(house: House, world: Settings, phone: Phone) -> None:
    house.pin(house.phone)
    with house.database.begin() as transaction:
        transaction.execute(
            update(people.contacts).where(people.contacts.c.id == house.phone.id).values(address="+15005550010")
        )
    drain(house.worker(world))
    assert [sms.to for sms in phone.texts] == ["+15005550010"]


def test_a_contact_removed_meanwhile_gets_no_pin_but_the_notice(house: House, world: Settings, phone: Phone) -> None:
    pin, notice = house.pin(house.phone), house.notice(house.phone)
    house.remove(house.phone)
    drain(house.worker(world))
    assert house.state(pin) == ("failed", "contact_removed")
    assert house.row(pin).payload is None
    assert house.state(notice)[0] == "sent"
    assert len(phone.texts) == 1


def test_a_person_deactivated_meanwhile_gets_no_pin(house: House, world: Settings, phone: Phone) -> None:
    pin = house.pin(house.phone)
    with house.database.begin() as transaction:
        people.set_status(transaction, house.jane.id, Status.INACTIVE)
    drain(house.worker(world))
    assert house.state(pin) == ("failed", "person_inactive")
    assert phone.posts == 0


def test_a_withdrawn_pin_is_not_sent(house: House, world: Settings, phone: Phone) -> None:
    house.withdraw(house.pin(house.phone, "111111"))
    house.pin(house.phone, "222222")
    drain(house.worker(world))
    assert [sms.pin for sms in phone.texts] == ["222222"]


def test_a_channel_without_settings_fails_at_once(house: House, mailbox: Mailbox) -> None:
    outbox_id = house.pin(house.phone)
    drain(house.worker(settings(mail=mailbox.url)))
    assert house.state(outbox_id) == ("failed", "not_configured")


# ---- what goes wrong, and may pass


def test_what_is_temporary_is_tried_again_with_growing_pauses(
    sqlite_house: House, world: Settings, phone: Phone, clock: HandClock
) -> None:
    house, sender = sqlite_house, sqlite_house.worker(world)
    phone.plan(*[refuse(429, 20429)] * 4)
    outbox_id = house.pin(house.phone)
    pauses = []
    for _ in range(4):
        drain(sender)
        row = house.row(outbox_id)
        assert (row.state, row.reason) == ("queued", "provider_busy")
        assert row.payload is not None
        pauses.append(row.next_at - clock.now())
        drain(sender)  # not before its time
        clock.advance(pauses[-1])
    drain(sender)
    assert all(2**n <= pause < 2 ** (n + 1) for n, pause in enumerate(pauses, 1))
    assert house.state(outbox_id) == ("sent", "")
    assert (phone.posts, len(phone.texts), house.row(outbox_id).tries) == (5, 1, 5)


def test_a_pin_is_tried_until_it_expires_and_then_wiped(sqlite_house: House, clock: HandClock) -> None:
    house = sqlite_house
    outbox_id = house.pin(house.phone)
    with closed_port() as port:
        sender = house.worker(settings(sms=f"http://127.0.0.1:{port}"))
        for _ in range(PIN_LIFE + 1):
            drain(sender)
            if house.state(outbox_id)[0] == "failed":
                break
            clock.advance(1)
    row = house.row(outbox_id)
    assert (row.state, row.reason, row.payload) == ("failed", "provider_unreachable", None)
    assert row.tries >= 6
    assert row.updated_at < row.expires_at


def test_a_pin_that_nobody_sent_in_time_expires(house: House, world: Settings, phone: Phone, clock: HandClock) -> None:
    outbox_id = house.pin(house.phone)
    clock.advance(PIN_LIFE)
    drain(house.worker(world))
    row = house.row(outbox_id)
    assert (row.state, row.reason, row.payload) == ("failed", "expired", None)
    assert phone.posts == 0


def test_a_notice_is_tried_for_three_days(sqlite_house: House, mailbox: Mailbox, clock: HandClock) -> None:
    house = sqlite_house
    early, late = house.notice(house.mail), ""
    with closed_port() as port:
        away = house.worker(settings(mail=f"smtp://127.0.0.1:{port}"))
        for step in range(12):
            if step == 1:
                late = house.notice(house.mail)
            drain(away)
            clock.advance(6 * 3600)
        drain(away)
    assert house.state(early)[0] == "failed"
    assert house.row(early).payload is None
    assert house.state(late)[0] == "queued"
    clock.advance(5 * 3600)
    drain(house.worker(settings(mail=mailbox.url)))
    assert house.state(late) == ("sent", "")
    assert [mail.message["Message-ID"] for mail in mailbox.mails] == [house.row(late).message_id]


def test_what_the_operator_must_mend_fails_a_pin_at_once_and_delays_a_notice(
    house: House, world: Settings, phone: Phone, clock: HandClock
) -> None:
    phone.plan(refuse(400, 21606), refuse(400, 21606))
    pin, notice = house.pin(house.phone), house.notice(house.phone)
    with capture_logs() as logs:
        drain(house.worker(world))
    assert house.state(pin) == ("failed", "provider_setup")
    assert house.state(notice) == ("queued", "provider_setup")
    errors = [line for line in logs if line["log_level"] == "error"]
    assert [(line["event"], line["provider_code"], line["operator_must_act"]) for line in errors] == [
        ("message_failed", 21606, True),
        ("message_delayed", 21606, True),
    ]
    clock.advance(3600)
    drain(house.worker(world))
    assert house.state(notice) == ("sent", "")


# ---- what goes wrong for good


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (21211, "bad_number"),
        (21614, "bad_number"),
        (21612, "bad_number"),
        (21635, "bad_number"),
        (21610, "opted_out"),
        (21408, "provider_setup"),
        (21606, "provider_setup"),
        (21608, "provider_setup"),
        (20003, "provider_setup"),
    ],
)
def test_a_refused_pin_fails_at_once_with_its_reason(
    sqlite_house: House, world: Settings, phone: Phone, code: int, reason: str
) -> None:
    phone.plan(refuse(400, code))
    outbox_id = sqlite_house.pin(sqlite_house.phone)
    drain(sqlite_house.worker(world))
    row = sqlite_house.row(outbox_id)
    assert (row.state, row.reason, row.payload, row.tries) == ("failed", reason, None, 1)
    assert phone.posts == 1


def test_an_address_that_the_server_refuses_fails_for_good(house: House, world: Settings, mailbox: Mailbox) -> None:
    mailbox.plan("RCPT", "550 5.1.1 unknown")
    outbox_id = house.notice(house.mail)
    drain(house.worker(world))
    assert house.state(outbox_id) == ("failed", "bad_address")


@pytest.mark.parametrize(
    "answer", [HANG_UP_AFTER, HANG_UP_BEFORE, Answer(500, accepts=False), Answer(503), Answer(201, body=b"nonsense")]
)
@pytest.mark.parametrize("kind", ["pin", "notice"])
def test_an_sms_of_unknown_outcome_is_never_posted_again(
    sqlite_house: House, world: Settings, phone: Phone, clock: HandClock, answer: Answer, kind: str
) -> None:
    phone.plan(answer)
    house = sqlite_house
    outbox_id = house.pin(house.phone) if kind == "pin" else house.notice(house.phone)
    drain(house.worker(world))
    row = house.row(outbox_id)
    assert (row.state, row.payload) == ("unknown", None)
    for _ in range(80):
        clock.advance(3600)
        drain(house.worker(world))
    assert phone.posts == 1
    assert house.state(outbox_id)[0] == "unknown"


def test_an_email_whose_answer_was_lost_goes_again_with_the_same_message_id(
    house: House, world: Settings, mailbox: Mailbox, clock: HandClock
) -> None:
    mailbox.plan("DATA", "drop")
    outbox_id = house.notice(house.mail)
    drain(house.worker(world))
    assert house.state(outbox_id) == ("queued", "provider_unreachable")
    clock.advance(10)
    drain(house.worker(world))
    assert house.state(outbox_id) == ("sent", "")
    assert [mail.message["Message-ID"] for mail in mailbox.mails] == [house.row(outbox_id).message_id] * 2


def test_a_message_that_cannot_be_rendered_fails_alone(house: House, world: Settings, phone: Phone) -> None:
    broken = house.notice(house.phone, variables={"at": house.clock.now()})
    sound = house.pin(house.phone)
    drain(house.worker(world))
    assert house.state(broken) == ("queued", "not_rendered")
    assert house.state(sound)[0] == "sent"


def test_any_error_before_sending_is_certain_to_be_before_sending(
    sqlite_house: House, world: Settings, phone: Phone
) -> None:
    house = sqlite_house
    broken, sound = (
        house.notice(house.phone, variables={"at": 10**20, "address": "203.0.113.7", "undo": "x"}),
        house.pin(house.phone),
    )
    drain(house.worker(world))  # no date is that far off: an error of another kind than the template's
    assert house.state(broken) == ("queued", "not_rendered")
    assert house.state(sound)[0] == "sent"
    assert phone.posts == 1


def test_a_payload_whose_key_is_gone_fails_and_says_so(house: House, world: Settings, phone: Phone) -> None:
    outbox_id = house.pin(house.phone)
    house.keyring = Keyring([MasterKey("third", b"a quite different key of 32 bytes")], house.chance)
    drain(house.worker(world))
    assert house.state(outbox_id) == ("failed", "unreadable")
    assert phone.posts == 0


# ---- what became of it


def test_an_sms_is_followed_until_it_is_delivered(
    house: House, world: Settings, phone: Phone, clock: HandClock
) -> None:
    outbox_id, sender = house.pin(house.phone), house.worker(world)
    drain(sender)
    (sms,) = phone.texts
    for status in ("queued", "accepted", "sending", "sent"):
        phone.tell(sms.sid, status)
        clock.advance(60)
        drain(sender)
        assert house.state(outbox_id) == ("sent", "")
    phone.tell(sms.sid, "delivered")
    clock.advance(60)
    drain(sender)
    assert house.state(outbox_id) == ("delivered", "")
    asked = phone.asked(sms.sid)
    clock.advance(60)
    drain(sender)
    assert phone.asked(sms.sid) == asked == 5


@pytest.mark.parametrize(
    ("code", "reason"), [(30003, "unreachable"), (30004, "blocked"), (30006, "bad_number"), (30007, "filtered")]
)
def test_an_sms_that_fails_later_fails_on_the_page(
    sqlite_house: House, world: Settings, phone: Phone, clock: HandClock, code: int, reason: str
) -> None:
    outbox_id, sender = sqlite_house.pin(sqlite_house.phone), sqlite_house.worker(world)
    drain(sender)
    phone.tell(phone.texts[0].sid, "undelivered", code)
    clock.advance(5)
    drain(sender)
    assert sqlite_house.state(outbox_id) == ("failed", reason)
    phone.tell(phone.texts[0].sid, "delivered")
    clock.advance(60)
    drain(sender)
    assert sqlite_house.state(outbox_id) == ("failed", reason)


def test_the_fate_is_asked_for_during_ten_minutes_and_no_longer(
    sqlite_house: House, world: Settings, phone: Phone, clock: HandClock
) -> None:
    outbox_id, sender = sqlite_house.pin(sqlite_house.phone), sqlite_house.worker(world)
    drain(sender)
    for _ in range(700):
        clock.advance(1)
        drain(sender)
    assert 10 <= phone.asked(phone.texts[0].sid) <= 25
    assert sqlite_house.row(outbox_id).next_at is None
    assert sqlite_house.state(outbox_id) == ("sent", "")


def test_a_fate_that_cannot_be_asked_for_changes_nothing(house: House, clock: HandClock) -> None:
    with Phone() as brief:
        outbox_id = house.pin(house.phone)
        sender = house.worker(settings(sms=brief.base))
        drain(sender)
    clock.advance(60)
    drain(sender)
    assert house.state(outbox_id) == ("sent", "")


# ---- several at once, and slow ones


def test_two_workers_side_by_side_send_each_message_once(
    house: House, world: Settings, phone: Phone, mailbox: Mailbox
) -> None:
    wanted: dict[str, list[str]] = {"sms": [], "email": []}
    for number in range(50):
        pin = f"{number:06d}"
        house.pin(house.phone, pin)
        house.pin(house.mail, f"{number:08d}")
        wanted["sms"].append(pin)
        wanted["email"].append(f"{number:08d}")
    workers = [house.worker(world), house.worker(world)]
    threads = [threading.Thread(target=drain, args=(one,)) for one in workers for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(sms.pin for sms in phone.texts) == wanted["sms"]
    assert sorted(mail.pin for mail in mailbox.mails) == wanted["email"]
    with house.database.read() as looking:
        rows = looking.execute(select(store.outbox.c.state, store.outbox.c.tries, store.outbox.c.payload)).all()
    assert {tuple(row) for row in rows} == {("sent", 1, None)}


def test_no_transaction_is_open_while_the_provider_thinks(house: House, world: Settings, phone: Phone) -> None:
    phone.plan(Answer(delay=4))
    outbox_id = house.pin(house.phone)
    sends = threading.Thread(target=drain, args=(house.worker(world),))
    sends.start()
    try:
        phone.wait(1)
        assert house.state(outbox_id)[0] == "sending"
        house.notice(house.mail)  # on SQLite there is one writer; it must not wait
        if not house.database.is_sqlite:
            with house.database.read() as looking:
                idle = looking.execute(
                    text("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'")
                )
                assert idle.scalar_one() == 0
        assert house.state(outbox_id)[0] == "sending"  # still: all this was possible meanwhile
    finally:
        phone.hurry.set()
        sends.join()
    assert house.state(outbox_id)[0] == "sent"


def test_a_sender_that_was_only_slow_still_says_how_it_ended(
    house: House, world: Settings, phone: Phone, clock: HandClock
) -> None:
    phone.plan(Answer(delay=4))
    outbox_id = house.pin(house.phone)
    sends = threading.Thread(target=drain, args=(house.worker(world),))
    sends.start()
    phone.wait(1)
    clock.advance(rules.LEASE)
    house.worker(world).run_once()
    assert house.state(outbox_id) == ("unknown", "interrupted")
    phone.hurry.set()
    sends.join()
    assert house.state(outbox_id) == ("sent", "")
    assert phone.posts == 1


def test_a_pin_withdrawn_while_its_sender_lies_dead_is_not_sent_again(
    house: House, world: Settings, mailbox: Mailbox, clock: HandClock
) -> None:
    outbox_id = house.pin(house.mail, life=600)
    with house.database.begin() as transaction:
        assert store.claim(transaction, DeliveryChannel.EMAIL, claim_name="dead", now=clock.now())
    assert not house.withdraw(outbox_id)
    clock.advance(rules.LEASE)
    drain(house.worker(world))
    assert house.state(outbox_id) == ("failed", "expired")
    assert mailbox.mails == []


def test_a_claim_belongs_to_one_claimer(house: House, clock: HandClock) -> None:
    outbox_id = house.pin(house.mail, life=600)
    now = clock.now()
    with house.database.begin() as transaction:
        assert store.claim(transaction, DeliveryChannel.EMAIL, claim_name="first", now=now)
        assert store.claim(transaction, DeliveryChannel.EMAIL, claim_name="second", now=now) is None
        assert store.sweep(transaction, now + rules.LEASE) == 1
        assert store.claim(transaction, DeliveryChannel.EMAIL, claim_name="second", now=now + rules.LEASE)
        # the first comes back late: the row is not its own any more
        assert not store.put_back(transaction, outbox_id, claim_name="first", next_at=now, reason="x", now=now)
        assert not store.accept(transaction, outbox_id, claim_name="first", provider_sid="", now=now)
        assert store.accept(transaction, outbox_id, claim_name="second", provider_sid="", now=now)
        assert not store.accept(transaction, outbox_id, claim_name="second", provider_sid="", now=now)


def test_a_running_worker_sends_at_once_and_stops_when_told(house: House, world: Settings, phone: Phone) -> None:
    with working(house, world):
        outbox_id = house.pin(house.phone)
        began = time.monotonic()
        phone.wait(1)
        assert time.monotonic() - began < 15  # it looks three times a second
        until(lambda: house.state(outbox_id)[0] == "sent")


def test_a_mail_server_that_hangs_does_not_hold_up_sms(
    sqlite_house: House, world: Settings, phone: Phone, mailbox: Mailbox
) -> None:
    house = sqlite_house
    mailbox.hold.clear()
    mailbox.plan("DATA", *["hold"] * 5)
    mails = [house.notice(house.mail) for _ in range(5)]
    with working(house, world):
        mailbox.wait(2)
        house.pin(house.phone)
        phone.wait(1, seconds=9)  # after ten the mail server would be left, and SMS sent all the same
        assert {house.state(mail)[0] for mail in mails} == {"queued", "sending"}
        mailbox.hold.set()
        until(lambda: {house.state(mail)[0] for mail in mails} == {"sent"})


def test_a_worker_outlives_a_database_that_is_away(
    tmp_path: Path, keyring: Keyring, chance: SeededChance, clock: HandClock, world: Settings
) -> None:
    nowhere = Database(f"sqlite:///{tmp_path / 'no' / 'such' / 'folder.sqlite'}")
    stop = threading.Event()
    runs = threading.Thread(target=worker(nowhere, keyring, chance, clock, world).run, args=(stop,))
    with capture_logs() as logs:
        runs.start()
        until(lambda: len(logs) >= 5)
        assert runs.is_alive()
        stop.set()
        runs.join(10)
    nowhere.close()
    assert not runs.is_alive()
    assert {line["event"] for line in logs} == {"delivery_store_away"}


# ---- what is left behind


@pytest.mark.parametrize("kind", ["phone", "mail"])
def test_after_sending_the_payload_is_gone_from_the_file_and_the_pin_was_never_in_it(
    sqlite_house: House, world: Settings, phone: Phone, mailbox: Mailbox, tmp_path: Path, kind: str
) -> None:
    house = sqlite_house
    contact: Contact = getattr(house, kind)
    pins = [f"{7_310_942 + n:08d}" for n in range(20)]
    sealed = [house.row(house.pin(contact, pin, life=600)).payload.encode() for pin in pins]

    def on_disk() -> bytes:
        return b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())

    before = on_disk()
    assert all(one in before for one in sealed)
    assert not any(pin.encode() in before for pin in pins)
    drain(house.worker(world))
    assert not any(pin.encode() in on_disk() for pin in pins)
    with house.database.engine.connect().execution_options(looking=True) as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    after = on_disk()
    assert [one for one in sealed if one in after or one[20:60] in after] == []
    assert len(phone.texts) + len(mailbox.mails) == len(pins)


def test_no_log_line_holds_a_pin_a_number_or_an_address(
    sqlite_house: House,
    world: Settings,
    phone: Phone,
    mailbox: Mailbox,
    clock: HandClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    house, pin = sqlite_house, "73109424"
    phone.plan(*[refuse(400, code) for code in (21211, 21610, 21606, 20429)], Answer(500), HANG_UP_AFTER, Answer())
    mailbox.plan("RCPT", f"550 5.1.1 <{ADDRESS}> unknown", f"450 4.2.1 <{ADDRESS}> later")
    mailbox.plan("DATA", "554 5.7.1 spam", "drop")
    with capture_logs() as logs, caplog.at_level("DEBUG"):
        for _ in range(8):
            house.pin(house.phone, pin)
            house.pin(house.mail, pin, life=600)
        house.notice(house.phone, variables={"at": NUMBER, "address": ADDRESS, "undo": "x"})
        for _ in range(40):
            drain(house.worker(world))
            for sms in phone.texts:
                phone.tell(sms.sid, "undelivered", 30003)
            clock.advance(20)
    said = "\n".join(
        [*map(str, logs), *(record.getMessage() for record in caplog.records if record.name[:4] != "mail")]
    )
    events = {line["event"] for line in logs}
    assert {"message_sent", "message_failed", "message_delayed", "message_unknown"} <= events
    for secret in (pin, NUMBER, NUMBER[1:], ADDRESS, "jane", "Jane"):
        assert secret not in said


def test_a_message_shows_nothing_of_itself(house: House, clock: HandClock) -> None:
    house.pin(house.phone, "482913")
    with house.database.begin() as transaction:
        entry = store.claim(transaction, DeliveryChannel.SMS, claim_name="c", now=clock.now())
    assert entry is not None
    assert entry.payload
    assert entry.payload not in repr(entry)
    found = worker(house.database, house.keyring, house.chance, clock, settings())._lookup
    with house.database.read() as looking:
        destination = found(looking, house.phone.id)
    assert destination is not None
    message = house.worker(settings())._message(entry, destination)
    assert message.text.endswith("#482913")
    assert "482913" not in repr(message)
    assert NUMBER not in repr(message) + repr(destination)


def test_channels_of_people_and_of_the_outbox_have_the_same_words() -> None:
    assert [(one.name, one.value) for one in Channel] == [(one.name, one.value) for one in DeliveryChannel]
