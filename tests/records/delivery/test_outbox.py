"""What is written into the outbox, and what can be taken back."""

import json

import pytest
from sqlalchemy import func, select

from app.foundation.secretbox import Unreadable
from app.foundation.sql import Transaction
from app.records.delivery import store
from app.records.delivery.model import Purpose, State
from app.records.delivery.rules import NOTICE_LIFE
from app.records.people.model import Channel
from tests.hands import HandClock
from tests.records.delivery.parts import ADDRESS, NUMBER, House


def test_a_message_is_queued_with_its_variables_sealed_to_its_own_row(house: House) -> None:
    outbox_id, other = house.pin(house.phone, "482913"), house.pin(house.phone, "114477")
    row = house.row(outbox_id)
    assert (row.state, row.tries, row.reason, row.channel, row.purpose) == ("queued", 0, "", "sms", "pin")
    assert json.loads(house.keyring.open("outbox", row.payload, bound_to=f"outbox:{outbox_id}")) == {
        "pin": "482913",
        "minutes": 5,
    }
    with pytest.raises(Unreadable):
        house.keyring.open("outbox", house.row(other).payload, bound_to=f"outbox:{outbox_id}")


def test_neither_pin_nor_destination_stands_in_the_row(house: House) -> None:
    for contact in (house.phone, house.mail):
        row = str(house.row(house.pin(contact, "482913")))
        assert "482913" not in row
        assert NUMBER not in row
        assert ADDRESS not in row


def test_a_message_that_is_rolled_back_was_never_queued(house: House) -> None:
    def change(transaction: Transaction) -> None:
        variables = {"at": house.clock.now()}
        house.outbox.notify(
            transaction,
            contacts=[house.mail],
            template="test",
            variables=variables,
            language="en",
            now=house.clock.now(),
        )
        raise ZeroDivisionError

    def attempt() -> None:
        with house.database.begin() as transaction:
            change(transaction)

    with pytest.raises(ZeroDivisionError):
        attempt()
    with house.database.read() as looking:
        assert looking.execute(select(func.count()).select_from(store.outbox)).scalar_one() == 0


def test_an_email_has_its_message_id_from_the_start_and_an_sms_none(house: House) -> None:
    outbox_id = house.pin(house.mail)
    assert house.row(outbox_id).message_id == f"<{outbox_id}@keyturn.example.org>"
    assert not house.row(house.pin(house.phone)).message_id


def test_a_pin_must_expire_and_a_notice_is_tried_for_three_days(house: House) -> None:
    assert house.row(house.notice(house.mail)).expires_at == house.clock.now() + NOTICE_LIFE
    with pytest.raises(ValueError, match="expires"), house.database.begin() as transaction:
        house.outbox.enqueue(
            transaction, contact=house.phone, template="pin", variables={}, language="en", purpose=Purpose.PIN, now=1
        )


def test_a_template_that_does_not_exist_is_a_defect_of_the_caller(house: House) -> None:
    with pytest.raises(ValueError, match="no template"):
        house.notice(house.mail, "nothing")


def test_every_confirmed_contact_past_its_waiting_time_is_told(house: House, clock: HandClock) -> None:
    second = house.contact(Channel.EMAIL, "second@example.org")
    new = house.contact(Channel.EMAIL, "new@example.org", usable_from=clock.now() + 1)
    unconfirmed = house.contact(Channel.SMS, "+15005550006", confirmed_at=None)
    removed = house.contact(Channel.EMAIL, "old@example.org", removed_at=clock.now())
    with house.database.begin() as transaction:
        told = house.outbox.notify(
            transaction,
            contacts=[house.phone, house.mail, second, new, unconfirmed, removed],
            template="test",
            variables={"at": clock.now()},
            language="en",
            now=clock.now(),
        )
    assert told == (house.phone, house.mail, second, removed)
    with house.database.read() as looking:
        rows = looking.execute(select(store.outbox.c.contact_id, store.outbox.c.purpose)).all()
    assert {tuple(row) for row in rows} == {(contact.id, "notice") for contact in told}


def test_a_voided_pin_that_is_still_queued_is_taken_back_and_wiped(house: House) -> None:
    outbox_id = house.pin(house.phone)
    assert house.withdraw(outbox_id)
    row = house.row(outbox_id)
    assert (row.state, row.reason, row.payload) == ("failed", "withdrawn", None)
    assert not house.withdraw(outbox_id)


def test_messages_are_counted_over_all_people_and_channels(house: House, clock: HandClock) -> None:
    def counted() -> int:
        with house.database.read() as looking:
            return house.outbox.sent_within(looking, 3600, clock.now())

    assert counted() == 0
    house.pin(house.phone)
    clock.advance(1800)
    house.notice(house.mail)
    assert counted() == 2
    clock.advance(1800)
    assert counted() == 1
    clock.advance(1800)
    assert counted() == 0


def test_the_count_uses_its_index(sqlite_house: House) -> None:
    with sqlite_house.database.read() as looking:
        plan = looking.exec_driver_sql("EXPLAIN QUERY PLAN SELECT count(*) FROM outbox WHERE created_at > 1").all()
        due = looking.exec_driver_sql(
            "EXPLAIN QUERY PLAN SELECT id FROM outbox WHERE state = 'queued' AND channel = 'sms' AND purpose = 'pin' "
            "AND next_at <= 1 AND expires_at > 1 ORDER BY next_at LIMIT 1"
        ).all()
    assert "ix_outbox_created_at" in str(plan)
    assert "ix_outbox_due" in str(due)
    assert "TEMP B-TREE" not in str(due)


def test_the_state_of_a_message_that_is_not_there_is_unknown(house: House) -> None:
    outbox_id = house.pin(house.phone)
    with house.database.read() as looking:
        assert house.outbox.state(looking, outbox_id) is State.QUEUED
        assert house.outbox.reason(looking, outbox_id) == ""
        assert house.outbox.state(looking, "0" * 32) is State.UNKNOWN
