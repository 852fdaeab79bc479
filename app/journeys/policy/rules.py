"""A policy as a flat list of settings, each written as text; the same for command and page."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from datetime import date, datetime, time
from enum import StrEnum
from ipaddress import ip_network
from itertools import permutations
from typing import Any
from zoneinfo import ZoneInfo

from app.journeys.policy.model import (
    FARTHEST,
    HOLDS_FROM,
    Book,
    Change,
    Edited,
    Facts,
    Kind,
    Loss,
    NotTaken,
    Problem,
    Setting,
    Shown,
    Standing,
    Verdict,
)
from app.records.organizations.model import (
    FIRST,
    PRESETS,
    SECOND,
    SOLE_FACTOR,
    STANDARD,
    BadPolicy,
    OnFailures,
    Opening,
    Organization,
    Policy,
    Profile,
    Proof,
    SupportLine,
    Version,
)
from app.records.organizations.rules import met, strictest

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_KINDS = {
    "lockout.on_failures": Kind.CHOICE,
    "recovery.first": Kind.LIST,
    "recovery.second": Kind.LIST,
    "password.context_words": Kind.LIST,
    "sms_countries": Kind.LIST,
    "support.lines": Kind.ROWS,
    "support.time_zone": Kind.TEXT,
    "support.openings": Kind.ROWS,
    "support.closed_on": Kind.LIST,
    "authenticate_user": Kind.FLAG,
    "authenticate_user_networks": Kind.LIST,
}


_CHOICES: dict[str, tuple[str, ...]] = {
    "lockout.on_failures": tuple(OnFailures),
    "recovery.first": FIRST,
    "recovery.second": SECOND,
}


class _Unreadable(Exception):
    """Text that is none of what a setting can be."""


def _settings() -> Iterable[Setting]:
    for whole in fields(Policy):
        if whole.name == "profile":
            continue  # it is a starting point, chosen for all settings at once
        if not is_dataclass(whole.type):
            yield Setting(whole.name, _KINDS[whole.name])
            continue
        for part in fields(whole.type):
            key, bounds = f"{whole.name}.{part.name}", part.metadata
            if "least" in bounds:
                yield Setting(key, Kind.NUMBER, bounds["least"], bounds["most"])
            else:
                yield Setting(key, _KINDS[key], choices=_CHOICES.get(key, ()))


SETTINGS = {one.key: one for one in _settings()}


# ---- text to value, and back


def _number(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise _Unreadable("number")
    return int(text)


def _flag(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise _Unreadable("flag")
    return text.lower() == "true"


def _listed(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one for one in (part.strip() for part in re.split(r"[,\n\r]", text)) if one))


def _choice(kind: type[StrEnum]) -> Callable[[str], Any]:
    def read(text: str) -> StrEnum:
        try:
            return kind(text.lower())
        except ValueError:
            raise _Unreadable("choice") from None

    return read


def _proofs(text: str) -> tuple[Proof, ...]:
    try:
        return tuple(Proof(one.strip().lower()) for one in text.split(",") if one.strip())
    except ValueError:
        raise _Unreadable("proofs") from None


def _countries(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.upper() for one in re.split(r"[,\s]+", text) if one))


def _networks(text: str) -> tuple[str, ...]:
    try:
        return tuple(dict.fromkeys(str(ip_network(one, strict=False)) for one in re.split(r"[,\s]+", text) if one))
    except ValueError:
        raise _Unreadable("networks") from None


def _rows(text: str) -> list[str]:
    return [row for row in (part.strip() for part in re.split(r"[;\n\r]", text)) if row]


def _lines(text: str) -> tuple[SupportLine, ...]:
    found = []
    for row in _rows(text):
        cells = [cell.strip() for cell in row.split("|")]
        if len(cells) > 4:
            raise _Unreadable("row")
        country, phone, note, email = (*cells, "", "", "", "")[:4]
        found.append(SupportLine(country.upper(), phone, note, email))
    return tuple(found)


_HOURS = re.compile(r"([0-9]{2}:[0-9]{2})\s*[-\u2013]\s*([0-9]{2}:[0-9]{2})")


def _openings(text: str) -> tuple[Opening, ...]:
    found = []
    for row in _rows(text):
        day, _, hours = row.partition(" ")
        if day.lower() not in _DAYS or not hours.strip():
            raise _Unreadable("hours")
        for span in hours.split(","):
            matched = _HOURS.fullmatch(span.strip())
            if matched is None:
                raise _Unreadable("hours")
            found.append(Opening(_DAYS.index(day.lower()), matched[1], matched[2]))
    return tuple(found)


_READ: dict[str, Callable[[str], Any]] = {
    "lockout.on_failures": _choice(OnFailures),
    "recovery.first": _proofs,
    "recovery.second": _proofs,
    "password.context_words": _listed,
    "sms_countries": _countries,
    "support.lines": _lines,
    "support.openings": _openings,
    "support.closed_on": _listed,
    "support.time_zone": str,
    "authenticate_user": _flag,
    "authenticate_user_networks": _networks,
}


def _write(key: str, value: Any) -> str:
    if key == "support.lines":
        return "; ".join(f"{one.country} | {one.phone} | {one.note} | {one.email}".strip() for one in value)
    if key == "support.openings":
        days = [(name, _hours(value, number)) for number, name in enumerate(_DAYS)]
        return "; ".join(f"{name} {hours}" for name, hours in days if hours)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return str(value)


def _hours(openings: Sequence[Opening], weekday: int) -> str:
    return ", ".join(f"{one.begins}-{one.ends}" for one in openings if one.weekday == weekday)


def hours_by_day(policy: Policy) -> tuple[str, ...]:
    """The opening hours from Monday to Sunday, as one text for each day."""
    return tuple(_hours(policy.support.openings, day) for day in range(len(_DAYS)))


def rows_of_lines(policy: Policy) -> tuple[tuple[str, ...], ...]:
    """The support contacts as rows: country, phone, note, e-mail."""
    return tuple((one.country, one.phone, one.note, one.email) for one in policy.support.lines)


def joined_hours(by_day: Sequence[str]) -> str:
    """The inverse: one text of what was typed for each day."""
    return "; ".join(f"{name} {hours.strip()}" for name, hours in zip(_DAYS, by_day, strict=True) if hours.strip())


def joined_lines(rows: Sequence[Sequence[str]]) -> str:
    """One text of what was typed into the rows of support contacts; empty rows are none."""
    kept = [[re.sub(r"[|;\s]+", " ", cell).strip() for cell in row] for row in rows]
    return "; ".join(" | ".join(row) for row in kept if any(row))


def _value(policy: Policy, key: str) -> Any:
    part, _, name = key.partition(".")
    return getattr(getattr(policy, part), name) if name else getattr(policy, part)


def orders(key: str) -> tuple[str, ...]:
    """Every list of proofs that may be chosen, the fullest first."""
    those = SETTINGS[key].choices
    sizes = range(len(those), 0, -1)
    return tuple(", ".join(one) for size in sizes for one in permutations(those, size))


def merged(old: Policy, new: Policy, typed: Mapping[str, str]) -> dict[str, str]:
    """What was typed on top of one policy, on top of another: what nobody typed anew follows the other."""
    was, now = texts(old), texts(new)
    return {key: now[key] if text.strip() == was.get(key) else text for key, text in typed.items()}


def texts(policy: Policy) -> dict[str, str]:
    """Every setting as text."""
    return {key: _write(key, _value(policy, key)) for key in SETTINGS}


def changes(before: Policy, after: Policy) -> tuple[Change, ...]:
    """What differs, the profile first."""
    found = [Change("profile", before.profile.value, after.profile.value)]
    old, new = texts(before), texts(after)
    found += [Change(key, old[key], new[key]) for key in SETTINGS]
    return tuple(one for one in found if one.old != one.new)


# ---- editing


def started_from(profile: Profile, present: Policy) -> Policy:
    """A profile as a starting point: its rules, with what only the organization knows kept.

    Kept are its context words, its countries, its support contacts and the networks of its programs.
    """
    preset = PRESETS[profile]
    return replace(
        preset,
        password=replace(preset.password, context_words=present.password.context_words),
        sms_countries=present.sms_countries,
        support=present.support,
        authenticate_user_networks=present.authenticate_user_networks,
    )


def edited(base: Policy, typed: Mapping[str, str]) -> Edited:
    """A policy with what was typed for some of its settings. Raises NotTaken with all that is wrong.

    Where AuthenticateUser is switched on, a shorter least length that nobody typed is raised to 15 (product.md 4).
    """
    values, problems = _read_all(typed)
    parts: dict[str, Any] = {}
    for whole in fields(Policy):
        given = {key.partition(".")[2]: values[key] for key in values if key.startswith(f"{whole.name}.")}
        if given:
            broken = any(problem.key.startswith(f"{whole.name}.") for problem in problems)
            try:
                parts[whole.name] = replace(getattr(base, whole.name), **given)
            except BadPolicy as error:
                if not broken:  # what contradicts a setting that cannot be read is not known yet
                    problems.append(Problem(error.key, error.code, error.params))
        elif whole.name in values:
            parts[whole.name] = values[whole.name]
    raised = False
    password = parts.get("password", base.password)
    if parts.get("authenticate_user", base.authenticate_user) and password.min_length < SOLE_FACTOR:
        chosen = password.min_length != base.password.min_length
        if chosen or base.authenticate_user:
            problems.append(Problem("password.min_length", "sole_factor", {"least": SOLE_FACTOR}))
        else:
            parts["password"], raised = replace(password, min_length=SOLE_FACTOR), True
    if problems:
        places = {key: place for place, key in enumerate(SETTINGS)}
        raise NotTaken(*sorted(problems, key=lambda problem: places.get(problem.key, len(places))))
    return Edited(replace(base, **parts), raised)


def _read_all(typed: Mapping[str, str]) -> tuple[dict[str, Any], list[Problem]]:
    values, problems = {}, []
    for key, text in typed.items():
        if key not in SETTINGS:
            problems.append(Problem(key, "unknown"))
            continue
        choices = SETTINGS[key].choices
        try:
            value = _READ.get(key, _number)(text.strip())
            _try(key, value)
            values[key] = value
        except _Unreadable as error:
            problems.append(Problem(key, str(error), choices=choices))
        except BadPolicy as error:
            problems.append(Problem(key, error.code, error.params, choices))
    return values, problems


def _try(key: str, value: Any) -> None:
    """Make a part with this setting alone, so that its own bounds judge it. Raises BadPolicy."""
    part, _, name = key.partition(".")
    if name:
        replace(getattr(STANDARD, part), **{name: value})
    elif key != "authenticate_user":
        replace(STANDARD, **{key: value})


def holds_from(text: str, policy: Policy, now: int) -> int:
    """The first moment of a day where the organization's support is; ``now`` where no day is given. Raises NotTaken."""
    if not text.strip():
        return now
    try:
        day = date.fromisoformat(text.strip())
        moment = int(datetime.combine(day, time(0), ZoneInfo(policy.support.time_zone)).timestamp())
    except (ValueError, OverflowError):
        moment = 0
    if not now < moment <= now + FARTHEST * 86_400:
        raise NotTaken(Problem(HOLDS_FROM, "from"))
    return moment


