"""People as an operator makes and sees them."""

from dataclasses import dataclass, field

from app.records.attempts.model import Factor
from app.records.audit.model import Record
from app.records.organizations.model import DEFAULT, Role
from app.records.people.model import Person

FIELDS = (
    "user_id",
    "first_name",
    "last_name",
    "email",
    "phone",
    "organization",
    "role",
    "password",
    "password_hash",
    "totp_secret",
    "contacts_verified",
)


class NotDone(Exception):
    """What an operator asked for cannot be done. One line, without secrets."""


class BadFile(NotDone):
    """A file that is no import at all, so that not even its lines can be told apart."""


@dataclass(frozen=True, slots=True)
class NewPerson:
    """Somebody to be made: a good row of an import, or what was typed. ``line`` is where the row began."""

    user_id: str
    canonical_id: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    phone: str = ""
    organization: str = DEFAULT
    role: Role = Role.MEMBER
    password: str = field(default="", repr=False)
    password_hash: str = field(default="", repr=False)
    totp_secret: str = field(default="", repr=False)  # base32
    contacts_verified: bool = False
    line: int = 0


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one field; with the row as a whole where ``field`` is empty. Never shows a value."""

    field: str
    reason: str

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}" if self.field else self.reason


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was not taken. ``last_line`` differs where a quoted field holds line breaks."""

    line: int
    problems: tuple[Problem, ...]
    last_line: int = 0


@dataclass(frozen=True, slots=True)
class RawRow:
    """A row as it was read, before anything is judged."""

    line: int
    fields: dict[str, object] = field(repr=False)


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


@dataclass(frozen=True, slots=True)
class LockShown:
    """The counters of one factor. ``blocked_until`` is 0 or in the past where there is no wait."""

    factor: Factor
    consecutive: int
    blocked_until: int
    closed_to_strangers: bool
    disabled: bool
    locked: bool


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
