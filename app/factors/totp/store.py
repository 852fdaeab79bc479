"""Tables of authenticator apps and of the time-steps that never count any more."""

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
    exists,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from app.factors.totp.model import App, AppState
from app.foundation.sql import Prepared, Transaction, metadata

apps = Table(
    "totp_apps",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("person_id", Integer, ForeignKey("people.id"), nullable=False),
    Column("label", String(64), nullable=False),
    Column("seed", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("drift", Integer, nullable=False, server_default="0"),
    Column("last_step", BigInteger, nullable=False, server_default="0"),
    Column("bound_at", BigInteger, nullable=False),
    Column("usable_from", BigInteger, nullable=False),
    Column("last_used_at", BigInteger),
    Index("ix_totp_apps_person_id", "person_id"),
)

burned = Table(
    "totp_burned_steps",
    metadata,
    Column("app_id", String(32), ForeignKey("totp_apps.id"), primary_key=True),
    Column("step", BigInteger, primary_key=True),
    Column("burned_at", BigInteger, nullable=False),
)

_OF_PERSON = Prepared(
    select(apps).where(apps.c.person_id == bindparam("of_person")).order_by(apps.c.bound_at, apps.c.id)
)
_ACCEPT = Prepared(
    update(apps)
    .where(
        apps.c.id == bindparam("app_id"),
        apps.c.state == AppState.ACTIVE.value,
        apps.c.last_step < bindparam("step"),
        ~exists().where(burned.c.app_id == apps.c.id, burned.c.step == bindparam("step")),
    )
    .values(last_step=bindparam("step"), last_used_at=bindparam("now"))
)
_BURN_ROW: dict[str, Any] = {"app_id": bindparam("app_id"), "step": bindparam("step"), "burned_at": bindparam("now")}
_BURN = Prepared(
    {
        "sqlite": sqlite.insert(burned).values(_BURN_ROW).on_conflict_do_nothing(),
        "postgresql": postgresql.insert(burned).values(_BURN_ROW).on_conflict_do_nothing(),
    }
)


def of_person(transaction: Transaction, person_id: int) -> tuple[App, ...]:
    """A person's apps, the oldest first."""
    return tuple(_app(row) for row in _OF_PERSON.rows(transaction, {"of_person": person_id}))


def add(transaction: Transaction, app: App) -> None:
    """Insert an app."""
    transaction.execute(
        insert(apps).values(
            id=app.id,
            person_id=app.person_id,
            label=app.label,
            seed=app.seed,
            state=app.state.value,
            drift=app.drift,
            last_step=app.last_step,
            bound_at=app.bound_at,
            usable_from=app.usable_from,
            last_used_at=app.last_used_at,
        )
    )


def accept(transaction: Transaction, app_id: str, step: int, now: int) -> bool:
    """Spend a time-step by one conditional write: only a later one than the last, and none that was burned.

    The row count decides (RFC 6238 sec. 5.2, NIST SP 800-63B-4 sec. 3.1.4.2, ASVS 6.5.1).
    """
    return _ACCEPT.count(transaction, {"app_id": app_id, "step": step, "now": now}) == 1


def burn(transaction: Transaction, app_id: str, step: int, now: int) -> bool:
    """Make one time-step useless for ever; False where it was so already."""
    return _BURN.count(transaction, {"app_id": app_id, "step": step, "now": now}) == 1


def forget(transaction: Transaction, before: int) -> int:
    """Delete burned steps from before a moment: out of reach of every window by then."""
    return int(transaction.execute(delete(burned).where(burned.c.burned_at < before)).rowcount)


def _app(row: Any) -> App:
    return App(
        id=row.id,
        person_id=row.person_id,
        label=row.label,
        seed=row.seed,
        state=AppState(row.state),
        drift=row.drift,
        last_step=row.last_step,
        bound_at=row.bound_at,
        usable_from=row.usable_from,
        last_used_at=row.last_used_at,
    )
