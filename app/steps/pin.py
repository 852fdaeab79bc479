"""The step of the one-time PIN: sent, told the truth about, counted and judged. One object for each journey."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from app.factors.pin.model import CHANNELS, Pin, PinPage, Way
from app.factors.pin.rules import digits_of, resend_at, typed_pin
from app.factors.pin.service import Pins
from app.foundation.clock import Clock
from app.foundation.refusals import Code, OutOfOrder, Refusal, Throttled, Wrong
from app.foundation.sql import Database, Transaction, savepoint
from app.foundation.visit import Visit
from app.records.attempts.model import Door, Factor
from app.records.attempts.service import AddressLimits, Tries
from app.records.audit import store as audit
from app.records.audit.model import Event
from app.records.delivery.model import State as Delivery
from app.records.delivery.outbox import Outbox
from app.records.delivery.service import NO_SMS
from app.records.flows.model import CLOSED, Course, Flow, Held
from app.records.flows.service import Flows
from app.records.organizations import store as organizations
from app.records.organizations.model import PinPolicy
from app.records.organizations.rules import met
from app.records.people import store as people
from app.records.people.model import Channel, Contact, Person
from app.steps.allowed import in_order, reached
from app.steps.claim import Claims, own_record, subject_of
from app.steps.lane import LANE, door_of

PIN = "pin"  # the name of this proof, and of the state in which it is due
NOT_TO = "not_to"  # the note of a flow whose PIN must not go to one contact: its id
_SUSPICIOUS_FAILURES = 5
_T = TypeVar("_T")
Contacts = Callable[[Transaction, Person, Flow, int], tuple[Contact, ...]]


@dataclass(frozen=True, slots=True)
class PinMeans:
    """What every journey's PIN step stands on."""

    database: Database
    flows: Flows
    pins: Pins
    tries: Tries
    limits: AddressLimits
    outbox: Outbox
    claims: Claims
    clock: Clock


