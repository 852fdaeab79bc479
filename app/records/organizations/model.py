"""Organizations, roles, and the policy that an organization sets: one object, of which every part has its bounds."""

import ipaddress
import re
from dataclasses import dataclass, field, fields
from datetime import date
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DEFAULT = "default"  # the name of the organization that `keyturn init` makes
SOLE_FACTOR = 15  # the least length where the password alone opens something (NIST SP 800-63B-4 sec. 3.1.1.2)


class Profile(StrEnum):
    """The two sets of rules (product.md section 6)."""

    STANDARD = "standard"
    CLASSIC = "classic"


class Role(StrEnum):
    """What a person is in an organization."""

    MEMBER = "member"
    SUPPORT = "support"
    ADMINISTRATOR = "administrator"

    @property
    def rank(self) -> int:
        """Higher ranks may what lower ones may."""
        return tuple(Role).index(self)


class OnFailures(StrEnum):
    """What failed sign-ins lead to, beside the waits that hold for everybody."""

    RETRY = "retry"  # nothing else
    DELAY = "delay"  # sign-in waits so many minutes, again after each further failure
    LOCK = "lock"  # sign-in is locked for so many minutes; 0: until somebody unlocks, or a recovery


class Proof(StrEnum):
    """What may stand for the app in a recovery, and where its PIN may go."""

    APP = "app"
    RECOVERY_CODE = "recovery_code"
    ACCESS_CODE = "access_code"
    SMS = "sms"
    EMAIL = "email"


FIRST = (Proof.APP, Proof.RECOVERY_CODE, Proof.ACCESS_CODE)
SECOND = (Proof.SMS, Proof.EMAIL)


class BadPolicy(ValueError):
    """A part of a policy that cannot be. ``key`` names it as in ``password.min_length``; ``params`` are the bounds."""

    def __init__(self, key: str, code: str, **params: int) -> None:
        super().__init__(f"{key}: {code} {params or ''}".strip())
        self.key = key
        self.code = code
        self.params = params


def _between(default: int, least: int, most: int) -> Any:
    return field(default=default, metadata={"least": least, "most": most})


class _Part:
    """A part of a policy whose numbers have bounds, which stand beside their defaults."""

    __slots__ = ()
    name = ""

    def __post_init__(self) -> None:
        for one in fields(self):  # type: ignore[arg-type]
            if "least" in one.metadata:
                least, most = one.metadata["least"], one.metadata["most"]
                if not least <= getattr(self, one.name) <= most:
                    raise BadPolicy(f"{self.name}.{one.name}", "bounds", least=least, most=most)


@dataclass(frozen=True, slots=True)
class PasswordPolicy(_Part):
    """What a new password must be. One object behind page, checklist, ``passwordrules`` and verdict.

    Lengths are code points after NFC; ``classes`` is how many of small letters, capitals, digits and others there must
    be; ``history`` is how many passwords before the present one stay refused; ``min_strength`` is zxcvbn's score.
    0 stands for: not asked for (NIST SP 800-63B-4 sec. 3.1.1.2, product.md section 5).
    """

    min_length: int = _between(12, 8, 64)
    max_length: int = _between(256, 64, 256)
    classes: int = _between(0, 0, 4)
    history: int = _between(5, 0, 24)
    min_age_hours: int = _between(0, 0, 168)
    max_age_days: int = _between(0, 0, 730)
    min_strength: int = _between(0, 0, 4)
    context_words: tuple[str, ...] = ()

    name = "password"

    def __post_init__(self) -> None:
        _Part.__post_init__(self)
        if len(self.context_words) > 32 or any(not 3 <= len(word) <= 64 for word in self.context_words):
            raise BadPolicy("password.context_words", "words", most=32, least=3)
        if self.max_age_days and self.min_age_hours >= self.max_age_days * 24:
            raise BadPolicy("password.min_age_hours", "over_max_age")


@dataclass(frozen=True, slots=True)
class LockoutPolicy(_Part):
    """What failed sign-ins in a row lead to, beside the waits and caps that hold for everybody."""

    on_failures: OnFailures = OnFailures.RETRY
    after: int = _between(5, 3, 50)
    minutes: int = _between(15, 0, 1_440)

    name = "lockout"

    def __post_init__(self) -> None:
        _Part.__post_init__(self)
        if self.on_failures is OnFailures.DELAY and self.minutes == 0:
            raise BadPolicy("lockout.minutes", "bounds", least=1, most=1_440)


@dataclass(frozen=True, slots=True)
class RecoveryPolicy(_Part):
    """Which proofs a recovery takes, in the order in which they are offered: one of each kind."""

    first: tuple[Proof, ...] = FIRST
    second: tuple[Proof, ...] = SECOND

    name = "recovery"

    def __post_init__(self) -> None:
        for key, chosen, all_of_them in (("first", self.first, FIRST), ("second", self.second, SECOND)):
            if not chosen or len(set(chosen)) < len(chosen) or not set(chosen) <= set(all_of_them):
                raise BadPolicy(f"recovery.{key}", "proofs")


@dataclass(frozen=True, slots=True)
class PinPolicy(_Part):
    """Lengths, lives and tries of one-time PINs (NIST SP 800-63B-4 sec. 3.1.3.2)."""

    sms_digits: int = _between(6, 6, 8)
    email_digits: int = _between(8, 6, 8)
    sms_minutes: int = _between(5, 2, 10)
    email_minutes: int = _between(10, 2, 10)
    tries: int = _between(5, 3, 5)

    name = "pin"


