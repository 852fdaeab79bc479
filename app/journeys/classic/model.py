"""What a mailed link needs to know of somebody, and what its pages and letters say."""

from dataclasses import dataclass, field
from enum import StrEnum

from app.steps.moments import Moment


class Way(StrEnum):
    """What the letter says: templates/messages/reset_link has words for each."""

    LINK = "link"  # the link, which makes a temporary password
    RECOVERY = "recovery"  # no link: "Password locked or forgotten?" with two factors
    ADMINISTRATOR = "administrator"  # no link, and nothing to recover with
    LAPSED = "lapsed"  # no link: the last temporary password lapsed, which locks


@dataclass(frozen=True, slots=True)
class Facts:
    """How somebody stands, or nobody. ``phone``, ``code``, ``answer``: whether sign-in takes one beside a reset."""

    classic: bool = False  # all their organizations are
    password: bool = False  # there is one that can be forgotten
    lapsed: bool = False  # a temporary one that locks
    app: bool = False  # bound, in whatever state
    phone: bool = False
    code: bool = False
    answer: bool = False  # to a security question
    recovers: bool = False  # a recovery has both proofs to go by


@dataclass(frozen=True, slots=True)
class Shown:
    """A temporary password on its page, once."""

    user_id: str
    password: str = field(repr=False)
    until: Moment  # it is good
