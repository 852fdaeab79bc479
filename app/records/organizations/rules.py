"""The strictest of several policies, departures from the standards, a policy as JSON, opening hours."""

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any
from zoneinfo import ZoneInfo

from app.records.organizations.model import (
    STANDARD,
    Departure,
    LockoutPolicy,
    OnFailures,
    Opening,
    PasswordPolicy,
    PinPolicy,
    Policy,
    Profile,
    Proof,
    RecoveryPolicy,
    SessionPolicy,
    SupportLine,
    SupportPolicy,
)

_AHEAD = 366  # days within which a change of the opening hours is looked for


def strictest(policies: Sequence[Policy]) -> Policy:
    """What a person in several organizations meets: of each rule the strictest (product.md section 6).

    The home organization's stands first: its order of proofs and its support hold. Of a recovery it says what whoever
    has everything meets; ``met`` says it of what somebody has.
    """
    if len(policies) < 2:
        return policies[0] if policies else STANDARD
    home = policies[0]
    passwords = [policy.password for policy in policies]
    networks = _networks([policy.authenticate_user_networks for policy in policies])
    return Policy(
        profile=Profile.CLASSIC if all(p.profile is Profile.CLASSIC for p in policies) else Profile.STANDARD,
        password=PasswordPolicy(
            min_length=max(one.min_length for one in passwords),
            max_length=min(one.max_length for one in passwords),
            classes=max(one.classes for one in passwords),
            history=max(one.history for one in passwords),
            min_age_hours=_youngest(passwords),
            max_age_days=_least_but_0(one.max_age_days for one in passwords),
            min_strength=max(one.min_strength for one in passwords),
            context_words=tuple(dict.fromkeys(word for one in passwords for word in one.context_words))[:32],
        ),
        lockout=_lockout([policy.lockout for policy in policies]),
        recovery=met(policies, POSSESSABLE),
        pin=PinPolicy(
            sms_digits=max(policy.pin.sms_digits for policy in policies),
            email_digits=max(policy.pin.email_digits for policy in policies),
            sms_minutes=min(policy.pin.sms_minutes for policy in policies),
            email_minutes=min(policy.pin.email_minutes for policy in policies),
            tries=min(policy.pin.tries for policy in policies),
        ),
        session=SessionPolicy(
            idle_minutes=min(policy.session.idle_minutes for policy in policies),
            hours=min(policy.session.hours for policy in policies),
        ),
        # whose budget it is: another organization must not keep PINs and notices from people (security rule 12)
        sms_countries=home.sms_countries,
        support=home.support,
        # AuthenticateUser asks each organization; the length that it needs is in ``password`` already
        authenticate_user=all(policy.authenticate_user for policy in policies) and networks is not None,
        authenticate_user_networks=networks or (),
    )


def _networks(several: Sequence[tuple[str, ...]]) -> tuple[str, ...] | None:
    """The networks that all of several lists have in common, where an empty list is everywhere; None: there is none."""
    common: tuple[str, ...] = ()
    for these in filter(None, several):
        shared = (_overlap(one, other) for one in common for other in these) if common else iter(these)
        common = tuple(dict.fromkeys(one for one in shared if one))
        if not common:
            return None
    return common


def _overlap(one: str, other: str) -> str:
    """Of two networks the smaller, if the other contains it."""
    left, right = ip_network(one), ip_network(other)
    if left.version != right.version or not left.overlaps(right):
        return ""
    return one if left.prefixlen >= right.prefixlen else other


def reachable(policy: Policy, address: str) -> bool:
    """Whether AuthenticateUser may be called for somebody with this policy from an address (security rule 10)."""
    if not policy.authenticate_user or not policy.authenticate_user_networks:
        return policy.authenticate_user
    try:
        caller = ip_address(address)
    except ValueError:
        return False
    if isinstance(caller, IPv6Address) and caller.ipv4_mapped:
        caller = caller.ipv4_mapped
    return any(caller in ip_network(one) for one in policy.authenticate_user_networks)


POSSESSABLE = frozenset({Proof.APP, Proof.RECOVERY_CODE, Proof.SMS, Proof.EMAIL})
"""What somebody can have. An access code is none of it: with that an organization would leave people of another home
to their support."""


def met(policies: Sequence[Policy], having: Collection[Proof]) -> RecoveryPolicy:
    """What a recovery takes of somebody who has these proofs now: of each step what all policies take, in the order of
    the home organization's, which stands first.

    Where the person has nothing of it, what the home organization takes: another one strands nobody by asking for what
    its guests do not have (security rule 12; ``strands`` says so).
    """
    if not policies:
        return STANDARD.recovery
    return RecoveryPolicy(
        _met([policy.recovery.first for policy in policies], having),
        _met([policy.recovery.second for policy in policies], having),
    )


