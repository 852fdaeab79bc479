"""The audit log for those who watch it: sealed every few seconds, checked, shown, handed on, thinned out."""

import csv
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from io import StringIO
from pathlib import Path

import structlog

from app.foundation.chance import Chance
from app.foundation.clock import Clock
from app.foundation.refusals import Code, Wrong
from app.foundation.secretbox import Keyring
from app.foundation.sql import Database, Transaction
from app.foundation.visit import Visit
from app.journeys.auditing import queries, rules
from app.journeys.auditing.model import Asked, BadHeadsError, Entry, Filter, Form, LogPage, Place, utc
from app.records.attempts.service import AddressLimits
from app.records.audit import store
from app.records.audit.model import Checked, Event, Record, Seal, SealLetter, Stored, Tampering, Verdict
from app.records.audit.rules import safe_cell
from app.records.audit.service import Seals
from app.records.delivery import rules as delivery
from app.records.delivery.channels.letters import Letters
from app.records.delivery.model import Channel, Failure, Message, Purpose, Sender
from app.records.organizations.model import Role
from app.records.people import store as people
from app.records.people.model import BadUserId, canonical_user_id
from app.steps.staff import Staff, Staffing

_DAY = 86_400
_PAGE = 1_000
ON_A_PAGE = 50
OUTCOMES = ("success", "failure")
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
        why = _append(self._seals_to, rules.line(seal.at, seal.number, seal.chain))
        if why:
            # the log goes on being sealed: the program's own log has this seal as well
            log.error("audit_seal_not_written", where=str(self._seals_to), why=why)

    def verify(self, heads: Path | None = None) -> Verdict:
        """Check all of it, against the seals that a file keeps too. Raises BadHeadsError where it is no such file."""
        known = _heads(heads) if heads else {}
        verdict = self._seals.verify(known.items(), kept_since=self._clock.now() - self._keep)
        self._note(verdict, with_seals=bool(known))
        return verdict

    def check(self) -> Verdict | None:
        """Check all of it where that was not done for a day; None where it was."""
        with self._database.read() as looking:
            last = store.last_check(looking)
        if last is not None and last.at + _DAY > self._clock.now():
            return None
        verdict = self.verify()
        if verdict.fault is not None:
            log.error("audit_tampered", kind=verdict.fault.kind.value, number=verdict.fault.number)
        return verdict

    def _note(self, verdict: Verdict, *, with_seals: bool) -> None:
        """Write down how a check ended, for the page of the log."""
        with self._database.begin() as transaction:
            last = store.last_check(transaction)
            cut = last is not None and last.fault is not None and last.fault.kind is Tampering.CUT
            # what only a seal from outside could show, a check without one does not take back
            if not cut or with_seals or verdict.fault is not None:
                store.note_check(transaction, Checked(self._clock.now(), verdict.events, verdict.fault))

    def forget(self) -> int:
        """Delete events that were kept long enough (ASVS 14.2.7); the chain of seals holds."""
        return self._seals.forget(self._clock.now() - self._keep)

    def export(self, form: Form, *, since: int = 0) -> Iterator[str]:
        """Lines of all events from a moment on, as JSON Lines or as CSV that no spreadsheet runs (ASVS 1.2.10)."""
        if form is Form.CSV:
            yield _csv_line(_COLUMNS)
        with self._database.read() as looking:
            for page in store.pages(looking, 0, _PAGE):
                names = _user_ids(looking, page)
                for one in page:
                    if one.at >= since:
                        yield _line(form, one, names.get(one.person_id or 0, ""))


