"""Grants: the right to finish one recovery once. In SQL, so that it is spent even if the flow is forgotten."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from app.foundation.sql import Prepared, Transaction, metadata

grants = Table(
    "recovery_grants",
    metadata,
    Column("id", String(32), primary_key=True),  # the flow's txn
    Column("person_id", Integer, ForeignKey("people.id"), nullable=False),
    Column("stamp", String(32), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("spent_at", BigInteger),
    Index("ix_recovery_grants_person_id", "person_id"),
)

_NEVER = 0  # good until then: a revoked grant cannot be spent whatever the clock does, and does not count as spent

_GIVE = Prepared(
    {
        "sqlite": sqlite.insert(grants).on_conflict_do_nothing(),
        "postgresql": postgresql.insert(grants).on_conflict_do_nothing(),
    }
)
_LIVING = (grants.c.spent_at.is_(None), grants.c.expires_at > bindparam("now"))
_OPEN = Prepared(select(grants.c.id).where(grants.c.id == bindparam("txn"), *_LIVING))
_SPEND = Prepared(
    update(grants)
    .where(
        grants.c.id == bindparam("txn"),
        grants.c.person_id == bindparam("person"),
        grants.c.stamp == bindparam("of_stamp"),
        *_LIVING,
    )
    .values(spent_at=bindparam("now"))
)
_REVOKE = Prepared(update(grants).where(grants.c.person_id == bindparam("person"), *_LIVING).values(expires_at=_NEVER))


def give(transaction: Transaction, txn: str, person_id: int, stamp: str, now: int, expires_at: int) -> bool:
    """Write the grant of a flow: both its proofs were seen. A flow has one, however often it is given.

    False where it was spent already.
    """
    values = {"id": txn, "person_id": person_id, "stamp": stamp, "created_at": now, "expires_at": expires_at}
    _GIVE.count(transaction, values)
    return is_open(transaction, txn, now)


def is_open(transaction: Transaction, txn: str, now: int) -> bool:
    """Whether the grant of a flow may still be spent."""
    return _OPEN.first(transaction, {"txn": txn, "now": now}) is not None


def was_spent(transaction: Transaction, txn: str) -> bool:
    """Whether a flow has used its grant. One that was revoked has not."""
    found = select(grants.c.id).where(grants.c.id == txn, grants.c.spent_at.is_not(None))
    return transaction.execute(found).first() is not None


def spend(transaction: Transaction, txn: str, person_id: int, stamp: str, now: int) -> bool:
    """Spend a grant by one conditional write. False where it was spent, is too old, or the person's stamp moved on."""
    return _SPEND.count(transaction, {"txn": txn, "person": person_id, "of_stamp": stamp, "now": now}) == 1


def revoke_others(transaction: Transaction, person_id: int, now: int) -> int:
    """End every living grant of a person: a new password ends all other recoveries. Returns how many there were."""
    return _REVOKE.count(transaction, {"person": person_id, "now": now})


def forget(transaction: Transaction, before: int) -> int:
    """Delete grants from before a moment; they expired long ago."""
    return int(transaction.execute(delete(grants).where(grants.c.created_at < before)).rowcount)
