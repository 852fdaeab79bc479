"""The outbox's table. Every change of state is one conditional write, and its row count is believed."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    and_,
    bindparam,
    case,
    column,
    delete,
    func,
    insert,
    or_,
    select,
    table,
    update,
)

from app.foundation.sql import Prepared, Transaction, metadata
from app.records.delivery import rules
from app.records.delivery.model import BY_ITSELF, Channel, Entry, Fare, Followed, Purpose, State, Tally

outbox = Table(
    "outbox",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("channel", String(8), nullable=False),
    Column("purpose", String(8), nullable=False),
    Column("person_id", Integer, ForeignKey("people.id"), nullable=False),
    Column("contact_id", String(32), ForeignKey("contacts.id"), nullable=False),
    Column("template", String(64), nullable=False),
    Column("language", String(8), nullable=False),
    Column("payload", Text),  # sealed variables; NULL as soon as they are not needed any more
    Column("state", String(16), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("next_at", BigInteger),  # queued: not before; sent: when to ask for its fate; else NULL
    Column("claimed_until", BigInteger),
    Column("claimed_by", String(32)),  # the name of the one claim, not of a worker
    Column("expires_at", BigInteger, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("sent_at", BigInteger),
    Column("provider_sid", String(64)),
    Column("reason", String(32), nullable=False, server_default=""),
    Column("updated_at", BigInteger, nullable=False),
    Column("organization_id", String(36), ForeignKey("organizations.id")),
    # of an SMS: when it was counted, and as what; digests, because no row here holds an address
    Column("spent_at", BigInteger),
    Column("country", String(2)),
    Column("number_prefix", String(32)),
    Column("price", BigInteger),
    Column("verified_at", BigInteger),  # when its PIN was typed
    Index("ix_outbox_due", "state", "channel", "purpose", "next_at"),
    Index("ix_outbox_created_at", "created_at"),
)
# a message has no such name before it is handed over, so that queuing one writes to no more indexes than it must: what
# is queued for somebody known, and for nobody not, is told by the time that it takes (security rule 14)
Index(
    "ix_outbox_provider_sid",
    outbox.c.provider_sid,
    sqlite_where=outbox.c.provider_sid.is_not(None),
    postgresql_where=outbox.c.provider_sid.is_not(None),
)
# all that a budget and a share are counted from, so that a day is counted without a look at any row
Index(
    "ix_outbox_spent",
    *(outbox.c[name] for name in ("spent_at", "purpose", "country", "organization_id", "number_prefix")),
    *(outbox.c[name] for name in ("sent_at", "verified_at", "price")),
    sqlite_where=outbox.c.spent_at.is_not(None),
    postgresql_where=outbox.c.spent_at.is_not(None),
)

_GIVEN = (
    "id",
    "channel",
    "purpose",
    "person_id",
    "contact_id",
    "template",
    "language",
    "payload",
    "state",
    "tries",
    "created_at",
    "next_at",
    "expires_at",
    "message_id",
    "reason",
    "updated_at",
    "organization_id",
    "spent_at",
    "country",
    "number_prefix",
    "price",
)
_ROW: dict[str, Any] = {name: bindparam(name, type_=outbox.c[name].type) for name in _GIVEN}
# of the table of people, which is another room's, as much as an INSERT here needs
_people = table("people", column("id", Integer), column("home_organization", String))
_HOME = select(_people.c.home_organization).where(_people.c.id == _ROW["person_id"]).scalar_subquery()
_ROW["organization_id"] = func.coalesce(_ROW["organization_id"], _HOME)
_ADD = Prepared(insert(outbox).values(_ROW))
_ADD_IF = Prepared(
    insert(outbox).from_select(
        _GIVEN, select(*(_ROW[name] for name in _GIVEN)).where(bindparam("wanted", type_=Integer) == 1)
    )
)
_STATE = Prepared(select(outbox.c.state, outbox.c.reason).where(outbox.c.id == bindparam("outbox_id")))
_SINCE = Prepared(
    select(func.count().label("messages"))
    .select_from(outbox)
    .where(outbox.c.created_at > bindparam("since"), *(outbox.c.template != name for name in BY_ITSELF))
)


def _sum(*conditions: Any) -> Any:
    return func.coalesce(func.sum(case((and_(*conditions), 1), else_=0)), 0)


_OF_COUNTRY = outbox.c.country == bindparam("of_country")
_OF_PREFIX = outbox.c.number_prefix == bindparam("of_prefix")
_TYPED = outbox.c.verified_at.is_not(None)
_RIPE = and_(outbox.c.sent_at.is_not(None), or_(_TYPED, outbox.c.spent_at <= bindparam("ripe_at")))
_TALLY = Prepared(
    select(
        func.count().label("day"),
        _sum(outbox.c.organization_id == bindparam("organization")).label("organization"),
        _sum(_OF_PREFIX).label("number_prefix"),
        func.coalesce(func.sum(outbox.c.price), 0).label("cost"),
        _sum(_OF_COUNTRY, _RIPE).label("country_ripe"),
        _sum(_OF_COUNTRY, _RIPE, _TYPED).label("country_verified"),
        _sum(_OF_PREFIX, _RIPE).label("prefix_ripe"),
        _sum(_OF_PREFIX, _RIPE, _TYPED).label("prefix_verified"),
    ).where(outbox.c.spent_at > bindparam("since"), outbox.c.purpose == bindparam("of_purpose"))
)
_SMS_SINCE = Prepared(
    select(
        _sum(outbox.c.purpose == Purpose.PIN.value).label("pins"),
        _sum(outbox.c.purpose == Purpose.PIN.value, _TYPED).label("typed"),
        func.coalesce(func.sum(outbox.c.price), 0).label("cost"),
    ).where(outbox.c.spent_at > bindparam("since"))
)
_COUNT = Prepared(
    update(outbox)
    .where(outbox.c.id == bindparam("outbox_id"), outbox.c.spent_at.is_(None))
    .values(
        spent_at=bindparam("now"),
        country=bindparam("of_country"),
        number_prefix=bindparam("of_prefix"),
        price=bindparam("fare_price"),
        organization_id=bindparam("organization"),
    )
)
_VERIFY = Prepared(
    update(outbox)
    .where(outbox.c.id == bindparam("outbox_id"), outbox.c.verified_at.is_(None))
    .values(verified_at=bindparam("now"))
)

_DUE = (
    select(outbox.c.id)
    .where(
        outbox.c.state == State.QUEUED.value,
        outbox.c.channel == bindparam("of_channel"),
        outbox.c.purpose == bindparam("of_purpose"),
        outbox.c.next_at <= bindparam("now"),
        outbox.c.expires_at > bindparam("now"),
    )
    .order_by(outbox.c.next_at)
    .limit(1)
)
_IS_DUE = Prepared(_DUE)
# PostgreSQL skips rows that another worker is just claiming; SQLite has one writer and needs no such words
_CLAIM = Prepared(
    update(outbox)
    .where(
        outbox.c.id == _DUE.with_for_update(skip_locked=True).scalar_subquery(), outbox.c.state == State.QUEUED.value
    )
    .values(
        state=State.SENDING.value,
        tries=outbox.c.tries + 1,
        claimed_by=bindparam("claim"),
        claimed_until=bindparam("until"),
        next_at=None,
        updated_at=bindparam("now"),
    )
    .returning(*outbox.c)
)
_LOST = (outbox.c.state == State.SENDING.value, outbox.c.claimed_until <= bindparam("now"))
_EXPIRED = (outbox.c.state == State.QUEUED.value, outbox.c.expires_at <= bindparam("now"))
_STALE = Prepared(select(outbox.c.id).where(or_(_LOST[0] & _LOST[1], _EXPIRED[0] & _EXPIRED[1])).limit(1))
_FATES = Prepared(
    select(outbox.c.id, outbox.c.channel, outbox.c.provider_sid, outbox.c.sent_at, outbox.c.next_at)
    .where(outbox.c.state == State.SENT.value, outbox.c.next_at <= bindparam("now"))
    .order_by(outbox.c.next_at)
    .limit(bindparam("most"))
)


def add(transaction: Transaction, entry: Entry) -> None:
    """Write a queued message with the caller's transaction."""
    _ADD.count(transaction, _values(entry))


