"""Opening hours: whether support is open, and when that changes, also where the clocks are changed."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.records.organizations.model import Opening, SupportPolicy
from app.records.organizations.rules import SupportState, support_state

WEEKDAYS = tuple(Opening(day, "08:00", "12:00") for day in range(5)) + tuple(
    Opening(day, "13:00", "17:00") for day in range(5)
)
OFFICE = SupportPolicy(time_zone="Europe/Berlin", openings=WEEKDAYS)


def at(wall, zone="Europe/Berlin", fold=0):
    return int(datetime.fromisoformat(wall).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp())


@pytest.mark.parametrize(
    ("moment", "is_open", "changes"),
    [
        ("2026-11-24T07:59", False, "2026-11-24T08:00"),
        ("2026-11-24T08:00", True, "2026-11-24T12:00"),
        ("2026-11-24T11:59", True, "2026-11-24T12:00"),
        ("2026-11-24T12:00", False, "2026-11-24T13:00"),
        ("2026-11-24T17:00", False, "2026-11-25T08:00"),
        ("2026-11-27T17:00", False, "2026-11-30T08:00"),  # over the weekend
        ("2026-03-27T18:00", False, "2026-03-30T08:00"),  # and over a change of clocks
    ],
)
def test_office_hours(moment, is_open, changes):
    assert support_state(OFFICE, at(moment)) == SupportState(open=is_open, changes_at=at(changes))


def test_hours_are_those_of_supports_own_zone():
    tokyo = SupportPolicy(time_zone="Asia/Tokyo", openings=(Opening(0, "09:00", "17:00"),))
    assert support_state(tokyo, at("2026-11-23T01:00")) == SupportState(open=True, changes_at=at("2026-11-23T09:00"))


def test_a_date_on_which_it_is_closed_counts_for_nothing():
    closed = SupportPolicy(time_zone="Europe/Berlin", openings=WEEKDAYS, closed_on=("2026-12-25", "2026-12-28"))
    assert support_state(closed, at("2026-12-25T10:00")) == SupportState(open=False, changes_at=at("2026-12-29T08:00"))


def test_without_hours_it_is_never_open_and_around_the_clock_always():
    assert support_state(SupportPolicy(), at("2026-11-24T10:00")) == SupportState(open=False, changes_at=None)
    always = SupportPolicy(
        time_zone="Europe/Berlin", openings=tuple(Opening(day, "00:00", "24:00") for day in range(7))
    )
    assert support_state(always, at("2026-11-24T10:00")) == SupportState(open=True, changes_at=None)


def test_hours_that_touch_are_one():
    night = SupportPolicy(openings=(Opening(1, "20:00", "24:00"), Opening(2, "00:00", "06:00")))
    moment = int(datetime(2026, 11, 24, 22, tzinfo=UTC).timestamp())
    assert support_state(night, moment).changes_at == moment + 8 * 3_600


def test_an_opening_over_the_hour_that_is_left_out_ends_or_begins_with_the_change():
    forward = at("2026-03-29T03:00")  # the clocks go from 02:00 to 03:00
    until = SupportPolicy(time_zone="Europe/Berlin", openings=(Opening(6, "01:00", "02:30"),))
    assert support_state(until, forward - 1) == SupportState(open=True, changes_at=forward)
    assert not support_state(until, forward).open
    since = SupportPolicy(time_zone="Europe/Berlin", openings=(Opening(6, "02:30", "05:00"),))
    assert support_state(since, forward - 1) == SupportState(open=False, changes_at=forward)
    within = SupportPolicy(time_zone="Europe/Berlin", openings=(Opening(6, "02:10", "02:50"),))
    assert support_state(within, forward - 1).changes_at == at("2026-04-05T02:10")


def test_an_hour_that_comes_twice_is_open_both_times():
    back = SupportPolicy(time_zone="Europe/Berlin", openings=(Opening(6, "01:00", "02:30"),))
    first, second = (at("2026-10-25T02:30", fold=fold) for fold in (0, 1))
    assert second - first == 3_600
    assert support_state(back, first) == SupportState(open=True, changes_at=second)
    assert not support_state(back, second).open


openings = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 47), st.integers(1, 48)).filter(lambda one: one[1] < one[2]),
    max_size=6,
).map(
    lambda several: tuple(
        Opening(day, f"{a // 2:02}:{a % 2 * 30:02}", f"{b // 2:02}:{b % 2 * 30:02}") for day, a, b in several
    )
)


@given(
    openings,
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)),  # noqa: DTZ001 - Hypothesis wants them naive
)
def test_the_state_holds_until_it_changes(openings, zone, moment):
    policy = SupportPolicy(time_zone=zone, openings=openings)
    now = int(moment.replace(tzinfo=UTC).timestamp())
    state = support_state(policy, now)
    if state.changes_at is None:
        assert not openings or state.open
        return
    assert state.changes_at > now
    assert support_state(policy, state.changes_at).open is not state.open
    for share in range(8):
        between = now + (state.changes_at - 1 - now) * share // 7
        assert support_state(policy, between) == state


@given(openings, st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)))  # noqa: DTZ001
def test_where_no_clock_changes_it_is_what_the_clock_on_the_wall_says(openings, moment):
    now = int(moment.replace(tzinfo=UTC).timestamp())
    wall = datetime.fromtimestamp(now, UTC) + timedelta(hours=5, minutes=45)
    clock = f"{wall:%H:%M}"
    expected = any(one.weekday == wall.weekday() and one.begins <= clock < one.ends for one in openings)
    assert support_state(SupportPolicy(time_zone="Asia/Kathmandu", openings=openings), now).open is expected
