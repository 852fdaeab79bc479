"""The mailed link that opens a lane: asked for by anybody, read by the owner of the mailbox, good once, no proof."""

from app.foundation.chance import Chance
from app.foundation.clock import Clock
from app.foundation.refusals import Code, OutOfOrder
from app.foundation.secretbox import fingerprint
from app.foundation.sql import Database, Transaction
from app.foundation.visit import Visit
from app.records.attempts.model import Factor
from app.records.audit import store as audit
from app.records.audit.model import Event, Record
from app.records.flows.model import Course
from app.records.lanes import store as lanes
from app.records.lanes.model import LINK_LIFE, LaneLink
from app.records.people import store as people
from app.records.people.model import Person, Status
from app.steps.asked_mail import MAILBOXES, Asked, AskedMail, Letters
from app.steps.claim import Claims
from app.steps.lane import LANE

LINK_PAGE = "/recovery/link"
_PURPOSE = "lane_link"


class LaneLinks:
    """Mails links and opens lanes with them. Whoever is asked for, the same work is done."""

    def __init__(self, *, database: Database, claims: Claims, mail: AskedMail, chance: Chance, clock: Clock) -> None:
        self._database = database
        self._claims = claims
        self._mail = mail
        self._chance = chance
        self._clock = clock

    def ask(self, visit: Visit, typed: str) -> None:
        """Mail a link to every mailbox of a User ID, if there are any. Raises Wrong, Throttled (by address).

        A link is good for a day, so that those which a stranger asked for serve the owner as well.
        """
        token = self._chance.token()

        def write(transaction: Transaction, asked: Asked) -> Letters:
            person = asked.person
            link = LaneLink(
                fingerprint(token), person.id if person else 0, person.stamp if person else "", asked.now + LINK_LIFE
            )
            lanes.add_link(transaction, link, wanted=asked.wanted)
            return Letters("lane_link", ({"token": token},) * MAILBOXES, LINK_LIFE, Event.LINK_SENT)

        self._mail.send(visit, _PURPOSE, Factor.SEND, typed, write)

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