def add_if(transaction: Transaction, entry: Entry, *, wanted: bool) -> None:
    """The same, or nothing at the same cost: for messages before anything was proved (security rule 14)."""
    _ADD_IF.count(transaction, {**_values(entry), "wanted": int(wanted)})


def state(transaction: Transaction, outbox_id: str) -> tuple[State, str] | None:
    """The state of a message and its reason; None for an unknown id."""
    row = _STATE.first(transaction, {"outbox_id": outbox_id})
    return (State(row[0]), str(row[1])) if row else None


def count_since(transaction: Transaction, since: int) -> int:
    """How many messages were enqueued after that time, but for those of BY_ITSELF."""
    return int(_SINCE.first(transaction, {"since": since}).messages)


def tally(transaction: Transaction, fare: Fare, purpose: Purpose, *, since: int, ripe_at: int) -> Tally:
    """What was counted after a moment. ``ripe_at``: PINs that were sent until then had their time to be typed."""
    row = _TALLY.first(
        transaction,
        {
            "organization": fare.organization_id or "",
            "of_prefix": fare.number_prefix,
            "of_country": fare.country,
            "of_purpose": purpose.value,
            "since": since,
            "ripe_at": ripe_at,
        },
    )
    return Tally(*(int(value) for value in row))


def sms_since(transaction: Transaction, since: int) -> tuple[int, int, int]:
    """PINs by SMS counted after a moment, those of them that were typed, and the millionths that all SMS cost."""
    pins, typed, cost = _SMS_SINCE.first(transaction, {"since": since})
    return int(pins), int(typed), int(cost)


