"""From counts to drawings: pure arithmetic."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from app.journeys.dashboard.model import Page, Plot, Row, Span, Spend
from app.records.figures.model import CAUSES, DAY, HOUR, Count, Figure

DAYS = 30
WIDTH, HEIGHT = 1_000, 100
_GAP = 0.25  # of a bar's place
_LEAST = 2.0  # of the height: one among a thousand is seen
_LINE_FROM = 0.25  # of the budget: below it the line would press the bars flat
_RECOVERIES = (Figure.BEGUN, Figure.FINISHED)
_SMS = (Figure.SMS_DELIVERED, Figure.SMS_SENT, Figure.SMS_UNKNOWN, Figure.SMS_FAILED, Figure.SMS_WAITING)
_EMAIL = (Figure.EMAIL_SENT, Figure.EMAIL_UNKNOWN, Figure.EMAIL_FAILED, Figure.EMAIL_WAITING)
_SPEND = (Figure.SMS_PINS, Figure.SMS_TYPED, Figure.SMS_NOTICES)

Cells = Mapping[tuple[Figure, int], Count]


def window(span: Span, now: int) -> tuple[int, int, int]:
    """(since, until, step) in seconds: whole days or hours in UTC, the present one included."""
    today = now - now % DAY
    if span is Span.HOURS:
        return today, now - now % HOUR + HOUR, HOUR
    return today - (DAYS - 1) * DAY, today + DAY, DAY


def page(
    span: Span, counts: Iterable[Count], now: int, *, organizations: Sequence[str], budget: int, currency: str
) -> Page:
    """The page, of counts of any length that lie in the window. ``budget``: PINs by SMS in a day, of these together."""
    since, until, step = window(span, now)
    starts = tuple(range(since, until, step))
    cells = _cells(counts, step)
    spent = _plot(_SPEND, cells, starts, reach=budget if span is Span.DAYS else 0)
    costs = [sum(_cell(cells, figure, at).cost for figure in _SPEND) for at in starts]
    pins, typed = spent.rows[0], spent.rows[1]
    most = max(pins.counts, default=0) if span is Span.DAYS else pins.total
    return Page(
        span=span,
        organizations=tuple(organizations),
        times=tuple(_utc(at) for at in starts),
        recoveries=_plot(_RECOVERIES, cells, starts),
        causes=_plot(CAUSES, cells, starts),
        sms=_plot(_SMS, cells, starts),
        email=_plot(_EMAIL, cells, starts),
        spend=Spend(
            plot=spent,
            costs=tuple(_amount(cost) for cost in costs),
            cost=_amount(sum(costs)),
            cost_path=_path(costs, max(costs, default=0)),
            cost_most=_amount(max(costs, default=0)),
            currency=currency,
            budget=budget,
            most=most,
            percent=most * 100 // budget,
            line=_line(spent.top, budget) if span is Span.DAYS and spent.top >= budget else None,
            typed_percent=typed.total * 100 // pins.total if pins.total else None,
        ),
    )


def _cells(counts: Iterable[Count], step: int) -> dict[tuple[Figure, int], Count]:
    cells: dict[tuple[Figure, int], Count] = {}
    for one in counts:
        at = one.at - one.at % step
        old = cells.get((one.figure, at), Count(at, one.figure, 0))
        cells[one.figure, at] = Count(at, one.figure, old.count + one.count, old.cost + one.cost)
    return cells


def _cell(cells: Cells, figure: Figure, at: int) -> Count:
    return cells.get((figure, at), Count(at, figure, 0))


def _plot(figures: Sequence[Figure], cells: Cells, starts: Sequence[int], reach: int = 0) -> Plot:
    """``reach``: the scale goes up to there, unless the bars would be too low."""
    counts = {figure: tuple(_cell(cells, figure, at).count for at in starts) for figure in figures}
    top = max(max(each, default=0) for each in counts.values())
    if top >= reach * _LINE_FROM:
        top = max(top, reach)
    rows = tuple(Row(figure.value, each, sum(each), _path(each, top)) for figure, each in counts.items())
    return Plot(rows, top)


def _path(counts: Sequence[int], top: int) -> str:
    """A bar for each count that is not 0, to a scale that ends at ``top``."""
    place = WIDTH / len(counts)
    width = place * (1 - _GAP)
    bars = []
    for index, count in enumerate(counts):
        if count:
            height = max(_LEAST, HEIGHT * count / top)
            bars.append(f"M{index * place + (place - width) / 2:.1f} {HEIGHT}v-{height:.1f}h{width:.1f}v{height:.1f}z")
    return "".join(bars)


def _line(top: int, budget: int) -> float:
    """How far from above a budget lies."""
    return round(HEIGHT * (1 - budget / top), 1)


def _amount(millionths: int) -> str:
    return f"{Decimal(millionths) / 1_000_000:.2f}"


def _utc(at: int) -> datetime:
    return datetime.fromtimestamp(at, UTC)
