"""What the pages of somebody signed in show."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.factors.password.model import Rule
from app.steps.moments import Moment
from app.steps.readiness import Readiness


@dataclass(frozen=True, slots=True)
class Action:
    """One item of a row's menu: a link to its page."""

    name: str  # templates have a word for each
    path: str


@dataclass(frozen=True, slots=True)
class SavedCodes:
    """A person's set of recovery codes."""

    left: int
    bound_at: int
    usable_from: int
    last_used_at: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One authenticator. ``state`` is one of product.md's: active, pending, disabled, locked, expired, none."""

    kind: str  # password, app, sms, email, recovery_codes, security_question
    state: str
    label: str = ""
    bound: Moment | None = None
    last_used: Moment | None = None
    usable_from: Moment | None = None  # where it waits, until when
    expires: Moment | None = None  # of a password, where it has to be changed after some days
    left: int | None = None  # unused codes of a set
    endless: bool = False  # locked until an unlock or a recovery
    barred: bool = False  # no recovery of this person takes it, by the policy of an organization
    default: bool = False  # the contact that PINs go to first
    actions: tuple[Action, ...] = ()


@dataclass(frozen=True, slots=True)
class Overview:
    """The AUTHENTICATORS page."""

    rows: tuple[Row, ...]
    level: int
    readiness: Readiness
    held_back: Moment | None = None  # until when nothing but the password changes (security rule 6)
    answered: bool = False  # signed in by the answer to a security question


@dataclass(frozen=True, slots=True)
class PasswordPage:
    """The rules before anything is typed. ``settles`` is until when the present one has to be kept."""

    rules: tuple[Rule, ...]
    passwordrules: str
    settles: Moment | None = None


@dataclass(frozen=True, slots=True)
class Membership:
    """An organization that somebody belongs to, with what they are in it."""

    name: str
    role: str
    primary: bool
    id: str = ""
    proposed: bool = False  # it waits to be accepted, and has no power before


@dataclass(frozen=True, slots=True)
class Profile:
    """The PROFILE page."""

    name: str
    user_id: str
    memberships: tuple[Membership, ...]
    language: str  # of messages; empty: that of the page at the time
    password_changed: Moment | None
    readiness: Readiness


@dataclass(frozen=True, slots=True)
class Happening:
    """One event of somebody's history. ``details`` are the few that its sentence needs."""

    event: str
    when: Moment
    outcome: str
    reason: str
    address: str
    browser: tuple[str, str]  # "Firefox" and "Linux"; empty where nothing was written down
    actor: str = ""  # empty where it was the person
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pending:
    """What support was asked to do and has not done; ``due``: the person's own word is what is missing."""

    action: str
    due: bool


@dataclass(frozen=True, slots=True)
class Activity:
    """One page of the history, newest first, and on the first what is under way."""

    happenings: tuple[Happening, ...]
    page: int
    more: bool
    pending: tuple[Pending, ...] = ()


@dataclass(frozen=True, slots=True)
class SignedIn:
    """One living session of the list. ``name`` is what ends it."""

    name: str
    browser: tuple[str, str]  # the browser and the system
    address: str
    began: Moment
    last_used: Moment
    this: bool
    level: int
    answered: bool = False  # by the answer to a security question


@dataclass(frozen=True, slots=True)
class Known:
    """One browser that is known. ``name`` is what makes it forgotten."""

    name: str
    browser: tuple[str, str]  # the browser and the system
    address: str
    began: Moment
    last_used: Moment
    this: bool


@dataclass(frozen=True, slots=True)
class SessionsPage:
    """Where somebody is signed in, and where they are known. ``tokens``: how many programs hold one of them."""

    sessions: tuple[SignedIn, ...]
    known: tuple[Known, ...]
    level: int
    tokens: int = 0