def count(transaction: Transaction, outbox_id: str, fare: Fare, now: int) -> bool:
    """Count an SMS that was queued without having been counted; False where it was."""
    values = {"of_country": fare.country, "of_prefix": fare.number_prefix, "fare_price": fare.price}
    given = {**values, "outbox_id": outbox_id, "organization": fare.organization_id, "now": now}
    return _COUNT.count(transaction, given) == 1


def verify(transaction: Transaction, outbox_id: str, now: int) -> bool:
    """Write down that the PIN of a message was typed, once."""
    return _VERIFY.count(transaction, {"outbox_id": outbox_id, "now": now}) == 1


def is_due(transaction: Transaction, channel: Channel, now: int) -> bool:
    """Whether there is something to claim: a look without a lock, for the idle worker."""
    return any(
        _IS_DUE.first(transaction, {"of_channel": channel.value, "of_purpose": purpose.value, "now": now})
        for purpose in (Purpose.PIN, Purpose.NOTICE)
    )


def claim(transaction: Transaction, channel: Channel, *, claim_name: str, now: int) -> Entry | None:
    """Take one queued message, PINs first: somebody waits for them. None where another was faster."""
    for purpose in (Purpose.PIN, Purpose.NOTICE):
        row = _CLAIM.first(
            transaction,
            {
                "of_channel": channel.value,
                "of_purpose": purpose.value,
                "now": now,
                "claim": claim_name,
                "until": now + rules.LEASE,
            },
        )
        if row:
            return _entry(row)
    return None


def accept(transaction: Transaction, outbox_id: str, *, claim_name: str, provider_sid: str, now: int) -> bool:
    """The provider took it over. True also where the lease had run out meanwhile: knowing beats not knowing."""
    return _settle(
        transaction,
        outbox_id,
        claim_name,
        State.SENT,
        now,
        sent_at=now,
        provider_sid=provider_sid or None,
        next_at=rules.next_look(now, now) if provider_sid else None,
        reason="",
    )


def end(transaction: Transaction, outbox_id: str, *, claim_name: str, to: State, reason: str, now: int) -> bool:
    """The claimed message failed for good, or its outcome stays unknown."""
    return _settle(transaction, outbox_id, claim_name, to, now, next_at=None, reason=reason)


def put_back(transaction: Transaction, outbox_id: str, *, claim_name: str, next_at: int, reason: str, now: int) -> bool:
    """The claimed message waits for its next attempt. False where it expires, or was withdrawn, before that."""
    result = transaction.execute(
        update(outbox)
        .where(
            outbox.c.id == outbox_id,
            outbox.c.claimed_by == claim_name,
            outbox.c.state == State.SENDING.value,
            outbox.c.payload.is_not(None),
            outbox.c.expires_at > next_at,
        )
        .values(
            state=State.QUEUED.value,
            next_at=next_at,
            reason=reason,
            claimed_by=None,
            claimed_until=None,
            updated_at=now,
        )
    )
    return result.rowcount == 1


def _settle(transaction: Transaction, outbox_id: str, claim_name: str, to: State, now: int, **values: Any) -> bool:
    result = transaction.execute(
        update(outbox)
        .where(
            outbox.c.id == outbox_id,
            outbox.c.claimed_by == claim_name,
            outbox.c.state.in_([one.value for one in rules.before(to)]),
        )
        .values(state=to.value, payload=None, claimed_until=None, updated_at=now, **values)
    )
    return result.rowcount == 1


def is_stale(transaction: Transaction, now: int) -> bool:
    """Whether a lease ran out or a queued message expired: a look without a lock."""
    return _STALE.first(transaction, {"now": now}) is not None


