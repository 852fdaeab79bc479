"""What administrators may look up: the people of one of their organizations, as lists, and these as CSV."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from io import StringIO

from app.foundation.clock import Clock
from app.foundation.sql import Database, Transaction
from app.foundation.visit import Visit
from app.journeys.directory import queries
from app.journeys.directory.model import DAYS, Found, Listed, Look, Page
from app.records.attempts.model import Factor
from app.records.attempts.service import Tries
from app.records.audit import store as audit
from app.records.audit.model import Event, Record
from app.records.audit.rules import safe_cell
from app.records.organizations.model import Role
from app.records.people.model import USER_ID_MAX, BadUserId, Status, canonical_user_id
from app.steps.staff import Staff, Staffing

PAGE = 50
_AT_ONCE = 500
_FACTORS = (Factor.PASSWORD, Factor.APP, Factor.PIN)
_COLUMNS = ("user_id", "first_name", "last_name", "status", "role", "made", "why")


@dataclass(frozen=True, slots=True)
class DirectoryMeans:
    """What the lists stand on. ``keep_days``: how long sign-ins are remembered."""

    database: Database
    tries: Tries
    clock: Clock
    staffing: Staffing
    keep_days: int


class Directory:
    """The lists behind /admin/people."""

    def __init__(self, means: DirectoryMeans) -> None:
        self._means = means

    def look(self, staff: Staff, *, organization: str, listed: str, days: str, prefix: str) -> Look | None:
        """What was asked for, within its bounds; None for an organization that is not theirs."""
        own = {one.id: one for one in staff.organizations}
        chosen = own.get(organization) if organization else staff.organizations[0]
        if chosen is None:
            return None
        kind = Listed(listed) if listed in set(Listed) else Listed.EVERYBODY
        return Look(chosen, kind, self._days(kind, days), _canonical(prefix))

    def _days(self, kind: Listed, typed: str) -> int:
        if kind not in DAYS:
            return 0
        usual, least, most = DAYS[kind]
        if kind is Listed.IDLE:
            # what was forgotten cannot say when somebody signed in
            most = min(most, self._means.keep_days)
        asked = int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 6 else usual
        return min(max(asked, least), most)

    def page(self, staff: Staff, look: Look, after: str) -> Page:
        """Some people of a list, and how many there are on it."""
        now = self._means.clock.now()
        after = after[:USER_ID_MAX]
        with self._means.database.read() as looking:
            rows = self._some(looking, look, now, after)
            count = self._count(looking, look, now) if look.listed is not Listed.EVERYBODY else None
        more = rows[PAGE - 1].canonical_id if len(rows) > PAGE else ""
        return Page(look, staff.organizations, tuple(rows[:PAGE]), count, more, bool(after), now)

    def _some(self, looking: Transaction, look: Look, now: int, after: str) -> list[Found]:
        if look.listed is not Listed.LOCKED:
            return list(queries.page(looking, look, now, after, PAGE + 1))
        rows: list[Found] = []
        while len(rows) <= PAGE and (batch := queries.page(looking, look, now, after, _AT_ONCE)):
            rows += self._locked(looking, batch, now)
            after = batch[-1].canonical_id
        return rows

    def _count(self, looking: Transaction, look: Look, now: int) -> int:
        if look.listed is not Listed.LOCKED:
            return queries.count(looking, look, now)
        return sum(len(self._locked(looking, batch, now)) for batch in queries.pages(looking, look, now, _AT_ONCE))

    def _locked(self, looking: Transaction, batch: Sequence[Found], now: int) -> list[Found]:
        """Those of them who are: frozen, or with a factor that takes nothing for now."""
        judged = []
        for one in batch:
            standings = ((factor, self._means.tries.standing(looking, one.person_id, factor)) for factor in _FACTORS)
            locked = (*one.locked, *(factor.value for factor, standing in standings if standing.locked(now)))
            if locked or one.status is Status.FROZEN:
                judged.append(replace(one, locked=locked))
        return judged

    def export(self, visit: Visit, staff: Staff, look: Look) -> Iterator[str]:
        """A list as CSV that no spreadsheet runs (ASVS 1.2.10), a line at a time. That it was read is written down."""
        now = self._means.clock.now()
        with self._means.database.begin() as transaction:
            self._means.staffing.hold(transaction, staff, Role.ADMINISTRATOR)
            details: dict[str, object] = {
                "object": "people",
                "organization": look.organization.name,
                "list": look.listed.value,
                "days": look.days,
                "prefix": look.prefix,
            }
            actor = staff.person.user_id
            record = Record(Event.PEOPLE_EXPORTED, now, None, actor, "success", address=visit.address, details=details)
            audit.add(transaction, replace(record, organization_id=look.organization.id))
        return self._lines(look, now)

    def _lines(self, look: Look, now: int) -> Iterator[str]:
        yield _csv_line(_COLUMNS)
        with self._means.database.read() as looking:
            for batch in queries.pages(looking, look, now, _AT_ONCE):
                rows = self._locked(looking, batch, now) if look.listed is Listed.LOCKED else batch
                for one in rows:
                    yield _csv_line(_cells(one))


def _canonical(prefix: str) -> str:
    try:
        return canonical_user_id(prefix)
    except BadUserId:
        return ""


def _cells(one: Found) -> tuple[str, ...]:
    why = ["temporary password lapsed" if which == "temporary" else f"{which} locked" for which in one.locked]
    if one.expires_at is not None:
        why.append(f"password expires {_written(one.expires_at)}")
    if one.signed_in_at is not None:
        why.append(f"signed in {_written(one.signed_in_at)}")
    why += ["no first proof"] * one.no_first + ["no second proof"] * one.no_second
    why += ["recovers by the home organization's policy alone"] * one.by_home
    names = (one.user_id, one.first_name, one.last_name)
    return (*names, one.status.value, one.role.value, _written(one.created_at), "; ".join(why))


def _csv_line(cells: Sequence[str]) -> str:
    line = StringIO()
    csv.writer(line).writerow([safe_cell(cell) for cell in cells])
    return line.getvalue()


def _written(moment: int) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%SZ}"
