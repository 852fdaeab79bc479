"""From counts to drawings."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.journeys.dashboard import rules
from app.journeys.dashboard.model import Span
from app.records.figures.model import DAY, HOUR, Count, Figure, Source
from tests.hands import START


def page(counts, *, span=Span.DAYS, budget=1_000):
    return rules.page(span, counts, START, organizations=("o",), budget=budget, currency="USD")


def bars(path):
    """(x, y, height, width) of each bar of a path."""
    return [tuple(map(float, bar)) for bar in re.findall(r"M([\d.]+) (\d+)v-([\d.]+)h([\d.]+)v[\d.]+z", path)]


def test_thirty_days_end_with_today_and_hours_with_the_present_one():
    since, until, step = rules.window(Span.DAYS, START)
    assert (until - since, step, since % DAY) == (30 * DAY, DAY, 0)
    assert since <= START - 29 * DAY < since + DAY
    assert until - DAY <= START < until
    since, until, step = rules.window(Span.HOURS, START)
    assert (since, until, step) == (START - START % DAY, START - START % HOUR + HOUR, HOUR)
    assert rules.window(Span.HOURS, DAY * 20_000) == (DAY * 20_000, DAY * 20_000 + HOUR, HOUR)


def test_every_figure_belongs_to_one_source():
    assert sorted([*Source.EVENTS.figures, *Source.MESSAGES.figures]) == sorted(Figure)


@given(st.lists(st.integers(0, 10**6), min_size=30, max_size=30))
def test_bars_are_to_scale_and_within_the_drawing(numbers):
    since, _, _ = rules.window(Span.DAYS, START)
    shown = page([Count(since + DAY * place, Figure.BEGUN, number) for place, number in enumerate(numbers)])
    row = shown.recoveries.rows[0]
    assert row.counts == tuple(numbers)
    assert row.total == sum(numbers)
    drawn = bars(row.path)
    assert len(drawn) == sum(number > 0 for number in numbers)
    for (x, y, height, width), number in zip(drawn, [n for n in numbers if n], strict=True):
        assert y == 100
        assert 0 <= x <= x + width <= 1_000
        assert height == pytest.approx(max(2, 100 * number / max(numbers)), abs=0.06)


@pytest.mark.parametrize(
    ("pins", "budget", "top", "line"),
    [
        (10, 1_000, 10, None),
        (249, 1_000, 249, None),
        (250, 1_000, 1_000, 0),
        (1_000, 1_000, 1_000, 0),
        (60, 40, 60, 33.3),
    ],
)
def test_a_budget_is_drawn_where_it_presses_no_bar_flat(pins, budget, top, line):
    spend = page([Count(START, Figure.SMS_PINS, pins, cost=80_000 * pins)], budget=budget).spend
    assert (spend.plot.top, spend.line) == (top, line)
    assert (spend.most, spend.percent) == (pins, pins * 100 // budget)
    assert spend.cost == f"{pins * 0.08:.2f}"


def test_hours_add_up_to_days():
    counts = [Count(START - hour * HOUR, Figure.SMS_PINS, 1, cost=500_000) for hour in range(200)]
    spend = page(counts).spend
    assert spend.plot.rows[0].total == 200
    assert spend.cost == "100.00"
    assert max(spend.plot.rows[0].counts) == 24


def test_nothing_at_all_is_an_empty_plot():
    shown = page([])
    assert shown.recoveries.empty
    assert shown.spend.plot.empty
    assert (shown.spend.cost, shown.spend.typed_percent, shown.spend.line) == ("0.00", None, None)
