"""Which reminder is due."""

from hypothesis import given
from hypothesis import strategies as st

from app.journeys.reminders import rules
from app.journeys.reminders.rules import DAY, OVER, due

NOW = 1_790_000_000


def test_each_reminder_is_due_so_many_days_before_and_the_last_that_is_due_alone():
    told = {left: due(90, NOW + left * DAY, NOW) for left in (15, 14, 8, 7, 2, 1, 0, -3)}
    assert told == {15: None, 14: 14, 8: 14, 7: 7, 2: 7, 1: 1, 0: OVER, -3: OVER}


def test_what_would_be_due_before_the_password_was_set_is_not_due():
    assert due(7, NOW + 7 * DAY, NOW) is None
    assert due(10, NOW + 10 * DAY, NOW) is None
    assert due(10, NOW + 7 * DAY, NOW) == 7
    assert due(1, NOW + 1, NOW) is None


@given(age=st.integers(1, 730), set_at=st.integers(NOW - 800 * DAY, NOW))
def test_the_windows_find_exactly_those_whom_a_reminder_is_due(age, set_at):
    found = [days for days, after, until in rules.windows(age, NOW) if after < set_at <= until]
    told = due(age, set_at + age * DAY, NOW)
    assert found == ([told] if told else [])
