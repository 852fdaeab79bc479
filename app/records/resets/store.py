"""The table of links that make a temporary password."""

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
from app.records.resets.model import ResetLink

links = Table(
    "reset_links",
    metadata,
    Column("id", String(64), primary_key=True),  # SHA-256 of the link's token
    Column("person_id", Integer, ForeignKey("people.id"), nullable=False),
    Column("contact_id", String(32), ForeignKey("contacts.id"), nullable=False),
    Column("stamp", String(32), nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("spent_at", BigInteger),
    Index("ix_reset_links_person_id", "person_id"),
    Index("ix_reset_links_expires_at", "expires_at"),
)

_LINK = [links.c.id, links.c.person_id, links.c.contact_id, links.c.stamp, links.c.expires_at]
_ADD = Prepared(
    insert(links).from_select(
        _LINK,
        select(*(bindparam(column.name, type_=column.type) for column in _LINK)).where(
            bindparam("wanted", type_=Integer) == 1
        ),
    )
)


def add(transaction: Transaction, link: ResetLink, *, wanted: bool) -> None:
    """Keep a link, which is just being mailed; earlier ones stay good. Not wanted: keep nothing, at the same cost."""
    values = {name: getattr(link, name) for name in ("id", "person_id", "contact_id", "stamp", "expires_at")}
    _ADD.count(transaction, {**values, "wanted": int(wanted)})


def find(transaction: Transaction, link_id: str, now: int) -> ResetLink | None:
    """A link that is still good."""
    good = (links.c.id == link_id, links.c.spent_at.is_(None), links.c.expires_at > now)
    row = transaction.execute(select(links).where(*good)).first()
    return ResetLink(row.id, row.person_id, row.contact_id, row.stamp, row.expires_at) if row else None


def spend(transaction: Transaction, link_id: str, now: int) -> bool:
    """Spend a link by one conditional write; False where somebody was faster, or it is too old."""
    good = (links.c.id == link_id, links.c.spent_at.is_(None), links.c.expires_at > now)
    return transaction.execute(update(links).where(*good).values(spent_at=now)).rowcount == 1


def forget(transaction: Transaction, now: int) -> int:
    """Delete those that are over."""
    return int(transaction.execute(delete(links).where(links.c.expires_at < now)).rowcount)
