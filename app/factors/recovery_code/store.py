"""Tables of sets of saved codes and of their digests. Voided sets stay, for undo."""

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
    func,
    insert,
    or_,
    select,
    update,
)

from app.factors.recovery_code.model import CodeSet, Use
from app.foundation.sql import Prepared, Transaction, metadata

sets = Table(
    "recovery_code_sets",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("person_id", Integer, ForeignKey("people.id"), nullable=False),
    Column("salt", String(128), nullable=False),
    Column("digest_key", String(32), nullable=False),  # the name of the key of the keyring
    Column("made_at", BigInteger, nullable=False),
    Column("usable_from", BigInteger, nullable=False),
    Column("voided_at", BigInteger),
    Column("serves_until", BigInteger),
    Index("ix_recovery_code_sets_person_id", "person_id"),
)

codes = Table(
    "recovery_codes",
    metadata,
    Column("set_id", String(32), ForeignKey("recovery_code_sets.id"), primary_key=True),
    Column("digest", String(64), primary_key=True),
    Column("used_at", BigInteger),
)

_OF_PERSON = Prepared(
    select(sets).where(sets.c.person_id == bindparam("of_person")).order_by(sets.c.made_at, sets.c.id)
)
_ANY = Prepared(
    select(sets.c.id)
    .join_from(sets, codes, codes.c.set_id == sets.c.id)
    .where(
        sets.c.person_id == bindparam("of_person"),
        sets.c.usable_from <= bindparam("now"),
        or_(sets.c.serves_until.is_(None), sets.c.serves_until > bindparam("now")),
        codes.c.used_at.is_(None),
    )
    .limit(1)
)
_THIS = (codes.c.set_id == bindparam("of_set"), codes.c.digest == bindparam("of_digest"))
_LOOK = Prepared(select(codes.c.used_at).where(*_THIS))
_LEFT = Prepared(
    select(
        func.count().label("made"),
        func.count(codes.c.used_at).label("used"),
        func.max(codes.c.used_at).label("last_used_at"),
    ).where(codes.c.set_id == bindparam("of_set"))
)


def _spend(*still_good: Any) -> Prepared:
    good = select(sets.c.id).where(sets.c.id == bindparam("of_set"), sets.c.usable_from <= bindparam("by"), *still_good)
    return Prepared(
        update(codes)
        .where(*_THIS, codes.c.used_at.is_(None), codes.c.set_id.in_(good))
        .values(used_at=bindparam("now"))
    )


# the set is judged again in the write itself: a new one may have been made since it was looked at
_SPEND_LIVING = _spend(sets.c.voided_at.is_(None))
_SPEND_SERVING = _spend(or_(sets.c.serves_until.is_(None), sets.c.serves_until > bindparam("by")))
_SPEND_OLDER = _spend()
_ANY_TIME = 2**53


def of_person(transaction: Transaction, person_id: int) -> tuple[CodeSet, ...]:
    """A person's sets, voided ones too, the oldest first."""
    return tuple(_set(row) for row in _OF_PERSON.rows(transaction, {"of_person": person_id}))


def any_serving(transaction: Transaction, person_id: int, now: int) -> bool:
    """Whether somebody has an unused code that is good for a recovery now. One statement for everybody."""
    return _ANY.first(transaction, {"of_person": person_id, "now": now}) is not None


def add(transaction: Transaction, new: CodeSet, digests: tuple[str, ...]) -> None:
    """Insert a set and its codes. What it replaces is voided by ``replace``."""
    transaction.execute(
        insert(sets).values(
            id=new.id,
            person_id=new.person_id,
            salt=new.salt,
            digest_key=new.key,
            made_at=new.made_at,
            usable_from=new.usable_from,
            voided_at=new.voided_at,
            serves_until=new.serves_until,
        )
    )
    transaction.execute(insert(codes), [{"set_id": new.id, "digest": digest} for digest in digests])


def replace(transaction: Transaction, person_id: int, now: int, *, serves_until: int) -> None:
    """Void a person's sets: for sign-in at once, for recovery at ``serves_until`` where they may serve it now.

    ``serves_until`` = ``REPORTED`` says of the set that lives, and of one that it replaced, that it was lost or seen.
    """
    own = sets.c.person_id == person_id
    serving = or_(sets.c.serves_until.is_(None), sets.c.serves_until > now)
    transaction.execute(
        update(sets).where(own, serving, sets.c.usable_from > now).values(serves_until=min(now, serves_until))
    )
    transaction.execute(update(sets).where(own, serving, sets.c.usable_from <= now).values(serves_until=serves_until))
    transaction.execute(update(sets).where(own, sets.c.voided_at.is_(None)).values(voided_at=now))


def void(transaction: Transaction, person_id: int, set_id: str, now: int) -> bool:
    """Void one set for everything: it was stolen, or undo takes it back. False where it is not the person's."""
    where = (sets.c.id == set_id, sets.c.person_id == person_id)
    return transaction.execute(update(sets).where(*where).values(voided_at=now, serves_until=now)).rowcount == 1


def revive(transaction: Transaction, person_id: int, set_id: str) -> bool:
    """Make a voided set the living one again, for undo; the caller voids the others. Used codes stay used."""
    where = (sets.c.id == set_id, sets.c.person_id == person_id)
    return transaction.execute(update(sets).where(*where).values(voided_at=None, serves_until=None)).rowcount == 1


def spend(transaction: Transaction, set_id: str, digest: str, use: Use, now: int) -> tuple[bool, bool]:
    """Spend a code by one conditional write: whether it was spent now, and whether it had been before."""
    values: dict[str, object] = {"of_set": set_id, "of_digest": digest}
    by = _ANY_TIME if use is Use.SIGN_IN else now
    statement = {Use.RECOVERY: _SPEND_SERVING, Use.UNDO: _SPEND_OLDER}.get(use, _SPEND_LIVING)
    spent = statement.count(transaction, {**values, "now": now, "by": by}) == 1
    found = _LOOK.first(transaction, values)  # afterwards: by then somebody faster has committed
    return spent, not spent and found is not None and found.used_at is not None


def left(transaction: Transaction, set_id: str) -> tuple[int, int | None]:
    """How many codes of a set are unused, and when one was used last."""
    row = _LEFT.first(transaction, {"of_set": set_id})
    return int(row.made) - int(row.used), row.last_used_at


def keys(transaction: Transaction) -> frozenset[str]:
    """The names of keys that sets still need, so that none is thrown away too early."""
    return frozenset(str(row[0]) for row in transaction.execute(select(sets.c.digest_key).distinct()))


def _set(row: Any) -> CodeSet:
    return CodeSet(
        id=row.id,
        person_id=row.person_id,
        salt=row.salt,
        key=row.digest_key,
        made_at=row.made_at,
        usable_from=row.usable_from,
        voided_at=row.voided_at,
        serves_until=row.serves_until,
    )
