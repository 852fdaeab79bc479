"""What the page of plots shows."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Span(StrEnum):
    """The time that the plots are of."""

    DAYS = "days"  # the last thirty, today included
    HOURS = "hours"  # of today


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that is counted: ``name`` is a Figure's, ``counts`` one for each day or hour.

    ``path`` draws a bar for each, in 1,000 by 100 units from above, in the language of SVG paths.
    """

    name: str
    counts: tuple[int, ...]
    total: int
    path: str

    @property
    def most(self) -> int:
        """The highest of them."""
        return max(self.counts, default=0)


@dataclass(frozen=True, slots=True)
class Plot:
    """Several rows to one scale. ``top`` is the count at its upper end; 0 where nothing happened at all."""

    rows: tuple[Row, ...]
    top: int

    @property
    def empty(self) -> bool:
        """Whether there is nothing to see."""
        return self.top == 0


@dataclass(frozen=True, slots=True)
class Spend:
    """What SMS took: ``costs`` and ``cost`` as written amounts, ``line`` where the budget lies in the drawing.

    ``budget`` is of PINs in a day; ``most`` is what the fullest day took of it, ``percent`` the same in percent.
    ``line`` is None where the budget is so far above the bars that it would press them flat.
    """

    plot: Plot
    costs: tuple[str, ...]
    cost: str
    cost_path: str  # to a scale of its own
    cost_most: str
    currency: str
    budget: int
    most: int
    percent: int
    line: float | None
    typed_percent: int | None  # of the PINs sent; None where none was


@dataclass(frozen=True, slots=True)
class Page:
    """All of it. ``times`` are the beginnings of the days or hours, UTC."""

    span: Span
    organizations: tuple[str, ...]
    times: tuple[datetime, ...]
    recoveries: Plot
    causes: Plot
    sms: Plot
    email: Plot
    spend: Spend
