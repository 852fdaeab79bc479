"""The audit log for those who watch it: sealed every few seconds, checked, handed on, thinned out."""

import csv
import json
import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import structlog

from app.foundation.clock import Clock
from app.foundation.secretbox import Keyring
from app.foundation.sql import Database
from app.journeys.auditing.model import BadHeadsError, Form
from app.records.audit import store
from app.records.audit.model import Seal, Stored, Verdict
from app.records.audit.rules import safe_cell
from app.records.audit.service import Seals
from app.records.people import store as people

_DAY = 86_400
_PAGE = 1_000
_COLUMNS = ("id", "time", "event", "organization_id", "user_id", "actor", "outcome", "reason", "address", "details")
log = structlog.get_logger()


class Auditing:
    """What the worker and the command do with the log."""

    def __init__(
        self, database: Database, keyring: Keyring, clock: Clock, *, keep_days: int, seals_to: Path | None
    ) -> None:
        """``keep_days``: how long events are kept. ``seals_to``: the file to which each new seal is added."""
        self._database = database
        self._clock = clock
        self._seals = Seals(database, keyring, clock)
        self._keep = keep_days * _DAY
        self._seals_to = seals_to

    def seal(self) -> Seal | None:
        """Seal what is new, and hand the newest seal to the outside: the program's log, and the file."""
        newest = self._seals.seal()
        if newest is not None:
            log.info("audit_seal", number=newest.number, chain=newest.chain, upto=newest.upto)
            self._write_outside(newest)
        return newest

    def _write_outside(self, seal: Seal) -> None:
        if self._seals_to is None:
            return
        try:
            handle = os.open(self._seals_to, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(f"{_written(seal.at)} {seal.number} {seal.chain}\n")
        except OSError as error:
            # the log goes on being sealed: the program's own log has this seal as well
            log.error("audit_seal_not_written", where=str(self._seals_to), why=str(error))  # noqa: TRY400 - the error says it all

    def verify(self, heads: Path | None = None) -> Verdict:
        """Check all of it, against the seals that a file keeps too. Raises BadHeadsError where it is no such file."""
        known = tuple(_heads(heads)) if heads else ()
        return self._seals.verify(known, kept_since=self._clock.now() - self._keep)

    def forget(self) -> int:
        """Delete events that were kept long enough (ASVS 14.2.7); the chain of seals holds."""
        return self._seals.forget(self._clock.now() - self._keep)

    def export(self, form: Form, *, since: int = 0) -> Iterator[str]:
        """Lines of all events from a moment on, as JSON Lines or as CSV that no spreadsheet runs (ASVS 1.2.10)."""
        if form is Form.CSV:
            yield _csv_line(_COLUMNS)
        with self._database.read() as looking:
            for page in store.pages(looking, 0, _PAGE):
                names = people.user_ids_of(looking, {one.person_id for one in page if one.person_id is not None})
                for one in page:
                    if one.at >= since:
                        yield _line(form, one, names.get(one.person_id or 0, ""))


def _line(form: Form, one: Stored, user_id: str) -> str:
    values: dict[str, object] = {
        "id": one.id,
        "time": _written(one.at),
        "event": one.event,
        "organization_id": one.organization_id or "",
        "user_id": user_id,
        "actor": one.actor,
        "outcome": one.outcome,
        "reason": one.reason,
        "address": one.address,
    }
    if form is Form.CSV:
        return _csv_line([*map(str, values.values()), one.details])
    return json.dumps({**values, "details": json.loads(one.details)}, ensure_ascii=False) + "\n"


def _csv_line(cells: Iterable[str]) -> str:
    line = StringIO()
    csv.writer(line).writerow([safe_cell(cell) for cell in cells])
    return line.getvalue()


def _written(moment: int) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _heads(path: Path) -> Iterator[tuple[int, str]]:
    """The seals of a file that ``seal`` wrote."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadHeadsError(f"{path}: {error}") from None
    for at, line in enumerate(lines, 1):
        parts = line.split()
        if len(parts) != 3 or not parts[1].isdigit() or len(parts[2]) != 64:
            raise BadHeadsError(f"{path}: line {at} is no seal")
        yield int(parts[1]), parts[2]
