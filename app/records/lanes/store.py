"""Tables of known browsers and of mailed links that open a lane."""

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
from sqlalchemy.dialects import postgresql, sqlite

from app.foundation.sql import Prepared, Transaction, metadata
from app.records.lanes.model import KNOWN_LIFE, KnownBrowser, LaneLink

browsers = Table(
    "known_browsers",
    metadata,
    Column("id", String(64), primary_key=True),  # SHA-256 of the cookie
    Column("person_id", Integer, ForeignKey("people.id"), primary_key=True),
    Column("browser", String(255), nullable=False),
    Column("address", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Index("ix_known_browsers_person_id", "person_id"),
)

links = Table(
    "lane_links",
    metadata,
    Column("id", String(64), primary_key=True),  # SHA-256 of the link's token
    Column("person_id", Integer, ForeignKey("people.id"), nullable=False),
    Column("stamp", String(32), nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("spent_at", BigInteger),
    Index("ix_lane_links_person_id", "person_id"),
)

_IS_KNOWN = Prepared(
    select(browsers.c.seen_at).where(
        browsers.c.id == bindparam("browser_id"), browsers.c.person_id == bindparam("of_person")
    )
)
_ROW: dict[str, Any] = {column.name: bindparam(column.name) for column in browsers.columns}
_FRESH: dict[str, Any] = {name: bindparam(name) for name in ("seen_at", "address", "browser")}
_KEYS = [browsers.c.id, browsers.c.person_id]
_REMEMBER = {
    "sqlite": sqlite.insert(browsers).values(_ROW).on_conflict_do_update(index_elements=_KEYS, set_=_FRESH),
    "postgresql": postgresql.insert(browsers).values(_ROW).on_conflict_do_update(index_elements=_KEYS, set_=_FRESH),
}

_LINK = [links.c.id, links.c.person_id, links.c.stamp, links.c.expires_at]
_ADD_LINK = Prepared(
    insert(links).from_select(
        _LINK,
        select(*(bindparam(column.name, type_=column.type) for column in _LINK)).where(
            bindparam("wanted", type_=Integer) == 1
        ),
    )
)


def is_known(transaction: Transaction, browser_id: str, person_id: int, now: int) -> bool:
    """Whether that person signed in fully in that browser, lately enough."""
    row = _IS_KNOWN.first(transaction, {"browser_id": browser_id, "of_person": person_id})
    return row is not None and row.seen_at > now - KNOWN_LIFE


def remember(transaction: Transaction, known: KnownBrowser) -> None:
    """Make a browser known, or fresh."""
    values = {column.name: getattr(known, column.name) for column in browsers.columns}
    transaction.execute(_REMEMBER[transaction.dialect.name], values)


def of_person(transaction: Transaction, person_id: int, now: int, limit: int = 1_000) -> tuple[KnownBrowser, ...]:
    """The browsers in which a person is known, the one seen last first."""
    known = (browsers.c.person_id == person_id, browsers.c.seen_at > now - KNOWN_LIFE)
    rows = transaction.execute(select(browsers).where(*known).order_by(browsers.c.seen_at.desc()).limit(limit))
    return tuple(
        KnownBrowser(row.id, row.person_id, row.browser, row.address, row.created_at, row.seen_at) for row in rows
    )


def forget_one(transaction: Transaction, person_id: int, browser_id: str) -> bool:
    """Forget a person in one browser; False where they were not known there."""
    where = (browsers.c.person_id == person_id, browsers.c.id == browser_id)
    return transaction.execute(delete(browsers).where(*where)).rowcount == 1


def move(transaction: Transaction, browser_id: str, new_id: str) -> None:
    """Give a browser a new cookie; all who are known there stay known."""
    transaction.execute(update(browsers).where(browsers.c.id == browser_id).values(id=new_id))


def revoke(transaction: Transaction, person_id: int, now: int) -> int:
    """Forget a person's known browsers and spend their links; recovery and undo do. Returns how many browsers."""
    unspent = (links.c.person_id == person_id, links.c.spent_at.is_(None))
    transaction.execute(update(links).where(*unspent).values(spent_at=now))
    return int(transaction.execute(delete(browsers).where(browsers.c.person_id == person_id)).rowcount)


def add_link(transaction: Transaction, link: LaneLink, *, wanted: bool = True) -> None:
    """Keep a link, which is just being mailed; earlier ones stay good. Not wanted: keep nothing, at the same cost."""
    values = {"id": link.id, "person_id": link.person_id, "stamp": link.stamp, "expires_at": link.expires_at}
    _ADD_LINK.count(transaction, {**values, "wanted": int(wanted)})


def link(transaction: Transaction, link_id: str, now: int) -> LaneLink | None:
    """A link that is still good."""
    row = transaction.execute(
        select(links).where(links.c.id == link_id, links.c.spent_at.is_(None), links.c.expires_at > now)
    ).first()
    return LaneLink(row.id, row.person_id, row.stamp, row.expires_at) if row else None


def spend_link(transaction: Transaction, link_id: str, now: int) -> bool:
    """Spend a link by one conditional write; False where somebody was faster, or it is too old."""
    good = (links.c.id == link_id, links.c.spent_at.is_(None), links.c.expires_at > now)
    return transaction.execute(update(links).where(*good).values(spent_at=now)).rowcount == 1


def forget(transaction: Transaction, now: int) -> int:
    """Delete what is too old to count."""
    gone = transaction.execute(delete(links).where(links.c.expires_at < now)).rowcount
    return int(gone + transaction.execute(delete(browsers).where(browsers.c.seen_at < now - KNOWN_LIFE)).rowcount)
