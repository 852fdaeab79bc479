"""The shape of the page's form: a field for each setting, named as its key with ``_`` for the dot."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from app.journeys.policy import rules
from app.journeys.policy.model import HOLDS_FROM
from app.journeys.policy.rules import SETTINGS
from app.records.organizations.model import Policy, Profile

CELLS = ("country", "phone", "note", "email")
MOST_FIELDS = 320  # fifty support contacts of four fields, and the settings
_MOST_LINES = 60
_LINE = re.compile(rf"support_lines_([0-9]{{1,2}})_({'|'.join(CELLS)})")
_DAYS = 7


@dataclass(frozen=True, slots=True)
class Typed:
    """What stands in the form: as it was typed, or as a policy says.

    ``settings`` are texts by key. ``hours`` and ``lines`` are the same as rows, as the page shows them.
    """

    settings: Mapping[str, str]
    hours: Sequence[str]
    lines: Sequence[Sequence[str]]
    profile: Profile = Profile.STANDARD
    based_on: int | None = None
    holds_from: str = ""
    by_sms: bool = False
    known: int | None = None
    values: Mapping[str, str] = field(default_factory=dict)  # by the name of the field

    @property
    def rows(self) -> Sequence[Sequence[str]]:
        """The support contacts, with two empty rows for more."""
        return [*self.lines, *([("",) * len(CELLS)] * 2)]


def filled(settings: Mapping[str, str], policy: Policy, based_on: int, **more: str | bool) -> Typed:
    """A form with these texts; the rows are those of a policy."""
    return Typed(
        settings,
        rules.hours_by_day(policy),
        rules.rows_of_lines(policy),
        policy.profile,
        based_on,
        str(more.get(HOLDS_FROM, "")),
        bool(more.get("by_sms", False)),
        values=_by_field(settings),
    )


def read(posted: Mapping[str, str]) -> Typed:
    """What was posted. A setting whose field is not there is not typed."""
    settings = {one.key: posted[one.field] for one in SETTINGS.values() if one.field in posted}
    hours = [posted.get(f"support_openings_{day}", "") for day in range(_DAYS)]
    if any(f"support_openings_{day}" in posted for day in range(_DAYS)):
        settings["support.openings"] = rules.joined_hours(hours)
    lines = _lines(posted)
    if any(_LINE.fullmatch(name) for name in posted):
        settings["support.lines"] = rules.joined_lines(lines)
    if "settings" in posted and "authenticate_user" not in posted:
        settings["authenticate_user"] = "false"  # a box that is not ticked is not sent
    return Typed(
        settings,
        hours,
        [row for row in lines if any(cell.strip() for cell in row)],
        Profile(posted["profile"]) if posted.get("profile") in set(Profile) else Profile.STANDARD,
        _number(posted.get("based_on", "")),
        posted.get(HOLDS_FROM, ""),
        "by_sms" in posted,
        _number(posted.get("known", "")),
        _by_field(settings),
    )


def _lines(posted: Mapping[str, str]) -> list[list[str]]:
    found: dict[int, list[str]] = {}
    for name, text in posted.items():
        matched = _LINE.fullmatch(name)
        if matched and int(matched[1]) < _MOST_LINES:
            found.setdefault(int(matched[1]), [""] * len(CELLS))[CELLS.index(matched[2])] = text
    return [found[number] for number in sorted(found)]


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None


def _by_field(settings: Mapping[str, str]) -> dict[str, str]:
    return {key.replace(".", "_"): text for key, text in settings.items()}
