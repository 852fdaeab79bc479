"""When to try again, what may follow what, and what fits into one SMS. Pure."""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from app.records.delivery.model import Caps, Channel, Destination, Outcome, Purpose, State, Tally

# DNS, TCP, TLS, the request and its answer each have a time-out of 5 s (SMS) or 10 s (SMTP); a claim that
# is older than this belongs to a process that died
LEASE = 60  # seconds
NOTICE_LIFE = 3 * 86_400  # seconds: a mail server that is down over a weekend still gets it
FOLLOW = 600  # seconds for which the fate of an SMS is asked for; carriers report within a few, or never
VALIDITY_MAX = 36_000  # seconds: the longest ValidityPeriod that Twilio takes
SMS_LIMIT = 160  # septets in one SMS (3GPP TS 23.040 sec. 9.2.3.24.1)

# SENDING falls back to QUEUED only where the provider certainly has nothing, or where a second copy does no
# harm (e-mail with the same Message-ID). UNKNOWN may still turn out well or badly; DELIVERED and FAILED are final.
MOVES: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.SENDING, State.FAILED}),
    State.SENDING: frozenset({State.QUEUED, State.SENT, State.FAILED, State.UNKNOWN}),
    State.UNKNOWN: frozenset({State.SENT, State.DELIVERED, State.FAILED}),
    State.SENT: frozenset({State.DELIVERED, State.FAILED}),
    State.DELIVERED: frozenset(),
    State.FAILED: frozenset(),
}


def may_move(old: State, new: State) -> bool:
    """Whether ``new`` may follow ``old``."""
    return new in MOVES[old]


def before(new: State) -> tuple[State, ...]:
    """The states from which ``new`` may be reached: the condition of the write that moves there."""
    return tuple(old for old, following in MOVES.items() if new in following)


def after_lost_lease(channel: Channel) -> State:
    """What becomes of a message whose sender died: an e-mail may go twice, an SMS never (security rule 17)."""
    return State.QUEUED if channel is Channel.EMAIL else State.UNKNOWN


def obstacle(purpose: Purpose, destination: Destination | None) -> str:
    """Why nothing may go there, as a reason; empty where it may.

    A PIN goes only to a present contact of an active person. A notice goes to a removed contact as well: whoever
    removes one must not silence it (security rule 5).
    """
    if destination is None:
        return "no_contact"
    if purpose is Purpose.PIN and destination.removed:
        return "contact_removed"
    if purpose is Purpose.PIN and not destination.active:
        return "person_inactive"
    return ""


@dataclass(frozen=True, slots=True)
class Again:
    """Try again at this time."""

    at: int  # seconds since the epoch


@dataclass(frozen=True, slots=True)
class End:
    """It ends in this state."""

    state: State


def after(
    outcome: Outcome, *, operator: bool, purpose: Purpose, tries: int, now: int, expires_at: int, fraction: float
) -> Again | End:
    """What follows a failed attempt.

    ``tries`` counts the attempts, this one included; ``fraction`` from 0 up to 1 spreads the next ones. Where the
    next attempt would come after the message expires, it fails at once: the page can then offer the other channel.
    """
    if outcome is Outcome.UNKNOWN:
        return End(State.UNKNOWN)
    mendable = operator and purpose is Purpose.NOTICE
    if outcome is Outcome.PERMANENT and not mendable:
        return End(State.FAILED)
    at = now + pause(tries, purpose, fraction)
    return Again(at) if at < expires_at else End(State.FAILED)


def pause(tries: int, purpose: Purpose, fraction: float) -> int:
    """Seconds until the next attempt: 2, 4, 8 … capped at 1 min (PIN) or 1 h (notice), plus up to as much again."""
    cap = 60 if purpose is Purpose.PIN else 3_600
    base: int = min(cap, 2 ** min(tries, 20))
    return base + int(base * fraction)


