"""What the pages of a recovery show."""

from dataclasses import dataclass

from app.factors.password.model import Rule


@dataclass(frozen=True, slots=True)
class Way:
    """A channel and its masked destination."""

    channel: str
    destination: str


@dataclass(frozen=True, slots=True)
class PinPage:
    """The PIN that tells the truth (product.md 7.1). Times in seconds from now."""

    channel: str
    destination: str
    state: str
    resend_in: int
    expires_in: int
    tries_left: int
    digits: int
    earlier_void: bool
    alternatives: tuple[Way, ...]
    can_resend: bool
    refused: str = ""  # the code of why nothing could be sent
    retry_after: int = 0


@dataclass(frozen=True, slots=True)
class PasswordPage:
    """The rules before anything is typed, and whether "only unlock" is offered."""

    user_id: str
    rules: tuple[Rule, ...]
    passwordrules: str
    can_unlock: bool


@dataclass(frozen=True, slots=True)
class Done:
    """What the last page tells."""

    kind: str
    told: tuple[Way, ...]
    recoveries_ended: int
    user_id: str