class AuditLog:
    """The log for the administrators of organizations: each sees the events of their own and no others."""

    def __init__(self, *, database: Database, limits: AddressLimits, staffing: Staffing, clock: Clock) -> None:
        self._database = database
        self._limits = limits
        self._staffing = staffing
        self._clock = clock

    def wanted(self, asked: Asked) -> Filter:
        """What is to be filtered by. Raises Wrong, with all that cannot be meant."""
        wrong: list[Wrong] = []

        def user_id(typed: str, field: str) -> str:
            try:
                return canonical_user_id(typed) if typed.strip() else ""
            except BadUserId as error:
                code = Code.TOO_LONG if str(error) == "too long" else Code.BAD_CHARACTERS
                wrong.append(Wrong(code, field=field))
                return ""

        def choice(typed: str, field: str, among: Iterable[str]) -> str:
            if typed and typed not in among:
                wrong.append(Wrong(Code.NOT_A_CHOICE, field=field))
            return typed

        def day(typed: str, field: str) -> int | None:
            try:
                return _midnight(typed.strip()) if typed.strip() else None
            except ValueError:
                wrong.append(Wrong(Code.NOT_A_DATE, field=field))
                return None

        since, last = day(asked.first, "from"), day(asked.last, "to")
        if since is not None and last is not None and last < since:
            wrong.append(Wrong(Code.DATES_CROSSED, field="to"))
        made = Filter(
            person=user_id(asked.person, "person"),
            event=choice(asked.event, "event", set(Event)),
            outcome=choice(asked.outcome, "outcome", OUTCOMES),
            actor=self._actor(user_id(asked.actor, "actor")),
            since=since,
            until=None if last is None else last + _DAY,
        )
        if wrong:
            raise Wrong(wrong[0].code, field=wrong[0].field, also=tuple(wrong[1:]))
        return made

    def _actor(self, canonical: str) -> str:
        """As an event names them: staff by their User ID as it is written."""
        if not canonical:
            return ""
        with self._database.read() as looking:
            person = people.find(looking, canonical)
        return person.user_id if person else canonical

    def page(self, staff: Staff, wanted: Filter, before: Place | None) -> LogPage:
        """The newest events that fit, from a place on."""
        with self._database.read() as looking:
            found = queries.newest(looking, staff.organization_ids, wanted, ON_A_PAGE + 1, before)
            names = _user_ids(looking, found)
            sealed, checked = store.newest_seal(looking), store.last_check(looking)
        shown = found[:ON_A_PAGE]
        homes = {one.id: one.name for one in staff.organizations} if len(staff.organizations) > 1 else {}
        return LogPage(
            tuple(
                Entry(
                    number=one.id,
                    event=one.event,
                    at=datetime.fromtimestamp(one.at, UTC),
                    user_id=names.get(one.person_id or 0, ""),
                    organization=homes.get(one.organization_id or "", ""),
                    actor=one.actor,
                    outcome=one.outcome,
                    reason=one.reason,
                    address=one.address,
                    details=json.loads(one.details),
                )
                for one in shown
            ),
            Place(shown[-1].at, shown[-1].id) if len(found) > ON_A_PAGE else None,
            utc(sealed.at if sealed else None),
            checked,
            utc(checked.at if checked else None),
        )

    def export(self, visit: Visit, staff: Staff, wanted: Filter, asked: Asked, form: Form) -> Iterator[str]:
        """Lines of all events that fit, the newest first. That somebody took them is an event itself.

        Raises Throttled, Forbidden, OutOfOrder.
        """
        self._limits.attempt(visit)
        filtered = {name: value for name, value in asdict(asked).items() if value}
        with self._database.begin() as transaction:
            self._staffing.hold(transaction, staff, Role.ADMINISTRATOR)
            for organization in staff.organization_ids:
                record = Record(
                    event=Event.LOG_EXPORTED,
                    at=self._clock.now(),
                    person_id=staff.person.id,
                    actor="self",
                    outcome="success",
                    address=visit.address,
                    details={"browser": visit.browser, "format": form.value, "filter": filtered},
                    organization_id=organization,
                )
                store.add(transaction, record)
        return self._lines(staff.organization_ids, wanted, form)

    def _lines(self, organizations: tuple[str, ...], wanted: Filter, form: Form) -> Iterator[str]:
        if form is Form.CSV:
            yield _csv_line(_COLUMNS)
        before: Place | None = None
        with self._database.read() as looking:
            while found := queries.newest(looking, organizations, wanted, _PAGE, before):
                names = _user_ids(looking, found)
                for one in found:
                    yield _line(form, one, names.get(one.person_id or 0, ""))
                before = Place(found[-1].at, found[-1].id)