def day_of(moment: int, policy: Policy) -> date:
    """The day of a moment where the organization's support is."""
    return datetime.fromtimestamp(moment, ZoneInfo(policy.support.time_zone)).date()


# ---- versions


def book(organization: Organization, versions: Sequence[Version], now: int) -> Book:
    """What an organization decided, newest first, and which of it holds."""
    held = next((one for one in versions if one.holds_from <= now), None)
    staged = versions[0] if versions and versions[0].holds_from > now else None
    shown = []
    for one, after, before in zip(versions, [None, *versions], [*versions[1:], None], strict=False):
        standing = Standing.HOLDS if one is held else Standing.STAGED if one is staged else _past(one, after)
        shown.append(Shown(one, standing, changes(before.policy if before else STANDARD, one.policy)))
    return Book(organization, held.policy if held else STANDARD, staged, tuple(shown), now)


def _past(version: Version, after: Version | None) -> Standing:
    """Whether a version held once, or was withdrawn by the next one before its day had come."""
    staged = version.holds_from > version.made_at
    return Standing.WITHDRAWN if staged and after and after.made_at < version.holds_from else Standing.REPLACED


def version_of(book: Book, number: int) -> Policy:
    """The policy of a number; 0 is what held before the first."""
    return next((one.version.policy for one in book.versions if one.version.number == number), STANDARD)


