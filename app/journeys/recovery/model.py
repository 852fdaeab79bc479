"""What the pages of a recovery show."""

from dataclasses import dataclass

from app.factors.password.model import Rule
from app.factors.pin.model import Way


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
    codes_left: int | None  # where a saved code was used
