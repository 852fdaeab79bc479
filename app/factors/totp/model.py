"""An authenticator app: a TOTP soft token (RFC 6238 with SHA-1, 6 digits, 30 seconds)."""

from dataclasses import dataclass, field
from enum import StrEnum

STEP = 30  # seconds (requirements T-05, T-12)
DIGITS = 6
SEED = 20  # bytes: the 160 bits that RFC 4226 R6 recommends
MOST_APPS = 5  # per person; the fixed work of a try covers so many


class AppState(StrEnum):
    """Whether an app's codes count."""

    ACTIVE = "active"
    DISABLED = "disabled"
    LOCKED = "locked"  # a hundred failures in a row: it has to be bound again (requirements T-08)
    REMOVED = "removed"  # the row stays, so that a removal can be undone


@dataclass(frozen=True, slots=True)
class App:
    """One row of totp_apps. ``drift`` shifts the window by steps; ``last_step`` was the last accepted one.

    ``off_at`` says since when it is not active, whatever it became then and later.
    ``mark`` is a keyed fingerprint of the seed, so that one seed is bound once; rows of the first release have none.
    """

    id: str
    person_id: int
    label: str
    seed: str = field(repr=False)  # sealed
    state: AppState
    drift: int
    last_step: int
    bound_at: int
    usable_from: int
    last_used_at: int | None
    removed_at: int | None = None
    off_at: int | None = None
    mark: str | None = None

    def waiting(self, now: int) -> bool:
        """Whether it is new: good for sign-in, for recovery and the removal of older factors not yet (rule 6)."""
        return now < self.usable_from


class Finding(StrEnum):
    """What a code turned out to be."""

    ACCEPTED = "accepted"
    USED = "used"
    CLOCK_OFF = "clock_off"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Match:
    """A code that belongs to an app: its time-step and how far that is from the app's own present, in steps."""

    app_id: str
    step: int
    offset: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a check. ``offset`` in time-steps of 30 s, negative where the app's clock is slow."""

    finding: Finding
    app_id: str = ""
    offset: int = 0
