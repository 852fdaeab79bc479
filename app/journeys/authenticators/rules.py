"""Pure rules: how times and browsers are said, when a factor was last used."""

import re
from collections.abc import Iterable

from app.journeys.authenticators.model import AHEAD, Moment
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
