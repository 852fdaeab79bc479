"""The table of invitations."""

from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, delete, insert, select, update

from app.foundation.sql import Transaction, metadata
from app.records.invitations.model import CODE_TRIES, Invitation

invitations = Table(
    "invitations",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("person_id", Integer, ForeignKey("people.id"), nullable=False),
    Column("contact_id", String(32), ForeignKey("contacts.id"), nullable=False),
    Column("code_digest", String(64), nullable=False),
    Column("code_tries", Integer, nullable=False),
    Column("reached", String(16), nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Index("ix_invitations_person_id", "person_id"),
)


def add(transaction: Transaction, one: Invitation) -> None:
    """Keep an invitation; an earlier one of the person dies."""
    transaction.execute(delete(invitations).where(invitations.c.person_id == one.person_id))
    values = {
        "id": one.id,
        "person_id": one.person_id,
        "contact_id": one.contact_id,
        "code_digest": one.code_digest,
        "code_tries": 0,
        "reached": one.reached,
        "expires_at": one.expires_at,
    }
    transaction.execute(insert(invitations).values(values))


def find(transaction: Transaction, invitation_id: str, now: int) -> Invitation | None:
    """An invitation that is still good."""
    row = transaction.execute(
        select(invitations).where(
            invitations.c.id == invitation_id, invitations.c.ended_at.is_(None), invitations.c.expires_at > now
        )
    ).first()
    return _invitation(row) if row else None


def unfinished(transaction: Transaction, person_id: int) -> Invitation | None:
    """Somebody's invitation that did not come to its end, too old or not."""
    where = (invitations.c.person_id == person_id, invitations.c.ended_at.is_(None))
    row = transaction.execute(select(invitations).where(*where)).first()
    return _invitation(row) if row else None


def count_code(transaction: Transaction, invitation_id: str) -> bool:
    """Count a try of the activation code before it is judged; False where none is left."""
    left = (invitations.c.id == invitation_id, invitations.c.code_tries < CODE_TRIES)
    counted = update(invitations).where(*left).values(code_tries=invitations.c.code_tries + 1)
    return transaction.execute(counted).rowcount == 1


def reach(transaction: Transaction, invitation_id: str, old: str, new: str) -> bool:
    """Note the step that is due next; False where another device was faster."""
    where = (invitations.c.id == invitation_id, invitations.c.reached == old, invitations.c.ended_at.is_(None))
    return transaction.execute(update(invitations).where(*where).values(reached=new)).rowcount == 1


def end(transaction: Transaction, invitation_id: str, now: int) -> bool:
    """Spend an invitation, when all its steps are done; False where it was spent."""
    where = (invitations.c.id == invitation_id, invitations.c.ended_at.is_(None))
    return transaction.execute(update(invitations).where(*where).values(ended_at=now)).rowcount == 1


def forget(transaction: Transaction, before: int) -> int:
    """Delete those whose time was over before a moment."""
    return int(transaction.execute(delete(invitations).where(invitations.c.expires_at < before)).rowcount)


def _invitation(row: Any) -> Invitation:
    return Invitation(row.id, row.person_id, row.contact_id, row.code_digest, row.reached, row.expires_at)
