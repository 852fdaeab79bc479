"""Saved recovery codes: ten at a time, printed or written down, each good once (requirements T-18)."""

from dataclasses import dataclass, field
from enum import StrEnum

CODES = 10  # in a set
OCTETS = 10  # of a code: 80 bits
LENGTH = 16  # characters of a code, of five bits each
REPORTED = 0  # ``serves_until`` of a set that was reported lost or seen: it serves nothing, undo neither


class Use(StrEnum):
    """What a code is typed for. It decides which set of a person counts (security rule 6)."""

    SIGN_IN = "sign_in"  # the living set, at once
    STEP_UP = "step_up"  # the living set, once its waiting time is over
    RECOVERY = "recovery"  # a set past its waiting time; the replaced one until the new one may serve
    UNDO = "undo"  # the set that counted just before a disputed change, whatever became of it (security rule 5)


@dataclass(frozen=True, slots=True)
class CodeSet:
    """One row of recovery_code_sets.

    ``voided_at``: since when it signs in no more, because a new set was made. ``serves_until``: until when it may
    still serve recovery, which is when the new set may; both None in the living set. ``REPORTED`` where the set was
    reported lost or seen.
    """

    id: str
    person_id: int
    salt: str = field(repr=False)
    key: str
    made_at: int
    usable_from: int
    voided_at: int | None = None
    serves_until: int | None = None


@dataclass(frozen=True, slots=True)
class NewSet:
    """Ten codes that nobody has yet: as they are shown once, and as they are kept."""

    codes: tuple[str, ...] = field(repr=False)
    salt: str = field(repr=False)
    key: str
    digests: tuple[str, ...] = field(repr=False)


class Finding(StrEnum):
    """What a typed code turned out to be."""

    ACCEPTED = "accepted"
    USED = "used"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a check: how many codes are left, and whether the set still waits (security rule 6)."""

    finding: Finding
    left: int = 0
    waiting: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """A person's living set as its owner may see it."""

    set_id: str
    made_at: int
    usable_from: int
    left: int
    last_used_at: int | None
