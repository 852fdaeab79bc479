"""Rehearsal: the real path of a recovery, walked while all is well. It changes nothing (product.md 7.7)."""

from dataclasses import dataclass

from app.factors.pin.model import Pin, PinPage
from app.factors.recovery_code.service import RecoveryCodes
from app.foundation.clock import Clock
from app.foundation.refusals import Code, OutOfOrder
from app.foundation.sql import Database, Transaction
from app.foundation.visit import Visit
from app.journeys.rehearsal.flow import APP, COURSE, State
from app.journeys.rehearsal.model import Today
from app.records.attempts.model import Door
from app.records.attempts.service import AddressLimits, Tries
from app.records.audit import store as audit
from app.records.audit.model import Event
from app.records.flows.model import Flow, Held, Proof
from app.records.flows.service import Flows
from app.records.organizations.model import Proof as FirstProof
from app.records.people.model import Person
from app.steps.allowed import allowed
from app.steps.app_code import AppCodes
from app.steps.claim import Claims, own_record
from app.steps.pin import PIN, PinMeans, PinStep, recovery_contacts
from app.steps.presence import Present
from app.steps.readiness import facts_of, readiness

_SESSION = "session"  # the note of a flow that says in which session it began


@dataclass(frozen=True, slots=True)
class RehearsalMeans:
    """What the journey stands on."""

    database: Database
    codes: RecoveryCodes
    flows: Flows
    tries: Tries
    limits: AddressLimits
    clock: Clock
    claims: Claims
    app_codes: AppCodes
    pins: PinMeans


class Rehearsal:
    """Proves both factors as a recovery would, by the same steps and counters, and ends there."""

    def __init__(self, means: RehearsalMeans) -> None:
        self._database = means.database
        self._codes = means.codes
        self._flows = means.flows
        self._limits = means.limits
        self._clock = means.clock
        self._claims = means.claims
        self._app_codes = means.app_codes
        self._pins = PinStep(
            means.pins, course=COURSE, at=Door.RECOVERY, contacts=recovery_contacts(means.pins), after=State.DONE
        )

    def today(self, present: Present) -> Today:
        """What would happen today, and whether there is anything to walk with."""
        with self._database.read() as looking:
            facts = facts_of(looking, self._codes, present.person.id, present.now)
        possible = bool(facts.apps and (facts.phones or facts.emails))
        return Today(readiness(facts), possible, app_barred="app" in facts.barred)

    def start(self, visit: Visit, present: Present) -> str:
        """Begin. Returns the flow's cookie."""
        return self._claims.begin_as(visit, COURSE, State.TOKEN, present.person, **{_SESSION: present.session.name})[0]

    def at(self, present: Present, cookie: str | None, state: State) -> Held:
        """The flow of a page in its step, begun in this very session. Raises OutOfOrder."""
        held = self._flows.at(cookie, COURSE, state)
        if held.flow.notes.get(_SESSION) != present.session.name:
            raise OutOfOrder(Code.FLOW_LOST, due=COURSE.start)
        return held

    def prove_app(self, visit: Visit, present: Present, cookie: str | None, typed: str) -> str:
        """Judge an app code; if right, a PIN is on its way. Returns the next cookie."""
        code = self._app_codes.shape(typed)
        self._limits.attempt(visit)
        held = self.at(present, cookie, State.TOKEN)
        notes, now = self._app_codes.prove(
            visit,
            held.flow,
            Door.RECOVERY,
            code,
            lambda transaction, person, _: self._pins.first(transaction, visit, held.flow, person),
            taken=allowed(FirstProof.APP),
        )
        advanced = self._flows.advance(held, state=State.PIN, proof=Proof(APP, now), **notes)
        if advanced is None:
            self._pins.withdraw(notes)
            raise OutOfOrder(Code.OUT_OF_ORDER, due=COURSE.page_of(State.PIN))
        return advanced[0]

    def send(self, visit: Visit, present: Present, cookie: str | None, channel: str) -> None:
        """Send another PIN."""
        self.at(present, cookie, State.PIN)
        self._pins.send(visit, cookie, channel)

    def pin_page(self, present: Present, cookie: str | None) -> PinPage:
        """Everything true about the PIN now."""
        self.at(present, cookie, State.PIN)
        return self._pins.page(cookie)

    def prove_pin(self, visit: Visit, present: Present, cookie: str | None, typed: str) -> str:
        """Judge a PIN. Returns the next cookie, with which nothing can be done but see that it worked."""
        digits = self._pins.shape(typed)
        self._limits.attempt(visit)
        self.at(present, cookie, State.PIN)

        def then(transaction: Transaction, _person: Person, _pin: Pin, held: Held) -> None:
            self._write_down(transaction, visit, held.flow)

        _, held, pin = self._pins.prove(visit, cookie, digits, then)
        proof = Proof(PIN, self._clock.now())
        return self._pins.advance(
            held, pin, lambda latest: self._flows.advance(latest, state=State.DONE, proof=proof, pin=None)
        )[0]

    def _write_down(self, transaction: Transaction, visit: Visit, flow: Flow) -> None:
        audit.add(transaction, own_record(Event.REHEARSED, flow, visit, self._clock.now(), right=True))
