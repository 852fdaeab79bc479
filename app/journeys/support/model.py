"""What the pages of support show: who was found, how somebody's factors stand, and what happened to them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from app.records.attempts.model import FOREVER
from app.steps.moments import Moment


@dataclass(frozen=True, slots=True)
class Hit:
    """Somebody who was found."""

    user_id: str
    name: str
    status: str
    mailbox: str  # masked; empty where there is none
    path: str  # of their page


@dataclass(frozen=True, slots=True)
class Results:
    """What a search gave; ``more``: there are others who begin like this."""

    hits: tuple[Hit, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One factor. ``state`` is one of product.md's: active, pending, disabled, locked, expired, none."""

    kind: str  # password, app, sms, email, recovery_codes, security_question
    state: str
    label: str = ""
    bound: Moment | None = None
    last_used: Moment | None = None
    usable_from: Moment | None = None  # where it waits, until when
    expires: Moment | None = None
    owed: str = ""  # of a password: why it has to be changed
    left: int | None = None  # unused codes of a set
    half_minutes: int = 0  # how far off the app's clock was when it was last seen; negative: slow
    seen: Moment | None = None  # when that was


@dataclass(frozen=True, slots=True)
class Wait:
    """A factor that is refused unjudged at a door for a while, or to everybody but its owner's own browsers."""

    factor: str
    door: str
    until: Moment | None  # None: until a recovery, a sign-in in a lane of one's own, or an unlock
    consecutive: int

    @property
    def endless(self) -> bool:
        """Whether an organization's lock stays until an unlock or a recovery."""
        return self.until is not None and self.until.at >= FOREVER


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a message. ``reason`` is one of docs/delivery.md."""

    state: str
    reason: str
    destination: str


@dataclass(frozen=True, slots=True)
class Line:
    """One event as a sentence needs it. ``details`` holds figures and names, never what was typed."""

    id: int
    event: str
    at: int
    when: Moment
    failed: bool
    reason: str = ""
    actor: str = ""  # empty where it was the person
    address: str = ""
    browser: tuple[str, str] = ("", "")
    journey: str = ""
    flow: str = ""
    details: Mapping[str, object] = field(default_factory=dict)
    delivery: Delivery | None = None


class Ending(StrEnum):
    """How a story came out."""

    WELL = "well"
    BADLY = "badly"
    OPEN = "open"  # it stopped on the way, and nothing was refused last


@dataclass(frozen=True, slots=True)
class Remedy:
    """The one thing to do about it. ``path`` is the page of an action; without one it is advice to hand on."""

    name: str  # templates have words for each
    path: str = ""


@dataclass(frozen=True, slots=True)
class Story:
    """What belongs together: one recovery, one sign-in, one act of staff. Lines in their order.

    Where ``count`` is over 1 it stands for so many refusals that say the same, of one line each.
    """

    journey: str
    lines: tuple[Line, ...]
    ending: Ending
    remedy: Remedy | None = None
    count: int = 1

    @property
    def began(self) -> Moment:
        """When it began, or the first of several was."""
        return self.lines[0].when

    @property
    def last(self) -> Moment:
        """When it moved last, or the last of several was."""
        return self.lines[-1].when

    @property
    def said(self) -> tuple[Line, ...]:
        """The lines to read: of several that say the same the newest alone."""
        return self.lines[-1:] if self.count > 1 else self.lines

    @property
    def addresses(self) -> tuple[str, ...]:
        """The address that it began at, or, once each, those of several."""
        return tuple(dict.fromkeys(line.address for line in self._beginnings if line.address))

    @property
    def browsers(self) -> tuple[tuple[str, str], ...]:
        """The browser that it began in, or, once each, those of several."""
        return tuple(dict.fromkeys(line.browser for line in self._beginnings))

    @property
    def _beginnings(self) -> tuple[Line, ...]:
        return self.lines if self.count > 1 else self.lines[:1]


@dataclass(frozen=True, slots=True)
class Cause:
    """Why somebody does not get in. ``params`` are what its sentence needs."""

    name: str  # templates have a sentence for each
    remedy: Remedy | None = None
    params: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facts:
    """How somebody stands now: what causes are judged by. Times in seconds since the epoch, 0 for none."""

    now: int
    status: str
    frozen_for_support: bool = False
    invited_until: int = 0  # of an invitation that did not come to its end
    reached: str = ""  # the step of the activation that is due; empty where it was not begun
    activated: bool = True  # there is a password or an app that is theirs
    change_owed: str = ""  # why the password has to be changed: compromised, temporary, reset, lapsed, age
    lapsed_at: int = 0  # when a temporary password of a mailed link was over, where that locks
    apps: Mapping[str, int] = field(default_factory=dict)  # how many of each state
    phones: int = 0  # usable now
    mailboxes: int = 0
    contacts_from: int = 0  # when the first contact can be used, where none can be yet
    codes: int = 0  # good for a recovery now
    waits: tuple[tuple[str, str, int], ...] = ()  # factor, door, until; 0: closed to strangers
    consecutive: Mapping[str, int] = field(default_factory=dict)  # failures in a row, by factor
    dead: frozenset[str] = frozenset()  # factors that have to be bound again
    recovered_at: int = 0


@dataclass(frozen=True, slots=True)
class Organized:
    """A membership in an organization of the agent's."""

    name: str
    role: str
    primary: bool


@dataclass(frozen=True, slots=True)
class Underway:
    """What was asked for on the portal and has not come to its end."""

    action: str
    state: str
    due: bool  # whether it may be carried out now
    until: Moment  # when it expires
    path: str  # of its page; empty for staff who may not act on the person


@dataclass(frozen=True, slots=True)
class PersonPage:
    """All that support may know of somebody."""

    user_id: str
    name: str
    status: str
    memberships: tuple[Organized, ...]
    language: str
    created: Moment
    causes: tuple[Cause, ...]  # the most likely one first; never empty
    rows: tuple[Row, ...]
    waits: tuple[Wait, ...]
    sessions: int
    browsers: int
    invited_until: Moment | None
    stories: tuple[Story, ...]
    older: str  # where the timeline goes on; empty at its end
    newest: bool  # whether the timeline begins with what happened last
    requests: tuple[Underway, ...]
    activated: bool
    may_act: bool  # whether these staff may act on this person
    path: str
