"""Being signed in: a list of proofs with times, kept on the server; and the fresh proof that changes need."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from app.foundation.chance import Chance
from app.foundation.clock import Clock
from app.foundation.refusals import Code, OutOfOrder
from app.foundation.secretbox import fingerprint
from app.foundation.sql import Database, Transaction
from app.foundation.visit import Visit
from app.records.attempts.service import Tries
from app.records.audit import store as audit
from app.records.audit.model import Event, Record
from app.records.flows.model import Flow
from app.records.lanes import store as lanes
from app.records.lanes.model import KnownBrowser
from app.records.organizations import store as organizations
from app.records.organizations.model import STANDARD, Policy, Role, SessionPolicy
from app.records.people import store as people
from app.records.people.model import Person, Status
from app.records.sessions import store
from app.records.sessions.model import SEEN_EVERY, Session, SessionProof
from app.steps.helpdesk import Helpdesk, helpdesk

SIGN_IN_PAGE = "/sign-in"
STEP_UP_PAGE = "/step-up"
HELD_BACK = 86_400  # seconds after a recovery in which no factor changes (security rule 6)


@dataclass(frozen=True, slots=True)
class Entered:
    """A session that began: the cookie of the session, and that of the browser, known from now on."""

    cookie: str
    known_browser: str


@dataclass(frozen=True, slots=True)
class Present:
    """Somebody signed in, at this request."""

    session: Session
    person: Person
    now: int
    role: Role = Role.MEMBER  # the highest that is held in an organization
    policy: Policy = STANDARD

    @property
    def user_id(self) -> str:
        """The User ID as it is written."""
        return self.person.user_id

    @property
    def idle_in(self) -> int:
        """Seconds until the session ends unless it is used."""
        return self.session.idle_at - self.now

    @property
    def support(self) -> Helpdesk | None:
        """Whom they ask for help; None: the installation's support."""
        return helpdesk(self.policy.support, self.now)

    @property
    def idle_at(self) -> int:
        """When that is."""
        return self.session.idle_at

    @property
    def fresh(self) -> bool:
        """Whether factors and contacts may be changed without another proof."""
        return self.session.fresh(self.now)

    @property
    def settled(self) -> bool:
        """Whether that proof was by a factor past its waiting time."""
        return self.session.settled(self.now)

    def must_be_settled(self) -> None:
        """Raises OutOfOrder where the fresh proof was only by a new app (security rule 6)."""
        if not self.settled:
            raise OutOfOrder(Code.PROOF_NEW, due=STEP_UP_PAGE)


