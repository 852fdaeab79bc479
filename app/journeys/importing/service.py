"""People of one organization out of a file that an administrator uploads (security rule 12).

Nobody who is there is altered. The rows are kept for a while, sealed, for the one session that uploaded them; they are
taken in batches, each in a transaction of its own, so that whatever ends in the middle leaves no half a row behind and
makes nobody twice.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from app.foundation.chance import Chance
from app.foundation.clock import Clock
from app.foundation.ephemeral import Ephemeral
from app.foundation.refusals import Code, OutOfOrder, Wrong
from app.foundation.secretbox import Keyring, Unreadable
from app.foundation.sql import Database, Transaction
from app.foundation.visit import Visit
from app.journeys.importing import rules
from app.journeys.importing.model import IMPORT, LIFE, MOST_BYTES, MOST_ROWS, DryRun, Progress, Review
from app.records.attempts.service import AddressLimits
from app.records.audit.rules import safe_cell
from app.records.organizations.model import Organization, Role
from app.records.people import store as people
from app.steps import roster
from app.steps.enlist import Enlisting
from app.steps.roster import BadFile, BadRow, NewPerson, Problem
from app.steps.staff import Staff, Staffing

BATCH = 500  # rows in one transaction
AT_ONCE = 1_000  # rows that one request takes: a second or so
TWICE = "stands in line {} already"
TAKEN = "is taken; nobody was altered"
_PURPOSE = "import"


@dataclass(frozen=True, slots=True)
class ImportingMeans:
    """What the journey stands on."""

    database: Database
    ephemeral: Ephemeral
    keyring: Keyring
    chance: Chance
    clock: Clock
    limits: AddressLimits
    enlisting: Enlisting
    staffing: Staffing


class Importing:
    """The pages under /admin/people/import."""

    def __init__(self, means: ImportingMeans) -> None:
        self._means = means

    # ---- the dry run

    def upload(self, visit: Visit, session: str | None, organization_id: str, name: str, data: bytes) -> None:
        """Judge every row of a file and keep the good ones; nothing is made. An earlier upload is forgotten.

        Raises Wrong, Throttled, OutOfOrder, Forbidden.
        """
        means = self._means
        staff = means.staffing.administrator(session, visit, fresh=True)
        means.limits.attempt(visit)
        organization = _chosen(staff, organization_id)
        if not data:
            raise Wrong(Code.MISSING, field="file")
        if len(data) > MOST_BYTES:
            raise Wrong(Code.FILE_TOO_LARGE, field="file", details={"most": MOST_BYTES // 1_048_576})
        good, bad = _judged(data, name, organization)
        with means.database.read() as looking:
            there = [line for batch in _batches(good) for line in _taken(looking, batch)]
        run = DryRun(means.chance.name(), organization.id, tuple(good), tuple(bad), tuple(there))
        place = _place(staff)
        sealed = means.keyring.seal(_PURPOSE, rules.to_bytes(run), place)
        means.ephemeral.drop(_progress_place(staff))
        means.ephemeral.put(place, sealed.encode(), LIFE)

    def review(self, staff: Staff) -> Review | None:
        """What was uploaded by this sign-in and how far it is; None where nothing is kept."""
        run = self._run(staff)
        organization = next((one for one in staff.organizations if run and one.id == run.organization_id), None)
        if run is None or organization is None:
            return None
        return Review(organization, run, self._progress(staff, run))

    def _run(self, staff: Staff) -> DryRun | None:
        sealed = self._means.ephemeral.get(_place(staff))
        if sealed is None:
            return None
        try:
            return rules.from_bytes(self._means.keyring.open(_PURPOSE, sealed.decode(), _place(staff)))
        except Unreadable:
            return None

    def _progress(self, staff: Staff, run: DryRun) -> Progress | None:
        held = self._means.ephemeral.get(_progress_place(staff))
        found = rules.progress_from_bytes(held) if held else None
        return found if found is not None and found.id == run.id else None

    def report(self, review: Review) -> Iterator[str]:
        """Every row that is not taken, as CSV that no spreadsheet runs (ASVS 1.2.10)."""
        yield _csv_line(("line", "field", "reason"))
        there = (BadRow(line, (Problem("user_id", TAKEN),)) for line in review.dry_run.there)
        for one in sorted((*review.dry_run.bad, *there), key=lambda bad: bad.line):
            for problem in one.problems:
                yield _csv_line((str(one.line), problem.field, problem.reason))

    # ---- the import

    def go_on(self, visit: Visit, session: str | None) -> None:
        """Take the next rows, a thousand at most. Raises OutOfOrder where there is nothing to take, Forbidden."""
        means = self._means
        staff = means.staffing.administrator(session, visit, fresh=True)
        means.limits.attempt(visit)
        review = self.review(staff)
        if review is None or review.done:
            raise OutOfOrder(Code.NOTHING_TO_IMPORT, due=IMPORT)
        until = (review.progress.at if review.progress else 0) + AT_ONCE
        while review.at < min(until, review.total):
            review = replace(review, progress=self._take(visit, staff, review))

    def _take(self, visit: Visit, staff: Staff, review: Review) -> Progress:
        means = self._means
        organization = review.organization
        batch = review.dry_run.rows[review.at : review.at + BATCH]
        with means.database.begin() as transaction:
            means.staffing.hold(transaction, staff, Role.ADMINISTRATOR)
            made = means.enlisting.write(
                transaction,
                batch,
                [None] * len(batch),
                {organization.name: organization.id},
                means.clock.now(),
                reason="import",
                actor=staff.person.user_id,
                address=visit.address,
            )
        before = review.progress or Progress(review.dry_run.id)
        after = replace(
            before,
            at=before.at + len(batch),
            created=before.created + len(made),
            existing=before.existing + len(batch) - len(made),
        )
        # after the commit: a row that is taken twice is found there the second time, one that is left out is lost
        held = rules.progress_to_bytes(review.progress) if review.progress else None
        if not means.ephemeral.swap(_progress_place(staff), held, rules.progress_to_bytes(after), LIFE):
            raise OutOfOrder(Code.OUT_OF_ORDER, due=f"{IMPORT}/review")  # somebody pressed twice
        return after


def _judged(data: bytes, name: str, organization: Organization) -> tuple[list[NewPerson], list[BadRow]]:
    """Good and bad rows. Raises Wrong where it is no such file, or has too many rows."""
    good: list[NewPerson] = []
    bad: list[BadRow] = []
    seen: dict[str, int] = {}
    try:
        for raw in roster.read(io.BytesIO(data), name):
            judged = raw if isinstance(raw, BadRow) else rules.judge(raw.fields, raw.line, organization.name)
            if isinstance(judged, NewPerson) and judged.canonical_id in seen:
                reason = TWICE.format(seen[judged.canonical_id])
                judged = BadRow(judged.line, (Problem("user_id", reason),))
            if isinstance(judged, BadRow):
                bad.append(judged)
            else:
                seen[judged.canonical_id] = judged.line
                good.append(judged)
            if len(good) + len(bad) > MOST_ROWS:
                raise Wrong(Code.TOO_MANY_ROWS, field="file", details={"most": MOST_ROWS})
    except BadFile:
        raise Wrong(Code.NOT_AN_IMPORT, field="file") from None
    if not good and not bad:
        raise Wrong(Code.NOT_AN_IMPORT, field="file")
    return good, bad


def _taken(looking: Transaction, batch: Sequence[NewPerson]) -> list[int]:
    """The lines of those who are there."""
    taken = people.which_exist(looking, [row.canonical_id for row in batch])
    return [row.line for row in batch if row.canonical_id in taken]


def _batches(rows: Sequence[NewPerson]) -> Iterator[Sequence[NewPerson]]:
    for start in range(0, len(rows), BATCH):
        yield rows[start : start + BATCH]


def _chosen(staff: Staff, organization_id: str) -> Organization:
    for one in staff.organizations:
        if organization_id in {"", one.id}:
            return one
    raise Wrong(Code.NOT_AN_ORGANIZATION, field="organization")


def _place(staff: Staff) -> str:
    return f"import:{staff.present.session.name}"


def _progress_place(staff: Staff) -> str:
    return f"import-at:{staff.present.session.name}"


def _csv_line(cells: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow([safe_cell(cell) for cell in cells])
    return line.getvalue()
