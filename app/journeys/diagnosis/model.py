"""What an examination of an installation finds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from app.records.organizations.model import Policy


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: what was found, and what to do about it. No secrets."""

    name: str
    level: Level
    finding: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Deviation:
    """What a standard asks for and this installation does not do. ``key`` is a heading of docs/deviations.md."""

    key: str
    source: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What decides which deviations there are."""

    secure: bool  # the public address is https
    sms: bool
    email: bool
    plain_smtp: bool
    plain_twilio: bool
    security_contact: bool
    policies: Mapping[str, Policy] = field(default_factory=dict)  # by the organization's name
