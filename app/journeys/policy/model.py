"""A policy as it is edited, and what an edit would do to people."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from app.records.organizations.model import Organization, Policy, Version

OPERATOR = "operator"
FARTHEST = 366  # days ahead for which a policy may be staged
HOLDS_FROM = "holds_from"  # the field of that day
SHOWN = 50  # of those who would be stranded, on the page


class Kind(StrEnum):
    """How a setting is written as text."""

    NUMBER = "number"
    CHOICE = "choice"
    FLAG = "flag"
    LIST = "list"  # of words, with commas between
    TEXT = "text"
    ROWS = "rows"  # with semicolons or line breaks between


@dataclass(frozen=True, slots=True)
class Setting:
    """One part of a policy: ``key`` as in ``password.min_length``; its bounds where it is a number.

    ``choices``: what it may be, or what its list may hold.
    """

    key: str
    kind: Kind
    least: int = 0
    most: int = 0
    choices: tuple[str, ...] = ()

    @property
    def field(self) -> str:
        """Its name in a form."""
        return self.key.replace(".", "_")


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a setting cannot be what was typed. ``params`` are the bounds, ``choices`` what there is."""

    key: str
    code: str
    params: Mapping[str, int] = field(default_factory=dict)
    choices: tuple[str, ...] = ()

    def __str__(self) -> str:
        reason = _REASONS.get(self.code, self.code).format(**self.params)
        return f"{self.key}: {reason}{': ' if self.choices else ''}{', '.join(self.choices)}"


_REASONS = {
    "unknown": "there is no such setting",
    "number": "must be a whole number",
    "bounds": "must lie between {least} and {most}",
    "choice": "must be one of",
    "flag": "must be true or false",
    "words": "at most {most} words, each of at least {least} characters",
    "over_max_age": "must be shorter than password.max_age_days",
    "proofs": "must be at least one, each once, of",
    "country": "must be countries by ISO 3166 such as DE, AT",
    "empty": "needs a phone number or an e-mail address",
    "too_long": "is longer than it can be",
    "row": "must be COUNTRY | PHONE | NOTE | E-MAIL, one line each",
    "hours": "must be hours such as mon 08:00-12:00, 13:00-17:00; tue 08:00-17:00",
    "time_zone": "must be a time zone such as Europe/Berlin",
    "dates": "must be dates such as 2026-12-25",
    "sole_factor": "must be at least {least} while authenticate_user is true",
    "networks": "must be at most 64 addresses or networks such as 192.0.2.0/24",
    "from": "must be a date from tomorrow on, and within a year",
}


class NotTaken(Exception):
    """What was typed is no policy; with all that is wrong."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems


class NotDone(Exception):
    """What an operator asked for cannot be done. One line, without secrets."""


class Moved(Exception):
    """Somebody else decided since the page was opened."""


class Strands(Exception):
    """People would be stranded, and nobody has said that this is known. ``count``: how many."""

    def __init__(self, count: int) -> None:
        super().__init__(str(count))
        self.count = count


@dataclass(frozen=True, slots=True)
class Change:
    """One setting, before and after, as text."""

    key: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Edited:
    """A policy as it was typed. ``raised``: the least length became 15, because the password alone opens something."""

    policy: Policy
    raised: bool = False


class Standing(StrEnum):
    """What became of a version."""

    HOLDS = "holds"
    STAGED = "staged"
    REPLACED = "replaced"
    WITHDRAWN = "withdrawn"  # before its day, so that it never held


@dataclass(frozen=True, slots=True)
class Shown:
    """One version in the list: what it changed against the one before it."""

    version: Version
    standing: Standing
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Book:
    """All that an organization decided, newest first. ``present`` holds now; ``staged`` will, from its day on."""

    organization: Organization
    present: Policy
    staged: Version | None
    versions: tuple[Shown, ...]
    now: int

    @property
    def newest(self) -> int:
        """The number that the next edit has to be based on; 0 before the first."""
        return self.versions[0].version.number if self.versions else 0


class Loss(StrEnum):
    """What somebody could do until now, and no more under another policy."""

    RECOVERY = "recovery"
    SIGN_IN = "sign_in"


@dataclass(frozen=True, slots=True)
class Facts:
    """What somebody could prove today, but for a number that gets SMS.

    ``app`` and ``code`` serve a recovery, ``signing_app`` and ``signing_code`` a sign-in: what is new may sign in at
    once and recovers after its waiting time (security rule 6).
    """

    password: bool = False
    app: bool = False
    signing_app: bool = False
    code: bool = False
    signing_code: bool = False
    email: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What somebody loses, and what would help: one of ``first`` and one of ``second``, as far as they name any."""

    losses: tuple[Loss, ...] = ()
    first: tuple[str, ...] = ()  # app, recovery_codes
    second: tuple[str, ...] = ()  # phone, email


@dataclass(frozen=True, slots=True)
class Stranded:
    """Somebody whom a policy would strand."""

    person_id: int
    verdict: Verdict
    user_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What another policy would do to an organization's people, each by the strictest that they meet.

    ``stranded`` are those who lose something, by their rows in order. ``owing`` is how many owe a new password at once,
    because the present one is older than it may be.
    """

    people: int
    stranded: Mapping[int, Verdict]
    owing: int
    first: tuple[Stranded, ...] = ()

    def losing(self, loss: Loss) -> int:
        """How many lose that."""
        return sum(loss in verdict.losses for verdict in self.stranded.values())

    @property
    def recovery(self) -> int:
        """How many could no longer recover."""
        return self.losing(Loss.RECOVERY)

    @property
    def sign_in(self) -> int:
        """How many could no longer sign in."""
        return self.losing(Loss.SIGN_IN)
