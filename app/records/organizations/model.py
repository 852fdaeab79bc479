"""Organizations, roles and the policy that an organization sets."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

DEFAULT = "default"  # the name of the organization that `keyturn init` makes


class Profile(StrEnum):
    """The two sets of rules (product.md section 6)."""

    STANDARD = "standard"
    CLASSIC = "classic"


class Role(StrEnum):
    """What a person is in an organization."""

    MEMBER = "member"
    SUPPORT = "support"
    ADMINISTRATOR = "administrator"


@dataclass(frozen=True, slots=True)
class PasswordPolicy:
    """What a new password must be. One object behind page, checklist, ``passwordrules`` and verdict.

    Lengths are code points after NFC; ``history`` is how many passwords before the present one stay refused.
    Raises ValueError outside the bounds (NIST SP 800-63B-4 sec. 3.1.1.2, product.md section 5).
    """

    min_length: int = 12
    max_length: int = 256
    history: int = 5

    def __post_init__(self) -> None:
        if not 8 <= self.min_length <= 64:
            raise ValueError("the least length of a password is from 8 to 64")
        if not 64 <= self.max_length <= 256:
            raise ValueError("the greatest length of a password is from 64 to 256")
        if not 0 <= self.history <= 24:
            raise ValueError("the history of passwords is from 0 to 24")


STANDARD = PasswordPolicy()


def strictest(policies: Iterable[PasswordPolicy]) -> PasswordPolicy:
    """What a person in several organizations meets: of each rule the strictest (product.md section 6)."""
    several = tuple(policies) or (STANDARD,)
    return PasswordPolicy(
        min_length=max(policy.min_length for policy in several),
        max_length=min(policy.max_length for policy in several),
        history=max(policy.history for policy in several),
    )


@dataclass(frozen=True, slots=True)
class Organization:
    """One row of organizations. ``id`` is the context identifier, a UUID."""

    id: str
    name: str
    profile: Profile
    created_at: int
