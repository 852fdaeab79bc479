"""What SMS may cost: countries, budgets that no race overruns, shares of PINs that are typed, notices' own reserve."""

import threading
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select
from structlog.testing import capture_logs

from app.foundation.refusals import Code, Throttled, Wrong
from app.foundation.sql import Transaction
from app.records.delivery import rules, store
from app.records.delivery.channels import build
from app.records.delivery.channels.letters import Letters
from app.records.delivery.channels.sms_twilio import millionths
from app.records.delivery.model import Caps, Channel, Entry, Held, Purpose, Tally
from app.records.delivery.service import Prices, SmsGuard, SmsGuardMeans
from app.records.delivery.worker import Worker
from tests.records.delivery.parts import NUMBER, PIN_LIFE, House, drain, lookup

DAY = 86_400
HOUR = 3_600
WIDE = Caps(per_day=1_000, per_organization=1_000, per_prefix=1_000, notices_per_day=1_000, floor=20, sample=1_000)
EUROPE = frozenset({"DE", "AT", "GB"})


def hold(transaction: Transaction) -> None:
    """What wiring gives the guard: one row that is held."""
    from app.records.attempts.store import lock_text

    lock_text(transaction, "installation", "messages")


def guard(house: House, caps: Caps = WIDE, *, countries: Any = EUROPE, own: Any = None) -> SmsGuard:
    return SmsGuard(
        SmsGuardMeans(
            keyring=house.keyring,
            countries=countries,
            caps=caps,
            prices=Prices("USD", 80_000, {"AT": 100_000}),
            hold=hold,
            home=lambda _transaction, person_id: "o" if person_id else None,
            countries_of=lambda _transaction, _person_id, _now: own,
        )
    )


def send(house: House, by: SmsGuard, number: str = NUMBER) -> str:
    """Count a PIN and queue it, in one transaction; the outbox id."""
    now = house.clock.now()
    with house.database.begin() as transaction:
        fare = by.spend(transaction, house.jane.id, number, now)
        return house.outbox.enqueue(
            transaction,
            contact=house.phone,
            template="pin",
            variables={"pin": "482913", "minutes": 5},
            language="en",
            purpose=Purpose.PIN,
            now=now,
            expires_at=now + PIN_LIFE,
            fare=fare,
        )


def left(house: House, outbox_id: str) -> None:
    """The provider took it over."""
    with house.database.begin() as transaction:
        claim = store.claim(transaction, Channel.SMS, claim_name=outbox_id, now=house.clock.now())
        assert claim is not None
        assert claim.id == outbox_id
        store.accept(transaction, outbox_id, claim_name=outbox_id, provider_sid="", now=house.clock.now())


def typed(house: House, outbox_id: str) -> None:
    with house.database.begin() as transaction:
        house.outbox.verified(transaction, outbox_id, house.clock.now())


def counted(house: House) -> int:
    """How many SMS are counted in the table."""
    with house.database.read() as looking:
        found = looking.execute(select(func.count()).where(store.outbox.c.spent_at.is_not(None)))
        return int(found.scalar_one())


def refused(house: House, by: SmsGuard, number: str = NUMBER) -> Code:
    with pytest.raises((Throttled, Wrong)) as refusal:
        send(house, by, number)
    return refusal.value.code


# ---- countries


@pytest.mark.parametrize(
    ("number", "country"),
    [
        ("+4915112345678", "DE"),
        ("+436641234567", "AT"),
        ("+14158675309", "US"),
        ("+18095550111", "DO"),
        ("+18765550111", "JM"),
        ("+77011234567", "KZ"),
        ("+79161234567", "RU"),
        ("+447700900123", "GB"),  # kept for films; its range is nobody's
        ("+447911123456", "GG"),
        ("+19005551234", ""),  # costs extra
        ("+881612345678", ""),  # a satellite
        ("+8821234567890", ""),
        ("+97912345678", ""),
        ("+9991234567", ""),  # no such code
        ("", ""),
    ],
)
def test_a_number_says_its_country_or_that_it_has_none(number, country):
    assert rules.country_of(number) == country


