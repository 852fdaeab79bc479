"""What is counted by the hour: what was written down in the audit log and in the outbox, of one organization."""

from collections import Counter
from typing import Any

from sqlalchemy import and_, case, func, or_, select

from app.foundation.sql import Transaction
from app.records.audit.model import Event
from app.records.audit.store import events
from app.records.delivery.model import Channel, Purpose, State
from app.records.delivery.store import outbox
from app.records.figures.model import HOUR, Count, Figure

_SUCCESS, _FAILURE = "success", "failure"
_IN_RECOVERY = '%"journey": "recovery"%'  # in the details, as they are written
_FIRST_PROOFS = (Event.APP_OK.value, Event.CODE_OK.value, Event.ACCESS_CODE_OK.value)
_ENDS = (Event.PASSWORD_CHANGED.value, Event.UNLOCKED.value)
_FAILURES: dict[tuple[Event, str], Figure] = {
    (Event.SIGN_IN_FAIL, ""): Figure.WRONG_PASSWORD,
    (Event.APP_FAIL, ""): Figure.WRONG_APP_CODE,
    (Event.APP_FAIL, "clock_off"): Figure.CLOCK_OFF,
    (Event.APP_REUSE, ""): Figure.APP_CODE_USED,
    (Event.CODE_FAIL, ""): Figure.WRONG_SAVED_CODE,
    (Event.CODE_REUSE, ""): Figure.WRONG_SAVED_CODE,
    (Event.ACCESS_CODE_FAIL, ""): Figure.WRONG_SAVED_CODE,
    (Event.PIN_FAIL, ""): Figure.WRONG_PIN,
    (Event.PIN_FAIL, "expired"): Figure.PIN_EXPIRED,
    (Event.PIN_NOT_SENT, ""): Figure.PIN_NOT_SENT,
    (Event.PASSWORD_REFUSED, ""): Figure.PASSWORD_REFUSED,
    (Event.THROTTLED, ""): Figure.HELD_BACK,
}
_FAILED = tuple({event.value for event, _ in _FAILURES})
_OUTCOMES: dict[tuple[str, str], Figure] = {
    (Channel.SMS, State.DELIVERED): Figure.SMS_DELIVERED,
    (Channel.SMS, State.SENT): Figure.SMS_SENT,
    (Channel.SMS, State.UNKNOWN): Figure.SMS_UNKNOWN,
    (Channel.SMS, State.FAILED): Figure.SMS_FAILED,
    (Channel.EMAIL, State.DELIVERED): Figure.EMAIL_SENT,
    (Channel.EMAIL, State.SENT): Figure.EMAIL_SENT,
    (Channel.EMAIL, State.UNKNOWN): Figure.EMAIL_UNKNOWN,
    (Channel.EMAIL, State.FAILED): Figure.EMAIL_FAILED,
}
_WAITING = {Channel.SMS.value: Figure.SMS_WAITING, Channel.EMAIL.value: Figure.EMAIL_WAITING}


def happened(looking: Transaction, organization_id: str, since: int, until: int) -> tuple[Count, ...]:
    """Recoveries and failures from one moment to another, by the hour."""
    at = (events.c.at // HOUR * HOUR).label("hour")
    recovering = case((and_(events.c.event.in_(_FIRST_PROOFS), events.c.details.like(_IN_RECOVERY)), 1), else_=0)
    kinds = (
        and_(events.c.outcome == _FAILURE, events.c.event.in_(_FAILED)),
        and_(events.c.outcome == _SUCCESS, events.c.event.in_(_FIRST_PROOFS)),
        and_(events.c.outcome == _SUCCESS, events.c.event.in_(_ENDS), events.c.reason == "recovery"),
    )
    named = (events.c.event, events.c.outcome, events.c.reason)
    found = (
        select(at, *named, recovering.label("begun"), func.count().label("counted"))
        .where(events.c.organization_id == organization_id, events.c.at >= since, events.c.at < until, or_(*kinds))
        .group_by("hour", *named, "begun")
    )
    counts: Counter[tuple[int, Figure]] = Counter()
    for row in looking.execute(found):
        figure = _figure(row)
        if figure is not None:
            counts[int(row.hour), figure] += int(row.counted)
    return tuple(Count(hour, figure, count) for (hour, figure), count in counts.items())


def _figure(row: Any) -> Figure | None:
    if row.outcome == _FAILURE:
        event = Event(row.event)
        return _FAILURES.get((event, row.reason)) or _FAILURES[event, ""]
    if row.event in _ENDS:
        return Figure.FINISHED
    return Figure.BEGUN if row.begun else None


def messages(looking: Transaction, organization_id: str, since: int, until: int) -> tuple[Count, ...]:
    """Messages by when they were queued, and what SMS took, by the hour."""
    at = (outbox.c.created_at // HOUR * HOUR).label("hour")
    named = (outbox.c.channel, outbox.c.purpose, outbox.c.state)
    found = (
        select(
            at,
            *named,
            func.count().label("counted"),
            func.count(outbox.c.spent_at).label("spent"),
            func.count(outbox.c.verified_at).label("typed"),
            func.coalesce(func.sum(outbox.c.price), 0).label("cost"),
        )
        .where(outbox.c.organization_id == organization_id, outbox.c.created_at >= since, outbox.c.created_at < until)
        .group_by("hour", *named)
    )
    counts: Counter[tuple[int, Figure]] = Counter()
    costs: Counter[tuple[int, Figure]] = Counter()
    for row in looking.execute(found):
        hour = int(row.hour)
        counts[hour, _OUTCOMES.get((row.channel, row.state), _WAITING[row.channel])] += int(row.counted)
        if row.channel == Channel.SMS:
            kind = Figure.SMS_PINS if row.purpose == Purpose.PIN else Figure.SMS_NOTICES
            counts[hour, kind] += int(row.spent)
            costs[hour, kind] += int(row.cost)
            counts[hour, Figure.SMS_TYPED] += int(row.typed)
    return tuple(Count(hour, name, count, costs[hour, name]) for (hour, name), count in counts.items() if count)
