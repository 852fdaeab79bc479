"""First activation: the mailed link and a PIN to the filed phone, then password, contacts, app and saved codes.

The link alone binds nothing (security rule 13). It can be opened again, on another device too, until all is done.
"""

from dataclasses import dataclass
from typing import Any

from app.factors.password.model import Owed, RuleKey
from app.factors.password.service import Passwords
from app.factors.pin.model import Pin, PinPage, Way
from app.factors.recovery_code.rules import typed_code
from app.foundation.clock import Clock
from app.foundation.refusals import Code, OutOfOrder, Wrong
from app.foundation.secretbox import fingerprint
from app.foundation.sql import Database, Transaction
from app.foundation.visit import Visit
from app.journeys.activation.flow import COURSE, FILED, State, step_after
from app.journeys.activation.model import CodesPage, ContactsPage, PasswordPage, Welcome
from app.records.attempts.model import Door
from app.records.attempts.service import AddressLimits
from app.records.audit import store as audit
from app.records.audit.model import Event
from app.records.flows.model import Flow, Held, Proof
from app.records.flows.service import Flows
from app.records.invitations import store as invitations
from app.records.invitations.model import Invitation
from app.records.people import store as people
from app.records.people.model import Channel, Contact, Person, Status
from app.steps.claim import Claims, named, own_record
from app.steps.code_set import CodeSets, on_paper
from app.steps.helpdesk import Helpdesk, Helpdesks
from app.steps.invite import Invitations, filed
from app.steps.lane import LANE
from app.steps.new_app import Enrollee, NewApps, NewKey
from app.steps.new_password import NewPassword
from app.steps.password import PasswordStep
from app.steps.pin import PinMeans, PinStep

_INVITATION = "invitation"  # the note of a flow that says which it is of
_OF_EARLIER = frozenset({RuleKey.CURRENT, RuleKey.HISTORY})  # rules that mean nothing before there was a password
# after a mailed link and the proof strangers who lock the sign-in lock nobody out (security rule 1)
_LANE: dict[str, Any] = {LANE: True}


@dataclass(frozen=True, slots=True)
class ActivationMeans:
    """What the journey stands on."""

    database: Database
    flows: Flows
    limits: AddressLimits
    passwords: Passwords
    clock: Clock
    claims: Claims
    invitations: Invitations
    password: PasswordStep
    new_password: NewPassword
    pins: PinMeans
    new_apps: NewApps
    code_sets: CodeSets
    helpdesks: Helpdesks