@dataclass(frozen=True, slots=True)
class SessionPolicy(_Part):
    """How long a browser stays signed in (NIST SP 800-63B-4 sec. 2.2.3)."""

    idle_minutes: int = _between(15, 5, 60)
    hours: int = _between(8, 1, 24)

    name = "session"


_COUNTRY = re.compile(r"[A-Z]{2}")
_CLOCK = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00")


@dataclass(frozen=True, slots=True)
class SupportLine:
    """One way to reach people's support. ``country`` is ISO 3166-1 alpha-2, empty for everywhere."""

    country: str = ""
    phone: str = ""
    note: str = ""  # how to dial
    email: str = ""

    def __post_init__(self) -> None:
        if self.country and not _COUNTRY.fullmatch(self.country):
            raise BadPolicy("support.lines", "country")
        if not (self.phone or self.email):
            raise BadPolicy("support.lines", "empty")
        if max(len(self.phone), len(self.note), len(self.email)) > 254:
            raise BadPolicy("support.lines", "too_long")


@dataclass(frozen=True, slots=True)
class Opening:
    """Open on a weekday (0 is Monday) from one time of day to another, as HH:MM; 24:00 is midnight at its end."""

    weekday: int
    begins: str
    ends: str

    def __post_init__(self) -> None:
        times = _CLOCK.fullmatch(self.begins) and _CLOCK.fullmatch(self.ends)
        if not times or not 0 <= self.weekday <= 6 or self.begins >= self.ends:
            raise BadPolicy("support.openings", "hours")


@dataclass(frozen=True, slots=True)
class SupportPolicy:
    """Whom people ask, and when somebody is there: hours in one time zone, except on some dates."""

    lines: tuple[SupportLine, ...] = ()
    time_zone: str = "UTC"
    openings: tuple[Opening, ...] = ()
    closed_on: tuple[str, ...] = ()  # ISO 8601 dates

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise BadPolicy("support.time_zone", "time_zone") from None
        for day in self.closed_on:
            try:
                date.fromisoformat(day)
            except ValueError:
                raise BadPolicy("support.closed_on", "dates") from None
        if len(self.lines) > 50 or len(self.openings) > 50 or len(self.closed_on) > 100:
            raise BadPolicy("support.lines", "too_long")


@dataclass(frozen=True, slots=True)
class Policy:
    """All that an organization decides. Raises BadPolicy for what cannot be."""

    profile: Profile = Profile.STANDARD
    password: PasswordPolicy = PasswordPolicy()
    lockout: LockoutPolicy = LockoutPolicy()
    recovery: RecoveryPolicy = RecoveryPolicy()
    pin: PinPolicy = PinPolicy()
    session: SessionPolicy = SessionPolicy()
    sms_countries: tuple[str, ...] = ()  # ISO 3166-1 alpha-2; empty: those of the installation
    support: SupportPolicy = SupportPolicy()
    authenticate_user: bool = False
    authenticate_user_networks: tuple[str, ...] = ()  # in CIDR notation; empty: from everywhere

    def __post_init__(self) -> None:
        if any(not _COUNTRY.fullmatch(country) for country in self.sms_countries):
            raise BadPolicy("sms_countries", "country")
        if self.authenticate_user and self.password.min_length < SOLE_FACTOR:
            raise BadPolicy("password.min_length", "sole_factor", least=SOLE_FACTOR)
        if len(self.authenticate_user_networks) > 64 or any(
            not _is_network(one) for one in self.authenticate_user_networks
        ):
            raise BadPolicy("authenticate_user_networks", "networks", most=64)


def _is_network(text: str) -> bool:
    try:
        return str(ipaddress.ip_network(text)) == text
    except ValueError:
        return False


PRESETS = {
    Profile.STANDARD: Policy(),
    Profile.CLASSIC: Policy(
        profile=Profile.CLASSIC,
        password=PasswordPolicy(min_length=12, classes=3, history=8, min_age_hours=24, max_age_days=90),
        lockout=LockoutPolicy(on_failures=OnFailures.LOCK, after=5, minutes=0),
    ),
}
STANDARD = PRESETS[Profile.STANDARD]


@dataclass(frozen=True, slots=True)
class Organization:
    """One row of organizations. ``id`` is the context identifier, a UUID."""

    id: str
    name: str
    created_at: int


@dataclass(frozen=True, slots=True)
class Membership:
    """What somebody is in an organization. It has no power while it waits to be accepted (security rule 12)."""

    organization: Organization
    role: Role
    is_primary: bool
    proposed_at: int | None  # while it waits


@dataclass(frozen=True, slots=True)
class Version:
    """One row of policies: what an organization decided, when, by whom, and from when on it holds."""

    organization_id: str
    number: int
    policy: Policy
    made_at: int
    made_by: str
    holds_from: int


@dataclass(frozen=True, slots=True)
class Telling:
    """One row of policy_notices: how far the people of an organization were told of a staged version."""

    organization_id: str
    number: int
    by_sms: bool
    told_upto: int  # the row of the last person


@dataclass(frozen=True, slots=True)
class Departure:
    """What a standard asks for and a policy does not do, beside the setting it comes from.

    ``key`` is a heading of docs/deviations.md; ``setting`` names the part as in ``password.classes``.
    """

    key: str
    setting: str
    source: str
    sentence: str
