"""A temporary access code: stands in for a lost app in one recovery, within a day (security rule 4)."""

from dataclasses import dataclass, field

LENGTH = 12  # characters of five bits each: 60 bits
OCTETS = 8  # drawn for it; the four bits over are not used
LIFE = 86_400  # seconds


@dataclass(frozen=True, slots=True)
class AccessCode:
    """One row of access_codes. ``not_to`` is the contact of the approval, which the PIN after it never goes to.

    It dies with the person's ``stamp``: by a new password, or when the account is frozen.
    """

    id: str
    person_id: int
    stamp: str
    salt: str = field(repr=False)
    key: str
    digest: str = field(repr=False)
    not_to: str
    made_at: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class NewCode:
    """A code that nobody has yet: as it is sent, and as it is kept."""

    code: str = field(repr=False)
    salt: str = field(repr=False)
    key: str
    digest: str = field(repr=False)
