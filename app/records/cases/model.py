"""Disputes of changes, and the mailed links that open them (security rule 5)."""

from dataclasses import dataclass
from enum import StrEnum

LINK_LIFE = 7 * 86_400  # seconds that a link is good
AGAIN = 7 * 86_400  # seconds after a dispute was resolved in which the next one goes to support


class Kind(StrEnum):
    """What was changed."""

    PASSWORD = "password"  # noqa: S105 - a name, not a secret
    APP = "app"
    CONTACT = "contact"
    RECOVERY_CODES = "recovery_codes"
    ACCOUNT = "account"  # frozen, or no longer frozen


@dataclass(frozen=True, slots=True)
class UndoLink:
    """A link in a notice. It carries no stamp: nothing that happens after the change disarms it."""

    id: str  # SHA-256 of its token
    person_id: int
    kind: Kind
    changed_at: int
    expires_at: int


class DisputeState(StrEnum):
    """Where a dispute is. While it is OPEN or SUPPORT the person is frozen."""

    OPEN = "open"  # an older factor may decide
    SUPPORT = "support"  # support alone decides
    KEPT = "kept"
    ROLLED_BACK = "rolled_back"
    LIFTED = "lifted"  # an operator ended it


LIVING = (DisputeState.OPEN, DisputeState.SUPPORT)


@dataclass(frozen=True, slots=True)
class Dispute:
    """One freezing. ``changed_at`` is the earliest change that is disputed: what was there before it decides."""

    id: str
    person_id: int
    kind: Kind
    changed_at: int
    state: DisputeState
    opened_at: int
    resolved_at: int | None = None
