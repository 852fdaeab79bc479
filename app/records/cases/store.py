"""Tables of undo links, of disputes, and of requests of support with the links that cancel them."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    bindparam,
    delete,
    insert,
    or_,
    select,
    update,
)

from app.foundation.sql import Prepared, Transaction, metadata
from app.records.cases.model import (
    LIVING,
    LIVING_REQUEST,
    REQUEST_LIFE,
    TRIES,
    Action,
    Dispute,
    DisputeState,
    Kind,
    Needs,
    Request,
    RequestState,
    UndoLink,
)

links = Table(
    "undo_links",
    metadata,
    Column("id", String(64), primary_key=True),  # SHA-256 of the link's token
    Column("person_id", Integer, ForeignKey("people.id"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
    Index("ix_undo_links_expires_at", "expires_at"),
)

disputes = Table(
    "disputes",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("person_id", Integer, ForeignKey("people.id"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("resolved_at", BigInteger),
    Index("ix_disputes_person_id", "person_id"),
)

requests = Table(
    "support_requests",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("person_id", Integer, ForeignKey("people.id"), nullable=False),
    Column("organization_id", String(36), ForeignKey("organizations.id"), nullable=False),
    Column("action", String(24), nullable=False),
    Column("target", String(32), nullable=False),
    Column("reason", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("needs_approval", Boolean, nullable=False),
    Column("needs_second", Boolean, nullable=False),
    Column("needs_waiting", Integer, nullable=False),
    Column("asked_by", Integer, ForeignKey("people.id"), nullable=False),
    Column("asked_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("contact_id", String(32), nullable=False),
    Column("finder", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("approved_at", BigInteger),
    Column("second_by", Integer, ForeignKey("people.id")),
    Column("confirmed_at", BigInteger),
    Column("ready_at", BigInteger),
    Column("ended_at", BigInteger),
    Index("ix_support_requests_person_id", "person_id"),
    Index("ix_support_requests_finder", "finder"),
    Index("ix_support_requests_organization_id", "organization_id", "state"),
)

cancel_links = Table(
    "support_cancel_links",
    metadata,
    Column("id", String(64), primary_key=True),  # SHA-256 of the link's token
    Column("request_id", String(32), ForeignKey("support_requests.id"), nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("ix_support_cancel_links_expires_at", "expires_at"),
)

_ADD_LINK = Prepared(insert(links))
_GOOD = (links.c.id == bindparam("link_id"), links.c.used_at.is_(None), links.c.expires_at > bindparam("now"))
_LIVING = disputes.c.state.in_([state.value for state in LIVING])
_ALIVE = requests.c.state.in_([state.value for state in LIVING_REQUEST])
_CODED = or_(requests.c.state == RequestState.ASKED.value, requests.c.state == RequestState.CONFIRMING.value)
_FOUND = (requests.c.finder == bindparam("of_finder"), _CODED, requests.c.expires_at > bindparam("now"))
_TRY = Prepared(update(requests).where(*_FOUND, requests.c.tries < TRIES).values(tries=requests.c.tries + 1))
_BY_FINDER = Prepared(select(requests).where(*_FOUND))


def add_link(transaction: Transaction, link: UndoLink) -> None:
    """Keep a link, with the change that it disputes."""
    _ADD_LINK.count(
        transaction,
        {
            "id": link.id,
            "person_id": link.person_id,
            "kind": link.kind.value,
            "changed_at": link.changed_at,
            "expires_at": link.expires_at,
            "used_at": None,
        },
    )


def link(transaction: Transaction, link_id: str, now: int) -> UndoLink | None:
    """A link that is still good."""
    row = transaction.execute(select(links).where(*_GOOD), {"link_id": link_id, "now": now}).first()
    return UndoLink(row.id, row.person_id, Kind(row.kind), row.changed_at, row.expires_at) if row else None


def spend_link(transaction: Transaction, link_id: str, now: int) -> bool:
    """Spend a link by one conditional write; False where somebody was faster, or it is too old."""
    spent = update(links).where(*_GOOD).values(used_at=bindparam("now"))
    return transaction.execute(spent, {"link_id": link_id, "now": now}).rowcount == 1


def end_links(transaction: Transaction, person_id: int, now: int) -> None:
    """Spend every link of somebody."""
    unspent = (links.c.person_id == person_id, links.c.used_at.is_(None))
    transaction.execute(update(links).where(*unspent).values(used_at=now))


def add(transaction: Transaction, dispute: Dispute) -> None:
    """Open a dispute."""
    transaction.execute(
        insert(disputes).values(
            id=dispute.id,
            person_id=dispute.person_id,
            kind=dispute.kind.value,
            changed_at=dispute.changed_at,
            state=dispute.state.value,
            opened_at=dispute.opened_at,
            resolved_at=dispute.resolved_at,
        )
    )


def living(transaction: Transaction, person_id: int) -> Dispute | None:
    """The dispute for which somebody is frozen."""
    row = transaction.execute(select(disputes).where(disputes.c.person_id == person_id, _LIVING)).first()
    return _dispute(row) if row else None


def resolved_since(transaction: Transaction, person_id: int, since: int) -> bool:
    """Whether a dispute of somebody was resolved at a moment or later."""
    found = select(disputes.c.id).where(disputes.c.person_id == person_id, disputes.c.resolved_at >= since).limit(1)
    return transaction.execute(found).first() is not None


def reach_back(transaction: Transaction, dispute_id: str, kind: Kind, changed_at: int) -> bool:
    """Let a living dispute take in an earlier change; it never gives one up. False where it reached so far already."""
    where = (disputes.c.id == dispute_id, _LIVING, disputes.c.changed_at > changed_at)
    widened = update(disputes).where(*where).values(kind=kind.value, changed_at=changed_at)
    return transaction.execute(widened).rowcount == 1


def to_support(transaction: Transaction, dispute_id: str) -> bool:
    """Leave an open dispute to support. False where it is open no more."""
    where = (disputes.c.id == dispute_id, disputes.c.state == DisputeState.OPEN.value)
    return transaction.execute(update(disputes).where(*where).values(state=DisputeState.SUPPORT.value)).rowcount == 1


def resolve(transaction: Transaction, dispute_id: str, changed_at: int, to: DisputeState, now: int) -> bool:
    """Decide an open dispute by one conditional write.

    False where it is open no more, or took in a change from before ``changed_at``, for which the proof was seen.
    """
    where = (
        disputes.c.id == dispute_id,
        disputes.c.state == DisputeState.OPEN.value,
        disputes.c.changed_at == changed_at,
    )
    return transaction.execute(update(disputes).where(*where).values(state=to.value, resolved_at=now)).rowcount == 1


def lift(transaction: Transaction, dispute_id: str, now: int) -> bool:
    """End a living dispute from outside. False where it had ended."""
    lifted = update(disputes).where(disputes.c.id == dispute_id, _LIVING)
    return transaction.execute(lifted.values(state=DisputeState.LIFTED.value, resolved_at=now)).rowcount == 1


def forget(transaction: Transaction, now: int) -> int:
    """Delete links whose time is over. Requests stay, for the record (H-06)."""
    gone = transaction.execute(delete(links).where(links.c.expires_at <= now)).rowcount
    return int(gone + transaction.execute(delete(cancel_links).where(cancel_links.c.expires_at <= now)).rowcount)


# ---- requests of support


def add_request(transaction: Transaction, request: Request) -> None:
    """Keep a request. The caller holds the person, who has no other living one."""
    transaction.execute(insert(requests).values(_request_values(request)))


def request(transaction: Transaction, request_id: str) -> Request | None:
    """A request as it stands, whatever became of it."""
    row = transaction.execute(select(requests).where(requests.c.id == request_id)).first()
    return _request(row) if row else None


def living_requests(transaction: Transaction, person_id: int, now: int) -> tuple[Request, ...]:
    """The requests about somebody that may still come to something, the newest first."""
    own = (requests.c.person_id == person_id, _ALIVE, requests.c.expires_at > now)
    rows = transaction.execute(select(requests).where(*own).order_by(requests.c.asked_at.desc(), requests.c.id))
    return tuple(_request(row) for row in rows)


def requests_of(transaction: Transaction, person_id: int, action: Action, limit: int) -> tuple[Request, ...]:
    """The newest requests for one action on somebody, whatever became of them."""
    own = (requests.c.person_id == person_id, requests.c.action == action.value)
    rows = transaction.execute(
        select(requests).where(*own).order_by(requests.c.asked_at.desc(), requests.c.id).limit(limit)
    )
    return tuple(_request(row) for row in rows)


def asked_since(transaction: Transaction, person_id: int, since: int) -> int:
    """How many requests about somebody were asked after a moment."""
    found = select(requests.c.id).where(requests.c.person_id == person_id, requests.c.asked_at > since)
    return len(transaction.execute(found).all())


def requests_in(
    transaction: Transaction, organization_ids: Collection[str], state: RequestState, now: int, limit: int
) -> tuple[Request, ...]:
    """The requests of some organizations that stand at a state, the oldest first."""
    there = (requests.c.organization_id.in_(organization_ids), requests.c.state == state.value)
    found = select(requests).where(*there, requests.c.expires_at > now)
    rows = transaction.execute(found.order_by(requests.c.asked_at, requests.c.id).limit(limit))
    return tuple(_request(row) for row in rows)


def over(transaction: Transaction, now: int, limit: int) -> tuple[Request, ...]:
    """Requests whose time is over and of which nobody was told so yet, the oldest first."""
    found = select(requests).where(_ALIVE, requests.c.expires_at <= now)
    rows = transaction.execute(found.order_by(requests.c.expires_at, requests.c.id).limit(limit))
    return tuple(_request(row) for row in rows)


def expired_in(
    transaction: Transaction, organization_ids: Collection[str], since: int, now: int, limit: int
) -> tuple[Request, ...]:
    """The requests of some organizations whose time ended after a moment, the latest first."""
    ended = or_(requests.c.state == RequestState.EXPIRED.value, _ALIVE)
    there = (requests.c.organization_id.in_(organization_ids), ended)
    found = select(requests).where(*there, requests.c.expires_at > since, requests.c.expires_at <= now)
    rows = transaction.execute(found.order_by(requests.c.expires_at.desc(), requests.c.id).limit(limit))
    return tuple(_request(row) for row in rows)


def count_try(transaction: Transaction, finder: str, now: int) -> tuple[Request, ...]:
    """Take one of the tries of the request that a code is for, before it is judged; empty where there is none left.

    The same two statements run for a code of nothing at all.
    """
    values = {"of_finder": finder, "now": now}
    counted = _TRY.count(transaction, values)
    found = tuple(_request(row) for row in _BY_FINDER.rows(transaction, values))
    return found if counted else ()


def give_tries_back(transaction: Transaction, request_id: str) -> None:
    """The code was right: its owner may type it again, after a lost cookie for one."""
    transaction.execute(update(requests).where(requests.c.id == request_id).values(tries=0))


def move_request(transaction: Transaction, before: Request, after: Request, now: int) -> bool:
    """Move a request on by one conditional write; False where it has moved meanwhile, or its time is over.

    What ``rules.moved`` judged is judged again in the write itself, by the columns as they are then.
    """
    expiring = after.state is RequestState.EXPIRED
    where = [
        requests.c.id == before.id,
        requests.c.state == before.state.value,
        requests.c.expires_at <= now if expiring else requests.c.expires_at > now,
    ]
    if before.state is RequestState.GRANTED and after.state in (RequestState.DONE, RequestState.CONFIRMING):
        where.append(requests.c.ready_at <= now)
    moved = update(requests).where(*where).values(_request_values(after))
    return transaction.execute(moved).rowcount == 1


def set_code(transaction: Transaction, request: Request) -> None:
    """Keep the hashes of a new code of a request; the earlier code opens nothing any more."""
    new = {"finder": request.finder, "digest": request.digest, "tries": 0}
    transaction.execute(update(requests).where(requests.c.id == request.id).values(new))


def end_requests(transaction: Transaction, person_id: int, to: RequestState, now: int) -> int:
    """End every living request about somebody; how many there were."""
    ended = update(requests).where(requests.c.person_id == person_id, _ALIVE)
    return int(transaction.execute(ended.values(state=to.value, ended_at=now)).rowcount)


def add_cancel_link(transaction: Transaction, link_id: str, request: Request) -> None:
    """Keep the fingerprint of a link that cancels a request for as long as it could be carried out."""
    last = request.asked_at + REQUEST_LIFE
    values = {"id": link_id, "request_id": request.id, "expires_at": max(last, request.expires_at)}
    transaction.execute(insert(cancel_links).values(values))


def by_cancel_link(transaction: Transaction, link_id: str, now: int) -> Request | None:
    """The living request that a link cancels. None where the link is of nothing, or there is nothing left to cancel."""
    found = (
        select(requests)
        .join_from(cancel_links, requests, cancel_links.c.request_id == requests.c.id)
        .where(cancel_links.c.id == link_id, cancel_links.c.expires_at > now, _ALIVE, requests.c.expires_at > now)
    )
    row = transaction.execute(found).first()
    return _request(row) if row else None


def _request_values(request: Request) -> dict[str, Any]:
    return {
        "id": request.id,
        "person_id": request.person_id,
        "organization_id": request.organization_id,
        "action": request.action.value,
        "target": request.target,
        "reason": request.reason,
        "state": request.state.value,
        "needs_approval": request.needs.approval,
        "needs_second": request.needs.second,
        "needs_waiting": request.needs.waiting,
        "asked_by": request.asked_by,
        "asked_at": request.asked_at,
        "expires_at": request.expires_at,
        "contact_id": request.contact_id,
        "finder": request.finder,
        "digest": request.digest,
        "tries": request.tries,
        "approved_at": request.approved_at,
        "second_by": request.second_by,
        "confirmed_at": request.confirmed_at,
        "ready_at": request.ready_at,
        "ended_at": request.ended_at,
    }


def _request(row: Any) -> Request:
    return Request(
        id=row.id,
        person_id=row.person_id,
        organization_id=row.organization_id,
        action=Action(row.action),
        target=row.target,
        reason=row.reason,
        state=RequestState(row.state),
        needs=Needs(bool(row.needs_approval), bool(row.needs_second), row.needs_waiting),
        asked_by=row.asked_by,
        asked_at=row.asked_at,
        expires_at=row.expires_at,
        contact_id=row.contact_id,
        finder=row.finder,
        digest=row.digest,
        tries=row.tries,
        approved_at=row.approved_at,
        second_by=row.second_by,
        confirmed_at=row.confirmed_at,
        ready_at=row.ready_at,
        ended_at=row.ended_at,
    )


def _dispute(row: Any) -> Dispute:
    return Dispute(
        id=row.id,
        person_id=row.person_id,
        kind=Kind(row.kind),
        changed_at=row.changed_at,
        state=DisputeState(row.state),
        opened_at=row.opened_at,
        resolved_at=row.resolved_at,
    )
