"""What somebody is in an organization, as its administrators see and change it, and as they themselves accept it."""

from dataclasses import dataclass
from enum import StrEnum

from app.records.organizations.model import Organization, Role
from app.records.people.model import Status


class Act(StrEnum):
    """What administrators do to somebody. The names stand in addresses."""

    INVITE = "invite"
    CONTACTS = "contacts"
    DEACTIVATE = "deactivate"
    REACTIVATE = "reactivate"
    ROLE = "role"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Place:
    """What somebody is in one of the administrators' own organizations."""

    organization: Organization
    role: Role
    home: bool


@dataclass(frozen=True, slots=True)
class PersonPage:
    """Somebody, as far as administrators see them. ``acts`` are those that make sense now."""

    user_id: str
    name: str
    status: Status
    path: str
    made_at: int
    places: tuple[Place, ...]
    at_home: bool  # whether their home is an organization of these administrators
    is_self: bool
    in_use: bool
    has_app: bool
    contacts: tuple[tuple[str, str, bool], ...]  # channel, masked, confirmed
    acts: tuple[Act, ...]
    staff_elsewhere: bool = False  # they are staff of an organization that is not their home; told at home alone
    last_elsewhere: bool = False  # and the last active administrator of one
    handover: str = ""  # the activation code to be handed over, while it is shown


@dataclass(frozen=True, slots=True)
class NewMember:
    """What was typed of somebody new."""

    user_id: str
    first_name: str
    last_name: str
    email: str
    phone: str
    organization: str  # its id


@dataclass(frozen=True, slots=True)
class Filing:
    """What was typed in the place of contacts that were filed wrongly."""

    email: str
    phone: str


@dataclass(frozen=True, slots=True)
class Offer:
    """A membership that somebody was proposed."""

    organization: Organization
    proposed_at: int
    strands: bool  # whether the several policies leave no way to recover in common