# ---- who could still recover, and sign in


def can_recover(policy: Policy, facts: Facts, *, sms: bool) -> bool:
    """Whether somebody would get in again alone today: by a first proof of theirs, and a PIN to a contact.

    ``sms``: whether one may go to a number of theirs. A temporary access code is not theirs: staff would have to give
    it to them.
    """
    first = (Proof.APP in policy.recovery.first and facts.app) or (
        Proof.RECOVERY_CODE in policy.recovery.first and facts.code
    )
    second = (Proof.SMS in policy.recovery.second and sms) or (Proof.EMAIL in policy.recovery.second and facts.email)
    return first and second


def met_by(policies: Sequence[Policy], facts: Facts, *, sms: bool) -> Policy:
    """What somebody meets in several organizations, the home organization's policy first (security rule 12)."""
    had = ((Proof.APP, facts.app), (Proof.RECOVERY_CODE, facts.code), (Proof.SMS, sms), (Proof.EMAIL, facts.email))
    return replace(strictest(policies), recovery=met(policies, {proof for proof, there in had if there}))


def can_sign_in(facts: Facts, *, sms: bool) -> bool:
    """Whether somebody could sign in with two factors: their password and an app, a saved code or a PIN by SMS.

    A PIN by e-mail gives a lower level, which is good for changing the password alone.
    """
    return facts.password and (facts.signing_app or facts.signing_code or sms)