def test_a_country_that_is_not_listed_gets_no_sms(sqlite_house):
    for number in ("+79161234567", "+18095550111", "+881612345678", "+19005551234"):
        assert refused(sqlite_house, guard(sqlite_house), number) is Code.SMS_COUNTRY
    assert counted(sqlite_house) == 0
    send(sqlite_house, guard(sqlite_house), "+436641234567")
    assert counted(sqlite_house) == 1


def test_everywhere_still_leaves_out_what_costs_extra(sqlite_house):
    everywhere = guard(sqlite_house, countries=None)
    send(sqlite_house, everywhere, "+79161234567")
    assert refused(sqlite_house, everywhere, "+881612345678") is Code.SMS_COUNTRY
    assert refused(sqlite_house, everywhere, "+19005551234") is Code.SMS_COUNTRY


def test_an_organization_names_fewer_countries_and_never_more(sqlite_house):
    own = guard(sqlite_house, own=frozenset({"AT", "RU"}))
    assert refused(sqlite_house, own, "+4915112345678") is Code.SMS_COUNTRY
    assert refused(sqlite_house, own, "+79161234567") is Code.SMS_COUNTRY
    send(sqlite_house, own, "+436641234567")
    assert refused(sqlite_house, guard(sqlite_house, own=frozenset()), "+436641234567") is Code.SMS_COUNTRY


# ---- budgets


@pytest.mark.parametrize(
    ("caps", "reason"),
    [
        (replace(WIDE, per_day=7), "day"),
        (replace(WIDE, per_organization=7), "organization"),
        (replace(WIDE, per_prefix=7), "prefix"),
    ],
    ids=["day", "organization", "prefix"],
)
def test_of_many_at_once_no_budget_lets_one_more_through(house, caps, reason):
    by = guard(house, caps)
    outcomes: list[str] = []
    ready = threading.Barrier(24)

    def one(number: int) -> None:
        ready.wait()
        try:
            send(house, by, f"+49151123456{number:02d}")
            outcomes.append("sent")
        except Throttled as throttled:
            outcomes.append(throttled.code.value)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(24)]
    with capture_logs() as logs:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(outcomes) == ["sent"] * 7 + ["sms_rests"] * 17
    assert counted(house) == 7
    assert {log["reason"] for log in logs if log["event"] == "sms_refused"} == {reason}


def test_a_prefix_is_the_number_without_its_last_four_digits(sqlite_house):
    by = guard(sqlite_house, replace(WIDE, per_prefix=1))
    send(sqlite_house, by, "+4915112340000")
    assert refused(sqlite_house, by, "+4915112349999") is Code.SMS_RESTS
    send(sqlite_house, by, "+4915112350000")


def test_the_day_slides(sqlite_house):
    by = guard(sqlite_house, replace(WIDE, per_day=2))
    send(sqlite_house, by)
    sqlite_house.clock.advance(HOUR)
    send(sqlite_house, by)
    sqlite_house.clock.advance(DAY - HOUR - 1)
    assert refused(sqlite_house, by) is Code.SMS_RESTS
    sqlite_house.clock.advance(1)
    send(sqlite_house, by)
    assert refused(sqlite_house, by) is Code.SMS_RESTS


def test_the_operator_is_told_at_80_and_at_100_percent_once_each_with_the_money(sqlite_house):
    by = guard(sqlite_house, replace(WIDE, per_day=10))
    with capture_logs() as logs:
        for _ in range(10):
            send(sqlite_house, by, "+436641234567")
    told = [(log["event"], log["log_level"], log["used"], log["cost_of_day"]) for log in logs]
    assert told == [
        ("sms_budget_nearly_used_up", "warning", 8, "0.80 USD"),
        ("sms_budget_used_up", "error", 10, "1.00 USD"),
    ]


@pytest.mark.parametrize(("most", "marks"), [(1, {1: 100}), (2, {2: 100}), (3, {3: 100}), (6, {5: 80, 6: 100})])
def test_marks_of_small_budgets(most, marks):
    assert {
        used: rules.mark_passed(used, most) for used in range(1, most + 1) if rules.mark_passed(used, most)
    } == marks


# ---- sent against typed