class PinStep:
    """The PIN step of one journey.

    ``contacts`` says where a PIN may go, the first choice first; ``at`` is the door that strangers' tries are
    counted at. ``after`` is the state that a right PIN leads to. ``own``: they are contacts that the person proved to
    have, so that messages there may be of the owner's reserve.
    """

    def __init__(
        self, means: PinMeans, *, course: Course, at: Door, contacts: Contacts, after: str, own: bool = True
    ) -> None:
        self._means = means
        self._course = course
        self._at_door = at
        self._contacts = contacts
        self._after = after
        self._own = own

    def _at(self, cookie: str | None) -> Held:
        return self._means.flows.at(cookie, self._course, PIN)

    # ---- sending

    def first(
        self, transaction: Transaction, visit: Visit, flow: Flow, person: Person, channel: str = ""
    ) -> dict[str, Any]:
        """Queue the first PIN with the caller's transaction; returns the notes that the flow needs in this state.

        Where none can be sent the notes say why, and the page offers what else there is.
        Where the guard refuses an SMS, that is e-mail, as where sending fails.
        """
        now = self._means.clock.now()
        contacts = self._contacts(transaction, person, flow, now)
        wanted = [contact for contact in contacts if channel in ("", contact.channel.value)]
        if not wanted:
            self._not_sent(transaction, visit, flow, Code.NO_CHANNEL, channel, now)
            return _notes(_policy(transaction, person, now), None, Code.NO_CHANNEL.value)
        try:
            with savepoint(transaction):
                return self.first_to(transaction, visit, flow, person, wanted[0])
        except (Throttled, Wrong) as refused:
            self._not_sent(transaction, visit, flow, refused.code, wanted[0].channel.value, now)
            policy, without_sms = _policy(transaction, person, now), refused.code in NO_SMS
            return _notes(policy, None, refused.code.value, without_sms=without_sms)

    def _write_not_sent(self, visit: Visit, flow: Flow, code: Code, channel: str, now: int) -> None:
        if self._means.tries.is_news(subject_of(flow), Factor.SEND.value):
            with self._means.database.begin() as transaction:
                self._not_sent(transaction, visit, flow, code, channel, now)

    def _not_sent(self, transaction: Transaction, visit: Visit, flow: Flow, code: Code, channel: str, now: int) -> None:
        details: dict[str, object] = {"channel": channel}
        record = own_record(Event.PIN_NOT_SENT, flow, visit, now, right=False, reason=code.value, details=details)
        audit.add(transaction, record)

    def first_to(
        self, transaction: Transaction, visit: Visit, flow: Flow, person: Person, contact: Contact
    ) -> dict[str, Any]:
        """The same to one contact, where without a PIN there is nothing to go on with. Raises Throttled, Wrong."""
        now = self._means.clock.now()
        policy = _policy(transaction, person, now)
        return _notes(policy, self._send(transaction, visit, flow, person, contact, policy, now), "")

    def _send(
        self,
        transaction: Transaction,
        visit: Visit,
        flow: Flow,
        person: Person,
        contact: Contact,
        policy: PinPolicy,
        now: int,
    ) -> Pin:
        pin = self._means.pins.send(
            transaction,
            policy=policy,
            txn=flow.txn,
            purpose=self._course.purpose,
            contact=contact,
            # the reserve is that of the destination's owner, and anybody may say that a number is theirs
            door=door_of(transaction, visit, flow, self._at_door, now) if self._own else self._at_door,
            language=person.language or visit.language,
            now=now,
        )
        details: dict[str, object] = {"channel": contact.channel.value, "contact": contact.id, "outbox": pin.outbox_id}
        audit.add(transaction, own_record(Event.PIN_SENT, flow, visit, now, right=True, details=details))
        return pin

    def withdraw(self, notes: dict[str, Any]) -> None:
        """Take back the PIN of notes that found no flow to stand in."""
        if notes["pin"] is not None:
            self._take_back(Pin.from_notes(notes["pin"]))

    def _take_back(self, pin: Pin) -> None:
        with self._means.database.begin() as transaction:
            self._means.outbox.withdraw(transaction, pin.outbox_id, self._means.clock.now())

    def send(self, visit: Visit, cookie: str | None, channel: str) -> None:
        """Send another PIN, by the same channel or the other. The earlier one is void from then on."""
        means = self._means
        if channel not in CHANNELS:
            raise Wrong(Code.NOT_A_CHANNEL, field="channel")
        means.limits.attempt(visit)
        held = self._at(cookie)
        flow, now = held.flow, means.clock.now()
        earlier = _pin(flow)
        if _left(flow) <= 0:
            raise OutOfOrder(Code.PIN_SPENT, due=self._course.start)
        switching = earlier is not None and earlier.channel != channel and not flow.notes["switched"]
        if earlier is not None:
            wait = resend_at(earlier.sent_at, flow.notes["sends"], switching=switching) - now
            if wait > 0:
                raise Throttled(Code.TOO_SOON, retry_after=wait)
        with means.database.read() as looking:
            person = means.claims.required(looking, flow, self._course)
            contacts = [c for c in self._contacts(looking, person, flow, now) if c.channel.value == channel]
        if not contacts:
            raise Wrong(Code.NO_CHANNEL, field="channel")
        # claimed first: of many presses at once one sends
        claimed = means.flows.change(held, sends=flow.notes["sends"] + 1)
        if claimed is None:
            raise OutOfOrder(Code.OUT_OF_ORDER, due=self._course.page_of(PIN))
        try:
            with means.database.begin() as transaction:
                policy = _policy(transaction, person, now)
                pin = self._send(transaction, visit, flow, person, contacts[0], policy, now)
                if earlier is not None:
                    means.outbox.withdraw(transaction, earlier.outbox_id, now)
        except Refusal as refused:
            # nothing was sent, so it does not count; where the guard refused an SMS, none is offered any more
            without_sms: dict[str, Any] = {"without_sms": True} if refused.code in NO_SMS else {}
            means.flows.change(claimed, sends=flow.notes["sends"], **without_sms)
            self._write_not_sent(visit, flow, refused.code, channel, now)
            raise
        stored = means.flows.retry(
            claimed,
            lambda latest: means.flows.change(
                latest,
                pin=pin.to_notes(),
                earlier_void=earlier is not None,
                switched=flow.notes["switched"] or switching,
                refused="",
            ),
        )
        if stored is None:
            self._take_back(pin)
            raise OutOfOrder(Code.OUT_OF_ORDER, due=self._course.page_of(PIN))

    # ---- telling

    def page(self, cookie: str | None) -> PinPage:
        """Everything true about the PIN now. Asking changes nothing (requirements B-16)."""
        means = self._means
        flow = self._at(cookie).flow
        now = means.clock.now()
        pin = _pin(flow)
        with means.database.read() as looking:
            person = means.claims.required(looking, flow, self._course)
            contacts = self._contacts(looking, person, flow, now)
            state = means.outbox.state(looking, pin.outbox_id) if pin else Delivery.FAILED
            policy = _policy(looking, person, now) if pin is None else PinPolicy()
        ways = {contact.channel.value: Way(contact.channel.value, contact.masked) for contact in reversed(contacts)}
        if flow.notes.get("without_sms"):
            ways.pop(Channel.SMS.value, None)
        channel = pin.channel if pin else (contacts[0].channel.value if contacts else Channel.SMS.value)
        tries_left = _left(flow)
        wait = resend_at(pin.sent_at, flow.notes["sends"], switching=False) - now if pin else 0
        return PinPage(
            channel=channel,
            destination=pin.destination if pin else "",
            # to the visitor a message being handed over is still on its way
            state=(Delivery.QUEUED if state is Delivery.SENDING else state).value,
            resend_in=max(0, wait),
            expires_in=max(0, pin.expires_at - now) if pin else 0,
            tries_left=tries_left,
            digits=pin.digits if pin else digits_of(policy, channel),
            earlier_void=flow.notes["earlier_void"],
            alternatives=tuple(way for way in ways.values() if way.channel != channel),
            can_resend=tries_left > 0 and channel in ways,
            refused=flow.notes["refused"],
        )

    # ---- judging

    def shape(self, typed: str) -> str:
        """The digits. Raises Wrong where it is no PIN at all, which is no try."""
        digits = typed_pin(typed)
        if digits is None:
            raise Wrong(Code.NOT_A_CODE if typed.strip() else Code.MISSING, field="pin")
        return digits

    def prove(
        self, visit: Visit, cookie: str | None, digits: str, then: Callable[[Transaction, Person, Pin, Held], _T]
    ) -> tuple[_T, Held, Pin]:
        """Judge a PIN: what ``then`` made of it in the same transaction, the flow as it was counted, and the PIN.

        One of the flow's tries is taken by compare-and-set and one of the person's is counted in SQL, before
        anything is compared. One that went to a contact that was removed meanwhile is wrong, whatever is typed.
        Raises Wrong, Throttled, OutOfOrder.
        """
        means = self._means
        held, pin = self._count(visit, cookie)
        flow, now = held.flow, means.clock.now()
        left = _left(flow)
        try:
            with means.database.read() as looking:
                door = door_of(looking, visit, flow, self._at_door, now)
            with means.claims.noting(visit, flow, Factor.PIN, now):
                spent = means.tries.spend(subject_of(flow), Factor.PIN, door)
        except Throttled as throttled:
            # the person waits, and nothing was judged: the flow's try is given back
            means.flows.retry(held, self._give_back)
            raise Throttled(throttled.code, field="pin", retry_after=throttled.retry_after) from None
        right = means.pins.matches(pin, txn=flow.txn, purpose=self._course.purpose, typed=digits)
        with means.database.begin() as transaction:
            person = means.claims.required(transaction, flow, self._course)
            contact = people.contact(transaction, pin.contact_id)
            gone = contact is None or contact.removed_at is not None
            right = right and not gone
            event, reason = (Event.PIN_OK, "") if right else (Event.PIN_FAIL, "removed" if gone else "wrong")
            details: dict[str, object] = {"channel": pin.channel, "contact": pin.contact_id}
            if not right:
                details["tries_left"] = left
            audit.add(transaction, own_record(event, flow, visit, now, right=right, reason=reason, details=details))
            if right:
                means.tries.succeed(transaction, spent)
                people.contact_used(transaction, pin.contact_id, now)
                result = then(transaction, person, pin, held)
                means.pins.verified(transaction, pin, now)
                return result, held, pin
            if spent.closed_to_strangers:
                means.claims.warn_owner(transaction, visit, person, now)
        if left > 0:
            raise Wrong(Code.WRONG_PIN, field="pin", details={"tries_left": left})
        means.flows.retry(held, lambda latest: means.flows.change(latest, state=CLOSED))
        raise OutOfOrder(Code.PIN_SPENT, due=self._course.start)

    def advance(self, held: Held, pin: Pin, step: Callable[[Held], _T | None]) -> _T:
        """Move the flow on with a PIN that was right, while that still is its PIN. Raises OutOfOrder."""

        def living(flow: Flow) -> bool:
            now = _pin(flow)
            return now is not None and now.outbox_id == pin.outbox_id

        advanced = self._means.flows.retry(held, step, living)
        if advanced is None:
            raise OutOfOrder(Code.OUT_OF_ORDER, due=self._course.page_of(self._after))
        return advanced

    def _give_back(self, latest: Held) -> Held | None:
        return self._means.flows.change(latest, pin_tries=latest.flow.notes["pin_tries"] - 1)

    def _count(self, visit: Visit, cookie: str | None) -> tuple[Held, Pin]:
        """Take one of the flow's tries by compare-and-set, before anything is compared."""
        while True:
            held = self._at(cookie)
            pin = _pin(held.flow)
            if _left(held.flow) <= 0:
                raise OutOfOrder(Code.PIN_SPENT, due=self._course.start)
            if pin is None or self._means.clock.now() >= pin.expires_at:
                self._write_expired(visit, held.flow, pin)
                raise Wrong(Code.PIN_EXPIRED, field="pin")
            counted = self._means.flows.change(held, pin_tries=held.flow.notes["pin_tries"] + 1)
            if counted is not None:
                return counted, pin

    def _write_expired(self, visit: Visit, flow: Flow, pin: Pin | None) -> None:
        means = self._means
        if pin is None or not means.tries.is_news(subject_of(flow), f"expired:{pin.outbox_id[:8]}"):
            return
        details: dict[str, object] = {"channel": pin.channel, "contact": pin.contact_id}
        record = own_record(
            Event.PIN_FAIL, flow, visit, means.clock.now(), right=False, reason="expired", details=details
        )
        with means.database.begin() as transaction:
            audit.add_if_known(transaction, record)


