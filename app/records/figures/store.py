"""The table of hours, and up to which hour each source was counted."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, String, Table, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from app.foundation.sql import Transaction, metadata
from app.records.figures.model import Count, Figure, Source

figures = Table(
    "figures",
    metadata,
    Column("organization_id", String(36), ForeignKey("organizations.id"), primary_key=True),
    Column("at", BigInteger, primary_key=True, autoincrement=False),
    Column("figure", String(32), primary_key=True),
    Column("count", Integer, nullable=False),
    Column("cost", BigInteger, nullable=False),
)

reached = Table(
    "figures_reached",
    metadata,
    Column("source", String(16), primary_key=True),
    Column("at", BigInteger, nullable=False),
)

_FIRST: dict[str, Any] = {
    "sqlite": sqlite.insert(reached).on_conflict_do_nothing(index_elements=["source"]),
    "postgresql": postgresql.insert(reached).on_conflict_do_nothing(index_elements=["source"]),
}


def counted_until(transaction: Transaction, source: Source) -> int | None:
    """The first moment of which nothing is counted yet; None before the first count."""
    row = transaction.execute(select(reached.c.at).where(reached.c.source == source.value)).first()
    return int(row.at) if row else None


def begin_at(transaction: Transaction, source: Source, at: int) -> None:
    """Let counting begin at a moment, where it has not begun."""
    transaction.execute(_FIRST[transaction.dialect.name].values(source=source.value, at=at))


def advance(transaction: Transaction, source: Source, old: int, new: int) -> bool:
    """Say that the time between is counted, with the transaction that counts it; False where somebody else did."""
    moved = update(reached).where(reached.c.source == source.value, reached.c.at == old).values(at=new)
    return transaction.execute(moved).rowcount == 1


def add(transaction: Transaction, organization_id: str, counts: Sequence[Count]) -> None:
    """Write down what was counted of an hour."""
    if counts:
        rows = [{"at": one.at, "figure": one.figure.value, "count": one.count, "cost": one.cost} for one in counts]
        transaction.execute(insert(figures), [{"organization_id": organization_id, **row} for row in rows])


def of(
    looking: Transaction, organization_id: str, source: Source, since: int, until: int, step: int
) -> tuple[Count, ...]:
    """What an organization has of a source from one hour to another, summed over steps of so many seconds."""
    start = (figures.c.at // step * step).label("start")
    named = [one.value for one in source.figures]
    cost = func.sum(figures.c.cost).label("cost")
    found = (
        select(start, figures.c.figure, func.sum(figures.c.count).label("counted"), cost)
        .where(figures.c.organization_id == organization_id, figures.c.at >= since, figures.c.at < until)
        .where(figures.c.figure.in_(named))
        .group_by("start", figures.c.figure)
    )
    return tuple(
        Count(int(row.start), Figure(row.figure), int(row.counted), int(row.cost)) for row in looking.execute(found)
    )


def forget(transaction: Transaction, before: int) -> int:
    """Delete hours before a moment."""
    return int(transaction.execute(delete(figures).where(figures.c.at < before)).rowcount)
