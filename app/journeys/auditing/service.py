"""The audit log for those who watch it: sealed every few seconds, checked, handed on, thinned out."""

import csv
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path

import structlog

from app.foundation.chance import Chance
from app.foundation.clock import Clock
from app.foundation.secretbox import Keyring
from app.foundation.sql import Database
from app.journeys.auditing import rules
from app.journeys.auditing.model import BadHeadsError, Form
from app.records.audit import store
from app.records.audit.model import Seal, SealLetter, Stored, Verdict
from app.records.audit.rules import safe_cell
from app.records.audit.service import Seals
from app.records.delivery import rules as delivery
from app.records.delivery.channels.letters import Letters
from app.records.delivery.model import Channel, Failure, Message, Purpose, Sender
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
                file.write(rules.line(seal.at, seal.number, seal.chain) + "\n")
        except OSError as error:
            # the log goes on being sealed: the program's own log has this seal as well
            log.error("audit_seal_not_written", where=str(self._seals_to), why=str(error))  # noqa: TRY400 - the error says it all

    def verify(self, heads: Path | None = None) -> Verdict:
        """Check all of it, against the seals that a file keeps too. Raises BadHeadsError where it is no such file."""
        known = _heads(heads).items() if heads else ()
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