def _append(path: Path, line: str) -> str:
    """Add a line to a file; why that was not possible, or nothing."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(f"{line}\n")
    except OSError as error:
        return str(error)
    return ""


def _user_ids(looking: Transaction, found: Iterable[Stored]) -> dict[int, str]:
    return people.user_ids_of(looking, {one.person_id for one in found if one.person_id is not None})


def _midnight(day: str) -> int:
    """When a day begins, UTC. Raises ValueError where it is none, or one that no clock here reaches."""
    began = datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)
    if not 1970 <= began.year <= 9_998:
        raise ValueError(day)
    return int(began.timestamp())


def _line(form: Form, one: Stored, user_id: str) -> str:
    values: dict[str, object] = {
        "id": one.id,
        "time": rules.written(one.at),
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


def _heads(path: Path) -> dict[int, str]:
    """The seals that a file keeps: one that ``seal`` wrote, or saved mails."""
    try:
        return rules.heads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadHeadsError(f"{path}: {error}") from None


@dataclass(frozen=True, slots=True)
class SealMailMeans:
    """What mailing the newest seal needs. ``hours``: how often at most."""

    database: Database
    clock: Clock
    chance: Chance
    sender: Sender
    letters: Letters
    to: str
    hours: int
    language: str
    host: str


class SealMail:
    """Mails the newest seal to an operator: at least once, with one Message-ID however often it is tried."""

    def __init__(self, means: SealMailMeans) -> None:
        self._means = means

    def mail(self) -> bool:
        """Send what is due, if anything; True where a mail server took it over. A failure is logged and tried again."""
        letter = self._claim()
        if letter is None:
            return False
        # from here on no transaction is open, however long the mail server takes
        try:
            self._means.sender.send(self._message(letter))
        except Failure as failure:
            self._put_off(letter, failure.code)
            return False
        except Exception as error:  # noqa: BLE001 - whatever it is, the letter stays owed
            self._put_off(letter, type(error).__name__)
            return False
        with self._means.database.begin() as transaction:
            store.letter_sent(transaction, letter, self._means.clock.now())
        log.info("audit_seal_mailed", number=letter.number, chain=letter.chain, tries=letter.tries)
        return True

    def _claim(self) -> SealLetter | None:
        """The letter that is due, in nobody else's hands until the lease ends."""
        now = self._means.clock.now()
        with self._means.database.read() as looking:
            if self._due(store.newest_letter(looking), store.newest_seal(looking), now) is None:
                return None
        with self._means.database.begin() as transaction:
            there, head = store.newest_letter(transaction), store.newest_seal(transaction)
            due = self._due(there, head, now)
            if due is None or (due is not there and not store.write_letter(transaction, due, there)):
                return None
            until = now + delivery.LEASE
            claimed = store.claim_letter(transaction, due, until)
        return replace(due, next_at=until, tries=due.tries + 1) if claimed else None

    def _due(self, there: SealLetter | None, head: Seal | None, now: int) -> SealLetter | None:
        """The letter to be sent now: the one that is there, or a new one of the newest seal."""
        if there is not None and there.sent_at is None:
            return there if there.next_at <= now else None
        if head is None or (there is not None and there.chain == head.chain):
            return None
        if there is not None and there.made_at + self._means.hours * 3_600 > now:
            return None
        return SealLetter(head.number, head.chain, head.upto, head.at, made_at=now, next_at=now, tries=0, sent_at=None)

    def _message(self, letter: SealLetter) -> Message:
        block = rules.block(letter.sealed_at, letter.number, letter.chain)
        variables = {"number": letter.number, "upto": letter.upto, "at": letter.sealed_at, "block": block}
        text = self._means.letters.render("audit_seal", Channel.EMAIL, self._means.language, variables)
        name = f"<seal-{letter.number}-{letter.chain[:16]}@{self._means.host}>"
        return Message(self._means.to, text.text, text.subject, message_id=name, validity=_DAY)

    def _put_off(self, letter: SealLetter, reason: str) -> None:
        pause = delivery.pause(letter.tries, Purpose.NOTICE, self._means.chance.fraction())
        with self._means.database.begin() as transaction:
            store.put_letter_off(transaction, letter, self._means.clock.now() + pause)
        log.error("audit_seal_not_mailed", number=letter.number, reason=reason, tries=letter.tries, again_in=pause)
