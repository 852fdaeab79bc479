"""The mailed link that opens a lane: asked for by anybody, read by the owner of the mailbox, good once, no proof."""

from app.foundation.chance import Chance
from app.foundation.clock import Clock
from app.foundation.refusals import Code, OutOfOrder, Throttled
from app.foundation.secretbox import fingerprint
from app.foundation.sql import Database, Transaction
from app.foundation.visit import Visit
from app.records.attempts.model import Door, Factor
from app.records.attempts.service import Tries
from app.records.audit import store as audit
from app.records.audit.model import Event, Record
from app.records.delivery.model import Purpose
from app.records.delivery.outbox import Outbox
from app.records.flows.model import Course
from app.records.lanes import store as lanes
from app.records.lanes.model import LINK_LIFE, LaneLink
from app.records.people import store as people
from app.records.people.model import Channel, Contact, Person, Status
from app.steps.claim import Claims
from app.steps.lane import LANE

LINK_PAGE = "/recovery/link"
MAILBOXES = 2  # of a person, at most; so many letters are written for everybody
_PURPOSE = "lane_link"
_NOBODY = Contact("", 0, Channel.EMAIL, "", 0, None, 0, None)


class LaneLinks:
    """Mails links and opens lanes with them. Whoever is asked for, the same work is done."""

    def __init__(
        self,
        *,
        database: Database,
        claims: Claims,
        tries: Tries,
        outbox: Outbox,
        chance: Chance,
        clock: Clock,
        messages_per_hour: int,
    ) -> None:
        self._database = database
        self._claims = claims
        self._tries = tries
        self._outbox = outbox
        self._chance = chance
        self._clock = clock
        # strangers ask for links: they must not use up the hour in which PINs have to go out
        self._most_per_hour = messages_per_hour // 2

    def ask(self, visit: Visit, typed: str) -> None:
        """Mail a link to every mailbox of a User ID, if there are any. Raises Wrong, Throttled (by address).

        Three in a quarter of an hour and ten a day for one person, known or not; what is beyond is not told. A link
        is good for a day, so that those which a stranger asked for serve the owner as well.
        """
        canonical, person = self._claims.found(visit, _PURPOSE, typed)
        now = self._clock.now()
        try:
            self._tries.spend(self._tries.subject(canonical, person.id if person else None), Factor.SEND, Door.RECOVERY)
            room = True
        except Throttled:
            room = False
        token = self._chance.token()
        with self._database.begin() as transaction:
            mailboxes = people.usable_mailboxes(transaction, person.id if person else 0, now)[:MAILBOXES]
            self._tries.hold_messages(transaction)
            room = self._outbox.sent_within(transaction, 3_600, now) < self._most_per_hour and room
            wanted = room and bool(mailboxes)
            stamp = person.stamp if person else ""
            link = LaneLink(fingerprint(token), person.id if person else 0, stamp, now + LINK_LIFE)
            lanes.add_link(transaction, link, wanted=wanted)
            for place in range(MAILBOXES):
                contact = mailboxes[place] if place < len(mailboxes) else _NOBODY
                self._mail(transaction, visit, person, contact, token, now, wanted=wanted and contact is not _NOBODY)
            record = Record(Event.LINK_SENT, now, person.id if person and wanted else None, "self", "success")
            audit.add_if_known(transaction, record)

    def _mail(
        self,
        transaction: Transaction,
        visit: Visit,
        person: Person | None,
        contact: Contact,
        token: str,
        now: int,
        *,
        wanted: bool,
    ) -> None:
        self._outbox.enqueue(
            transaction,
            contact=contact,
            template="lane_link",
            variables={"token": token, "address": visit.address, "at": now},
            language=(person.language if person else "") or visit.language,
            purpose=Purpose.PIN,  # somebody waits for it, and it is worthless once it expires
            now=now,
            expires_at=now + LINK_LIFE,
            wanted=wanted,
        )

    def look(self, token: str) -> None:
        """Nothing, where a link is good; it may be looked at however often. Raises OutOfOrder."""
        with self._database.read() as looking:
            self._owner(looking, token, self._clock.now())

    def open(self, visit: Visit, token: str, course: Course, state: str) -> str:
        """Spend a link, once, and begin a flow in its owner's lane. Returns its cookie. Raises OutOfOrder."""
        now = self._clock.now()
        with self._database.read() as looking:
            person = self._owner(looking, token, now)
        # begun first: a link that no flow came of would be lost
        cookie, _ = self._claims.begin_as(visit, course, state, person, **{LANE: True})
        with self._database.begin() as transaction:
            if not lanes.spend_link(transaction, fingerprint(token), now):
                raise OutOfOrder(Code.LINK_OVER, due=LINK_PAGE)
            audit.add(transaction, Record(Event.LINK_OPENED, now, person.id, "self", "success", address=visit.address))
        return cookie

    def _owner(self, transaction: Transaction, token: str, now: int) -> Person:
        link = lanes.link(transaction, fingerprint(token), now)
        person = people.get(transaction, link.person_id) if link else None
        if link is None or person is None or person.status is not Status.ACTIVE or person.stamp != link.stamp:
            raise OutOfOrder(Code.LINK_OVER, due=LINK_PAGE)
        return person
