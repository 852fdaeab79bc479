"""Sign-in as far as the password. Unknown, inactive and known people cost and get the same."""

from app.factors.password.rules import RAW_MAX
from app.factors.password.service import Passwords
from app.foundation.clock import Clock
from app.foundation.refusals import Code, OutOfOrder, Unavailable, Wrong
from app.foundation.sql import Database, Transaction
from app.foundation.visit import Visit
from app.journeys.signin.flow import PASSWORD, PURPOSE, START, State, page_of
from app.records.attempts.model import Door, Factor, Spent, Subject
from app.records.attempts.service import AddressLimits, Tries
from app.records.audit import store as audit
from app.records.audit.model import Event, Record
from app.records.delivery.outbox import Outbox
from app.records.flows.model import Flow, Held, Moved, Proof
from app.records.flows.service import Flows
from app.records.people import store as people
from app.records.people.model import BadUserId, Person, Status, canonical_user_id


class SignIn:
    """User ID, then password."""

    def __init__(
        self,
        *,
        database: Database,
        flows: Flows,
        tries: Tries,
        limits: AddressLimits,
        passwords: Passwords,
        outbox: Outbox,
        clock: Clock,
    ) -> None:
        self._database = database
        self._flows = flows
        self._tries = tries
        self._limits = limits
        self._passwords = passwords
        self._outbox = outbox
        self._clock = clock

    def start(self, visit: Visit, typed: str) -> str:
        """Begin a flow for a User ID, known or not. Returns its cookie."""
        try:
            canonical = canonical_user_id(typed)
        except BadUserId as error:
            code = {"empty": Code.MISSING, "too long": Code.TOO_LONG}.get(str(error), Code.BAD_CHARACTERS)
            raise Wrong(code, field="user_id") from None
        self._limits.start(visit, PURPOSE)
        with self._database.read() as looking:
            person = people.find(looking, canonical)
        if person is not None and person.status is not Status.ACTIVE:
            person = None
        subject = self._tries.subject(canonical, person.id if person else None)
        cookie, _ = self._flows.create(
            PURPOSE,
            State.PASSWORD,
            subject=subject.key,
            person_id=subject.person_id,
            user_id=typed.strip(),
            stamp=person.stamp if person else subject.key[:32],
            visit=visit,
        )
        return cookie

    def at(self, cookie: str | None, state: State) -> Flow:
        """The flow of a page in its step. Raises OutOfOrder with the step that is due."""
        return self._at(cookie, state).flow

    def _at(self, cookie: str | None, state: State) -> Held:
        held = self._flows.load(cookie, PURPOSE)
        if held is None:
            raise OutOfOrder(Code.FLOW_LOST, due=START)
        if isinstance(held, Moved):
            # a browser that lost the newer cookie would be sent to where that one belongs for ever
            raise OutOfOrder(Code.OUT_OF_ORDER, due=START if held.state == state else page_of(held.state))
        if self._flows.expired(held.flow):
            raise OutOfOrder(Code.FLOW_EXPIRED, due=START)
        if held.flow.state != state:
            raise OutOfOrder(Code.OUT_OF_ORDER, due=page_of(held.flow.state))
        return held

    def check_password(self, visit: Visit, cookie: str | None, typed: str) -> str:
        """Judge a password. Returns the flow's new cookie."""
        if not typed:
            raise Wrong(Code.MISSING, field="password")
        if len(typed) > RAW_MAX:
            raise Wrong(Code.TOO_LONG, field="password")
        self._limits.attempt(visit)
        held = self._at(cookie, State.PASSWORD)
        flow = held.flow
        with self._database.read() as looking:
            person = self._person(looking, flow)
            record = self._passwords.find(looking, person.id if person else 0)
        subject = Subject(flow.subject, flow.person_id)
        again = self._tries.seen_wrong(subject, typed, flow.stamp, visit.block)
        spent = self._tries.spend(subject, Factor.PASSWORD, Door.SIGN_IN, again=again)
        try:
            right = self._passwords.check(record if person else None, typed) and person is not None
        except Unavailable:
            # nothing was judged, so nothing was tried: a flood must not lock the owner out
            self._tries.take_back(spent)
            raise
        self._settle(visit, flow, person, spent, right=right)
        if not right or person is None or record is None:
            self._tries.remember_wrong(subject, typed, flow.stamp, visit.block)
            raise Wrong(Code.WRONG_PASSWORD, field="password")
        self._passwords.strengthen(person.id, record, typed)
        advanced = self._flows.advance(held, state=State.VERIFY, proof=Proof(PASSWORD, self._clock.now()))
        if advanced is None:
            raise OutOfOrder(Code.OUT_OF_ORDER, due=page_of(State.VERIFY))
        return advanced[0]

    def _settle(self, visit: Visit, flow: Flow, person: Person | None, spent: Spent, *, right: bool) -> None:
        now = self._clock.now()
        record = Record(
            event=Event.SIGN_IN_PASSWORD_OK if right else Event.SIGN_IN_FAIL,
            at=now,
            person_id=flow.person_id,
            actor="self",
            outcome="success" if right else "failure",
            reason="" if right else "wrong_password",
            address=visit.address,
            details={"journey": PURPOSE, "flow": flow.txn},
        )
        with self._database.begin() as transaction:
            audit.add_if_known(transaction, record)
            if right:
                self._tries.succeed(transaction, spent)
            elif person is not None and spent.closed_to_strangers:
                contacts = [c for c in people.contacts_of(transaction, person.id) if c.usable(now)]
                self._outbox.notify(
                    transaction,
                    contacts=contacts,
                    template="notice_strangers",
                    variables={"address": visit.address, "at": now},
                    language=person.language or visit.language,
                    now=now,
                )

    def _person(self, looking: Transaction, flow: Flow) -> Person | None:
        person = people.get(looking, flow.person_id or 0)
        if person is None or person.status is not Status.ACTIVE or person.stamp != flow.stamp:
            return None
        return person
