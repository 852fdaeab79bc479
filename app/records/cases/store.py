"""Tables of undo links and of disputes."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    bindparam,
    delete,
    insert,
    select,
    update,
)

from app.foundation.sql import Prepared, Transaction, metadata
from app.records.cases.model import LIVING, Dispute, DisputeState, Kind, UndoLink

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

_ADD_LINK = Prepared(insert(links))
_GOOD = (links.c.id == bindparam("link_id"), links.c.used_at.is_(None), links.c.expires_at > bindparam("now"))
_LIVING = disputes.c.state.in_([state.value for state in LIVING])


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
    """Delete links whose time is over."""
    return int(transaction.execute(delete(links).where(links.c.expires_at <= now)).rowcount)


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