def _met(several: Sequence[tuple[Proof, ...]], having: Collection[Proof]) -> tuple[Proof, ...]:
    common = _common(several)
    return common if POSSESSABLE.intersection(common, having) else several[0]


def _common(several: Sequence[tuple[Proof, ...]]) -> tuple[Proof, ...]:
    return tuple(one for one in several[0] if all(one in those for those in several))


def strands(policies: Sequence[Policy], having: Collection[Proof] = POSSESSABLE) -> bool:
    """Whether several policies leave somebody who has these proofs no way to recover, so that the home organization's
    holds, which takes more."""
    firsts, seconds = ([getattr(one.recovery, step) for one in policies] for step in ("first", "second"))
    return any(several and _met(several, having) != _common(several) for several in (firsts, seconds))


def _least_but_0(numbers: Iterable[int]) -> int:
    return min((number for number in numbers if number), default=0)


def _youngest(passwords: Sequence[PasswordPolicy]) -> int:
    """The longest least age, as long as another organization does not want the password changed before."""
    most = _least_but_0(one.max_age_days for one in passwords)
    longest = max(one.min_age_hours for one in passwords)
    return min(longest, most * 24 - 1) if most else longest


def _lockout(several: Sequence[LockoutPolicy]) -> LockoutPolicy:
    worst = max((one.on_failures for one in several), key=tuple(OnFailures).index)
    these = [one for one in several if one.on_failures is worst]
    return LockoutPolicy(
        on_failures=worst,
        after=min(one.after for one in these),
        minutes=0 if any(one.minutes == 0 for one in these) else max(one.minutes for one in these),
    )


_NIST = "NIST SP 800-63B-4"
_ASVS = "OWASP ASVS 5.0"
EMAIL_PIN = Departure(
    "email-pin",
    "recovery.second",
    f"{_NIST} sec. 3.1.3.1 and 4.2",
    "A one-time PIN may go to an e-mail address. NIST allows that as an issued recovery code, never as an "
    "authenticator: at sign-in it gives a lower level, good only for changing the password with the current one.",
)
SMS_PIN = Departure(
    "sms-pin",
    "recovery.second",
    f"{_NIST} sec. 3.1.3.3 and 3.2.9",
    "A one-time PIN may go by SMS, a restricted authenticator: people must be told of its risk, offered another way, "
    "and the operator needs a plan for its end.",
)
_DEPARTURES: tuple[tuple[Callable[[Policy], bool], Departure], ...] = (
    (lambda policy: Proof.EMAIL in policy.recovery.second, EMAIL_PIN),
    (lambda policy: Proof.SMS in policy.recovery.second, SMS_PIN),
    (
        lambda policy: policy.profile is Profile.CLASSIC,
        Departure(
            "classic",
            "profile",
            f"{_NIST} sec. 3.1.1.2 and 4.2; {_ASVS} 6.2 and 6.4",
            "The profile classic has composition rules, periodic change, security questions, temporary passwords "
            "by a mailed link, and locks until somebody unlocks.",
        ),
    ),
    (
        lambda policy: policy.password.classes > 1,
        Departure(
            "composition",
            "password.classes",
            f"{_NIST} sec. 3.1.1.2; {_ASVS} 6.2.5",
            "A password must have several kinds of characters, which makes people choose more alike, not better.",
        ),
    ),
    (
        lambda policy: policy.password.min_strength > 0,
        Departure(
            "strength-rule",
            "password.min_strength",
            f"{_NIST} sec. 3.1.1.2; {_ASVS} 6.2.5",
            "A password must reach an estimated strength. That is a rule beyond length and blocklist, which the "
            "standards leave to advice.",
        ),
    ),
    (
        lambda policy: policy.password.max_age_days > 0,
        Departure(
            "password-expiry",
            "password.max_age_days",
            f"{_NIST} sec. 3.1.1.2; {_ASVS} 6.2.10",
            "A password has to be changed after some time, without any sign that somebody else knows it.",
        ),
    ),
    (
        lambda policy: policy.password.min_age_hours > 0,
        Departure(
            "password-minimum-age",
            "password.min_age_hours",
            f"{_ASVS} 6.2.2",
            "A password cannot be changed again for some hours, even by an owner who fears that it was seen. A "
            "recovery changes it at any time.",
        ),
    ),
    (
        lambda policy: policy.lockout.on_failures is OnFailures.LOCK,
        Departure(
            "lock",
            "lockout.on_failures",
            f"{_ASVS} 6.1.1 and 6.3.1",
            "After some failed sign-ins the password is locked, so that whoever knows a User ID can keep its owner "
            "from signing in. A recovery opens it at any time.",
        ),
    ),
    (
        lambda policy: policy.authenticate_user,
        Departure(
            "sole-password",
            "authenticate_user",
            f"{_NIST} sec. 2.2; {_ASVS} 6.3.3",
            "Programs sign people in with the password alone, by AuthenticateUser. Such a password has at least 15 "
            "characters, and what it opens is never this portal.",
        ),
    ),
)
ALL_DEPARTURES = tuple(departure for _, departure in _DEPARTURES)
"""In the order of docs/deviations.md."""


