"""How the audit log is handed on."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from app.records.audit.model import Checked


class BadHeadsError(Exception):
    """A file that holds no seals."""


class Form(StrEnum):
    """Of an export."""

    JSON_LINES = "jsonl"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events are wanted; what is empty or None fits all. Moments from ``since`` on and before ``until``."""

    person: str = ""  # what a canonical User ID begins with
    event: str = ""
    outcome: str = ""
    actor: str = ""
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ended: its last event."""

    at: int
    id: int


@dataclass(frozen=True, slots=True)
class Asked:
    """What was typed to filter by, as it came."""

    person: str = ""
    event: str = ""
    outcome: str = ""
    actor: str = ""
    first: str = ""
    last: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One event as the page shows it."""

    number: int
    event: str
    at: datetime
    user_id: str  # empty where it is about nobody
    organization: str  # its name, where several are shown
    actor: str
    outcome: str
    reason: str
    address: str
    details: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class LogPage:
    """A page of the log, newest first, with how the seals over it stand. ``older``: where the next page begins."""

    entries: tuple[Entry, ...]
    older: Place | None
    sealed_at: datetime | None
    checked: Checked | None
    checked_at: datetime | None


def utc(seconds: int | None) -> datetime | None:
    """A moment as pages take it."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
