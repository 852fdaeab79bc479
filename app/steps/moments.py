"""How times and browsers are said, by every journey that shows what happened."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

AHEAD = "ahead"  # of a moment that is still to come

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


@dataclass(frozen=True, slots=True)
class Moment:
    """A time as pages say it: how long ago by the largest unit that fits, and exactly, in UTC."""

    at: int
    unit: str  # now, minutes, hours, days, months, years; or AHEAD
    count: int

    @property
    def utc(self) -> datetime:
        """The exact time."""
        return datetime.fromtimestamp(self.at, UTC)

    @property
    def iso(self) -> str:
        """For the ``datetime`` attribute."""
        return self.utc.strftime("%Y-%m-%dT%H:%M:%SZ")


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