def departures(policy: Policy) -> tuple[Departure, ...]:
    """Where a policy departs from the standards, in the order of docs/deviations.md."""
    return tuple(departure for departs, departure in _DEPARTURES if departs(policy))


def to_json(policy: Policy) -> str:
    """One line of JSON, always the same for the same policy."""
    return json.dumps(asdict(policy), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


@lru_cache(maxsize=1_024)
def from_json(text: str) -> Policy:
    """The inverse of ``to_json``. What a newer version added has its default. Raises BadPolicy."""
    value: dict[str, Any] = json.loads(text)
    support, lockout, recovery = value["support"], value["lockout"], value["recovery"]
    password = {**value["password"], "context_words": tuple(value["password"]["context_words"])}
    return Policy(
        profile=Profile(value["profile"]),
        password=PasswordPolicy(**password),
        lockout=LockoutPolicy(**{**lockout, "on_failures": OnFailures(lockout["on_failures"])}),
        recovery=RecoveryPolicy(**{key: tuple(Proof(one) for one in those) for key, those in recovery.items()}),
        pin=PinPolicy(**value["pin"]),
        session=SessionPolicy(**value["session"]),
        sms_countries=tuple(value["sms_countries"]),
        support=SupportPolicy(
            lines=tuple(SupportLine(**line) for line in support["lines"]),
            time_zone=support["time_zone"],
            openings=tuple(Opening(**opening) for opening in support["openings"]),
            closed_on=tuple(support["closed_on"]),
        ),
        authenticate_user=value["authenticate_user"],
        authenticate_user_networks=tuple(value.get("authenticate_user_networks", ())),
    )


@dataclass(frozen=True, slots=True)
class SupportState:
    """Whether somebody is at support now, and when that changes; None where it does not within a year."""

    open: bool
    changes_at: int | None


def support_state(policy: SupportPolicy, now: int) -> SupportState:
    """Whether support is open at a moment.

    An opening runs between two times of day as the clocks of its zone show them: where they are put forward over one of
    the two the change of clocks stands for it, and an hour that comes twice belongs to the opening both times.
    """
    if not policy.openings:
        return SupportState(open=False, changes_at=None)
    zone = ZoneInfo(policy.time_zone)
    today = datetime.fromtimestamp(now, zone).date()
    closed_on = {date.fromisoformat(day) for day in policy.closed_on}
    open_until = 0
    for day in (today + timedelta(days=ahead) for ahead in range(_AHEAD)):
        hours = () if day in closed_on else [one for one in policy.openings if one.weekday == day.weekday()]
        for begins, ends in sorted(_interval(zone, day, one) for one in hours):
            if ends <= max(now, begins):
                continue
            if open_until and begins > open_until:
                return SupportState(open=True, changes_at=open_until)
            if not open_until and begins > now:
                return SupportState(open=False, changes_at=begins)
            open_until = max(open_until, ends)
    # the last day looked at may not be the last on which it is open
    runs_on = open_until >= _moment(zone, today + timedelta(days=_AHEAD), time(0))[0]
    return SupportState(open=open_until > 0, changes_at=None if runs_on or not open_until else open_until)


def _interval(zone: ZoneInfo, day: date, opening: Opening) -> tuple[int, int]:
    midnight = opening.ends == "24:00"
    ends_on = day + timedelta(days=1) if midnight else day
    ends = time(0) if midnight else time.fromisoformat(opening.ends)
    return _moment(zone, day, time.fromisoformat(opening.begins))[0], _moment(zone, ends_on, ends)[1]


def _moment(zone: ZoneInfo, day: date, clock: time) -> tuple[int, int]:
    """The first and the last moment at which the clocks of a zone show a time of day."""
    first, last = (int(datetime.combine(day, clock, zone).replace(fold=fold).timestamp()) for fold in (0, 1))
    if first <= last:
        return first, last
    # they never show it: the moment at which they are put forward lies between the two readings
    before, after = last, first
    offset = datetime.fromtimestamp(before, zone).utcoffset()
    while after - before > 1:
        middle = (before + after) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after, after
