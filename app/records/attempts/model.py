"""What is counted, and what a counter remembers."""

from dataclasses import dataclass, field
from enum import StrEnum


class Factor(StrEnum):
    """What is being tried."""

    PASSWORD = "password"  # noqa: S105 - a name, not a secret
    APP = "app"
    PIN = "pin"
    ANSWER = "answer"
    SEND = "send"
    RESET = "reset"  # a letter about a forgotten password is asked for


class Door(StrEnum):
    """Where it is tried (security rule 1). A lane is a browser that is known, or a mailed link."""

    SIGN_IN = "sign_in"
    RECOVERY = "recovery"
    LANE = "lane"


FOREVER = 253_402_300_799  # the end of the year 9999: locked until somebody unlocks, or a recovery


@dataclass(frozen=True, slots=True)
class Lockout:
    """What an organization wants after so many failures in a row at a door, beside the waits that hold for everybody.

    ``seconds`` is for how long no try is judged; 0: until an unlock or a recovery. ``each``: again after each further
    failure, instead of after as many as at first.
    """

    after: int
    seconds: int
    each: bool = False


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a try is counted for. ``key`` is a keyed digest of the canonical User ID, alike for known and unknown."""

    key: str
    person_id: int | None


@dataclass(frozen=True, slots=True)
class History:
    """One factor's counters for one subject.

    ``days`` holds, per door, the times of the tries of the last 24 hours that count, oldest first.
    ``runs`` holds, per door, the failures in a row and until when that door waits: failed sign-ins never
    close recovery, and the other way round. ``consecutive`` counts over all doors since the last success;
    ``strangers`` is the part of it from outside lanes, per door: each door has a share of its own of what
    strangers may spend, or failed sign-ins would close recovery. ``locks`` holds, per door, the failures that count
    for a ``Lockout`` and until when the door is locked by it.
    """

    days: dict[str, tuple[int, ...]] = field(default_factory=dict)
    runs: dict[str, tuple[int, int]] = field(default_factory=dict)
    consecutive: int = 0
    strangers: dict[str, int] = field(default_factory=dict)
    locks: dict[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a try may be judged. ``retry_after`` in seconds where it may not.

    ``judged`` False with ``allowed`` True means: count it, do the work, and answer as if it were wrong.
    """

    history: History
    allowed: bool
    judged: bool = True
    retry_after: int = 0
    closed_to_strangers: bool = False  # this very try used up what strangers may spend
    locked_until: int = 0  # by this very try, if it is wrong
    lock_is_news: bool = False  # which nobody has been told yet


@dataclass(frozen=True, slots=True)
class Spent:
    """A try that was counted and may now be judged, once."""

    subject: Subject
    factor: Factor
    door: Door
    at: int
    counted: bool = True
    judged: bool = True
    closed_to_strangers: bool = False
    locked_until: int = 0
    lock_is_news: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """What support and the unlock page may know: the longest wait of any door, and when it ends.

    ``locked_until`` is the end of an organization's lock, ``FOREVER`` where it has none; 0: there is no lock.
    """

    consecutive: int
    blocked_until: int
    closed_to_strangers: bool
    disabled: bool  # the hard cap was reached: it must be bound again
    locked_until: int = 0

    def locked(self, now: int) -> bool:
        """Whether a next try would be refused, or not be judged."""
        return max(self.blocked_until, self.locked_until) > now or self.closed_to_strangers or self.disabled
