"""Lists of people, as the administrators of an organization see them."""

from dataclasses import dataclass
from enum import StrEnum

from app.records.organizations.model import Organization, Role
from app.records.people.model import Status


class Listed(StrEnum):
    """Of whom a list is. The names stand in addresses."""

    EVERYBODY = "everybody"
    LOCKED = "locked"  # frozen, or a factor takes nothing for now
    NEVER_ACTIVATED = "never-activated"  # neither an app nor a password of their own
    EXPIRING = "expiring"  # the password has to be changed within so many days, or had to be
    IDLE = "idle"  # no sign-in for so many days
    STRANDED = "not-recoverable"  # no first or no second proof of a recovery that all their organizations take


# the days of a list: what is asked for at first, and the least and the most
DAYS = {Listed.EXPIRING: (14, 0, 90), Listed.IDLE: (90, 1, 365)}


@dataclass(frozen=True, slots=True)
class Look:
    """What is looked for in one organization. ``prefix`` is the beginning of a canonical User ID."""

    organization: Organization
    listed: Listed = Listed.EVERYBODY
    days: int = 0
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """Somebody on a list, and why they are on it."""

    person_id: int
    user_id: str
    canonical_id: str
    first_name: str
    last_name: str
    status: Status
    role: Role
    created_at: int
    expires_at: int | None = None  # of the password
    signed_in_at: int | None = None
    no_first: bool = False
    no_second: bool = False
    by_home: bool = False  # what all their organizations take is nothing they have, so the home organization's holds
    locked: tuple[str, ...] = ()  # temporary (a password that lapsed), password, app, pin

    @property
    def name(self) -> str:
        """First and last name, empty where there is neither."""
        return " ".join(part for part in (self.first_name, self.last_name) if part)


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list. ``count`` is that of the whole list; None where everybody is on it."""

    look: Look
    organizations: tuple[Organization, ...]
    people: tuple[Found, ...]
    count: int | None
    after: str  # where the next page begins; empty at the end
    later: bool  # this is not the first page
    now: int
