"""Pure rules: what a loss would mean today, how times and browsers are said, when a factor was last used."""

import re
from collections.abc import Iterable

from app.journeys.authenticators.model import AHEAD, Facts, Mishap, Moment, Readiness
from app.records.audit.model import Event, Record

_UNITS = ((365 * 86_400, "years"), (30 * 86_400, "months"), (86_400, "days"), (3_600, "hours"), (60, "minutes"))

# the more particular first: most browsers name those as well that they want to be taken for
_BROWSERS = (
    (r"\bEdgA?(?:iOS)?/", "Edge"),
    (r"\b(?:OPR|OPiOS)/", "Opera"),
    (r"\bSamsungBrowser/", "Samsung Internet"),
    (r"\bVivaldi/", "Vivaldi"),
    (r"\b(?:Firefox|FxiOS)/", "Firefox"),
    (r"\b(?:Chrome|Chromium|CriOS|HeadlessChrome)/", "Chrome"),
    (r"\bVersion/[0-9.]+ (?:Mobile/\w+ )?Safari/", "Safari"),
    (r"\bcurl/", "curl"),
)
_SYSTEMS = (
    (r"\biPad\b", "iPad"),
    (r"\biPhone\b", "iPhone"),
    (r"\bAndroid\b", "Android"),
    (r"\bWindows\b", "Windows"),
    (r"\bCrOS\b", "ChromeOS"),
    (r"\bMac OS X\b|\bMacintosh\b", "macOS"),
    (r"\bLinux\b|\bX11\b", "Linux"),
)


def moment(at: int, now: int) -> Moment:
    """A time, seen from now."""
    if at > now:
        return Moment(at, AHEAD, at - now)
    ago = now - at
    for size, unit in _UNITS:
        if ago >= size:
            return Moment(at, unit, ago // size)
    return Moment(at, "now", 0)


def browser_name(agent: str) -> tuple[str, str]:
    """The browser and the system of a User-Agent ("Firefox", "Linux"); empty where it does not say."""
    return _first(_BROWSERS, agent), _first(_SYSTEMS, agent)


def _first(known: Iterable[tuple[str, str]], agent: str) -> str:
    return next((name for pattern, name in known if re.search(pattern, agent)), "")


def readiness(facts: Facts) -> Readiness:
    """What would happen today if the password, the phone or the mailbox were lost (product.md 7.7).

    A recovery takes an app's code or a saved code, and then a PIN by SMS or e-mail. A lost phone takes an app and
    a number with it: of several the others remain, if they are on another device.
    """
    lost_phone = Facts(max(0, facts.apps - 1), max(0, facts.phones - 1), facts.emails, facts.codes)
    lost_mailbox = Facts(facts.apps, facts.phones, max(0, facts.emails - 1), facts.codes)
    needs_other = bool(lost_phone.apps and not lost_phone.codes) or bool(lost_phone.phones and not lost_phone.emails)
    return Readiness(
        (
            _mishap("password", facts, first="app", second="phone"),
            _mishap("phone", lost_phone, first="recovery_codes", second="email", elsewhere=needs_other),
            _mishap("mailbox", lost_mailbox, first="app", second="phone"),
        )
    )


def _mishap(lost: str, left: Facts, *, first: str, second: str, elsewhere: bool = False) -> Mishap:
    firsts = tuple(way for way, there in (("app_pin", left.apps), ("codes_pin", left.codes)) if there)
    channels = tuple(channel for channel, there in (("sms", left.phones), ("email", left.emails)) if there)
    add = tuple(thing for thing, there in ((first, firsts), (second, channels)) if not there)
    if add:
        return Mishap(lost, (), (), add)
    return Mishap(lost, firsts, channels, elsewhere=elsewhere)


def last_used(records: Iterable[Record]) -> dict[str, int]:
    """When the password ("password") and each contact (its id) last proved something; of records newest first."""
    found: dict[str, int] = {}
    for record in records:
        if record.event is Event.SIGN_IN_PASSWORD_OK:
            found.setdefault("password", record.at)
        elif record.event is Event.PIN_OK and isinstance(record.details.get("contact"), str):
            found.setdefault(str(record.details["contact"]), record.at)
    return found


PROVING = (Event.SIGN_IN_PASSWORD_OK, Event.PIN_OK)  # what ``last_used`` looks for
