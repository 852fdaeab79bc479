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
    func,
    insert,
    literal,
    or_,
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
    Column("removed_at", BigInteger),
    Column("off_at", BigInteger),
    Column("mark", String(64), unique=True),
    Index("ix_totp_apps_person_id", "person_id"),
)

burned = Table(
    "totp_burned_steps",
    metadata,
    Column("app_id", String(32), ForeignKey("totp_apps.id"), primary_key=True),
    Column("step", BigInteger, primary_key=True),
    Column("burned_at", BigInteger, nullable=False),
)

# how long an app was put away that is back; what was off at a moment does not become older than it by being enabled
off_periods = Table(
    "totp_off_periods",
    metadata,
    Column("app_id", String(32), ForeignKey("totp_apps.id"), primary_key=True),
    Column("on_at", BigInteger, primary_key=True),
    Column("off_at", BigInteger, nullable=False),
)

_ROW: dict[str, Any] = {column.name: bindparam(column.name) for column in apps.columns}
_ADD = Prepared(
    {
        "sqlite": sqlite.insert(apps).values(_ROW).on_conflict_do_nothing(index_elements=["mark"]),
        "postgresql": postgresql.insert(apps).values(_ROW).on_conflict_do_nothing(index_elements=["mark"]),
    }
)
_OF_PERSON = Prepared(
    select(apps)
    .where(apps.c.person_id == bindparam("of_person"), apps.c.state != AppState.REMOVED.value)
    .order_by(apps.c.bound_at, apps.c.id)
)
_ANY = Prepared(
    select(apps.c.id)
    .where(
        apps.c.person_id == bindparam("of_person"),
        apps.c.state == AppState.ACTIVE.value,
        apps.c.usable_from <= bindparam("now"),
    )
    .limit(1)
)
_ONCE = (
    update(apps)
    .where(
        apps.c.id == bindparam("app_id"),
        apps.c.last_step < bindparam("step"),
        ~exists().where(burned.c.app_id == apps.c.id, burned.c.step == bindparam("step")),
    )
    .values(last_step=bindparam("step"), last_used_at=bindparam("now"))
)
_ACCEPT_ONCE = Prepared(_ONCE)
_ACCEPT = Prepared(_ONCE.where(apps.c.state == AppState.ACTIVE.value))
_BURN_ROW = select(apps.c.id, bindparam("step", type_=BigInteger), bindparam("now", type_=BigInteger)).where(
    apps.c.id == bindparam("app_id"), apps.c.last_step < bindparam("step")
)
_BURNED = [column.name for column in burned.columns]
_BURN = Prepared(
    {
        "sqlite": sqlite.insert(burned).from_select(_BURNED, _BURN_ROW).on_conflict_do_nothing(),
        "postgresql": postgresql.insert(burned).from_select(_BURNED, _BURN_ROW).on_conflict_do_nothing(),
    }
)


_STOLEN = 0  # since when a stolen app is off: no dispute is about an earlier moment


def of_person(transaction: Transaction, person_id: int) -> tuple[App, ...]:
    """A person's apps but for the removed ones, the oldest first."""
    return tuple(_app(row) for row in _OF_PERSON.rows(transaction, {"of_person": person_id}))


def any_usable(transaction: Transaction, person_id: int, now: int) -> bool:
    """Whether somebody has an active app past its waiting time. One statement for everybody."""
    return _ANY.first(transaction, {"of_person": person_id, "now": now}) is not None


def bound_before(transaction: Transaction, person_id: int, moment: int) -> tuple[App, ...]:
    """A person's apps that counted just before a moment, whatever became of them since; the oldest first."""
    rows = transaction.execute(
        select(apps)
        .where(apps.c.person_id == person_id, apps.c.usable_from <= moment, _there_at(moment))
        .order_by(apps.c.bound_at, apps.c.id)
    )
    return tuple(_app(row) for row in rows)


def roll_back(transaction: Transaction, person_id: int, moment: int, now: int) -> None:
    """Make the apps what they were just before a moment.

    Those bound then or later are removed; those disabled or removed since are active again, those enabled disabled.
    """
    own = apps.c.person_id == person_id
    later = update(apps).where(own, apps.c.bound_at >= moment, apps.c.state != AppState.REMOVED.value)
    transaction.execute(later.values(state=AppState.REMOVED.value, removed_at=now, off_at=_off(now)))
    enabled = update(apps).where(own, apps.c.state == AppState.ACTIVE.value, _off_at(moment))
    transaction.execute(enabled.values(state=AppState.DISABLED.value, off_at=now))
    earlier = update(apps).where(own, _there_at(moment), apps.c.state != AppState.ACTIVE.value)
    transaction.execute(earlier.values(state=AppState.ACTIVE.value, removed_at=None, off_at=None))


def _there_at(moment: int) -> Any:
    """Bound before a moment, and active until then or longer."""
    lasted = or_(apps.c.state == AppState.ACTIVE.value, apps.c.off_at >= moment)
    return (apps.c.bound_at < moment) & lasted & ~_off_at(moment)


