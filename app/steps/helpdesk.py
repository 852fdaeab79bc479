"""Whom somebody asks for help: their organization's support, once a first proof has told who they are (product.md 6).

Before that it is the installation's, the same for everybody (security rule 14).
"""

import re
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from app.foundation.clock import Clock
from app.foundation.sql import Database
from app.records.flows.model import Course, Held
from app.records.flows.service import Flows
from app.records.organizations import store as organizations
from app.records.organizations.model import SupportLine, SupportPolicy
from app.records.organizations.rules import support_state

_NOT_DIALLED = re.compile(r"[^+0-9]|(?<=.)\+")
_WEEK = 7


@dataclass(frozen=True, slots=True)
class Line:
    """One way to reach support, as a page shows it."""

    country: str
    phone: str
    dialled: str  # what a tel: link dials
    note: str
    email: str


@dataclass(frozen=True, slots=True)
class Change:
    """When support opens or closes, by the clocks of its time zone: on a weekday of the coming week, or on a date."""

    clock: str  # "17:00"
    today: bool
    weekday: int | None  # 0 is Monday
    day: date


@dataclass(frozen=True, slots=True)
class Helpdesk:
    """An organization's support at a moment. ``open`` is None where it says no hours."""

    lines: tuple[Line, ...]
    open: bool | None
    changes: Change | None  # None: not within a year
    zone: str


def helpdesk(policy: SupportPolicy, now: int) -> Helpdesk | None:
    """What a page shows of an organization's support; None where it names none, so that the installation's is shown."""
    if not policy.lines:
        return None
    state = support_state(policy, now)
    changes = _change(policy.time_zone, state.changes_at, now) if state.changes_at is not None else None
    is_open = state.open if policy.openings else None
    return Helpdesk(tuple(_line(one) for one in policy.lines), is_open, changes, policy.time_zone.replace("_", " "))


def _line(line: SupportLine) -> Line:
    return Line(line.country, line.phone, _NOT_DIALLED.sub("", line.phone), line.note, line.email)


def _change(zone: str, at: int, now: int) -> Change:
    there, today = datetime.fromtimestamp(at, ZoneInfo(zone)), datetime.fromtimestamp(now, ZoneInfo(zone)).date()
    ahead = (there.date() - today).days
    return Change(f"{there:%H:%M}", ahead == 0, there.weekday() if ahead < _WEEK else None, there.date())


class Helpdesks:
    """Finds the support of whoever a flow has proved to be."""

    def __init__(self, *, database: Database, flows: Flows, clock: Clock) -> None:
        self._database = database
        self._flows = flows
        self._clock = clock

    def at(self, cookie: str | None, course: Course) -> Helpdesk | None:
        """None before a first proof of a flow, and where an organization names nobody."""
        held = self._flows.load(cookie, course.purpose)
        if not isinstance(held, Held) or not held.flow.proofs or held.flow.person_id is None:
            return None
        now = self._clock.now()
        with self._database.read() as looking:
            policy = organizations.policy_of_person(looking, held.flow.person_id, now)
        return helpdesk(policy.support, now)
