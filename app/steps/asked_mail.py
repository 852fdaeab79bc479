"""The step of a mail that anybody may ask for by a User ID, before any proof.

Whoever is asked for, the same is counted and the same work is done (security rule 14).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from app.foundation.clock import Clock
from app.foundation.refusals import Throttled
from app.foundation.sql import Database, Transaction
from app.foundation.visit import Visit
from app.records.attempts.model import Door, Factor
from app.records.attempts.service import Tries
from app.records.audit import store as audit
from app.records.audit.model import Event, Record
from app.records.delivery.model import Purpose
from app.records.delivery.outbox import Outbox
from app.records.people import store as people
from app.records.people.model import Channel, Contact, Person
from app.steps.claim import Claims

MAILBOXES = 2  # of a person, at most; so many letters are written for everybody
_NOBODY = Contact("", 0, Channel.EMAIL, "", 0, None, 0, None)


@dataclass(frozen=True, slots=True)
class Asked:
    """Who was asked for, and where letters go: a place for each mailbox that anybody could have."""

    person: Person | None
    places: tuple[tuple[Contact, bool], ...]  # whether a letter goes there
    now: int

    @property
    def wanted(self) -> bool:
        """Whether any letter goes out."""
        return any(wanted for _, wanted in self.places)


@dataclass(frozen=True, slots=True)
class Letters:
    """What is mailed: the variables for each place, and what is written down of it."""

    template: str
    each: tuple[Mapping[str, object], ...] = field(repr=False)
    life: int  # seconds
    event: Event
    reason: str = ""


class AskedMail:
    """Counts what is asked for, and mails it to every usable mailbox of whoever it is, if to anybody."""

    def __init__(
        self,
        *,
        database: Database,
        claims: Claims,
        tries: Tries,
        outbox: Outbox,
        clock: Clock,
        messages_per_hour: int,
    ) -> None:
        self._database = database
        self._claims = claims
        self._tries = tries
        self._outbox = outbox
        self._clock = clock
        # strangers ask for mails: they must not use up the hour in which PINs have to go out
        self._most_per_hour = messages_per_hour // 2

    def send(
        self, visit: Visit, purpose: str, counted: Factor, typed: str, write: Callable[[Transaction, Asked], Letters]
    ) -> None:
        """Mail what ``write`` makes of it, in the same transaction. Raises Wrong, Throttled (by address).

        Three in a quarter of an hour and ten a day for one person, known or not; what is beyond is not told. Each kind
        is ``counted`` by itself, or strangers could ask for one until nobody gets the other (security rule 1).
        ``write`` does the same work for everybody, and keeps what it keeps only where wanted.
        """
        canonical, person = self._claims.found(visit, purpose, typed)
        now = self._clock.now()
        try:
            self._tries.spend(self._tries.subject(canonical, person.id if person else None), counted, Door.RECOVERY)
            room = True
        except Throttled:
            room = False
        with self._database.begin() as transaction:
            mailboxes = people.usable_mailboxes(transaction, person.id if person else 0, now)[:MAILBOXES]
            self._tries.hold_messages(transaction)
            room = self._outbox.sent_within(transaction, 3_600, now) < self._most_per_hour and room
            nobody = (_NOBODY,) * (MAILBOXES - len(mailboxes))
            asked = Asked(person, tuple((one, room and one is not _NOBODY) for one in (*mailboxes, *nobody)), now)
            letters = write(transaction, asked)
            for (contact, wanted), variables in zip(asked.places, letters.each, strict=True):
                self._outbox.enqueue(
                    transaction,
                    contact=contact,
                    template=letters.template,
                    variables={**variables, "address": visit.address, "at": now},
                    language=(person.language if person else "") or visit.language,
                    purpose=Purpose.PIN,  # somebody waits for it, and it is worthless once it expires
                    now=now,
                    expires_at=now + letters.life,
                    wanted=wanted,
                )
            whose = person.id if person and asked.wanted else None
            audit.add_if_known(transaction, Record(letters.event, now, whose, "self", "success", letters.reason))
