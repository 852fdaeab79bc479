"""What the pages of an undo show."""

from dataclasses import dataclass
from enum import StrEnum

from app.records.cases.model import Kind


class DeadLink(Exception):
    """A link that opens nothing: unknown, used, or too old. One answer for all three."""


class Decision(StrEnum):
    """What an older factor may choose; also the ``decision`` field of the page."""

    KEEP = "keep"
    ROLL_BACK = "roll_back"


class Ending(StrEnum):
    """How it ended for the person who pressed."""

    KEEP = "keep"
    ROLL_BACK = "roll_back"
    SUPPORT = "support"


@dataclass(frozen=True, slots=True)
class Disputed:
    """The change that a link, or the page after it, is about. ``changed_at`` in seconds since the epoch."""

    kind: Kind
    changed_at: int
    user_id: str = ""
    frozen: bool = False  # the account is so already
    support: bool = False  # support alone decides


@dataclass(frozen=True, slots=True)
class Done:
    """What the last page tells."""

    ending: Ending
    user_id: str