def sweep(transaction: Transaction, now: int) -> int:
    """End what expired, and settle what a dead process left behind. Returns how many rows that were.

    An SMS that may have been posted becomes unknown and is never posted again; its claim keeps its name, so that
    a sender that was merely slow can still say how it ended. An e-mail goes back into the queue.
    """
    swept = 0
    for channel in Channel:
        to = rules.after_lost_lease(channel)
        values: dict[str, Any] = {"state": to.value, "claimed_until": None, "updated_at": now, "reason": "interrupted"}
        if to is State.QUEUED:
            values |= {"next_at": now, "claimed_by": None}
        else:
            values["payload"] = None
        where = (*_LOST, outbox.c.channel == channel.value)
        swept += transaction.execute(update(outbox).where(*where).values(**values), {"now": now}).rowcount
    values = {"state": State.FAILED.value, "payload": None, "next_at": None, "reason": "expired", "updated_at": now}
    return swept + transaction.execute(update(outbox).where(*_EXPIRED).values(**values), {"now": now}).rowcount


def withdraw(transaction: Transaction, outbox_id: str, now: int) -> bool:
    """Take a message back. True where it was still queued; one that is just being sent gets no further attempt."""
    result = transaction.execute(
        update(outbox)
        .where(outbox.c.id == outbox_id, outbox.c.state == State.QUEUED.value)
        .values(state=State.FAILED.value, payload=None, next_at=None, reason="withdrawn", updated_at=now)
    )
    if result.rowcount == 1:
        return True
    transaction.execute(
        update(outbox)
        .where(outbox.c.id == outbox_id, outbox.c.state == State.SENDING.value, outbox.c.expires_at > now)
        .values(expires_at=now, payload=None, updated_at=now)
    )
    return False


def claim_fates(transaction: Transaction, now: int, most: int) -> tuple[Followed, ...]:
    """Accepted messages whose fate is due to be asked for. Each is given to one asker, who asks again later."""
    mine = []
    for row in _FATES.rows(transaction, {"now": now, "most": most}):
        taken = transaction.execute(
            update(outbox)
            .where(outbox.c.id == row.id, outbox.c.state == State.SENT.value, outbox.c.next_at == row.next_at)
            .values(next_at=rules.next_look(row.sent_at, now))
        )
        if taken.rowcount == 1:
            mine.append(Followed(row.id, Channel(row.channel), row.provider_sid, row.sent_at))
    return tuple(mine)


def fates_due(transaction: Transaction, now: int) -> bool:
    """Whether the fate of any message is due to be asked for: a look without a lock."""
    return _FATES.first(transaction, {"now": now, "most": 1}) is not None


def learn(
    transaction: Transaction,
    *,
    to: State,
    reason: str,
    now: int,
    outbox_id: str = "",
    provider_sid: str = "",
    price: int | None = None,
) -> bool:
    """What the provider says became of a message, known by either name. False where it is further on already.

    ``price`` replaces the estimate of what it cost.
    """
    told: dict[str, object] = {} if price is None else {"price": price}
    name = outbox.c.id == outbox_id if outbox_id else outbox.c.provider_sid == provider_sid
    result = transaction.execute(
        update(outbox)
        .where(name, outbox.c.state.in_([one.value for one in rules.before(to)]))
        .values(state=to.value, reason=reason, payload=None, next_at=None, updated_at=now, **told)
    )
    return result.rowcount == 1


def forget(transaction: Transaction, before: int) -> int:
    """Delete rows that came to their end before a moment (ASVS 14.2.7)."""
    ended = outbox.c.state.in_([State.SENT.value, State.DELIVERED.value, State.FAILED.value, State.UNKNOWN.value])
    return int(transaction.execute(delete(outbox).where(ended, outbox.c.updated_at < before)).rowcount)


def _values(entry: Entry) -> dict[str, object]:
    fare = entry.fare
    return {
        "id": entry.id,
        "channel": entry.channel.value,
        "purpose": entry.purpose.value,
        "person_id": entry.person_id,
        "contact_id": entry.contact_id,
        "template": entry.template,
        "language": entry.language,
        "payload": entry.payload,
        "state": State.QUEUED.value,
        "tries": entry.tries,
        "created_at": entry.created_at,
        "next_at": entry.created_at,
        "expires_at": entry.expires_at,
        "message_id": entry.message_id,
        "reason": "",
        "updated_at": entry.created_at,
        "organization_id": entry.organization_id,
        "spent_at": entry.created_at if fare else None,
        "country": fare.country if fare else None,
        "number_prefix": fare.number_prefix if fare else None,
        "price": fare.price if fare else None,
    }


def _entry(row: Any) -> Entry:
    return Entry(
        id=row.id,
        channel=Channel(row.channel),
        purpose=Purpose(row.purpose),
        person_id=row.person_id,
        contact_id=row.contact_id,
        template=row.template,
        language=row.language,
        payload=row.payload,
        tries=row.tries,
        created_at=row.created_at,
        expires_at=row.expires_at,
        message_id=row.message_id,
        organization_id=row.organization_id,
        counted=row.spent_at is not None,
    )
