"""The tables of sessions and of programs' tokens. Only the SHA-256 of a cookie or token is stored (ASVS 7.2.3)."""

import json
from dataclasses import replace
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
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from app.foundation.sql import Prepared, Transaction, metadata
from app.records.sessions.model import (
    IDLE,
    LIFE,
    LONGEST,
    LONGEST_IDLE,
    SEEN_EVERY,
    ApiToken,
    Session,
    SessionProof,
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", String(32), nullable=False),
    Column("person_id", Integer, ForeignKey("people.id"), nullable=False),
    Column("stamp", String(32), nullable=False),
    Column("proofs", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("address", String(64), nullable=False),
    Column("browser", String(255), nullable=False),
    Index("ix_sessions_person_id", "person_id"),
    Index("ix_sessions_created_at", "created_at"),
)

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("person_id", Integer, ForeignKey("people.id"), nullable=False),
    Column("stamp", String(32), nullable=False),
    Column("issued_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("ix_api_tokens_person_id", "person_id"),
    Index("ix_api_tokens_expires_at", "expires_at"),
)

_FIND = Prepared(select(sessions).where(sessions.c.id == bindparam("session_id")))
_SEEN = Prepared(
    update(sessions)
    .where(sessions.c.id == bindparam("session_id"), sessions.c.seen_at < bindparam("before"))
    .values(seen_at=bindparam("now"), address=bindparam("from_address"))
)


def add(transaction: Transaction, session: Session) -> None:
    """Insert a session."""
    transaction.execute(insert(sessions).values(_values(session)))


def find(transaction: Transaction, session_id: str) -> Session | None:
    """The session of a cookie's fingerprint, with the default limits."""
    row = _FIND.first(transaction, {"session_id": session_id})
    return _session(row) if row else None


def touch(transaction: Transaction, session_id: str, address: str, now: int) -> None:
    """Note that it was used."""
    values = {"session_id": session_id, "before": now - SEEN_EVERY + 1, "now": now, "from_address": address}
    _SEEN.count(transaction, values)


def replace_id(transaction: Transaction, old_id: str, session: Session) -> bool:
    """Give a session a new id and proofs, at each rise of rights (requirements S1-08). False where it is gone."""
    where = (sessions.c.id == old_id, sessions.c.person_id == session.person_id)
    return transaction.execute(update(sessions).where(*where).values(_values(session))).rowcount == 1


def of_person(
    transaction: Transaction, person_id: int, stamp: str, now: int, *, idle: int = IDLE, life: int = LIFE
) -> tuple[Session, ...]:
    """A person's sessions that live by these limits, the one used last first."""
    rows = transaction.execute(
        select(sessions)
        .where(sessions.c.person_id == person_id, sessions.c.stamp == stamp)
        .order_by(sessions.c.seen_at.desc(), sessions.c.created_at.desc())
    )
    every = (replace(_session(row), idle=idle, life=life) for row in rows)
    return tuple(session for session in every if session.living(now))


def restamp(transaction: Transaction, person_id: int, old: str, new: str, only: str = "") -> int:
    """Carry sessions over a voluntary change of password: all of a person, or the one of an id."""
    where = [sessions.c.person_id == person_id, sessions.c.stamp == old]
    if only:
        where.append(sessions.c.id == only)
    return int(transaction.execute(update(sessions).where(*where).values(stamp=new)).rowcount)


def end(transaction: Transaction, session_id: str) -> bool:
    """End one; False where it had ended."""
    return transaction.execute(delete(sessions).where(sessions.c.id == session_id)).rowcount == 1


def end_named(transaction: Transaction, person_id: int, name: str) -> bool:
    """End the one that a person chose from the list of their own."""
    where = (sessions.c.person_id == person_id, sessions.c.name == name)
    return transaction.execute(delete(sessions).where(*where)).rowcount == 1


def end_all(transaction: Transaction, person_id: int, *, but: str = "") -> int:
    """End a person's sessions, all or all but one, and every program's token. Returns how many sessions there were."""
    transaction.execute(delete(api_tokens).where(api_tokens.c.person_id == person_id))
    where = (sessions.c.person_id == person_id, sessions.c.id != but)
    return int(transaction.execute(delete(sessions).where(*where)).rowcount)


def add_token(transaction: Transaction, token: ApiToken) -> None:
    """Insert a program's token."""
    transaction.execute(
        insert(api_tokens).values(
            id=token.id,
            person_id=token.person_id,
            stamp=token.stamp,
            issued_at=token.issued_at,
            expires_at=token.expires_at,
        )
    )


def tokens_of(transaction: Transaction, person_id: int, stamp: str, now: int) -> int:
    """How many tokens programs have of a person that are good at a moment."""
    good = (
        api_tokens.c.person_id == person_id,
        api_tokens.c.stamp == stamp,
        api_tokens.c.expires_at > now,
    )
    return int(transaction.execute(select(func.count()).select_from(api_tokens).where(*good)).scalar_one())


def end_token(transaction: Transaction, token_id: str) -> bool:
    """End a program's token; False where it had ended."""
    return transaction.execute(delete(api_tokens).where(api_tokens.c.id == token_id)).rowcount == 1


def forget(transaction: Transaction, now: int) -> int:
    """Delete those whose time is over by any policy, and tokens that are dead."""
    over = or_(sessions.c.created_at < now - LONGEST, sessions.c.seen_at < now - LONGEST_IDLE)
    transaction.execute(delete(api_tokens).where(api_tokens.c.expires_at <= now))
    return int(transaction.execute(delete(sessions).where(over)).rowcount)


def _values(session: Session) -> dict[str, object]:
    return {
        "id": session.id,
        "name": session.name,
        "person_id": session.person_id,
        "stamp": session.stamp,
        "proofs": json.dumps([[proof.factor, proof.at] for proof in session.proofs]),
        "created_at": session.created_at,
        "seen_at": session.seen_at,
        "address": session.address,
        "browser": session.browser,
    }


def _session(row: Any) -> Session:
    return Session(
        id=row.id,
        name=row.name,
        person_id=row.person_id,
        stamp=row.stamp,
        proofs=tuple(SessionProof(factor, at) for factor, at in json.loads(row.proofs)),
        created_at=row.created_at,
        seen_at=row.seen_at,
        address=row.address,
        browser=row.browser,
    )
