"""Recovery: User ID, app code, one-time PIN, new password. Two proofs of one person in one living flow, or nothing.

Each method is one use case. They take the flow's cookie and return the next one; refusals are exceptions.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import structlog

from app.factors.password import rules as password_rules
from app.factors.password.service import Passwords
from app.factors.pin.model import DIGITS, TRIES, Pin
from app.factors.pin.rules import resend_at, typed_pin
from app.factors.pin.service import Pins
from app.factors.totp.model import Finding, Match, Outcome
from app.factors.totp.rules import typed_code
from app.factors.totp.service import AuthenticatorApps, codes_at_once
from app.foundation.clock import Clock
from app.foundation.refusals import Code, OutOfOrder, Refusal, StoreAway, Throttled, Unavailable, Wrong
from app.foundation.sql import Database, Transaction, savepoint
from app.foundation.visit import Visit
from app.journeys.recovery.flow import APP, MOST_CANDIDATES, NEEDED, PIN, PURPOSE, START, State, page_of
from app.journeys.recovery.model import Done, PasswordPage, PinPage, Way
from app.records.attempts.model import Door, Factor, Spent, Subject
from app.records.attempts.service import AddressLimits, Tries
from app.records.audit import store as audit
from app.records.audit.model import Event, Record
from app.records.delivery.model import State as Delivery
from app.records.delivery.outbox import Outbox
from app.records.flows import store as grants
from app.records.flows.model import Flow, Held, Moved, Proof
from app.records.flows.service import Flows
from app.records.organizations import store as organizations
from app.records.organizations.model import STANDARD
from app.records.people import store as people
from app.records.people.model import BadUserId, Channel, Contact, Person, Status, canonical_user_id

log = structlog.get_logger()

# with so many failed codes in a day, a mailbox alone no longer gets the PIN where there is a phone (security rule 2)
_SUSPICIOUS_FAILURES = 5
_SIGN_IN = "sign_in"
_T = TypeVar("_T")


class Recovery:
    """The journey behind "Password locked or forgotten?"."""

    def __init__(
        self,
        *,
        database: Database,
        flows: Flows,
        tries: Tries,
        limits: AddressLimits,
        apps: AuthenticatorApps,
        pins: Pins,
        passwords: Passwords,
        outbox: Outbox,
        clock: Clock,
        brand: str,
    ) -> None:
        self._database = database
        self._flows = flows
        self._tries = tries
        self._limits = limits
        self._apps = apps
        self._pins = pins
        self._passwords = passwords
        self._outbox = outbox
        self._clock = clock
        self._brand = brand

    # ---- who

    def start(self, visit: Visit, typed: str) -> str:
        """Begin a flow for a User ID, known or not. Returns its cookie."""
        try:
            canonical = canonical_user_id(typed)
        except BadUserId as error:
            code = {"empty": Code.MISSING, "too long": Code.TOO_LONG}.get(str(error), Code.BAD_CHARACTERS)
            raise Wrong(code, field="user_id") from None
        self._limits.start(visit, PURPOSE)
        cookie, _ = self._create(visit, canonical, typed.strip())
        return cookie

    def _create(self, visit: Visit, canonical: str, shown: str) -> tuple[str, Held]:
        with self._database.read() as looking:
            person = people.find(looking, canonical)
        if person is not None and person.status is not Status.ACTIVE:
            person = None
        subject = self._tries.subject(canonical, person.id if person else None)
        return self._flows.create(
            PURPOSE,
            State.TOKEN,
            subject=subject.key,
            person_id=subject.person_id,
            user_id=shown,
            stamp=person.stamp if person else subject.key[:32],
            visit=visit,
        )

    # ---- where a visitor stands

    def at(self, cookie: str | None, state: State) -> Flow:
        """The flow of a page in its step. Raises OutOfOrder with the step that is due."""
        return self._at(cookie, state).flow

    def carried_user_id(self, cookie: str | None, sign_in_cookie: str | None) -> str | None:
        """The User ID that the sign-in page carries here, where no younger recovery is under way."""
        carried = self._carried(cookie, sign_in_cookie)
        return carried.flow.user_id if carried else None

    def _carried(self, cookie: str | None, sign_in_cookie: str | None) -> Held | None:
        sign_in = self._flows.load(sign_in_cookie, _SIGN_IN)
        if not isinstance(sign_in, Held) or self._flows.expired(sign_in.flow):
            return None
        own = self._flows.load(cookie, PURPOSE)
        living = isinstance(own, Held) and not self._flows.expired(own.flow)
        if living and isinstance(own, Held) and own.flow.created_at >= sign_in.flow.created_at:
            return None
        return sign_in

    def _at(self, cookie: str | None, state: State) -> Held:
        held = self._flows.load(cookie, PURPOSE)
        if held is None:
            raise OutOfOrder(Code.FLOW_LOST, due=START)
        if isinstance(held, Moved):
            # a browser that lost the newer cookie can only start again: sent on to where the newer one belongs,
            # it would be sent there for ever
            raise OutOfOrder(Code.OUT_OF_ORDER, due=START if held.state == state else page_of(held.state))
        flow, now = held.flow, self._clock.now()
        if flow.state == State.CLOSED:
            raise OutOfOrder(Code.PIN_SPENT, due=START)
        fresh = all(flow.proved(factor, now) for factor in NEEDED[State(flow.state)])
        if flow.state != State.DONE and (self._flows.expired(flow) or not fresh):
            raise OutOfOrder(Code.FLOW_EXPIRED, due=START)
        if flow.state == State.PASSWORD and flow.notes["candidates"] >= MOST_CANDIDATES:
            raise OutOfOrder(Code.TOO_MANY_CANDIDATES, due=START)
        if flow.state != state:
            raise OutOfOrder(Code.OUT_OF_ORDER, due=page_of(flow.state))
        return held

    # ---- the first proof

    def prove_app(self, visit: Visit, cookie: str | None, sign_in_cookie: str | None, typed: str) -> str:
        """Judge an app code; if right, queue the PIN. Returns the flow's new cookie."""
        code = typed_code(typed)
        if code is None:
            raise Wrong(Code.NOT_A_CODE if typed.strip() else Code.MISSING, field="code")
        self._limits.attempt(visit)
        carried = self._carried(cookie, sign_in_cookie)
        if carried is not None:
            self._limits.start(visit, PURPOSE)
            _, held = self._create(visit, canonical_user_id(carried.flow.user_id), carried.flow.user_id)
        else:
            held = self._at(cookie, State.TOKEN)
        flow, now = held.flow, self._clock.now()
        self._limits.may_guess(visit)
        with self._database.read() as looking:
            person = self._person(looking, flow)
            usable = self._apps.usable(looking, person.id if person else None, now)
        spent = self._tries.spend(_subject(flow), Factor.APP, Door.RECOVERY, codes_at_once=codes_at_once(usable))
        match = self._apps.recognise(usable, code, now)
        outcome, pin, refused = self._settle_app(visit, flow, person, spent, match if spent.judged else None, now)
        if outcome.finding is not Finding.ACCEPTED:
            self._limits.guessed_wrong(visit)
            raise _wrong_code(outcome)
        advanced = self._flows.advance(
            held,
            state=State.PIN,
            proof=Proof(APP, now),
            pin=pin.to_notes() if pin else None,
            sends=1 if pin else 0,
            pin_tries=0,
            earlier_void=False,
            switched=False,
            refused=refused,
        )
        if advanced is None:
            self._withdraw(pin)
            raise OutOfOrder(Code.OUT_OF_ORDER, due=page_of(State.PIN))
        return advanced[0]

    def _settle_app(
        self, visit: Visit, flow: Flow, person: Person | None, spent: Spent, match: Match | None, now: int
    ) -> tuple[Outcome, Pin | None, str]:
        with self._database.begin() as transaction:
            outcome = self._apps.settle(transaction, match, now)
            right = outcome.finding is Finding.ACCEPTED
            event = Event.APP_OK if right else Event.APP_FAIL
            if outcome.finding is Finding.USED:
                event = Event.APP_REUSE
            details: dict[str, object] = {"offset_seconds": outcome.offset * 30} if outcome.offset else {}
            reason = "" if right else outcome.finding.value
            record = _record(event, flow, visit, now, reason, right=right, details=details)
            audit.add_if_known(transaction, record)
            if person is None or not right:
                if person is not None and spent.closed_to_strangers:
                    self._warn_owner(transaction, visit, person, now)
                return outcome, None, ""
            self._tries.succeed(transaction, spent)
            contacts = self._contacts(transaction, person, now)
            if not contacts:
                return outcome, None, Code.NO_CHANNEL.value
            try:
                with savepoint(transaction):
                    pin = self._send(transaction, visit, flow, person, contacts[0], now)
            except Throttled as throttled:
                # the code was right and stays spent; the page says why no PIN left and what else there is
                return outcome, None, throttled.code.value
            return outcome, pin, ""

    def _warn_owner(self, transaction: Transaction, visit: Visit, person: Person, now: int) -> None:
        self._outbox.notify(
            transaction,
            contacts=_usable(transaction, person.id, now),
            template="notice_strangers",
            variables={"address": visit.address, "at": now},
            language=person.language or visit.language,
            now=now,
        )

    # ---- the PIN

    def _contacts(self, transaction: Transaction, person: Person, now: int) -> tuple[Contact, ...]:
        """Where a recovery PIN may go now, the first choice first: phones, then mailboxes."""
        usable = _usable(transaction, person.id, now)
        phones = tuple(contact for contact in usable if contact.channel is Channel.SMS)
        if phones and self._tries.failures_today(transaction, person.id, Factor.APP) >= _SUSPICIOUS_FAILURES:
            return phones
        return phones + tuple(contact for contact in usable if contact.channel is Channel.EMAIL)

    def _send(
        self, transaction: Transaction, visit: Visit, flow: Flow, person: Person, contact: Contact, now: int
    ) -> Pin:
        pin = self._pins.send(
            transaction,
            txn=flow.txn,
            purpose=PURPOSE,
            contact=contact,
            door=Door.RECOVERY,
            language=person.language or visit.language,
            now=now,
        )
        details: dict[str, object] = {"channel": contact.channel.value, "outbox": pin.outbox_id}
        audit.add(transaction, _record(Event.PIN_SENT, flow, visit, now, "", right=True, details=details))
        return pin

    def _withdraw(self, pin: Pin | None) -> None:
        if pin is not None:
            with self._database.begin() as transaction:
                self._outbox.withdraw(transaction, pin.outbox_id, self._clock.now())

    def send(self, visit: Visit, cookie: str | None, channel: str) -> None:
        """Send another PIN, by the same channel or the other. The earlier one is void from then on."""
        if channel not in DIGITS:
            raise Wrong(Code.NOT_A_CHANNEL, field="channel")
        self._limits.attempt(visit)
        held = self._at(cookie, State.PIN)
        flow, now = held.flow, self._clock.now()
        earlier = _pin(flow)
        if flow.notes["pin_tries"] >= TRIES:
            raise OutOfOrder(Code.PIN_SPENT, due=START)
        switching = earlier is not None and earlier.channel != channel and not flow.notes["switched"]
        if earlier is not None:
            wait = resend_at(earlier.sent_at, flow.notes["sends"], switching=switching) - now
            if wait > 0:
                raise Throttled(Code.TOO_SOON, retry_after=wait)
        with self._database.read() as looking:
            person = self._required(looking, flow)
            contacts = [c for c in self._contacts(looking, person, now) if c.channel.value == channel]
        if not contacts:
            raise Wrong(Code.NO_CHANNEL, field="channel")
        # claimed first: of many presses at once one sends
        claimed = self._flows.change(held, sends=flow.notes["sends"] + 1)
        if claimed is None:
            raise OutOfOrder(Code.OUT_OF_ORDER, due=page_of(State.PIN))
        try:
            with self._database.begin() as transaction:
                pin = self._send(transaction, visit, flow, person, contacts[0], now)
                if earlier is not None:
                    self._outbox.withdraw(transaction, earlier.outbox_id, now)
        except Refusal:
            self._flows.change(claimed, sends=flow.notes["sends"])
            raise
        stored = self._retry(
            claimed,
            lambda latest: self._flows.change(
                latest,
                pin=pin.to_notes(),
                earlier_void=earlier is not None,
                switched=flow.notes["switched"] or switching,
                refused="",
            ),
        )
        if stored is None:
            self._withdraw(pin)
            raise OutOfOrder(Code.OUT_OF_ORDER, due=page_of(State.PIN))

    def pin_page(self, cookie: str | None) -> PinPage:
        """Everything true about the PIN now. Asking changes nothing (requirements B-16)."""
        flow = self._at(cookie, State.PIN).flow
        now = self._clock.now()
        pin = _pin(flow)
        with self._database.read() as looking:
            person = self._required(looking, flow)
            contacts = self._contacts(looking, person, now)
            state = self._outbox.state(looking, pin.outbox_id) if pin else Delivery.FAILED
        ways = {contact.channel.value: Way(contact.channel.value, contact.masked) for contact in reversed(contacts)}
        channel = pin.channel if pin else (contacts[0].channel.value if contacts else Channel.SMS.value)
        tries_left = TRIES - flow.notes["pin_tries"]
        wait = resend_at(pin.sent_at, flow.notes["sends"], switching=False) - now if pin else 0
        return PinPage(
            channel=channel,
            destination=pin.destination if pin else "",
            # to the visitor a message being handed over is still on its way
            state=(Delivery.QUEUED if state is Delivery.SENDING else state).value,
            resend_in=max(0, wait),
            expires_in=max(0, pin.expires_at - now) if pin else 0,
            tries_left=tries_left,
            digits=DIGITS[channel],
            earlier_void=flow.notes["earlier_void"],
            alternatives=tuple(way for way in ways.values() if way.channel != channel),
            can_resend=tries_left > 0 and channel in ways,
            refused=flow.notes["refused"],
        )

    def prove_pin(self, visit: Visit, cookie: str | None, typed: str) -> str:
        """Judge a PIN. Returns the flow's new cookie, with the right to set one new password."""
        digits = typed_pin(typed)
        if digits is None:
            raise Wrong(Code.NOT_A_CODE if typed.strip() else Code.MISSING, field="pin")
        self._limits.attempt(visit)
        held, pin = self._count_pin(cookie)
        flow, now = held.flow, self._clock.now()
        left = TRIES - flow.notes["pin_tries"]
        try:
            spent = self._tries.spend(_subject(flow), Factor.PIN, Door.RECOVERY)
        except Throttled as throttled:
            # the person waits, and nothing was judged: the flow's try is given back
            self._retry(held, _give_back_try(self._flows))
            raise Throttled(throttled.code, field="pin", retry_after=throttled.retry_after) from None
        right = self._pins.matches(pin, txn=flow.txn, purpose=PURPOSE, typed=digits)
        self._settle_pin(visit, flow, spent, now, right=right)
        if not right:
            if left > 0:
                raise Wrong(Code.WRONG_PIN, field="pin", details={"tries_left": left})
            self._retry(held, lambda latest: self._flows.change(latest, state=State.CLOSED))
            raise OutOfOrder(Code.PIN_SPENT, due=START)
        advanced = self._retry(
            held,
            lambda latest: self._flows.advance(
                latest, state=State.PASSWORD, proof=Proof(PIN, now), candidates=0, pin=None
            ),
            only_with=pin,
        )
        if advanced is None:
            raise OutOfOrder(Code.OUT_OF_ORDER, due=page_of(State.PASSWORD))
        return advanced[0]

    def _count_pin(self, cookie: str | None) -> tuple[Held, Pin]:
        """Take one of the flow's five tries by compare-and-set, before anything is compared."""
        while True:
            held = self._at(cookie, State.PIN)
            pin = _pin(held.flow)
            if held.flow.notes["pin_tries"] >= TRIES:
                raise OutOfOrder(Code.PIN_SPENT, due=START)
            if pin is None or self._clock.now() >= pin.expires_at:
                raise Wrong(Code.PIN_EXPIRED, field="pin")
            counted = self._flows.change(held, pin_tries=held.flow.notes["pin_tries"] + 1)
            if counted is not None:
                return counted, pin

    def _settle_pin(self, visit: Visit, flow: Flow, spent: Spent, now: int, *, right: bool) -> None:
        """Write how it ended; where the PIN was right, the flow's one grant as well."""
        with self._database.begin() as transaction:
            person = self._required(transaction, flow)
            event = Event.PIN_OK if right else Event.PIN_FAIL
            audit.add(transaction, _record(event, flow, visit, now, "" if right else "wrong", right=right))
            if not right:
                if spent.closed_to_strangers:
                    self._warn_owner(transaction, visit, person, now)
                return
            self._tries.succeed(transaction, spent)
            if not grants.give(transaction, flow.txn, person.id, flow.stamp, now, flow.expires_at):
                # this very flow was finished before; the ephemeral store has forgotten that, SQL has not
                raise OutOfOrder(Code.OUT_OF_ORDER, due=START)

    def _retry(self, held: Held, step: Callable[[Held], _T | None], *, only_with: Pin | None = None) -> _T | None:
        """Repeat a compare-and-set that somebody else's step overtook, for as long as it still makes sense."""
        latest: Held | None = held
        while latest is not None and latest.flow.state == held.flow.state:
            living = _pin(latest.flow)
            if only_with is not None and (living is None or living.outbox_id != only_with.outbox_id):
                return None
            done = step(latest)
            if done is not None:
                return done
            latest = self._flows.again(latest)
        return None

    # ---- the new password, or only the lock

    def password_page(self, cookie: str | None) -> PasswordPage:
        """The rules as the page prints them, and whether "only unlock" is offered."""
        flow = self._at(cookie, State.PASSWORD).flow
        with self._database.read() as looking:
            person = self._required(looking, flow)
            if not grants.is_open(looking, flow.txn, self._clock.now()):
                raise OutOfOrder(Code.FLOW_EXPIRED, due=START)
            words = self._words(looking, person)
            can_unlock = self._why_not_unlock(looking, person) is None
        rules = password_rules.explain(STANDARD, words)
        return PasswordPage(flow.user_id, rules, password_rules.passwordrules(STANDARD), can_unlock)

    def _words(self, transaction: Transaction, person: Person) -> tuple[str, ...]:
        """What a guesser who knows the person would try first (requirements P-09)."""
        emails = [c.address for c in people.contacts_of(transaction, person.id) if c.channel is Channel.EMAIL]
        joined = [organization.name for organization, _, _ in organizations.memberships_of(transaction, person.id)]
        return password_rules.context_words(
            user_id=person.user_id,
            names=[person.first_name, person.last_name],
            emails=emails,
            services=[self._brand, *joined],
        )

    def set_password(self, visit: Visit, cookie: str | None, candidate: str, confirm: str) -> str:
        """Judge a candidate by all the rules; if none is broken make it the password, once. Returns the cookie."""
        self._limits.attempt(visit)
        held = self._count_candidate(cookie)
        flow = held.flow
        with self._database.read() as looking:
            person = self._required(looking, flow)
            words = self._words(looking, person)
            record = self._passwords.find(looking, person.id)
            history = self._passwords.history(looking, person.id)
        try:
            prepared = self._passwords.prepare(
                STANDARD, person, candidate=candidate, confirm=confirm, words=words, record=record, history=history
            )
        except Unavailable:
            # nothing was judged, so nothing was proposed: a flood must not use up what this flow may propose
            self._retry(held, lambda latest: self._flows.change(latest, candidates=latest.flow.notes["candidates"] - 1))
            raise
        now = self._clock.now()
        with self._database.begin() as transaction:
            self._spend_grant(transaction, flow, person, now)
            told = self._passwords.set_new(
                transaction,
                person=person,
                prepared=prepared,
                actor="self",
                reason="recovery",
                address=visit.address,
                language=person.language or visit.language,
                now=now,
            )
            ended = grants.revoke_others(transaction, person.id, now)
        return self._finish(held, "password", told, ended)

    def unlock(self, visit: Visit, cookie: str | None) -> str:
        """Clear the passing lock and keep the password (security rule 9). Returns the cookie."""
        self._limits.attempt(visit)
        held = self._at(cookie, State.PASSWORD)
        flow, now = held.flow, self._clock.now()
        with self._database.begin() as transaction:
            person = self._required(transaction, flow)
            why_not = self._why_not_unlock(transaction, person)
            if why_not is not None:
                raise OutOfOrder(why_not, due=page_of(State.PASSWORD))
            self._spend_grant(transaction, flow, person, now)
            self._tries.clear(transaction, person.id, Factor.PASSWORD)
            audit.add(transaction, _record(Event.UNLOCKED, flow, visit, now, "recovery", right=True))
            told = self._outbox.notify(
                transaction,
                contacts=_usable(transaction, person.id, now),
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
        return Done(flow.notes["kind"], told, flow.notes["ended"], flow.user_id)

    def _count_candidate(self, cookie: str | None) -> Held:
        while True:
            held = self._at(cookie, State.PASSWORD)
            counted = self._flows.change(held, candidates=held.flow.notes["candidates"] + 1)
            if counted is not None:
                return counted

    def _why_not_unlock(self, transaction: Transaction, person: Person) -> Code | None:
        record = self._passwords.find(transaction, person.id)
        if record is not None and record.change_owed:
            return Code.CHANGE_OWED
        standing = self._tries.standing(transaction, person.id, Factor.PASSWORD)
        if standing.disabled:
            return Code.CHANGE_OWED  # no passing lock: it must be bound again (NIST SP 800-63B-4 sec. 3.2.2)
        return None if standing.locked(self._clock.now()) else Code.NOT_LOCKED

    def _spend_grant(self, transaction: Transaction, flow: Flow, person: Person, now: int) -> None:
        if not grants.spend(transaction, flow.txn, person.id, flow.stamp, now):
            # most likely this very flow finished a moment ago, by a double click
            raise OutOfOrder(Code.OUT_OF_ORDER, due=page_of(State.DONE))

    def _finish(self, held: Held, kind: str, told: tuple[Contact, ...], ended: int) -> str:
        shown = [[contact.channel.value, contact.masked] for contact in told]
        try:
            finished = self._retry(
                held,
                lambda latest: self._flows.advance(latest, state=State.DONE, kind=kind, told=shown, ended=ended),
            )
        except StoreAway:
            # what counts is committed; only the page that tells of it is lost
            log.warning("unavailable", what="ephemeral store, after a recovery was finished")
            raise
        if finished is None:
            raise OutOfOrder(Code.OUT_OF_ORDER, due=page_of(State.DONE))
        return finished[0]

    # ---- whose flow

    def _person(self, transaction: Transaction, flow: Flow) -> Person | None:
        """The flow's person as the record now says: active, and with the stamp the flow began with. None else."""
        person = people.get(transaction, flow.person_id or 0)
        if person is None or person.status is not Status.ACTIVE or person.stamp != flow.stamp:
            return None
        return person

    def _required(self, transaction: Transaction, flow: Flow) -> Person:
        person = self._person(transaction, flow)
        if person is None:
            raise OutOfOrder(Code.FLOW_EXPIRED, due=START)
        return person


def _usable(transaction: Transaction, person_id: int, now: int) -> tuple[Contact, ...]:
    return tuple(contact for contact in people.contacts_of(transaction, person_id) if contact.usable(now))


def _subject(flow: Flow) -> Subject:
    return Subject(flow.subject, flow.person_id)


def _pin(flow: Flow) -> Pin | None:
    notes = flow.notes.get("pin")
    return Pin.from_notes(notes) if notes else None


def _give_back_try(flows: Flows) -> Callable[[Held], Held | None]:
    return lambda latest: flows.change(latest, pin_tries=latest.flow.notes["pin_tries"] - 1)


def _wrong_code(outcome: Outcome) -> Wrong:
    if outcome.finding is Finding.CLOCK_OFF:
        # a time-step is half a minute (security rule 7)
        details: dict[str, Any] = {
            "half_minutes": abs(outcome.offset),
            "direction": "slow" if outcome.offset < 0 else "fast",
        }
        return Wrong(Code.CLOCK_OFF, field="code", details=details)
    code = Code.CODE_USED if outcome.finding is Finding.USED else Code.WRONG_CODE
    return Wrong(code, field="code")


def _record(
    event: Event,
    flow: Flow,
    visit: Visit,
    now: int,
    reason: str,
    *,
    right: bool,
    details: dict[str, object] | None = None,
) -> Record:
    return Record(
        event=event,
        at=now,
        person_id=flow.person_id,
        actor="self",
        outcome="success" if right else "failure",
        reason=reason,
        address=visit.address,
        details={"journey": PURPOSE, "flow": flow.txn, **(details or {})},
    )