@pytest.mark.parametrize(
    ("ripe", "verified", "name"),
    [(19, 0, ""), (20, 0, "country"), (20, 3, "country"), (20, 4, ""), (200, 39, "country"), (200, 40, "")],
)
def test_a_share_below_the_floor_counts_from_a_sample_on(ripe, verified, name):
    caps = replace(WIDE, floor=20, sample=20)
    assert rules.unverified(Tally(0, 0, 0, 0, ripe, verified, 0, 0), caps) == name
    assert rules.unverified(Tally(0, 0, 0, 0, 0, 0, ripe, verified), caps) == name.replace("country", "prefix")
    assert rules.unverified(Tally(0, 0, 0, 0, ripe, verified, 0, 0), replace(caps, floor=0)) == ""


def test_where_few_pins_are_typed_no_more_go_to_that_prefix_and_country(house):
    by = guard(house, replace(WIDE, floor=20, sample=5))
    for number in range(5):
        left(house, send(house, by, f"+49151123{number}0000"))
    house.clock.advance(rules.RIPE_AFTER)
    assert refused(house, by, "+4917099999999") is Code.SMS_RESTS
    send(house, by, "+436641234567")  # another country does as well as ever
    house.clock.advance(DAY - rules.RIPE_AFTER)
    send(house, by, "+4917099999999")


def test_pins_that_may_yet_be_typed_are_held_against_nobody(house):
    by = guard(house, replace(WIDE, floor=20, sample=5))
    for _ in range(9):
        left(house, send(house, by))
    house.clock.advance(rules.RIPE_AFTER - 1)
    send(house, by)
    house.clock.advance(1)
    assert refused(house, by) is Code.SMS_RESTS


def test_typed_pins_keep_a_country_open(house):
    by = guard(house, replace(WIDE, floor=20, sample=5))
    sent = [send(house, by) for _ in range(10)]
    for outbox_id in sent:
        left(house, outbox_id)
    for outbox_id in sent[:2]:
        typed(house, outbox_id)
    house.clock.advance(rules.RIPE_AFTER)
    send(house, by)


def test_what_never_left_says_nothing_of_whoever_would_have_typed_it(sqlite_house):
    by = guard(sqlite_house, replace(WIDE, floor=20, sample=5))
    for _ in range(9):
        send(sqlite_house, by)
    sqlite_house.clock.advance(rules.RIPE_AFTER)
    send(sqlite_house, by)


# ---- as they leave


def worker(house: House, world: Any, caps: Caps, *, own: Any = None, countries: Any = EUROPE) -> Worker:
    return Worker(
        house.database,
        house.keyring,
        house.chance,
        house.clock,
        channels=build(world, house.clock),
        letters=Letters(world),
        lookup=lookup,
        gate=guard(house, caps, own=own, countries=countries).gate,
        currency="USD",
    )


def test_no_budget_of_pins_silences_a_notice(sqlite_house, world, phone, mailbox):
    caps = replace(WIDE, per_day=1)
    by = guard(sqlite_house, caps)
    send(sqlite_house, by)
    assert refused(sqlite_house, by) is Code.SMS_RESTS
    notice = sqlite_house.notice(sqlite_house.phone)
    drain(worker(sqlite_house, world, caps))
    assert len(phone.texts) == 2
    row = sqlite_house.row(notice)
    assert (row.state, row.country, row.price, row.organization_id) == ("sent", "DE", 80_000, "o")


def test_notices_have_a_reserve_and_wait_where_it_is_used_up_while_those_by_email_leave(
    sqlite_house, world, phone, mailbox
):
    sms = [sqlite_house.notice(sqlite_house.phone) for _ in range(5)]
    mails = [sqlite_house.notice(sqlite_house.mail) for _ in range(5)]
    one = worker(sqlite_house, world, replace(WIDE, notices_per_day=2))
    drain(one)
    assert len(phone.texts) == 2
    assert len(mailbox.mails) == 5
    assert {sqlite_house.state(mail)[0] for mail in mails} == {"sent"}
    assert sorted(sqlite_house.state(notice) for notice in sms) == [
        ("queued", "sms_day"),
        ("queued", "sms_day"),
        ("queued", "sms_day"),
        ("sent", ""),
        ("sent", ""),
    ]
    for _ in range(25):  # hours
        sqlite_house.clock.advance(HOUR)
        drain(one)
    assert len(phone.texts) == 4
    for _ in range(24):
        sqlite_house.clock.advance(HOUR)
        drain(one)
    assert len(phone.texts) == 5


