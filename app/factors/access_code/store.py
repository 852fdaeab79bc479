"""The table of temporary access codes."""

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

from app.factors.access_code.model import AccessCode
from app.foundation.sql import Prepared, Transaction, metadata

codes = Table(
    "access_codes",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("person_id", Integer, ForeignKey("people.id"), nullable=False),
    Column("stamp", String(32), nullable=False),
    Column("salt", String(128), nullable=False),
    Column("digest_key", String(32), nullable=False),  # the name of the key of the keyring
    Column("digest", String(64), nullable=False),
    Column("not_to", String(32), nullable=False),
    Column("made_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
    Column("voided_at", BigInteger),
    Index("ix_access_codes_person_id", "person_id"),
)

_GOOD = (codes.c.used_at.is_(None), codes.c.voided_at.is_(None), codes.c.expires_at > bindparam("now"))
_LIVING = Prepared(
    select(codes)
    .where(codes.c.person_id == bindparam("of_person"), codes.c.stamp == bindparam("of_stamp"), *_GOOD)
    .order_by(codes.c.made_at.desc(), codes.c.id)
)
_SPEND = Prepared(
    update(codes)
    .where(codes.c.id == bindparam("of_code"), codes.c.digest == bindparam("of_digest"), *_GOOD)
    .values(used_at=bindparam("now"))
)


def add(transaction: Transaction, new: AccessCode) -> None:
    """Keep a code; the earlier ones of the same person are void."""
    void_all(transaction, new.person_id, new.made_at)
    transaction.execute(
        insert(codes).values(
            id=new.id,
            person_id=new.person_id,
            stamp=new.stamp,
            salt=new.salt,
            digest_key=new.key,
            digest=new.digest,
            not_to=new.not_to,
            made_at=new.made_at,
            expires_at=new.expires_at,
        )
    )


def void_all(transaction: Transaction, person_id: int, now: int) -> int:
    """Void every code of somebody; how many there were."""
    own = (codes.c.person_id == person_id, codes.c.used_at.is_(None), codes.c.voided_at.is_(None))
    return int(transaction.execute(update(codes).where(*own).values(voided_at=now)).rowcount)


def living(transaction: Transaction, person_id: int, stamp: str, now: int) -> AccessCode | None:
    """The code that is good for somebody now."""
    row = _LIVING.first(transaction, {"of_person": person_id, "of_stamp": stamp, "now": now})
    return _code(row) if row else None


def spend(transaction: Transaction, code_id: str, digest: str, now: int) -> bool:
    """Spend a code by one conditional write, if it is right and still good; over all doors and processes once."""
    return _SPEND.count(transaction, {"of_code": code_id, "of_digest": digest, "now": now}) == 1


def forget(transaction: Transaction, before: int) -> int:
    """Delete codes that ended before a moment."""
    return int(transaction.execute(delete(codes).where(codes.c.expires_at < before)).rowcount)


def _code(row: Any) -> AccessCode:
    return AccessCode(
        id=row.id,
        person_id=row.person_id,
        stamp=row.stamp,
        salt=row.salt,
        key=row.digest_key,
        digest=row.digest,
        not_to=row.not_to,
        made_at=row.made_at,
        expires_at=row.expires_at,
    )