def gets_sms(policy: Policy, phones: Iterable[str], countries: Collection[str] | None) -> bool:
    """Whether an SMS may go to one of several numbers, given by their countries; empty text is none.

    The installation and the organization both have to allow it; ``countries`` are the installation's, None: all.
    """
    return any(
        country and (countries is None or country in countries) and country in (policy.sms_countries or (country,))
        for country in phones
    )


def verdict(before: Policy, after: Policy, facts: Facts, *, sms_before: bool, sms_after: bool) -> Verdict:
    """What somebody could do under one policy and no more under another, and what would help."""
    recovery = can_recover(before, facts, sms=sms_before) and not can_recover(after, facts, sms=sms_after)
    sign_in = can_sign_in(facts, sms=sms_before) and not can_sign_in(facts, sms=sms_after)
    if not (recovery or sign_in):
        return Verdict()
    lost = tuple(loss for loss, lose in ((Loss.RECOVERY, recovery), (Loss.SIGN_IN, sign_in)) if lose)
    usable = {Proof.APP: "app", Proof.RECOVERY_CODE: "recovery_codes", Proof.SMS: "phone", Proof.EMAIL: "email"}
    has_first = can_recover(after, replace(facts, email=True), sms=True)
    has_second = can_recover(after, replace(facts, app=True, code=True), sms=sms_after)
    needs_first = (recovery and not has_first) or sign_in
    return Verdict(
        lost,
        tuple(usable[one] for one in after.recovery.first if one in usable) if needs_first else (),
        tuple(usable[one] for one in after.recovery.second) if recovery and not has_second else (),
    )


def expired(policy: Policy, changed_at: int, now: int) -> bool:
    """Whether a password of that age has to be changed."""
    days = policy.password.max_age_days
    return bool(days) and changed_at + days * 86_400 <= now


def proof_views_differ(before: Policy, after: Policy) -> bool:
    """Whether two policies could judge anybody's proofs differently; order tells nobody apart."""
    return any(
        set(old) != set(new)
        for old, new in (
            (before.recovery.first, after.recovery.first),
            (before.recovery.second, after.recovery.second),
            (before.sms_countries, after.sms_countries),
        )
    )