def test_several_workers_at_once_let_no_notice_more_through(house, world, phone, mailbox):
    for _ in range(12):
        house.notice(house.phone)
    caps = replace(WIDE, notices_per_day=5)
    workers = [threading.Thread(target=drain, args=(worker(house, world, caps),)) for _ in range(4)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    assert len(phone.texts) == counted(house) == 5


def test_of_many_claims_at_once_the_reserve_lets_no_notice_more_through(house):
    """The same without a provider in between, so that they do meet."""
    for _ in range(16):
        house.notice(house.phone)
    gate, now, ready = guard(house, replace(WIDE, notices_per_day=5)).gate, house.clock.now(), threading.Barrier(16)
    through: list[bool] = []

    def one(number: int) -> None:
        ready.wait()
        with house.database.begin() as transaction:
            entry = store.claim(transaction, Channel.SMS, claim_name=f"claim{number}", now=now)
            destination = lookup(transaction, entry.contact_id) if entry else None
            if entry and destination:
                through.append(gate(transaction, entry, destination, now) is None)

    claims = [threading.Thread(target=one, args=(number,)) for number in range(16)]
    for claim in claims:
        claim.start()
    for claim in claims:
        claim.join()
    assert through.count(True) == counted(house) == 5
    assert len(through) > 5


def test_a_notice_to_a_country_that_gets_no_sms_fails_and_the_email_leaves(sqlite_house, world, phone, mailbox):
    notice, mail = sqlite_house.notice(sqlite_house.phone), sqlite_house.notice(sqlite_house.mail)
    drain(worker(sqlite_house, world, WIDE, own=frozenset({"AT"})))
    assert sqlite_house.state(notice) == ("failed", "sms_country")
    assert sqlite_house.state(mail)[0] == "sent"
    assert phone.posts == 0


def test_a_pin_that_nobody_counted_is_counted_when_it_leaves(sqlite_house, world, phone, mailbox):
    first, second = sqlite_house.pin(sqlite_house.phone), sqlite_house.pin(sqlite_house.phone)
    drain(worker(sqlite_house, world, replace(WIDE, per_day=1)))
    assert len(phone.texts) == 1
    assert {sqlite_house.state(one) for one in (first, second)} == {("sent", ""), ("failed", "sms_day")}


def test_a_message_is_counted_once_however_often_it_is_tried(sqlite_house, world, phone, mailbox):
    from tests.edges import refuse

    notice = sqlite_house.notice(sqlite_house.phone)
    gate = guard(sqlite_house)
    judged: list[str] = []

    def watched(transaction: Any, entry: Entry, destination: Any, now: int) -> Held | None:
        judged.append(entry.id)
        return gate.gate(transaction, entry, destination, now)

    one = worker(sqlite_house, world, WIDE)
    one._gate = watched
    phone.plan(refuse(429, 20429))
    drain(one)
    sqlite_house.clock.advance(60)
    drain(one)
    assert sqlite_house.state(notice) == ("sent", "")
    assert judged == [notice]


# ---- money


@pytest.mark.parametrize(
    ("told", "price"),
    [("-0.00750", 7_500), ("0.1", 100_000), (None, None), ("", None), ("NaN", None), ("-1e99", None), ("x", None)],
)
def test_the_price_as_the_provider_writes_it(told, price):
    assert millionths(told) == price


@pytest.mark.parametrize(("unit", "price"), [("USD", 7_500), ("usd", 7_500), ("EUR", 80_000), (None, 80_000)])
def test_what_the_provider_says_replaces_the_estimate_in_the_same_currency(
    sqlite_house, world, phone, mailbox, unit, price
):
    outbox_id = send(sqlite_house, guard(sqlite_house))
    one = worker(sqlite_house, world, WIDE)
    drain(one)
    assert sqlite_house.row(outbox_id).price == 80_000
    phone.tell(phone.texts[0].sid, "delivered", price="-0.00750", unit=unit)
    sqlite_house.clock.advance(10)
    drain(one)
    row = sqlite_house.row(outbox_id)
    assert (row.state, row.price) == ("delivered", price)


def test_no_row_holds_the_number_or_a_part_of_it(sqlite_house):
    row = sqlite_house.row(send(sqlite_house, guard(sqlite_house)))
    assert not [value for value in row if isinstance(value, str) and NUMBER[3:-4] in value]
