"""What a database knows of itself: whether it was made for the demo, and which keys its secrets need."""

from collections.abc import Mapping

from sqlalchemy import Column, String, Table, Text, select
from sqlalchemy.dialects import postgresql, sqlite

from app.foundation.secretbox import Keyring
from app.foundation.sql.database import Transaction, metadata

installation = Table(
    "installation",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

_KIND = "kind"
_DEMO = "demo"
_KEY = "key:"
_INSERT = {
    "sqlite": sqlite.insert(installation).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(installation).on_conflict_do_nothing(),
}


def mark_demo(transaction: Transaction) -> None:
    """Say for good that this database is the demo's. Only when it was just made (security rule 15)."""
    _put(transaction, _KIND, _DEMO)


def is_demo(transaction: Transaction) -> bool:
    """Whether it was made for the demo, with passwords that everybody knows."""
    found = transaction.execute(select(installation.c.value).where(installation.c.name == _KIND)).scalar()
    return found == _DEMO


def key_checks(keyring: Keyring) -> dict[str, str]:
    """For each key of a ring what the database may know of it: enough to recognise it, and of no other use."""
    return {name: keyring.mac_hex("installation", "check", key=name) for name in keyring.names}


def unfit_keys(transaction: Transaction, checks: Mapping[str, str]) -> tuple[str, ...]:
    """The names of keys that do not fit this database; empty where all is well.

    ``checks`` come from ``key_checks``. A key does not fit where the database knows other material under its
    name; where it knows none of the ring's, those it knows are named.
    """
    known = _known(transaction)
    wrong = tuple(name for name, check in checks.items() if known.get(name, check) != check)
    if known and not wrong and not known.keys() & checks.keys():
        return tuple(sorted(known))
    return wrong


def remember_keys(transaction: Transaction, checks: Mapping[str, str]) -> tuple[str, ...]:
    """Remember the keys of a ring that fits; one that does not is left alone, and what ``unfit_keys`` says returned."""
    wrong = unfit_keys(transaction, checks)
    if not wrong:
        for name in checks.keys() - _known(transaction).keys():
            _put(transaction, f"{_KEY}{name}", checks[name])
    return wrong


def _known(transaction: Transaction) -> dict[str, str]:
    rows = transaction.execute(select(installation).where(installation.c.name.startswith(_KEY, autoescape=True)))
    return {str(row.name).removeprefix(_KEY): str(row.value) for row in rows}


def _put(transaction: Transaction, name: str, value: str) -> None:
    transaction.execute(_INSERT[transaction.dialect.name], {"name": name, "value": value})
