"""People as an operator makes and sees them."""

from dataclasses import dataclass, field

from app.records.attempts.model import Factor
from app.records.audit.model import Record
from app.records.people.model import Person


class NotDone(Exception):
    """What an operator asked for cannot be done. One line, without secrets."""


@dataclass(slots=True)
class Tally:
    """How far an import is."""

    rows: int = 0
    created: int = 0
    existing: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Made:
    """Somebody who was just made. ``uri`` is shown once: it holds the app's key."""

    person: Person
    uri: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ContactShown:
    """A contact as anybody but its owner may see it."""

    channel: str
    masked: str
    confirmed: bool
    usable: bool


@dataclass(frozen=True, slots=True)
class AppShown:
    """An authenticator app without its key."""

    label: str
    state: str
    bound_at: int
    usable_from: int
    last_used_at: int | None
    drift: int


@dataclass(frozen=True, slots=True)
class PasswordShown:
    """What may be known of a password."""

    changed_at: int
    must_change: bool
    compromised: bool
    imported: bool  # the hash was made elsewhere, and nobody has signed in since
    good_until: int | None  # of a temporary one that a mailed link made
    lapsed: bool  # such a one, after its time
    locked: bool  # for that, until an unlock or a recovery


@dataclass(frozen=True, slots=True)
class LockShown:
    """The counters of one factor. ``blocked_until`` is 0 or in the past where there is no wait.

    ``locked_until`` is an organization's lock, ``FOREVER`` until an unlock or a recovery; 0: there is none.
    """

    factor: Factor
    consecutive: int
    blocked_until: int
    closed_to_strangers: bool
    disabled: bool
    locked: bool
    locked_until: int = 0


@dataclass(frozen=True, slots=True)
class Shown:
    """Everything an operator may see of a person."""

    person: Person
    now: int
    organizations: tuple[tuple[str, str, bool], ...]  # name, role, primary
    contacts: tuple[ContactShown, ...]
    password: PasswordShown | None
    apps: tuple[AppShown, ...]
    locks: tuple[LockShown, ...]
    events: tuple[Record, ...]  # the newest first


@dataclass(frozen=True, slots=True)
class Invited:
    """Where an invitation goes, masked, and the code to be handed over where no phone is filed."""

    destination: str
    activation_code: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Unlocked:
    """What an unlock did: the factors that were blocked, those it must leave closed, and who is told."""

    cleared: tuple[Factor, ...]
    left: tuple[Factor, ...]
    told: tuple[str, ...]  # masked
