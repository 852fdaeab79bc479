"""Pure rules: which reminder is due."""

DAY = 86_400
DAYS = (14, 7, 1)  # before a password expires
OVER = 0  # noted of one that has expired already: nothing is left to be said of it


def due(age: int, expires_at: int, now: int) -> int | None:
    """Of the reminders the one that is due: so many days before; OVER after the end, None: none yet.

    ``age`` is how many days a password may last: what would be due before it was set is not due at all.
    """
    if expires_at <= now:
        return OVER
    return min((days for days in DAYS if days < age and expires_at - days * DAY <= now), default=None)


def windows(age: int, now: int) -> tuple[tuple[int, int, int], ...]:
    """For each reminder: its days, and after when and until when a password was set of which it is due now."""
    stages = [days for days in DAYS if days < age]
    ends = [*stages[1:], 0]
    return tuple(
        (days, now - (age - end) * DAY, now - (age - days) * DAY) for days, end in zip(stages, ends, strict=False)
    )
