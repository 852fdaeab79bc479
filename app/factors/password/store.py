"""Tables of passwords and of the digests of former ones."""

from collections.abc import Sequence
from functools import lru_cache
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
    exists,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from app.factors.password.model import OPENED, Form, NewHash, PasswordRecord, Remembered
from app.foundation.sql import Prepared, Transaction, metadata

passwords = Table(
    "passwords",
    metadata,
    Column("person_id", Integer, ForeignKey("people.id"), primary_key=True),
    Column("hash", Text, nullable=False),
    Column("pepper", String(32), nullable=False),
    Column("form", String(8), nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("must_change", Boolean, nullable=False),
    Column("compromised", Boolean, nullable=False),
    Column("history_salt", String(128), nullable=False),
    Column("good_until", BigInteger),
    Index("ix_passwords_changed_at", "changed_at"),
)

# of whom it was told so many days before that the password of that moment expires
reminders = Table(
    "password_reminders",
    metadata,
    Column("person_id", Integer, ForeignKey("people.id"), primary_key=True),
    Column("changed_at", BigInteger, nullable=False),
    Column("days", Integer, nullable=False),
)

history = Table(
    "password_history",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("person_id", Integer, ForeignKey("people.id"), nullable=False),
    Column("digest_key", String(32), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_password_history_person_id_id", "person_id", "id"),
    sqlite_autoincrement=True,
)

_OF = passwords.c.person_id == bindparam("of_person")
_FIND = Prepared(select(passwords).where(_OF))
_REMEMBERED = Prepared(
    select(history.c.digest_key, history.c.digest)
    .where(history.c.person_id == bindparam("of_person"))
    .order_by(history.c.id.desc())
)
_STRENGTHEN = update(passwords).where(_OF, passwords.c.hash == bindparam("old_hash"))
_TRIM = Prepared(
    delete(history).where(
        history.c.person_id == bindparam("of_person"),
        history.c.id.not_in(
            select(history.c.id)
            .where(history.c.person_id == bindparam("of_person"))
            .order_by(history.c.id.desc())
            .limit(bindparam("keep"))
        ),
    )
)
_PUT = Prepared(
    update(passwords)
    .where(_OF)
    .values(
        hash=bindparam("new_hash"),
        pepper=bindparam("new_pepper"),
        form=bindparam("new_form"),
        history_salt=bindparam("new_history_salt"),
        changed_at=bindparam("now"),
        must_change=bindparam("new_must_change"),
        compromised=False,
        good_until=bindparam("new_good_until"),
    )
)
_REMEMBER = Prepared(insert(history))


def _reminded(insert_into: Any) -> Any:
    """One conditional write, whose row says whether it was made."""
    bound: Sequence[Any] = (bindparam("of_person"), bindparam("of_changed_at"), bindparam("of_days"))
    own = (passwords.c.person_id == bindparam("of_person"), passwords.c.changed_at == bindparam("of_changed_at"))
    chosen = insert_into.from_select(["person_id", "changed_at", "days"], select(*bound).where(exists().where(*own)))
    new = chosen.excluded
    return chosen.on_conflict_do_update(
        index_elements=[reminders.c.person_id],
        set_={"changed_at": new.changed_at, "days": new.days},
        where=or_(reminders.c.changed_at != new.changed_at, reminders.c.days > new.days),
    ).returning(reminders.c.person_id)


_REMINDED = {
    "sqlite": _reminded(sqlite.insert(reminders)),
    "postgresql": _reminded(postgresql.insert(reminders)),
}


def find(transaction: Transaction, person_id: int) -> PasswordRecord | None:
    """A person's password, None where they have none yet."""
    row = _FIND.first(transaction, {"of_person": person_id})
    return _record(row) if row else None


def remembered(transaction: Transaction, person_id: int) -> tuple[Remembered, ...]:
    """Digests of the present and the former passwords, the newest first."""
    rows = _REMEMBERED.rows(transaction, {"of_person": person_id})
    return tuple(Remembered(row.digest_key, row.digest) for row in rows)


def add(
    transaction: Transaction,
    person_id: int,
    new: NewHash,
    *,
    must_change: bool,
    now: int,
    good_until: int | None = None,
) -> None:
    """Give a person who has none a password."""
    values = {**_values(new), "changed_at": now, "must_change": must_change, "good_until": good_until}
    transaction.execute(insert(passwords).values(person_id=person_id, compromised=False, **values))
    if new.remembered:
        _remember(transaction, person_id, new.remembered, now)


def put(
    transaction: Transaction, person_id: int, new: NewHash, *, keep: int, now: int, good_until: int | None = None
) -> None:
    """Replace a person's password, or give the first one, and remember no more than ``keep`` digests.

    With ``good_until`` it is a temporary one, which has to be changed.
    """
    temporary = good_until is not None
    values: dict[str, object] = {f"new_{name}": value for name, value in _values(new).items()}
    values |= {"of_person": person_id, "now": now, "new_must_change": temporary, "new_good_until": good_until}
    if _PUT.count(transaction, values) == 1:
        if new.remembered:
            _remember(transaction, person_id, new.remembered, now)
    else:
        add(transaction, person_id, new, must_change=temporary, now=now, good_until=good_until)
    _TRIM.count(transaction, {"of_person": person_id, "keep": keep})


def strengthen(transaction: Transaction, person_id: int, old_hash: str, new: NewHash, *, now: int) -> bool:
    """Replace the hash of the same password if it still is the old one; False where somebody was faster."""
    where = {"of_person": person_id, "old_hash": old_hash}
    if transaction.execute(_STRENGTHEN.values(**_values(new)), where).rowcount != 1:
        return False
    if new.remembered:
        _remember(transaction, person_id, new.remembered, now)
    return True


def revoke(transaction: Transaction, person_id: int, unusable: NewHash, *, now: int) -> None:
    """Put a hash that nothing fits in a password's place, and owe a change. The history and its salt stay."""
    transaction.execute(
        update(passwords)
        .where(_OF)
        .values(
            hash=unusable.hash,
            pepper=unusable.pepper,
            form=unusable.form.value,
            changed_at=now,
            must_change=False,
            compromised=True,
            good_until=None,
        ),
        {"of_person": person_id},
    )


def reopen(transaction: Transaction, person_id: int, now: int) -> bool:
    """A temporary password that lapsed locks no more, and opens nothing all the same. False where none has."""
    shut = (passwords.c.good_until > OPENED, passwords.c.good_until <= now)
    return (
        transaction.execute(
            update(passwords).where(_OF, *shut).values(good_until=OPENED), {"of_person": person_id}
        ).rowcount
        == 1
    )


def mark_compromised(transaction: Transaction, person_id: int) -> bool:
    """Owe a change on evidence of compromise (NIST SP 800-63B-4 sec. 3.1.1.2); False where there is no password."""
    result = transaction.execute(update(passwords).where(_OF).values(compromised=True), {"of_person": person_id})
    return result.rowcount == 1


def reminded(transaction: Transaction, person_id: int, changed_at: int, days: int) -> bool:
    """Note that somebody is told so many days before that the password of a moment expires.

    False where the password was changed since, or they were told as late already.
    """
    values = {"of_person": person_id, "of_changed_at": changed_at, "of_days": days}
    return transaction.execute(_REMINDED[transaction.dialect.name], values).first() is not None


def keys(transaction: Transaction) -> frozenset[str]:
    """The names of keys that passwords and their history still need, so that none is thrown away too early."""
    named: set[str] = set()
    for column in (passwords.c.pepper, history.c.digest_key):
        rows: Sequence[Any] = transaction.execute(select(column).distinct()).all()
        named.update(str(row[0]) for row in rows)
    return frozenset(named - {""})


def _remember(transaction: Transaction, person_id: int, digest: Remembered, now: int) -> None:
    values = {"person_id": person_id, "digest_key": digest.key, "digest": digest.digest, "created_at": now}
    _REMEMBER.count(transaction, values)


def _values(new: NewHash) -> dict[str, str]:
    return {"hash": new.hash, "pepper": new.pepper, "form": new.form.value, "history_salt": new.history_salt}


@lru_cache(maxsize=4)
def _form(value: str) -> Form:
    return Form(value)


def _record(row: Any) -> PasswordRecord:
    return PasswordRecord(
        hash=row.hash,
        pepper=row.pepper,
        form=_form(row.form),
        changed_at=row.changed_at,
        must_change=bool(row.must_change),
        compromised=bool(row.compromised),
        history_salt=row.history_salt,
        good_until=row.good_until,
    )