class Presence:
    """Begins, finds and ends sessions."""

    def __init__(self, *, database: Database, tries: Tries, chance: Chance, clock: Clock) -> None:
        self._database = database
        self._tries = tries
        self._chance = chance
        self._clock = clock

    def enter(
        self,
        transaction: Transaction,
        visit: Visit,
        person: Person,
        proofs: tuple[SessionProof, ...],
        *,
        journey: Mapping[str, str] | None = None,
    ) -> Entered:
        """Begin a session with the caller's transaction. With two factors the browser is known from then on.

        ``journey`` names in the audit log what it belongs to. Raises OutOfOrder where the person's stamp moved on: the
        proofs were judged before a recovery or a freezing, which end what is known.
        """
        now = self._clock.now()
        present = people.get(transaction, person.id)
        if present is None or not _current(present, person.stamp):
            raise OutOfOrder(Code.FLOW_EXPIRED, due=SIGN_IN_PAGE)
        cookie = self._chance.token()
        session = Session(
            id=fingerprint(cookie),
            name=self._chance.name(),
            person_id=person.id,
            stamp=person.stamp,
            proofs=proofs,
            created_at=now,
            seen_at=now,
            address=visit.address,
            browser=visit.browser,
        )
        store.add(transaction, session)
        known = visit.known_browser
        if session.level > 1:
            # always a new cookie: one that somebody planted here must not stay known elsewhere
            known = self._chance.token()
            lanes.move(transaction, fingerprint(visit.known_browser), fingerprint(known))
            lanes.remember(
                transaction, KnownBrowser(fingerprint(known), person.id, visit.browser, visit.address, now, now)
            )
        details: dict[str, object] = {"proofs": [proof.factor for proof in proofs], "level": session.level}
        details |= journey or {}
        audit.add(transaction, _record(Event.SIGN_IN_OK, session, visit, now, details))
        return Entered(cookie, known)

    def present(self, cookie: str | None, visit: Visit, *, used: bool = True) -> Present:
        """Who is signed in with this cookie. Raises OutOfOrder where nobody is.

        ``used`` False where a script asks and nobody did anything: that does not put the idle end off.
        """
        now = self._clock.now()
        if not cookie:
            raise OutOfOrder(Code.SIGNED_OUT, due=SIGN_IN_PAGE)
        with self._database.read() as looking:
            session = store.find(looking, fingerprint(cookie))
            person = people.get(looking, session.person_id) if session else None
            if session is not None:
                joined, policy = organizations.standing_of(looking, session.person_id, now)
                session = _limited(session, policy.session)
        alive = session is not None and session.living(now)
        if session is None or person is None or not alive or not _same(session, person):
            raise OutOfOrder(Code.SIGNED_OUT, due=SIGN_IN_PAGE)
        if used and session.seen_at <= now - SEEN_EVERY:
            with self._database.begin() as transaction:
                store.touch(transaction, session.id, visit.address, now)
            session = replace(session, seen_at=now)
        roles = (one.role for one in joined if one.proposed_at is None)
        return Present(session, person, now, max(roles, key=lambda role: role.rank, default=Role.MEMBER), policy)

    def full(self, cookie: str | None, visit: Visit, *, used: bool = True) -> Present:
        """The same where two factors are asked for: a mailed PIN opens less (requirements B-03)."""
        present = self.present(cookie, visit, used=used)
        if present.session.level < 2:
            raise OutOfOrder(Code.LOWER_LEVEL, due=STEP_UP_PAGE)
        return present

    def fresh(self, cookie: str | None, visit: Visit, *, by_new_app: bool = False) -> Present:
        """The same where a fresh proof is asked for, before factors or contacts change (ASVS 7.5.1).

        Refused for 24 hours after a recovery, and to a proof by an app that is less than a day old, because that
        may not replace what is older; ``by_new_app`` is for pages that look at this themselves (security rule 6).
        """
        present = self.full(cookie, visit)
        left = held_back(present.person, present.now)
        if left:
            raise OutOfOrder(Code.HELD_BACK, due="/authenticators", details={"seconds": left})
        if not present.fresh:
            raise OutOfOrder(Code.PROOF_OLD, due=STEP_UP_PAGE)
        if not by_new_app:
            present.must_be_settled()
        return present

    def hold(self, transaction: Transaction, present: Present) -> None:
        """Keep person and session as they are until the caller's transaction ends, one change after the other.

        Raises OutOfOrder where the session ended meanwhile.
        """
        people.hold(transaction, present.person.id)
        person = people.get(transaction, present.person.id)
        session = store.find(transaction, present.session.id)
        if session is not None:
            session = replace(session, idle=present.session.idle, life=present.session.life)
        if session is None or person is None or not session.living(present.now) or not _same(session, person):
            raise OutOfOrder(Code.SIGNED_OUT, due=SIGN_IN_PAGE)

    def raise_level(self, transaction: Transaction, visit: Visit, session: Session, factor: str) -> str:
        """Add a proof to a session, which gets a new id (requirements S1-08). Returns its cookie."""
        now = self._clock.now()
        cookie = self._chance.token()
        proofs = (*(proof for proof in session.proofs if proof.factor != factor), SessionProof(factor, now))
        raised = replace(session, id=fingerprint(cookie), proofs=proofs, seen_at=now)
        if not store.replace_id(transaction, session.id, raised):
            raise OutOfOrder(Code.SIGNED_OUT, due=SIGN_IN_PAGE)
        audit.add(transaction, _record(Event.STEPPED_UP, raised, visit, now, {"factor": factor}))
        return cookie

    def leave(self, cookie: str | None, visit: Visit) -> None:
        """Sign out. Harmless where nobody is signed in."""
        if not cookie:
            return
        with self._database.begin() as transaction:
            session = store.find(transaction, fingerprint(cookie))
            if session is not None and store.end(transaction, session.id):
                audit.add(transaction, _record(Event.SIGNED_OUT, session, visit, self._clock.now(), {}))

    def passing_flow(self, present: Present, purpose: str) -> Flow:
        """A flow of one step, kept nowhere, for a proof that a signed-in page asks for."""
        person = present.person
        subject = self._tries.subject(person.canonical_id, person.id)
        return Flow(
            txn=self._chance.name(),
            purpose=purpose,
            state="",
            version=1,
            subject=subject.key,
            person_id=person.id,
            user_id=person.user_id,
            stamp=person.stamp,
            created_at=present.now,
        )


def _limited(session: Session, policy: SessionPolicy) -> Session:
    return replace(session, idle=60 * policy.idle_minutes, life=3_600 * policy.hours)


def _same(session: Session, person: Person) -> bool:
    return _current(person, session.stamp)


def _current(person: Person, stamp: str) -> bool:
    return person.status is Status.ACTIVE and person.stamp == stamp


def _record(event: Event, session: Session, visit: Visit, now: int, details: dict[str, Any]) -> Record:
    return Record(
        event=event,
        at=now,
        person_id=session.person_id,
        actor="self",
        outcome="success",
        address=visit.address,
        details={"session": session.name, "browser": visit.browser, **details},
    )


def held_back(person: Person, now: int) -> int:
    """The seconds that are left of somebody's day after a recovery (security rule 6); 0: none."""
    return max(0, person.recovered_at + HELD_BACK - now) if person.recovered_at is not None else 0