def _off_at(moment: int) -> Any:
    """Put away before a moment, and enabled then or later."""
    was_off = (off_periods.c.app_id == apps.c.id, off_periods.c.off_at < moment, off_periods.c.on_at >= moment)
    return exists().where(*was_off)


def _off(now: int) -> Any:
    """Since when an app is not active that leaves its state now."""
    return func.coalesce(apps.c.off_at, now)


def accept_once(transaction: Transaction, app_id: str, step: int, now: int) -> bool:
    """``accept``, whatever became of the app meanwhile: for the code that undoes just that."""
    return _ACCEPT_ONCE.count(transaction, {"app_id": app_id, "step": step, "now": now}) == 1


def find(transaction: Transaction, person_id: int, app_id: str) -> App | None:
    """One app of a person, removed or not."""
    row = transaction.execute(select(apps).where(apps.c.id == app_id, apps.c.person_id == person_id)).first()
    return _app(row) if row else None


def bound_since(transaction: Transaction, person_id: int, since: int) -> int:
    """How many apps a person bound after a moment, removed ones too."""
    found = select(apps.c.id).where(apps.c.person_id == person_id, apps.c.bound_at > since)
    return len(transaction.execute(found).all())


def is_marked(transaction: Transaction, mark: str) -> bool:
    """Whether a seed of this fingerprint was ever bound."""
    return transaction.execute(select(apps.c.id).where(apps.c.mark == mark)).first() is not None


def add(transaction: Transaction, app: App) -> bool:
    """Insert an app; False where its seed is bound already."""
    values = {
        "id": app.id,
        "person_id": app.person_id,
        "label": app.label,
        "seed": app.seed,
        "state": app.state.value,
        "drift": app.drift,
        "last_step": app.last_step,
        "bound_at": app.bound_at,
        "usable_from": app.usable_from,
        "last_used_at": app.last_used_at,
        "removed_at": app.removed_at,
        "off_at": app.off_at,
        "mark": app.mark,
    }
    return _ADD.count(transaction, values) == 1


def rename(transaction: Transaction, app_id: str, label: str) -> bool:
    """Give an app another label; False where it was removed meanwhile."""
    where = (apps.c.id == app_id, apps.c.state != AppState.REMOVED.value)
    return transaction.execute(update(apps).where(*where).values(label=label)).rowcount == 1


def change_state(
    transaction: Transaction,
    app_id: str,
    before: tuple[AppState, ...],
    after: AppState,
    now: int,
    *,
    stolen: bool = False,
) -> bool:
    """Move an app from one of some states to another; False where it stands in none of them. Nothing else changes.

    ``stolen``: put away as if it had been so ever since, so that it decides no undo and none brings it back.
    """
    where = (apps.c.id == app_id, apps.c.state.in_([state.value for state in before]))
    if after is AppState.ACTIVE:
        period = select(apps.c.id, literal(now, BigInteger), apps.c.off_at).where(*where, apps.c.off_at < now)
        transaction.execute(insert(off_periods).from_select(["app_id", "on_at", "off_at"], period))
    values = {
        "state": after.value,
        "removed_at": now if after is AppState.REMOVED else None,
        "off_at": None if after is AppState.ACTIVE else _STOLEN if stolen else _off(now),
    }
    return transaction.execute(update(apps).where(*where).values(values)).rowcount == 1


def lock_all(transaction: Transaction, person_id: int, but: str, now: int) -> int:
    """Lock every active or disabled app of a person but one; how many there were."""
    where = (
        apps.c.person_id == person_id,
        apps.c.id != but,
        apps.c.state.in_([AppState.ACTIVE.value, AppState.DISABLED.value]),
    )
    return int(
        transaction.execute(update(apps).where(*where).values(state=AppState.LOCKED.value, off_at=_off(now))).rowcount
    )


def synchronize(transaction: Transaction, app_id: str, step: int, drift: int, now: int) -> bool:
    """Shift an active app's window, and spend the time-step and the one before it, by one conditional write.

    False where either was accepted or burned before, or lies before one that was.
    """
    spent = exists().where(burned.c.app_id == apps.c.id, burned.c.step.in_([step - 1, step]))
    where = (apps.c.id == app_id, apps.c.state == AppState.ACTIVE.value, apps.c.last_step < step - 1, ~spent)
    values = {"drift": drift, "last_step": step, "last_used_at": now}
    return transaction.execute(update(apps).where(*where).values(values)).rowcount == 1


def accept(transaction: Transaction, app_id: str, step: int, now: int) -> bool:
    """Spend a time-step by one conditional write: only a later one than the last, and none that was burned.

    The row count decides (RFC 6238 sec. 5.2, NIST SP 800-63B-4 sec. 3.1.4.2, ASVS 6.5.1).
    """
    return _ACCEPT.count(transaction, {"app_id": app_id, "step": step, "now": now}) == 1


def burn(transaction: Transaction, app_id: str, step: int, now: int) -> bool:
    """Make one time-step useless for ever; False where it was so already: burned, or not after the last accepted."""
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
        removed_at=row.removed_at,
        off_at=row.off_at,
        mark=row.mark,
    )
