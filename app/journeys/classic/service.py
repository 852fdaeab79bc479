"""The classic way of a forgotten password: a mailed link, a temporary password, a second proof at sign-in.

It never rests on one channel: the link goes to a mailbox, and what it makes asks for something else at sign-in
(docs/decisions/0008, security rule 11). Each method is one use case; refusals are exceptions.
"""

import json
from dataclasses import dataclass

from app.factors.password.model import TEMPORARY_LIFE
from app.factors.password.service import Passwords
from app.foundation.chance import Chance
from app.foundation.clock import Clock
from app.foundation.refusals import Code, OutOfOrder
from app.foundation.secretbox import Keyring, Unreadable, fingerprint
from app.foundation.sql import Database, Transaction
from app.foundation.visit import Visit
from app.journeys.classic import queries, rules
from app.journeys.classic.model import Shown, Way
from app.records.attempts.model import Factor
from app.records.attempts.service import AddressLimits
from app.records.audit.model import Event
from app.records.flows import store as grants
from app.records.flows.model import Held
from app.records.flows.service import Flows
from app.records.organizations import store as organizations
from app.records.people import store as people
from app.records.people.model import Person, Status
from app.records.resets import store as resets
from app.records.resets.model import LINK_LIFE, ResetLink
from app.steps.asked_mail import Asked, AskedMail, Letters
from app.steps.classics import Classics
from app.steps.moments import moment
from app.steps.new_password import NewPassword

PAGE = "/forgot"
SHOWN = 600  # seconds in which the page that shows a temporary password can be reached
REASON = "reset"
_RECOVERY = "/recovery"
_SIGN_IN = "sign_in"
_PURPOSE = "reset_link"
_SEAL = "temporary-password-shown"


@dataclass(frozen=True, slots=True)
class ClassicMeans:
    """What the journey stands on."""

    database: Database
    keyring: Keyring
    chance: Chance
    clock: Clock
    flows: Flows
    limits: AddressLimits
    passwords: Passwords
    new_password: NewPassword
    mail: AskedMail
    classics: Classics


class Classic:
    """The journey behind "Forgot Password? Click Here"."""

    def __init__(self, means: ClassicMeans) -> None:
        self._means = means

    def must_be_offered(self) -> None:
        """Raises OutOfOrder, with the way that everybody has, where no organization of the installation is classic."""
        if not self._means.classics.any():
            raise OutOfOrder(Code.OUT_OF_ORDER, due=_RECOVERY)

    def carried_user_id(self, sign_in_cookie: str | None) -> str:
        """The User ID of a sign-in that is under way; empty where none is."""
        held = self._means.flows.load(sign_in_cookie, _SIGN_IN)
        return held.flow.user_id if isinstance(held, Held) and not self._means.flows.expired(held.flow) else ""

    # ---- the link

    def ask(self, visit: Visit, typed: str) -> None:
        """Mail a link to every mailbox of whoever it is, or a letter that names their way; if there is anybody.

        Raises OutOfOrder, Wrong, Throttled (by address). Links are good for a day, and each until the first is used.
        """
        self.must_be_offered()
        means = self._means

        def write(transaction: Transaction, asked: Asked) -> Letters:
            person, now = asked.person, asked.now
            way = self._way(transaction, person, now)
            tokens = [means.chance.token() for _ in asked.places]
            for token, (contact, wanted) in zip(tokens, asked.places, strict=True):
                of_person, stamp = (person.id, person.stamp) if person else (0, "")
                link = ResetLink(fingerprint(token), of_person, contact.id, stamp, now + LINK_LIFE)
                resets.add(transaction, link, wanted=wanted and way is Way.LINK)
            # a letter without the link has a token all the same, which opens nothing: every letter is as long
            each = tuple({"way": way.value, "token": token} for token in tokens)
            event = Event.RESET_SENT if way is Way.LINK else Event.RESET_LETTER
            return Letters("reset_link", each, LINK_LIFE, event, way.value)

        means.mail.send(visit, _PURPOSE, Factor.RESET, typed, write)

    def _way(self, transaction: Transaction, person: Person | None, now: int) -> Way:
        policies = organizations.policies_of_person(transaction, person.id if person else 0, now)
        return rules.way_of(queries.facts(transaction, person, policies, now))

    def look(self, token: str) -> None:
        """Nothing, where a link is good; it may be looked at however often. Raises OutOfOrder."""
        self.must_be_offered()
        with self._means.database.read() as looking:
            self._owner(looking, token, self._means.clock.now())

    def _owner(self, transaction: Transaction, token: str, now: int) -> Person:
        """Whose link it is, where everything that earned it still holds."""
        link = resets.find(transaction, fingerprint(token), now)
        person = people.get(transaction, link.person_id) if link else None
        contact = people.contact(transaction, link.contact_id) if link else None
        if link is None or person is None or person.status is not Status.ACTIVE or person.stamp != link.stamp:
            raise _over()
        if contact is None or not contact.usable(now) or self._way(transaction, person, now) is not Way.LINK:
            raise _over()
        return person

    # ---- the temporary password

    def make(self, visit: Visit, token: str) -> str:
        """Spend a link, once, and put a temporary password in the place of the person's. Returns what shows it, sealed.

        Raises OutOfOrder, Throttled, Unavailable.
        """
        means = self._means
        self.must_be_offered()
        means.limits.attempt(visit)
        with means.database.read() as looking:
            person = self._owner(looking, token, means.clock.now())
        text, prepared = means.new_password.draw(person)
        now = means.clock.now()
        until = now + TEMPORARY_LIFE
        with means.database.begin() as transaction:
            people.hold(transaction, person.id)  # whoever binds an app or removes a contact comes before or after
            person = self._owner(transaction, token, now)
            if not resets.spend(transaction, fingerprint(token), now):
                raise _over()
            means.passwords.set_new(
                transaction,
                person=person,
                prepared=prepared,
                actor="self",
                reason=REASON,
                journey={"journey": REASON},
                address=visit.address,
                language=person.language or visit.language,
                now=now,
                good_until=until,
            )
            grants.revoke_others(transaction, person.id, now)
        plain = json.dumps([person.user_id, text, until, now + SHOWN]).encode()
        return means.keyring.seal(_SEAL, plain, _SEAL)

    def shown(self, sealed: str | None) -> Shown | None:
        """A temporary password to be shown, where this browser has just made one."""
        try:
            user_id, text, until, shown_until = json.loads(self._means.keyring.open(_SEAL, sealed or "", _SEAL))
        except Unreadable:
            return None
        now = self._means.clock.now()
        return Shown(user_id, text, moment(until, now)) if now < shown_until else None


def _over() -> OutOfOrder:
    return OutOfOrder(Code.LINK_OVER, due=PAGE)
