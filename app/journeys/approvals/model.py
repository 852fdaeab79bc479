"""What the pages of requests show, and what an agent types."""

from dataclasses import dataclass
from enum import StrEnum

NOBODY = "none"  # the ``contact`` of somebody who can reach none of their contacts


class DeadLink(Exception):
    """A link that cancels nothing: unknown, too old, or there is nothing left to cancel. One answer for all three."""


class NobodyThere(Exception):
    """There is no such page for this agent: unknown, or another organization's. One answer for both."""


class Decision(StrEnum):
    """The ``decision`` field of the person's page, and of the second agent's."""

    APPROVE = "approve"
    CANCEL = "cancel"
    CONFIRM = "confirm"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Asked:
    """What an agent typed. ``target`` is the id of an app, or the address of a new contact."""

    reason: str
    contact: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several to choose from: a masked contact, or an app by its label."""

    id: str
    kind: str
    shown: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A request as its pages show it. Times in seconds since the epoch."""

    id: str
    user_id: str
    name: str
    action: str
    target: str
    agent: str
    organization: str
    reason: str
    state: str
    asked_at: int
    expires_at: int
    contact: str  # masked; empty where the person can reach none
    needs_second: bool
    waiting: int
    approved_at: int | None
    confirmed_at: int | None
    second: str
    ready_at: int | None
    ended_at: int | None
    due: bool
    lacked: str = ""  # of an expired one: the state in which it waited in vain
    own: bool = False  # the agent who looks asked for it


@dataclass(frozen=True, slots=True)
class ActionPage:
    """An agent's page of one action on one person."""

    user_id: str
    name: str
    action: str
    weakens: bool
    contacts: tuple[Choice, ...]  # where an approval can be asked for
    targets: tuple[Choice, ...]  # the apps that can be removed
    request: Shown | None  # the living one of this action, or the last


@dataclass(frozen=True, slots=True)
class Done:
    """What the last page of an approval tells."""

    decision: Decision
    action: str
    waits: bool  # something else has to happen before it is carried out
    second: bool  # a second agent has to agree, and a day to pass
    filed: bool  # a new contact was confirmed
