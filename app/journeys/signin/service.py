"""Sign-in: User ID, password, a second proof; and the fresh proof that changes of factors ask for."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from app.factors.password.model import Owed
from app.factors.password.service import Passwords
from app.factors.pin.model import Pin, PinPage, Way
from app.factors.recovery_code.model import Use
from app.factors.recovery_code.service import RecoveryCodes
from app.factors.totp.service import AuthenticatorApps
from app.foundation.clock import Clock
from app.foundation.refusals import Code, OutOfOrder, Wrong
from app.foundation.sql import Database, Transaction
from app.foundation.visit import Visit
from app.journeys.signin.flow import COURSE, PASSWORD, STEP_UP, State
from app.journeys.signin.model import AnswerPage, Ended, NewPasswordPage, VerifyPage
from app.records.attempts.model import Door
from app.records.attempts.service import AddressLimits
from app.records.flows.model import Flow, Held, Proof
from app.records.flows.service import Flows
from app.records.people import store as people
from app.records.people.model import Channel, Contact, Person
from app.records.sessions.model import SessionProof
from app.steps.app_code import AppCodes
from app.steps.claim import Claims, named
from app.steps.classics import Classics
from app.steps.handoff import Handoffs, Stop
from app.steps.helpdesk import Helpdesk, Helpdesks
from app.steps.moments import Moment, moment
from app.steps.new_password import NewPassword
from app.steps.password import PasswordStep
from app.steps.pin import PinMeans, PinStep
from app.steps.presence import Entered, Presence, Present, held_back
from app.steps.saved_code import SavedCodes
from app.steps.security_answer import TEMPORARY, SecurityAnswerStep

# moves a flow on by a step, or returns None where somebody was faster
_Advance = Callable[[Callable[[Held], tuple[str, Held] | None]], tuple[str, Held] | None]


@dataclass(frozen=True, slots=True)
class SignInMeans:
    """What the journey stands on."""

    database: Database
    flows: Flows
    limits: AddressLimits
    apps: AuthenticatorApps
    passwords: Passwords
    clock: Clock
    claims: Claims
    password: PasswordStep
    app_codes: AppCodes
    codes: RecoveryCodes
    saved_codes: SavedCodes
    security_answers: SecurityAnswerStep
    pins: PinMeans
    new_password: NewPassword
    presence: Presence
    handoffs: Handoffs
    helpdesks: Helpdesks
    classics: Classics


class SignIn:
    """User ID, then password, then one of the ways to a second proof."""

    def __init__(self, means: SignInMeans) -> None:
        self._database = means.database
        self._flows = means.flows
        self._limits = means.limits
        self._apps = means.apps
        self._passwords = means.passwords
        self._clock = means.clock
        self._claims = means.claims
        self._password = means.password
        self._app_codes = means.app_codes
        self._codes = means.codes
        self._saved_codes = means.saved_codes
        self._answers = means.security_answers
        self._new_password = means.new_password
        self._presence = means.presence
        self._helpdesks = means.helpdesks
        self._handoffs = means.handoffs
        self._classics = means.classics
        self._pins = PinStep(means.pins, course=COURSE, at=Door.SIGN_IN, contacts=self._contacts, after=State.DONE)

    def offers_links(self) -> bool:
        """Whether a reset link may be asked for: a fact of the installation, whoever is asked for."""
        return self._classics.any()

    # ---- who, and the password

    def start(self, visit: Visit, typed: str) -> str:
        """Begin a flow for a User ID, known or not. Returns its cookie."""
        return self._claims.begin(visit, COURSE, State.PASSWORD, typed)[0]

    def handed_on(self, note: str) -> tuple[str, Stop]:
        """Whom a program sent, and where to. Raises OutOfOrder."""
        return self._handoffs.read(note, self._clock.now())

    def at(self, cookie: str | None, state: State) -> Flow:
        """The flow of a page in its step. Raises OutOfOrder with the step that is due."""
        return self._flows.at(cookie, COURSE, state).flow

    def helpdesk(self, cookie: str | None) -> Helpdesk | None:
        """Whom to ask for help, once the password was right."""
        return self._helpdesks.at(cookie, COURSE)

    def check_password(self, visit: Visit, cookie: str | None, typed: str) -> str:
        """Judge a password. Returns the flow's new cookie."""
        self._password.shape(typed)
        self._limits.attempt(visit)
        held = self._flows.at(cookie, COURSE, State.PASSWORD)
        now, owed = self._password.prove(visit, held.flow, typed, lambda _, __, now: now)
        notes: dict[str, Any] = {"owed": bool(owed), TEMPORARY: owed is Owed.RESET}
        advanced = self._flows.advance(held, state=State.VERIFY, proof=Proof(PASSWORD, now), **notes)
        if advanced is None:
            raise OutOfOrder(Code.OUT_OF_ORDER, due=COURSE.page_of(State.VERIFY))
        return advanced[0]

    # ---- the second proof

    def _verifying(self, cookie: str | None) -> Held:
        """The flow where any second proof is due, whether or not a PIN is on its way."""
        try:
            return self._flows.at(cookie, COURSE, State.VERIFY)
        except OutOfOrder as refusal:
            if refusal.due != COURSE.page_of(State.PIN):
                raise
            return self._flows.at(cookie, COURSE, State.PIN)

    def verify_page(self, cookie: str | None) -> VerifyPage:
        """The ways that this person has."""
        flow, now = self._verifying(cookie).flow, self._clock.now()
        with self._database.read() as looking:
            person = self._claims.required(looking, flow, COURSE)
            contacts = self._contacts(looking, person, flow, now)
            has_app = bool(self._apps.usable(looking, person.id, now, waiting=True))
            has_codes = self._codes.any_left(looking, person.id, _use(flow), now)
            answer = self._answers.offered(looking, person, flow, now)
        return VerifyPage(
            flow.user_id,
            has_app=has_app,
            ways=_ways(contacts),
            has_codes=has_codes,
            held_back=_held_back_until(person, now),
            temporary=bool(flow.notes.get(TEMPORARY)),
            has_answer=answer is not None,
        )

    def prove_app(self, visit: Visit, cookie: str | None, typed: str) -> Ended:
        """Judge an app code; if right, the person is signed in or owes a new password."""
        code = self._app_codes.shape(typed)
        self._limits.attempt(visit)
        held = self._verifying(cookie)

        def then(transaction: Transaction, person: Person, now: int, factor: str) -> tuple[Entered | State, Proof]:
            proof = Proof(factor, now)
            return self._enter(transaction, visit, person, held.flow, proof), proof

        (entered, proof), _ = self._app_codes.prove_signing_in(visit, held.flow, Door.SIGN_IN, code, then)
        return self._end(visit, proof, entered, lambda step: step(held))

    def code_page(self, cookie: str | None) -> Flow:
        """The flow where a saved code may be typed. Raises OutOfOrder."""
        return self._verifying(cookie).flow

    def prove_code(self, visit: Visit, cookie: str | None, typed: str) -> Ended:
        """Judge a saved code; if right, it is spent, and the person is signed in or owes a new password."""
        code = self._saved_codes.shape(typed)
        self._limits.attempt(visit)
        held = self._verifying(cookie)
        entered, proof = self._saved_codes.prove(
            visit,
            held.flow,
            Door.SIGN_IN,
            _use(held.flow),
            code,
            lambda transaction, person, proof: self._enter(
                transaction, visit, person, held.flow, Proof(proof.factor, proof.at)
            ),
        )
        return self._end(visit, Proof(proof.factor, proof.at), entered, lambda step: step(held))

    def answer_page(self, cookie: str | None) -> AnswerPage:
        """The security question, where its answer may be the second proof. Raises OutOfOrder."""
        return self._asked(self._verifying(cookie))

    def _asked(self, held: Held) -> AnswerPage:
        with self._database.read() as looking:
            person = self._claims.required(looking, held.flow, COURSE)
            answer = self._answers.offered(looking, person, held.flow, self._clock.now())
        if answer is None:
            raise OutOfOrder(Code.OUT_OF_ORDER, due=COURSE.page_of(held.flow.state))
        return AnswerPage(held.flow.user_id, answer.question, answer.own)

    def prove_answer(self, visit: Visit, cookie: str | None, typed: str) -> Ended:
        """Judge the answer to a security question, beside a temporary password; if right, a new one is owed."""
        held = self._verifying(cookie)
        self._asked(held)
        answer = self._answers.shape(typed)
        self._limits.attempt(visit)
        entered, proof = self._answers.prove(
            visit,
            held.flow,
            answer,
            lambda transaction, person, proof: self._enter(transaction, visit, person, held.flow, proof),
        )
        return self._end(visit, proof, entered, lambda step: step(held))

    def _contacts(self, transaction: Transaction, person: Person, flow: Flow, now: int) -> tuple[Contact, ...]:
        """Where a PIN may go at sign-in: nowhere for a day after a recovery (security rule 6).

        After a temporary password that a mailed link made, to phones alone, and nowhere in place of an app (rule 11).
        """
        if held_back(person, now):
            return ()
        usable = people.usable_contacts(transaction, person.id, now)
        if not flow.notes.get(TEMPORARY):
            return usable
        if self._apps.usable(transaction, person.id, now, waiting=True):
            return ()
        return tuple(contact for contact in usable if contact.channel is Channel.SMS)

    def send(self, visit: Visit, cookie: str | None, channel: str) -> None:
        """Alternative Authentication: send a PIN, the first one or another."""
        if channel not in {Channel.SMS, Channel.EMAIL}:
            raise Wrong(Code.NOT_A_CHANNEL, field="channel")
        held = self._verifying(cookie)
        if held.flow.state == State.PIN:
            self._pins.send(visit, cookie, channel)
            return
        self._limits.attempt(visit)
        if held.flow.notes.get(TEMPORARY):
            self._must_reach(held.flow, channel)
        with self._database.begin() as transaction:
            person = self._claims.required(transaction, held.flow, COURSE)
            notes = self._pins.first(transaction, visit, held.flow, person, channel)
        if self._flows.change(held, state=State.PIN, **notes) is None:
            self._pins.withdraw(notes)
            raise OutOfOrder(Code.OUT_OF_ORDER, due=COURSE.page_of(State.PIN))

    def _must_reach(self, flow: Flow, channel: str) -> None:
        now = self._clock.now()
        with self._database.read() as looking:
            contacts = self._contacts(looking, self._claims.required(looking, flow, COURSE), flow, now)
        if all(contact.channel != channel for contact in contacts):
            raise Wrong(Code.NO_CHANNEL, field="channel")

    def pin_page(self, cookie: str | None) -> PinPage:
        """Everything true about the PIN now."""
        return self._pins.page(cookie)

    def prove_pin(self, visit: Visit, cookie: str | None, typed: str) -> Ended:
        """Judge a PIN; if right, the person is signed in or owes a new password."""
        digits = self._pins.shape(typed)
        self._limits.attempt(visit)

        def then(transaction: Transaction, person: Person, pin: Pin, held: Held) -> Entered | State:
            proof = Proof(pin.channel, self._clock.now())
            return self._enter(transaction, visit, person, held.flow, proof)

        entered, held, pin = self._pins.prove(visit, cookie, digits, then)
        proof = Proof(pin.channel, self._clock.now())
        return self._end(visit, proof, entered, lambda step: self._pins.advance(held, pin, step))

    def _enter(
        self, transaction: Transaction, visit: Visit, person: Person, flow: Flow, proof: Proof
    ) -> Entered | State:
        """A session with the proof that earned it, or the step that is owed first."""
        record = self._passwords.find(transaction, person.id)
        if record is None or record.change_owed or flow.notes.get("owed"):
            return State.NEW_PASSWORD
        if self._answers.owed(transaction, person):
            return State.QUESTION
        return self._presence.enter(transaction, visit, person, _proofs(flow, proof), journey=named(flow))

    def _end(
        self, visit: Visit, proof: Proof | None, entered: Entered | State, advance: _Advance, stamp: str | None = None
    ) -> Ended:
        """Move the flow on by ``advance``. One flow signs in once: the session of a second press goes again.

        ``stamp`` is the person's where it changed in this step.
        """
        state = entered if isinstance(entered, State) else State.DONE

        def step(latest: Held) -> tuple[str, Held] | None:
            return self._flows.advance(latest, state=state, proof=proof, stamp=stamp, pin=None, candidates=0)

        advanced = None
        try:
            advanced = advance(step)
        finally:
            if advanced is None and isinstance(entered, Entered):
                self._presence.leave(entered.cookie, visit)
        if advanced is None:
            raise OutOfOrder(Code.OUT_OF_ORDER, due=COURSE.page_of(state))
        if isinstance(entered, State):
            return Ended(advanced[0], due=COURSE.page_of(entered))
        return Ended(advanced[0], session=entered.cookie, known_browser=entered.known_browser)

    # ---- a new password, where one is owed

    def new_password_page(self, cookie: str | None) -> NewPasswordPage:
        """The rules as the page prints them."""
        flow = self._flows.at(cookie, COURSE, State.NEW_PASSWORD).flow
        with self._database.read() as looking:
            person = self._claims.required(looking, flow, COURSE)
            printed = self._new_password.printed(looking, person)
            owed = self._new_password.owed(looking, person)
        temporary = bool(flow.notes.get(TEMPORARY))
        return NewPasswordPage(flow.user_id, printed.rules, printed.attribute, owed is Owed.EXPIRED, temporary)

    def set_new_password(self, visit: Visit, cookie: str | None, candidate: str, confirm: str) -> Ended:
        """Set the password that is owed; the person is signed in by it, or owes a security question as well."""
        self._limits.attempt(visit)
        held = self._new_password.count(lambda: self._flows.at(cookie, COURSE, State.NEW_PASSWORD), COURSE)
        flow = held.flow
        with self._database.read() as looking:
            person = self._claims.required(looking, flow, COURSE)
        prepared = self._new_password.prepare_counted(visit, held, person, candidate, confirm)
        now = self._clock.now()
        reset = bool(flow.notes.get(TEMPORARY))
        with self._database.begin() as transaction:
            changed = self._passwords.set_new(
                transaction,
                person=person,
                prepared=prepared,
                actor="self",
                reason="reset" if reset else "change_owed",
                journey=named(flow),
                address=visit.address,
                language=person.language or visit.language,
                now=now,
            )
            if reset:
                people.mark_recovered(transaction, person.id, now)
            renewed = replace(person, stamp=changed.stamp)
            entered: Entered | State = State.QUESTION
            if not self._answers.owed(transaction, renewed):
                entered = self._presence.enter(transaction, visit, renewed, _proofs(flow), journey=named(flow))
        proof = Proof(PASSWORD, now)
        return self._end(visit, proof, entered, lambda step: self._flows.retry(held, step), changed.stamp)

    # ---- a security question, where one is owed

    def question_page(self, cookie: str | None) -> str:
        """The User ID, where a question has to be set. Raises OutOfOrder."""
        flow = self._flows.at(cookie, COURSE, State.QUESTION).flow
        with self._database.read() as looking:
            self._owing(looking, flow)
        return flow.user_id

    def set_question(self, visit: Visit, cookie: str | None, *, question: str, asked: str, answer: str) -> Ended:
        """Set the question that is owed; the person is signed in by it. ``asked`` are its words."""
        self._limits.attempt(visit)
        held = self._flows.at(cookie, COURSE, State.QUESTION)
        flow = held.flow
        with self._database.read() as looking:
            person = self._owing(looking, flow)
        new = self._answers.prepare(person, question=question, asked=asked, answer=answer)
        with self._database.begin() as transaction:
            if not self._answers.set_first(transaction, visit, person, new, flow):
                raise OutOfOrder(Code.OUT_OF_ORDER, due=COURSE.start)
            entered = self._presence.enter(transaction, visit, person, _proofs(flow), journey=named(flow))
        return self._end(visit, None, entered, lambda step: self._flows.retry(held, step))

    def _owing(self, looking: Transaction, flow: Flow) -> Person:
        """Who owes a question. Where it was set elsewhere meanwhile, a sign-in begins anew."""
        person = self._claims.required(looking, flow, COURSE)
        if not self._answers.owed(looking, person):
            raise OutOfOrder(Code.OUT_OF_ORDER, due=COURSE.start)
        return person