class Activation:
    """From the mailed link to an account that can be used and recovered."""

    def __init__(self, means: ActivationMeans) -> None:
        self._database = means.database
        self._flows = means.flows
        self._limits = means.limits
        self._passwords = means.passwords
        self._clock = means.clock
        self._claims = means.claims
        self._invitations = means.invitations
        self._password = means.password
        self._new_password = means.new_password
        self._new_apps = means.new_apps
        self._code_sets = means.code_sets
        self._helpdesks = means.helpdesks
        self._pins = PinStep(means.pins, course=COURSE, at=Door.SIGN_IN, contacts=self._phones, after=State.PASSWORD)

    # ---- the link

    def welcome(self, token: str) -> Welcome:
        """What the link's page says. Looking changes nothing, however often a mail scanner does (requirement A-19)."""
        with self._database.read() as looking:
            invitation, person = self._invited(looking, token)
            phones = _filed(looking, person)
        by_code = bool(invitation.code_digest)
        return Welcome(person.user_id, by_code, "" if by_code or not phones else phones[0].masked)

    def _invited(self, transaction: Transaction, token: str) -> tuple[Invitation, Person]:
        invitation = self._invitations.living(transaction, fingerprint(token), self._clock.now())
        person = people.get(transaction, invitation.person_id) if invitation else None
        # whoever has recovered the account uses it already: nothing is the first any more, so that all has to wait
        usable = person is not None and person.status is Status.ACTIVE and person.recovered_at is None
        if invitation is None or person is None or not usable:
            raise OutOfOrder(Code.LINK_DEAD, due=COURSE.start)
        return invitation, person

    def begin(self, visit: Visit, token: str) -> tuple[str, State]:
        """Begin a flow of this browser: its cookie and the step that is due. Sends the PIN where a phone is filed."""
        with self._database.read() as looking:
            invitation, person = self._invited(looking, token)
        state = State.CODE if invitation.code_digest else State.PIN
        cookie, held = self._claims.begin_as(visit, COURSE, state, person, **{_INVITATION: invitation.id})
        if state is State.PIN:
            with self._database.begin() as transaction:
                notes = self._pins.first(transaction, visit, held.flow, person)
            if self._flows.change(held, **notes) is None:
                self._pins.withdraw(notes)
                raise OutOfOrder(Code.OUT_OF_ORDER, due=COURSE.start)
        return cookie, state

    # ---- the second thing

    def _phones(self, transaction: Transaction, person: Person, _flow: Flow, _now: int) -> tuple[Contact, ...]:
        return _filed(transaction, person)

    def send(self, visit: Visit, cookie: str | None, channel: str) -> None:
        """Send another PIN."""
        self._pins.send(visit, cookie, channel)

    def pin_page(self, cookie: str | None) -> PinPage:
        """Everything true about the PIN now."""
        return self._pins.page(cookie)

    def at(self, cookie: str | None, state: State) -> Flow:
        """The flow of a page in its step. Raises OutOfOrder with the step that is due."""
        return self._flows.at(cookie, COURSE, state).flow

    def helpdesk(self, cookie: str | None) -> Helpdesk | None:
        """Whom to ask for help, once a first proof was right."""
        return self._helpdesks.at(cookie, COURSE)

    def prove_pin(self, visit: Visit, cookie: str | None, typed: str) -> tuple[str, State]:
        """Judge the PIN; if right, phone and mailbox are confirmed."""
        digits = self._pins.shape(typed)
        self._limits.attempt(visit)

        def then(transaction: Transaction, person: Person, pin: Pin, held: Held) -> State:
            return self._filed_proof(transaction, person, held.flow, (pin.contact_id,))

        state, held, pin = self._pins.prove(visit, cookie, digits, then)
        proof = Proof(FILED, self._clock.now())
        advanced = self._pins.advance(
            held,
            pin,
            lambda latest: self._flows.advance(latest, state=state, proof=proof, pin=None, candidates=0, **_LANE),
        )
        return advanced[0], state

    def prove_code(self, visit: Visit, cookie: str | None, typed: str) -> tuple[str, State]:
        """Judge the activation code that was handed over; ten tries an invitation."""
        code = typed_code(typed)
        if code is None:
            raise Wrong(Code.WRONG_ACTIVATION_CODE, field="code")
        self._limits.attempt(visit)
        held = self._flows.at(cookie, COURSE, State.CODE)
        flow, now = held.flow, self._clock.now()
        with self._database.begin() as transaction:
            counted = invitations.count_code(transaction, flow.notes[_INVITATION])
        if not counted:
            raise OutOfOrder(Code.LINK_DEAD, due=COURSE.start)
        with self._database.begin() as transaction:
            person = self._claims.required(transaction, flow, COURSE)
            right = self._invitations.code_fits(self._living(transaction, flow), code)
            if right:
                state = self._filed_proof(transaction, person, flow, ())
            else:
                audit.add(transaction, own_record(Event.ACTIVATION_REFUSED, flow, visit, now, right=False))
        if not right:
            raise Wrong(Code.WRONG_ACTIVATION_CODE, field="code")
        advanced = self._flows.advance(held, state=state, proof=Proof(FILED, now), candidates=0, **_LANE)
        if advanced is None:
            raise OutOfOrder(Code.OUT_OF_ORDER, due=COURSE.page_of(state))
        return advanced[0], state

    def _living(self, transaction: Transaction, flow: Flow) -> Invitation:
        invitation = self._invitations.living(transaction, flow.notes[_INVITATION], self._clock.now())
        if invitation is None:
            raise OutOfOrder(Code.LINK_DEAD, due=COURSE.start)
        return invitation

    def _filed_proof(self, transaction: Transaction, person: Person, flow: Flow, proved: tuple[str, ...]) -> State:
        """Confirm what was proved, the link's own mailbox with it; at first activation nothing waits (rule 6)."""
        invitation = self._living(transaction, flow)
        for contact_id in (*proved, invitation.contact_id):
            people.confirm_filed(transaction, contact_id, person.id, self._clock.now())
        return State.RESUME if invitation.reached else State.PASSWORD

    # ---- going on, on another device

    def resume(self, visit: Visit, cookie: str | None, typed: str) -> tuple[str, State]:
        """Judge the password that was chosen before; the flow goes on at the step that is due.

        Raises OutOfOrder for a temporary one, which somebody made who did not know that password.
        """
        self._password.shape(typed)
        self._limits.attempt(visit)
        held = self._flows.at(cookie, COURSE, State.RESUME)
        state, owed = self._password.prove(
            visit, held.flow, typed, lambda transaction, *_: State(self._living(transaction, held.flow).reached)
        )
        if owed is Owed.RESET:
            raise OutOfOrder(Code.LINK_DEAD, due=COURSE.start)
        advanced = self._flows.advance(held, state=state, candidates=0)
        if advanced is None:
            raise OutOfOrder(Code.OUT_OF_ORDER, due=COURSE.page_of(state))
        return advanced[0], state

    # ---- the password

    def password_page(self, cookie: str | None) -> PasswordPage:
        """The rules as the page prints them."""
        flow = self.at(cookie, State.PASSWORD)
        with self._database.read() as looking:
            person = self._claims.required(looking, flow, COURSE)
            printed = self._new_password.printed(looking, person)
            earlier = self._passwords.find(looking, person.id)
        rules = printed.rules
        if earlier is None:
            rules = tuple(rule for rule in rules if rule.key not in _OF_EARLIER)
        return PasswordPage(flow.user_id, rules, printed.attribute)

    def set_password(self, visit: Visit, cookie: str | None, candidate: str, confirm: str) -> str:
        """Judge a candidate; if no rule is broken it is the password. Returns the cookie."""
        self._limits.attempt(visit)
        held = self._new_password.count(lambda: self._flows.at(cookie, COURSE, State.PASSWORD), COURSE)
        flow = held.flow
        with self._database.read() as looking:
            person = self._claims.required(looking, flow, COURSE)
        prepared = self._new_password.prepare_counted(visit, held, person, candidate, confirm)
        now = self._clock.now()
        with self._database.begin() as transaction:
            people.hold(transaction, person.id)
            self._reach(transaction, flow, State.PASSWORD)
            changed = self._passwords.set_new(
                transaction,
                person=person,
                prepared=prepared,
                actor="self",
                reason="activation",
                journey=named(flow),
                address=visit.address,
                language=person.language or visit.language,
                now=now,
            )
        # the flow goes on with the stamp that it has brought about itself (architecture rule 5)
        return self._go_on(held, State.PASSWORD, stamp=changed.stamp)

    def _hold(self, transaction: Transaction, flow: Flow) -> Person:
        """The flow's person, whom nobody freezes until the transaction ends. Raises OutOfOrder where it is dead."""
        people.hold(transaction, flow.person_id or 0)
        return self._claims.required(transaction, flow, COURSE)

    def _reach(self, transaction: Transaction, flow: Flow, done: State) -> None:
        """Note on the invitation that a step is done, once. Raises OutOfOrder where another device was faster."""
        self._living(transaction, flow)
        old = "" if done is State.PASSWORD else done.value
        if not invitations.reach(transaction, flow.notes[_INVITATION], old, step_after(done).value):
            # the flow's own pages would ask for the same again; the link leads to the step that is due
            raise OutOfOrder(Code.OUT_OF_ORDER, due=COURSE.start)

    def _go_on(self, held: Held, done: State, *, stamp: str | None = None) -> str:
        state = step_after(done)
        advanced = self._flows.retry(held, lambda latest: self._flows.advance(latest, state=state, stamp=stamp))
        if advanced is None:
            raise OutOfOrder(Code.OUT_OF_ORDER, due=COURSE.page_of(state))
        return advanced[0]

    # ---- the contacts

    def contacts_page(self, cookie: str | None) -> ContactsPage:
        """How the person will be reached, masked."""
        flow = self.at(cookie, State.CONTACTS)
        with self._database.read() as looking:
            person = self._claims.required(looking, flow, COURSE)
            usable = people.usable_contacts(looking, person.id, self._clock.now())
        return ContactsPage(flow.user_id, tuple(Way(one.channel.value, one.masked) for one in usable))

    def confirm_contacts(self, visit: Visit, cookie: str | None) -> str:
        """They are right. Returns the cookie."""
        self._limits.attempt(visit)
        held = self._flows.at(cookie, COURSE, State.CONTACTS)
        with self._database.begin() as transaction:
            self._hold(transaction, held.flow)
            self._reach(transaction, held.flow, State.CONTACTS)
        return self._go_on(held, State.CONTACTS)

    # ---- the app

    def app_page(self, cookie: str | None, shown: str | None) -> NewKey:
        """The key of the new app; ``shown`` is the cookie that says which was shown."""
        return self._new_apps.key(self._enrollee(self.at(cookie, State.APP)), shown)

    def add_app(self, visit: Visit, cookie: str | None, shown: str | None, label: str, typed: str) -> str:
        """Judge a code of the key; if right, the app is bound. Returns the cookie.

        It serves at once where it is the first one (rule 6).
        """
        held = self._flows.at(cookie, COURSE, State.APP)

        def hold(transaction: Transaction) -> None:
            self._hold(transaction, held.flow)
            self._reach(transaction, held.flow, State.APP)

        self._new_apps.confirm(visit, self._enrollee(held.flow), shown, label, typed, hold, first=True)
        return self._go_on(held, State.APP)

    def _enrollee(self, flow: Flow) -> Enrollee:
        with self._database.read() as looking:
            person = self._claims.required(looking, flow, COURSE)
        return Enrollee(person, flow.txn, self._clock.now(), COURSE.page_of(State.APP))

    # ---- the saved codes

    def codes_page(self, cookie: str | None) -> CodesPage:
        """The codes, where they were made by this very flow."""
        flow = self.at(cookie, State.CODES)
        with self._database.read() as looking:
            person = self._claims.required(looking, flow, COURSE)
            standing = self._code_sets.standing(looking, person)
        codes = self._code_sets.shown(flow.txn, standing)
        return CodesPage(
            flow.user_id,
            codes,
            waits=standing is not None and standing.usable_from > self._clock.now(),
            made_on=on_paper(standing.made_at) if standing else "",
            usable_on=on_paper(standing.usable_from) if standing else "",
        )

    def make_codes(self, visit: Visit, cookie: str | None) -> None:
        """Make ten; the earlier ones are void. They serve at once, unless those had to wait themselves (rule 6).

        Raises OutOfOrder where some are shown: a second press would void what was just read.
        """
        self._limits.attempt(visit)
        flow = self.at(cookie, State.CODES)
        with self._database.read() as looking:
            person = self._claims.required(looking, flow, COURSE)
            self._living(looking, flow)
            earlier = self._code_sets.standing(looking, person)
        if self._code_sets.shown(flow.txn, earlier):
            raise OutOfOrder(Code.OUT_OF_ORDER, due=COURSE.page_of(State.CODES))

        def hold(transaction: Transaction) -> None:
            self._hold(transaction, flow)
            if self._living(transaction, flow).reached != State.CODES:
                raise OutOfOrder(Code.OUT_OF_ORDER, due=COURSE.start)

        first = earlier is None or earlier.usable_from == earlier.made_at
        self._code_sets.make(visit, person, flow.txn, hold, first=first)

    def codes_shown(self, cookie: str | None) -> CodesPage:
        """The page while it shows codes. Raises OutOfOrder where it shows none, or no longer."""
        page = self.codes_page(cookie)
        if not page.codes:
            raise OutOfOrder(Code.NOTHING_SHOWN, due=COURSE.page_of(State.CODES))
        return page

    def finish(self, visit: Visit, cookie: str | None) -> str:
        """The codes are saved: the invitation is spent, and the account is ready. Returns the cookie."""
        self._limits.attempt(visit)
        held = self._flows.at(cookie, COURSE, State.CODES)
        self.codes_shown(cookie)
        now = self._clock.now()
        with self._database.begin() as transaction:
            person = self._hold(transaction, held.flow)
            self._reach(transaction, held.flow, State.CODES)
            invitations.end(transaction, held.flow.notes[_INVITATION], now)
            audit.add(transaction, own_record(Event.ACTIVATED, held.flow, visit, now, right=True))
            standing = self._code_sets.standing(transaction, person)
        if standing is not None:
            self._code_sets.hide(held.flow.txn, standing)
        return self._go_on(held, State.CODES)


def _filed(transaction: Transaction, person: Person) -> tuple[Contact, ...]:
    """The phones that the administrator filed, confirmed or not: none can be edited before (security rule 13)."""
    return tuple(contact for contact in filed(transaction, person.id) if contact.channel is Channel.SMS)
