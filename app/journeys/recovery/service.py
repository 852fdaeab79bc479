"""Recovery: User ID, app code, one-time PIN, new password. Two proofs of one person in one living flow, or nothing.

Each method is one use case. They take the flow's cookie and return the next one; refusals are exceptions.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import structlog

from app.factors.access_code.model import LENGTH as TEMPORARY
from app.factors.password.model import Owed
from app.factors.password.service import Passwords
from app.factors.pin.model import Pin, PinPage, Way
from app.factors.recovery_code.model import Use
from app.foundation.clock import Clock
from app.foundation.refusals import Code, OutOfOrder, StoreAway
from app.foundation.sql import Database, Transaction
from app.foundation.visit import Visit
from app.journeys.recovery.flow import APP, COURSE, PIN, State
from app.journeys.recovery.model import Done, PasswordPage
from app.records.attempts.model import Door, Factor
from app.records.attempts.service import AddressLimits, Tries
from app.records.audit import store as audit
from app.records.audit.model import Event
from app.records.delivery.outbox import Outbox
from app.records.flows import store as grants
from app.records.flows.model import Flow, Held, Proof
from app.records.flows.service import Flows
from app.records.organizations.model import Proof as FirstProof
from app.records.people import store as people
from app.records.people.model import Contact, Person, canonical_user_id
from app.steps.allowed import allowed, flag_stranded
from app.steps.app_code import AppCodes
from app.steps.claim import Claims, named, own_record
from app.steps.helpdesk import Helpdesk, Helpdesks
from app.steps.lane_link import LaneLinks
from app.steps.new_password import NewPassword
from app.steps.pin import NOT_TO, PinMeans, PinStep, recovery_contacts
from app.steps.saved_code import SavedCodes, SavedProof

log = structlog.get_logger()

_SIGN_IN = "sign_in"
_CODES_LEFT = "codes_left"  # a note, where a saved code was used
_FirstPin = Callable[[Transaction, Person, str], dict[str, Any]]  # the last: a contact that it does not go to


@dataclass(frozen=True, slots=True)
class RecoveryMeans:
    """What the journey stands on."""

    database: Database
    flows: Flows
    tries: Tries
    limits: AddressLimits
    passwords: Passwords
    outbox: Outbox
    clock: Clock
    claims: Claims
    app_codes: AppCodes
    saved_codes: SavedCodes
    lane_links: LaneLinks
    pins: PinMeans
    new_password: NewPassword
    helpdesks: Helpdesks


class Recovery:
    """The journey behind "Password locked or forgotten?"."""

    def __init__(self, means: RecoveryMeans) -> None:
        self._database = means.database
        self._flows = means.flows
        self._tries = means.tries
        self._limits = means.limits
        self._passwords = means.passwords
        self._outbox = means.outbox
        self._clock = means.clock
        self._claims = means.claims
        self._app_codes = means.app_codes
        self._saved_codes = means.saved_codes
        self._links = means.lane_links
        self._new_password = means.new_password
        self._helpdesks = means.helpdesks
        self._pins = PinStep(
            means.pins, course=COURSE, at=Door.RECOVERY, contacts=recovery_contacts(means.pins), after=State.PASSWORD
        )

    # ---- who

    def start(self, visit: Visit, typed: str) -> str:
        """Begin a flow for a User ID, known or not. Returns its cookie."""
        return self._claims.begin(visit, COURSE, State.TOKEN, typed)[0]

    # ---- in a lane of one's own (security rule 1)

    def ask_link(self, visit: Visit, typed: str) -> None:
        """Mail a link to whoever it is, if to anybody."""
        self._links.ask(visit, typed)

    def look_at_link(self, token: str) -> None:
        """Nothing, where the link is good. Raises OutOfOrder."""
        self._links.look(token)

    def open_link(self, visit: Visit, token: str) -> str:
        """Spend a link and begin a flow in its owner's lane. Returns its cookie."""
        return self._links.open(visit, token, COURSE, State.TOKEN)

    # ---- where a visitor stands

    def at(self, cookie: str | None, state: State) -> Flow:
        """The flow of a page in its step. Raises OutOfOrder with the step that is due."""
        return self._at(cookie, state).flow

    def helpdesk(self, cookie: str | None) -> Helpdesk | None:
        """Whom to ask for help, once a first proof was right."""
        return self._helpdesks.at(cookie, COURSE)

    def _at(self, cookie: str | None, state: State) -> Held:
        held = self._flows.at(cookie, COURSE, state)
        return self._new_password.bounded(held, COURSE) if state == State.PASSWORD else held

    def carried_user_id(self, cookie: str | None, sign_in_cookie: str | None) -> str | None:
        """The User ID that the sign-in page carries here, where no younger recovery is under way."""
        carried = self._carried(cookie, sign_in_cookie)
        return carried.flow.user_id if carried else None

    def _carried(self, cookie: str | None, sign_in_cookie: str | None) -> Held | None:
        sign_in = self._flows.load(sign_in_cookie, _SIGN_IN)
        if not isinstance(sign_in, Held) or self._flows.expired(sign_in.flow):
            return None
        own = self._flows.load(cookie, COURSE.purpose)
        living = isinstance(own, Held) and not self._flows.expired(own.flow)
        if living and isinstance(own, Held) and own.flow.created_at >= sign_in.flow.created_at:
            return None
        return sign_in

    # ---- the first proof

    def prove_app(self, visit: Visit, cookie: str | None, sign_in_cookie: str | None, typed: str) -> str:
        """Judge an app code; if right, queue the PIN. Returns the flow's new cookie."""
        code = self._app_codes.shape(typed)

        def prove(flow: Flow, first_pin: _FirstPin) -> tuple[dict[str, Any], Proof]:
            notes, now = self._app_codes.prove(
                visit,
                flow,
                Door.RECOVERY,
                code,
                lambda transaction, person, _: first_pin(transaction, person, ""),
                taken=allowed(FirstProof.APP),
            )
            return notes, Proof(APP, now)

        return self._first(visit, cookie, sign_in_cookie, prove)

    def prove_code(self, visit: Visit, cookie: str | None, sign_in_cookie: str | None, typed: str) -> str:
        """Judge a saved code or a temporary access code; if right, it is spent and the PIN queued.

        The PIN after an access code never goes to the contact where its request was approved (security rule 4).
        Returns the flow's new cookie.
        """
        code = self._saved_codes.recovery_shape(typed)

        def prove(flow: Flow, first_pin: _FirstPin) -> tuple[dict[str, Any], Proof]:
            def then(transaction: Transaction, person: Person, proof: SavedProof) -> dict[str, Any]:
                return first_pin(transaction, person, proof.not_to)

            if len(code) == TEMPORARY:
                taken = allowed(FirstProof.ACCESS_CODE)
                notes, proof = self._saved_codes.prove_temporary(visit, flow, Door.RECOVERY, code, then, taken)
                return notes, Proof(proof.factor, proof.at)
            taken = allowed(FirstProof.RECOVERY_CODE)
            notes, proof = self._saved_codes.prove(visit, flow, Door.RECOVERY, Use.RECOVERY, code, then, taken=taken)
            return {**notes, _CODES_LEFT: proof.left}, Proof(proof.factor, proof.at)

        return self._first(visit, cookie, sign_in_cookie, prove)

    def _first(
        self,
        visit: Visit,
        cookie: str | None,
        sign_in_cookie: str | None,
        prove: Callable[[Flow, _FirstPin], tuple[dict[str, Any], Proof]],
    ) -> str:
        self._limits.attempt(visit)
        carried = self._carried(cookie, sign_in_cookie)
        if carried is not None:
            _, held = self._claims.begin(visit, COURSE, State.TOKEN, canonical_user_id(carried.flow.user_id))
        else:
            held = self._at(cookie, State.TOKEN)

        def first_pin(transaction: Transaction, person: Person, not_to: str) -> dict[str, Any]:
            flag_stranded(transaction, visit, held.flow, person, self._clock.now())
            kept = {NOT_TO: not_to} if not_to else {}
            flow = replace(held.flow, notes={**held.flow.notes, **kept})
            return {**self._pins.first(transaction, visit, flow, person), **kept}

        notes, proof = prove(held.flow, first_pin)
        advanced = self._flows.advance(held, state=State.PIN, proof=proof, **notes)
        if advanced is None:
            self._pins.withdraw(notes)
            raise OutOfOrder(Code.OUT_OF_ORDER, due=COURSE.page_of(State.PIN))
        return advanced[0]

    # ---- the PIN

    def send(self, visit: Visit, cookie: str | None, channel: str) -> None:
        """Send another PIN, by the same channel or the other. The earlier one is void from then on."""
        self._pins.send(visit, cookie, channel)

    def pin_page(self, cookie: str | None) -> PinPage:
        """Everything true about the PIN now."""
        return self._pins.page(cookie)

    def prove_pin(self, visit: Visit, cookie: str | None, typed: str) -> str:
        """Judge a PIN. Returns the flow's new cookie, with the right to set one new password."""
        digits = self._pins.shape(typed)
        self._limits.attempt(visit)
        _, held, pin = self._pins.prove(visit, cookie, digits, self._grant)
        now = self._clock.now()
        return self._pins.advance(
            held,
            pin,
            lambda latest: self._flows.advance(
                latest, state=State.PASSWORD, proof=Proof(PIN, now), candidates=0, pin=None
            ),
        )[0]

    def _grant(self, transaction: Transaction, person: Person, _pin: Pin, held: Held) -> None:
        """The flow's one grant, with the PIN that earned it."""
        flow = held.flow
        if not grants.give(transaction, flow.txn, person.id, flow.stamp, self._clock.now(), flow.expires_at):
            # this very flow was finished before; the ephemeral store has forgotten that, SQL has not
            raise OutOfOrder(Code.OUT_OF_ORDER, due=COURSE.start)

    # ---- the new password, or only the lock

    def password_page(self, cookie: str | None) -> PasswordPage:
        """The rules as the page prints them, and whether "only unlock" is offered."""
        flow = self._at(cookie, State.PASSWORD).flow
        with self._database.read() as looking:
            person = self._granted(looking, flow)
            printed = self._new_password.printed(looking, person)
            can_unlock = self._why_not_unlock(looking, person) is None
        return PasswordPage(flow.user_id, printed.rules, printed.attribute, can_unlock)

    def set_password(self, visit: Visit, cookie: str | None, candidate: str, confirm: str) -> str:
        """Judge a candidate by all the rules; if none is broken make it the password, once. Returns the cookie."""
        self._limits.attempt(visit)
        held = self._new_password.count(lambda: self._at(cookie, State.PASSWORD), COURSE)
        flow = held.flow
        with self._database.read() as looking:
            person = self._granted(looking, flow)
        prepared = self._new_password.prepare_counted(visit, held, person, candidate, confirm)
        now = self._clock.now()
        with self._database.begin() as transaction:
            self._spend_grant(transaction, flow, person, now)
            changed = self._passwords.set_new(
                transaction,
                person=person,
                prepared=prepared,
                actor="self",
                reason="recovery",
                journey=named(flow),
                address=visit.address,
                language=person.language or visit.language,
                now=now,
            )
            ended = grants.revoke_others(transaction, person.id, now)
            people.mark_recovered(transaction, person.id, now)
        return self._finish(held, "password", changed.told, ended)

    def unlock(self, visit: Visit, cookie: str | None) -> str:
        """Clear the passing lock and keep the password (security rule 9). Returns the cookie."""
        self._limits.attempt(visit)
        held = self._at(cookie, State.PASSWORD)
        flow, now = held.flow, self._clock.now()
        with self._database.begin() as transaction:
            person = self._granted(transaction, flow)
            why_not = self._why_not_unlock(transaction, person)
            if why_not is not None:
                raise OutOfOrder(why_not, due=COURSE.page_of(State.PASSWORD))
            self._spend_grant(transaction, flow, person, now)
            self._tries.clear(transaction, person.id, Factor.PASSWORD)
            audit.add(transaction, own_record(Event.UNLOCKED, flow, visit, now, right=True, reason="recovery"))
            told = self._outbox.notify(
                transaction,
                contacts=people.usable_contacts(transaction, person.id, now),
                template="notice_unlocked",
                variables={"address": visit.address, "at": now},
                language=person.language or visit.language,
                now=now,
            )
        return self._finish(held, "unlock", told, 0)

    def done(self, cookie: str | None) -> Done:
        """What the last page tells."""
        flow = self._at(cookie, State.DONE).flow
        told = tuple(Way(channel, destination) for channel, destination in flow.notes["told"])
        return Done(flow.notes["kind"], told, flow.notes["ended"], flow.user_id, flow.notes.get(_CODES_LEFT))

    def _why_not_unlock(self, transaction: Transaction, person: Person) -> Code | None:
        owed = self._new_password.owed(transaction, person)
        if owed is not None:
            return Code.PASSWORD_EXPIRED if owed is Owed.EXPIRED else Code.CHANGE_OWED
        standing = self._tries.standing(transaction, person.id, Factor.PASSWORD)
        if standing.disabled:
            return Code.CHANGE_OWED  # no passing lock: it must be bound again (NIST SP 800-63B-4 sec. 3.2.2)
        return None if standing.locked(self._clock.now()) else Code.NOT_LOCKED

    def _spend_grant(self, transaction: Transaction, flow: Flow, person: Person, now: int) -> None:
        if not grants.spend(transaction, flow.txn, person.id, flow.stamp, now):
            raise self._too_late(transaction, flow)

    def _granted(self, transaction: Transaction, flow: Flow) -> Person:
        """The flow's person, where the flow has yet to spend its grant."""
        person = self._claims.person(transaction, flow)
        if person is None or not grants.is_open(transaction, flow.txn, self._clock.now()):
            raise self._too_late(transaction, flow)
        return person

    def _too_late(self, transaction: Transaction, flow: Flow) -> OutOfOrder:
        """Why a flow can finish no more: it has done so already, by a double click most likely, or it is over."""
        if grants.was_spent(transaction, flow.txn):
            return OutOfOrder(Code.CARRIED_OUT, due=COURSE.after)
        return OutOfOrder(Code.FLOW_EXPIRED, due=COURSE.start)

    def _finish(self, held: Held, kind: str, told: tuple[Contact, ...], ended: int) -> str:
        shown = [[contact.channel.value, contact.masked] for contact in told]
        try:
            finished = self._flows.retry(
                held,
                lambda latest: self._flows.advance(latest, state=State.DONE, kind=kind, told=shown, ended=ended),
            )
        except StoreAway:
            # what counts is committed; only the page that tells of it is lost
            log.warning("unavailable", what="ephemeral store, after a recovery was finished")
            raise
        if finished is None:
            # the store has forgotten the flow meanwhile; what counts is committed
            raise OutOfOrder(Code.CARRIED_OUT, due=COURSE.after)
        return finished[0]