class StepUp:
    """A fresh proof from somebody who is signed in (ASVS 7.5.1): an app code, a saved one, or a PIN by SMS."""

    def __init__(self, means: SignInMeans) -> None:
        self._database = means.database
        self._flows = means.flows
        self._limits = means.limits
        self._apps = means.apps
        self._clock = means.clock
        self._claims = means.claims
        self._app_codes = means.app_codes
        self._codes = means.codes
        self._saved_codes = means.saved_codes
        self._presence = means.presence
        self._pins = PinStep(means.pins, course=STEP_UP, at=Door.SIGN_IN, contacts=self._contacts, after=State.DONE)

    def page(self, visit: Visit, session: str | None) -> VerifyPage:
        """The ways that this person has."""
        present = self._presence.present(session, visit)
        person, now = present.person, present.now
        with self._database.read() as looking:
            contacts = self._phones(looking, person, now)
            has_app = bool(self._apps.usable(looking, person.id, now, waiting=True))
            has_codes = self._codes.any_left(looking, person.id, Use.STEP_UP, now)
        return VerifyPage(
            person.user_id,
            has_app=has_app,
            ways=_ways(contacts),
            has_codes=has_codes,
            held_back=_held_back_until(person, now),
            by_new_app=present.fresh and not present.settled,
        )

    def _phones(self, transaction: Transaction, person: Person, now: int) -> tuple[Contact, ...]:
        if held_back(person, now):
            return ()
        usable = people.usable_contacts(transaction, person.id, now)
        return tuple(contact for contact in usable if contact.channel is Channel.SMS)

    def _contacts(self, transaction: Transaction, person: Person, _flow: Flow, now: int) -> tuple[Contact, ...]:
        return self._phones(transaction, person, now)

    def prove_app(self, visit: Visit, session: str | None, typed: str) -> str:
        """Judge an app code. Returns the session's new cookie."""
        code = self._app_codes.shape(typed)
        self._limits.attempt(visit)
        present = self._presence.present(session, visit)
        flow = self._presence.passing_flow(present, STEP_UP.purpose)
        cookie, _ = self._app_codes.prove_signing_in(
            visit,
            flow,
            Door.SIGN_IN,
            code,
            lambda transaction, _, __, factor: self._presence.raise_level(transaction, visit, present.session, factor),
        )
        return cookie

    def prove_code(self, visit: Visit, session: str | None, typed: str) -> str:
        """Judge a saved code, of a set past its waiting time. Returns the session's new cookie."""
        code = self._saved_codes.shape(typed)
        self._limits.attempt(visit)
        present = self._presence.present(session, visit)
        cookie, _ = self._saved_codes.prove(
            visit,
            self._presence.passing_flow(present, STEP_UP.purpose),
            Door.SIGN_IN,
            Use.STEP_UP,
            code,
            lambda transaction, _, proof: self._presence.raise_level(transaction, visit, present.session, proof.factor),
        )
        return cookie

    def send(self, visit: Visit, session: str | None, task: str | None, channel: str) -> str | None:
        """Send a PIN by SMS. Returns the cookie of the flow that it belongs to, None where that is there already."""
        present = self._presence.present(session, visit)
        if channel != Channel.SMS:
            raise Wrong(Code.NOT_A_CHANNEL, field="channel")
        if self._under_way(task, present):
            self._pins.send(visit, task, channel)
            return None
        self._limits.attempt(visit)
        with self._database.read() as looking:
            if not self._phones(looking, present.person, present.now):
                raise Wrong(Code.NO_CHANNEL, field="channel")
        cookie, held = self._claims.begin_as(visit, STEP_UP, State.PIN, present.person)
        with self._database.begin() as transaction:
            notes = self._pins.first(transaction, visit, held.flow, present.person, channel)
        if self._flows.change(held, session=present.session.id, **notes) is None:
            self._pins.withdraw(notes)
            raise OutOfOrder(Code.OUT_OF_ORDER, due=STEP_UP.start)
        return cookie

    def _under_way(self, task: str | None, present: Present) -> bool:
        held = self._flows.load(task, STEP_UP.purpose)
        if not isinstance(held, Held) or held.flow.state != State.PIN or self._flows.expired(held.flow):
            return False
        return bool(held.flow.notes.get("session") == present.session.id)

    def pin_page(self, visit: Visit, session: str | None, task: str | None, *, used: bool = True) -> PinPage:
        """Everything true about the PIN now. ``used`` False: a script asks."""
        self._own(self._presence.present(session, visit, used=used), task)
        return self._pins.page(task)

    def _own(self, present: Present, task: str | None) -> None:
        """A PIN that was sent for one session is good in that one alone."""
        if self._flows.at(task, STEP_UP, State.PIN).flow.notes.get("session") != present.session.id:
            raise OutOfOrder(Code.FLOW_LOST, due=STEP_UP.start)

    def prove_pin(self, visit: Visit, session: str | None, task: str | None, typed: str) -> str:
        """Judge a PIN. Returns the session's new cookie."""
        digits = self._pins.shape(typed)
        self._limits.attempt(visit)
        present = self._presence.present(session, visit)
        self._own(present, task)

        def then(transaction: Transaction, _person: Person, pin: Pin, _held: Held) -> str:
            return self._presence.raise_level(transaction, visit, present.session, pin.channel)

        cookie, held, pin = self._pins.prove(visit, task, digits, then)
        self._pins.advance(held, pin, lambda latest: self._flows.change(latest, state=State.DONE, pin=None))
        return cookie


def _ways(contacts: tuple[Contact, ...]) -> tuple[Way, ...]:
    """The first contact of each kind; the phone before the mailbox, which proves less."""
    ways = {contact.channel: Way(contact.channel.value, contact.masked) for contact in reversed(contacts)}
    return tuple(ways[channel] for channel in (Channel.SMS, Channel.EMAIL) if channel in ways)


def _use(flow: Flow) -> Use:
    """Beside a temporary password a saved code recovers: not one of a set that still waits (security rule 6)."""
    return Use.RECOVERY if flow.notes.get(TEMPORARY) else Use.SIGN_IN


def _held_back_until(person: Person, now: int) -> Moment | None:
    left = held_back(person, now)
    return moment(now + left, now) if left else None


def _proofs(flow: Flow, proof: Proof | None = None) -> tuple[SessionProof, ...]:
    every = flow.proofs if proof is None else (*flow.proofs, proof)
    # of a password that was set in the flow the later proof
    return tuple(SessionProof(one.factor, one.at) for one in {one.factor: one for one in every}.values())