def next_look(sent_at: int, now: int) -> int | None:
    """When to ask for the fate of a message again: soon at first, at most once a minute, None after 10 minutes."""
    at = now + min(60, max(3, (now - sent_at) // 2))
    return at if at <= sent_at + FOLLOW else None


# 3GPP TS 23.038 sec. 6.2.1; the second set costs two septets a character
_GSM7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM7_EXTENDED = frozenset("^{}\\[~]|€")
# typographic dashes, quotation marks, the ellipsis and the hard space
_PLAIN = {"\u2013": "-", "\u2014": "-", "\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u201e": '"'}
_PLAIN |= {"\u2026": "...", "\u00a0": " "}


def septets(text: str) -> int:
    """The length of a text in GSM-7. Raises ValueError where a character is not in that alphabet."""
    total = 0
    for character in text:
        if character in _GSM7:
            total += 1
        elif character in _GSM7_EXTENDED:
            total += 2
        else:
            raise ValueError(f"U+{ord(character):04X} is not in GSM-7")
    return total


def to_gsm7(text: str) -> str:
    """The text in GSM-7: marks are dropped from letters, the rest becomes a question mark.

    One character outside the alphabet would turn the whole SMS into UCS-2, where 70 characters fill it.
    """
    return "".join(_to_gsm7(character) for character in text)


def _to_gsm7(character: str) -> str:
    if character in _GSM7 or character in _GSM7_EXTENDED:
        return character
    if character in _PLAIN:
        return _PLAIN[character]
    base = "".join(part for part in unicodedata.normalize("NFKD", character) if not unicodedata.combining(part))
    return base if base and all(part in _GSM7 for part in base) else "?"


# ---- what SMS may cost (requirement M-10)

DAY = 86_400
ROOM_AFTER = 3_600  # seconds after which it is worth asking for room in a budget again: the day slides
RIPE_AFTER = 600  # seconds, the longest that a policy lets a PIN live: until then it may still be typed
_PREFIX_DROPS = 4  # ten thousand numbers: what is rented to whoever lives on SMS that others pay for
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_KINDS = (
    "fixed_line",
    "mobile",
    "toll_free",
    "premium_rate",
    "shared_cost",
    "voip",
    "personal_number",
    "pager",
    "uan",
    "voicemail",
)
_NOWHERE = "001"  # what libphonenumber says of satellites and of numbers without a country


def country_of(number: str) -> str:
    """The country of an E.164 number by its digits, ISO 3166-1 alpha-2; empty where it has none, or costs extra.

    A range that the library does not know yet counts for the country that its code is named after.
    """
    import phonenumbers  # noqa: PLC0415 - 20 ms, and needed only where an SMS is sent

    split = _split(number)
    if split and not (known := _known(split[0])).dear.fullmatch(split[1]):
        found = known.regions.fullmatch(split[1]) if known.regions else None
        return (found and found.lastgroup) or known.country
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return ""
    dear = {phonenumbers.PhoneNumberType.PREMIUM_RATE, phonenumbers.PhoneNumberType.SHARED_COST}
    if phonenumbers.number_type(parsed) in dear:
        return ""
    country = phonenumbers.region_code_for_number(parsed)
    country = country or phonenumbers.region_code_for_country_code(parsed.country_code or 0)
    return "" if country in {_NOWHERE, phonenumbers.UNKNOWN_REGION} else str(country)


@dataclass(frozen=True, slots=True)
class _Known:
    """What the library knows of a calling code: enough to tell most countries in a tenth of its own time.

    ``prefix`` may stand before a national number, where ``parse`` takes it off; no number costs extra but those that
    ``dear`` fits. ``country`` is the one that the code is named after, empty where there is none. Where several share
    it, ``regions`` has a group for each, named after it, and fits national numbers that are known to be there.
    """

    prefix: re.Pattern[str]
    dear: re.Pattern[str]
    country: str
    regions: re.Pattern[str] | None


@lru_cache(maxsize=300)
def _known(code: int) -> _Known:
    import phonenumbers  # noqa: PLC0415 - as above

    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code]
    of = phonenumbers.PhoneMetadata
    every = [one for region in regions if (one := of.metadata_for_region_or_calling_code(code, region))]
    prefixes = [one.national_prefix_for_parsing for one in every if one.national_prefix_for_parsing]
    kinds = [kind for one in every for kind in (one.premium_rate, one.shared_cost)]
    patterns = [kind.national_number_pattern for kind in kinds if kind and kind.national_number_pattern]
    country = "" if regions[0] == _NOWHERE else str(regions[0])
    shared = re.compile("|".join(f"(?P<{one.id}>{_of_region(one)})" for one in every)) if len(regions) > 1 else None
    return _Known(_any(prefixes), _any(patterns), country, shared)


def _of_region(region: Any) -> str:
    """What fits the national numbers of a region that shares its code, as ``region_code_for_number`` has it."""
    if region.leading_digits is not None:
        return f"(?:{region.leading_digits})[0-9]*"
    kinds = filter(None, (_of_kind(getattr(region, name)) for name in _KINDS))
    return f"(?={_of_kind(region.general_desc) or '(?!)'}$)(?:{'|'.join(kinds) or '(?!)'})"


def _of_kind(kind: Any) -> str:
    """What fits the numbers of one kind; empty where there are none."""
    if kind is None or not kind.national_number_pattern:
        return ""
    lengths = "|".join(f"[0-9]{{{length}}}$" for length in kind.possible_length)
    return f"(?={lengths})(?:{kind.national_number_pattern})"


def _any(patterns: list[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in dict.fromkeys(patterns)) if patterns else r"(?!)")


def _split(number: str) -> tuple[int, str] | None:
    """Calling code and national number of an E.164 number; None where the library may take a prefix off."""
    import phonenumbers  # noqa: PLC0415 - as above

    if not _E164.fullmatch(number):
        return None
    for length in (1, 2, 3):
        code, rest = int(number[1 : 1 + length]), number[1 + length :]
        if code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            return None if rest.startswith("0") or _known(code).prefix.match(rest) else (code, rest)
    return None


def prefix_of(number: str) -> str:
    """The range that a number lies in: the number without its last digits."""
    return number[:-_PREFIX_DROPS]


def spent_budget(tally: Tally, purpose: Purpose, caps: Caps) -> str:
    """Which budget has no room for one more; empty where each has."""
    for name, used, most in budgets(tally, purpose, caps):
        if used >= most:
            return name
    return ""


def budgets(tally: Tally, purpose: Purpose, caps: Caps) -> tuple[tuple[str, int, int], ...]:
    """Each budget that a message comes out of: its name, what is used of it, and how much there is."""
    return (
        ("day", tally.day, caps.of_day(purpose)),
        ("organization", tally.organization, caps.per_organization),
        ("prefix", tally.number_prefix, caps.per_prefix),
    )


def unverified(tally: Tally, caps: Caps) -> str:
    """Where so few of the PINs sent were typed that they cannot be meant to be: "country", "prefix", or empty."""
    shares = (
        ("prefix", tally.prefix_ripe, tally.prefix_verified),
        ("country", tally.country_ripe, tally.country_verified),
    )
    for name, ripe, verified in shares:
        if ripe >= caps.sample and verified * 100 < ripe * caps.floor:
            return name
    return ""


def mark_passed(used: int, most: int) -> int:
    """Which mark of a budget is reached by just this one: 80 or 100 percent of it; 0 for none."""
    if used == most:
        return 100
    return 80 if used == -(-most * 4 // 5) else 0