def recovery_contacts(means: PinMeans) -> Contacts:
    """Where a recovery PIN may go, the first choice first as the policy orders them: phones, then mailboxes by default.

    With so many failed codes in a day, or by a mailed link, a mailbox alone gets no PIN where there is a phone that
    may get one (security rule 2). After a temporary access code none goes where its request was approved (rule 4).
    Where what all organizations take reaches none of them, what the home organization takes counts (rule 12).
    """

    def contacts(transaction: Transaction, person: Person, flow: Flow, now: int) -> tuple[Contact, ...]:
        barred = people.contact(transaction, flow.notes[NOT_TO]) if NOT_TO in flow.notes else None
        there = people.usable_contacts(transaction, person.id, now)
        may = tuple(one for one in there if barred is None or not one.same_place(barred))
        policies = organizations.policies_of_person(transaction, person.id, now)
        having = reached(one for one in may if len(policies) > 1 and means.pins.may_go_to(transaction, one, now))
        usable = in_order(met(policies, having).second, there)
        phones = tuple(contact for contact in usable if contact.channel is Channel.SMS)
        suspicious = means.tries.failures_today(transaction, person.id, Factor.APP) >= _SUSPICIOUS_FAILURES
        if phones and (suspicious or flow.notes.get(LANE)):
            usable = phones
        return tuple(one for one in usable if one in may)

    return contacts


def _notes(policy: PinPolicy, pin: Pin | None, refused: str, *, without_sms: bool = False) -> dict[str, Any]:
    """What a flow needs to know in this state; how many tries it has is decided here, for all of it."""
    return {
        "pin": pin.to_notes() if pin else None,
        "sends": 1 if pin else 0,
        "pin_tries": 0,
        "most_tries": policy.tries,
        "earlier_void": False,
        "switched": False,
        "refused": refused,
        "without_sms": without_sms,
    }


def _policy(transaction: Transaction, person: Person, now: int) -> PinPolicy:
    return organizations.policy_of_person(transaction, person.id, now).pin


def _left(flow: Flow) -> int:
    """The tries that a flow has left; one that began under an older version has those of the default."""
    return int(flow.notes.get("most_tries", PinPolicy().tries)) - int(flow.notes["pin_tries"])


def _pin(flow: Flow) -> Pin | None:
    notes = flow.notes.get("pin")
    return Pin.from_notes(notes) if notes else None
