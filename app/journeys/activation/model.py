"""What the pages of an activation show."""

from dataclasses import dataclass, field

from app.factors.password.model import Rule
from app.factors.pin.model import Way


@dataclass(frozen=True, slots=True)
class Welcome:
    """The page of the link: whose account it is, and what comes first."""

    user_id: str
    by_code: bool
    destination: str  # the masked phone, empty with a code


@dataclass(frozen=True, slots=True)
class PasswordPage:
    """The rules before anything is typed."""

    user_id: str
    rules: tuple[Rule, ...]
    passwordrules: str


@dataclass(frozen=True, slots=True)
class ContactsPage:
    """How the person will be reached."""

    user_id: str
    contacts: tuple[Way, ...]


@dataclass(frozen=True, slots=True)
class CodesPage:
    """The codes that were made on this device, for as long as they may be read; none before.

    ``waits``: they do not serve recovery yet.
    """

    user_id: str
    codes: tuple[str, ...] = field(repr=False)
    waits: bool
    made_on: str
    usable_on: str
