"""Phones and e-mail addresses of somebody signed in: added and confirmed by a PIN, removed, put first.

Each change is told to every contact that was usable before it. A new contact waits for seven days before it gets a
PIN for anything but itself, or a notice (security rules 5 and 6).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.factors.pin.model import Pin, PinPage
from app.foundation.chance import Chance
from app.foundation.clock import Clock
from app.foundation.refusals import Code, OutOfOrder, Throttled, Wrong
from app.foundation.sql import Database, Transaction
from app.foundation.visit import Visit
from app.journeys.contacts import rules
from app.journeys.contacts.flow import COURSES, HOME, State
from app.journeys.contacts.model import ChangePage, NewPage, Shown
from app.records.attempts.model import Door
from app.records.attempts.service import AddressLimits, Tries
from app.records.audit.model import Event
from app.records.delivery.model import Purpose
from app.records.delivery.outbox import Outbox
from app.records.flows.model import LIFE, Flow, Held
from app.records.flows.service import Flows
from app.records.people import store as people
from app.records.people.model import Channel, Contact, Person
from app.records.sessions import store as sessions
from app.steps.change import Changes
from app.steps.claim import Claims
from app.steps.pin import PinMeans, PinStep
from app.steps.presence import Presence, Present

_FIELDS = {Channel.SMS: "phone", Channel.EMAIL: "email"}
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class ContactMeans:
    """What the journey stands on."""

    database: Database
    flows: Flows
    limits: AddressLimits
    tries: Tries
    outbox: Outbox
    chance: Chance
    clock: Clock
    claims: Claims
    pins: PinMeans
    presence: Presence
    changes: Changes


class Contacts:
    """The journey behind the rows SMS and e-mail."""

    def __init__(self, means: ContactMeans) -> None:
        self._means = means
        self._pins = {
            channel: PinStep(
                means.pins, course=course, at=Door.SIGN_IN, contacts=self._asked_for, after=State.DONE.value, own=False
            )
            for channel, course in COURSES.items()
        }

    # ---- adding

    def new_page(self, present: Present, channel: Channel) -> NewPage:
        """What there is of this kind."""
        with self._means.database.read() as looking:
            own = _of_kind(people.contacts_of(looking, present.person.id), channel)
        shown = tuple(_shown(one, own, present.now) for one in own)
        return NewPage(channel.value, shown, full=len(_confirmed(own)) >= rules.CONTACTS)

    def begin(self, visit: Visit, session: str | None, channel: Channel, typed: str) -> str:
        """Add a contact that has yet to be confirmed, and send a PIN there. Returns the flow's cookie.

        An earlier one of the kind that was not confirmed goes. Nothing depends on who else has the address.
        Raises Wrong, Throttled, OutOfOrder.
        """
        means = self._means
        present = means.presence.fresh(session, visit)
        means.limits.attempt(visit)
        address = _address(channel, typed)
        person, now = present.person, means.clock.now()
        with means.database.read() as looking:
            _judge(people.contacts_of(looking, person.id), channel, address, _FIELDS[channel])
        contact = Contact(
            id=means.chance.name(),
            person_id=person.id,
            channel=channel,
            address=address,
            position=rules.CONTACTS,
            confirmed_at=None,
            usable_from=now + rules.WAIT,
            removed_at=None,
            pending_until=now + LIFE,
        )
        cookie, held = means.claims.begin_as(
            visit, COURSES[channel], State.PIN, person, contact=contact.id, session=present.session.id
        )
        try:
            with means.database.begin() as transaction:
                means.presence.hold(transaction, present)
                _judge(people.contacts_of(transaction, person.id), channel, address, _FIELDS[channel])
                self._spend(transaction, person.id)
                people.drop_pending(transaction, person.id, channel, now)
                people.add_contact(transaction, contact, now)
                notes = self._pins[channel].first_to(transaction, visit, held.flow, person, contact)
        except Throttled as throttled:
            raise Throttled(throttled.code, field=_FIELDS[channel], retry_after=throttled.retry_after) from None
        except Wrong as wrong:
            # whoever sends names the channel, which on this page is the number that was typed
            raise Wrong(wrong.code, field=_FIELDS[channel], details=wrong.details) from None
        if means.flows.change(held, **notes) is None:
            self._pins[channel].withdraw(notes)
            raise OutOfOrder(Code.OUT_OF_ORDER, due=COURSES[channel].start)
        return cookie

    def _spend(self, transaction: Transaction, person_id: int) -> None:
        """Count a person's own changes as messages to one destination are counted. Raises Throttled.

        Or one account could send PINs to any number of phones (requirements M-10), or its owner notices without end.
        """
        self._means.tries.spend_send(transaction, f"contacts of {person_id}", Door.SIGN_IN)

    def _asked_for(self, transaction: Transaction, person: Person, flow: Flow, now: int) -> tuple[Contact, ...]:
        """Where the PIN of a flow goes: to the one contact that it is to confirm, while that is pending."""
        contact = people.contact(transaction, flow.notes["contact"])
        if contact is None or contact.person_id != person.id or contact.pending_until is None:
            return ()
        return (contact,) if contact.removed_at is None and contact.pending_until > now else ()

    def pin_page(
        self, visit: Visit, session: str | None, task: str | None, channel: Channel, *, used: bool = True
    ) -> PinPage:
        """Everything true about the PIN now. ``used`` False: a script asks."""
        self._own(self._means.presence.full(session, visit, used=used), task, channel)
        return self._pins[channel].page(task)

    def send(self, visit: Visit, session: str | None, task: str | None, channel: Channel) -> None:
        """Send another PIN to the same contact."""
        self._own(self._means.presence.full(session, visit), task, channel)
        self._pins[channel].send(visit, task, channel.value)

    def _own(self, present: Present, task: str | None, channel: Channel) -> None:
        """A PIN that was sent for one session and one contact is good there alone. Raises OutOfOrder."""
        course = COURSES[channel]
        flow = self._means.flows.at(task, course, State.PIN).flow
        if flow.notes["session"] != present.session.id:
            raise OutOfOrder(Code.FLOW_LOST, due=course.start)
        with self._means.database.read() as looking:
            there = self._asked_for(looking, present.person, flow, present.now)
        if not [one for one in there if one.channel is channel]:
            raise OutOfOrder(Code.FLOW_LOST, due=course.start)

    def confirm(self, visit: Visit, session: str | None, task: str | None, channel: Channel, typed: str) -> None:
        """Judge the PIN; if right, the contact is confirmed, and waits. Raises Wrong, Throttled, OutOfOrder."""
        present = self._means.presence.full(session, visit)
        digits = self._pins[channel].shape(typed)
        self._means.limits.attempt(visit)
        self._own(present, task, channel)

        def then(transaction: Transaction, person: Person, pin: Pin, _held: Held) -> None:
            self._means.presence.hold(transaction, present)
            self._confirm(transaction, visit, person, channel, pin.contact_id)

        _, held, _ = self._pins[channel].prove(visit, task, digits, then)
        # the contact is confirmed once, in SQL; the flow is only told of it
        self._means.flows.retry(held, lambda latest: self._means.flows.change(latest, state=State.DONE, pin=None))

    def _confirm(
        self, transaction: Transaction, visit: Visit, person: Person, channel: Channel, contact_id: str
    ) -> None:
        now = self._means.clock.now()
        before = people.contacts_of(transaction, person.id)
        own = _confirmed(_of_kind(before, channel))
        contact = next((one for one in before if one.id == contact_id), None)
        if contact is None:
            raise OutOfOrder(Code.OUT_OF_ORDER, due=COURSES[channel].start)
        _judge(before, channel, contact.address, "pin")
        confirmed = replace(
            contact,
            confirmed_at=now,
            usable_from=now + rules.WAIT,
            position=1 + max((one.position for one in own), default=-1),
            pending_until=None,
        )
        if not people.confirm_contact(transaction, confirmed):
            raise OutOfOrder(Code.OUT_OF_ORDER, due=HOME)
        self._means.changes.announce(
            transaction,
            visit=visit,
            person=person,
            event=Event.CONTACT_ADDED,
            template="notice_contact_added",
            variables={**_named(confirmed), "usable_from": confirmed.usable_from},
            now=now,
            before=before,
            details=_details(confirmed),
        )
        self._tell(transaction, visit, person, confirmed, removed=False)

    # ---- removing, and putting first

    def removal_page(self, present: Present, channel: Channel, contact_id: str) -> ChangePage | None:
        """What would follow from a removal; None where this is no contact of theirs."""
        with self._means.database.read() as looking:
            contact = _find(looking, present.person.id, channel, contact_id)
            every = people.contacts_of(looking, present.person.id)
        if contact is None:
            return None
        loss = ""
        left = [one for one in every if one.id != contact.id]
        if _is_last(contact, every):
            loss = "last"
        elif contact.usable(present.now) and not any(one.usable(present.now) for one in left):
            loss = "usable"
        return ChangePage(_shown(contact, _of_kind(every, channel), present.now), loss)

    def remove(
        self, visit: Visit, session: str | None, channel: Channel, contact_id: str, *, everywhere: bool = False
    ) -> bool:
        """Take a contact off. False where this is no contact of theirs. Raises Wrong, OutOfOrder.

        ``everywhere``: all other sessions end.
        """
        means = self._means
        present = means.presence.fresh(session, visit)
        person = present.person
        means.limits.attempt(visit)
        now = means.clock.now()
        with means.database.begin() as transaction:
            means.presence.hold(transaction, present)
            contact = _find(transaction, person.id, channel, contact_id)
            if contact is None:
                return False
            if contact.pending_until is not None:
                people.drop_pending(transaction, person.id, channel, now)
                return True
            before = people.contacts_of(transaction, person.id)
            if _is_last(contact, before):
                raise Wrong(Code.LAST_CONTACT)
            people.remove_contact(transaction, person.id, contact.id, now)
            if everywhere:
                sessions.end_all(transaction, person.id, but=present.session.id)
            means.changes.announce(
                transaction,
                visit=visit,
                person=person,
                event=Event.CONTACT_REMOVED,
                template="notice_contact_removed",
                variables=_named(contact),
                now=now,
                before=before,
                details=_details(contact),
            )
            if contact.confirmed_at is not None and not contact.usable(now):
                self._tell(transaction, visit, person, contact, removed=True)
        return True

    def default_page(self, present: Present, channel: Channel, contact_id: str) -> ChangePage | None:
        """A contact that may be put first; None where this is none of theirs."""
        with self._means.database.read() as looking:
            contact = _find(looking, present.person.id, channel, contact_id)
            own = _of_kind(people.contacts_of(looking, present.person.id), channel)
        if contact is None or contact.confirmed_at is None:
            return None
        first = _confirmed(own)[0]
        if first.id == contact.id:
            raise OutOfOrder(Code.OUT_OF_ORDER, due=HOME)
        return ChangePage(_shown(contact, own, present.now), "", first.masked)

    def make_default(self, visit: Visit, session: str | None, channel: Channel, contact_id: str) -> bool:
        """Put a contact first of its kind. False where this is none of theirs. Raises Throttled, OutOfOrder."""
        means = self._means
        present = means.presence.fresh(session, visit)
        person = present.person
        means.limits.attempt(visit)
        with means.database.begin() as transaction:
            means.presence.hold(transaction, present)
            contact = _find(transaction, person.id, channel, contact_id)
            if contact is None or contact.confirmed_at is None:
                return False
            before = people.contacts_of(transaction, person.id)
            own = _confirmed(_of_kind(before, channel))
            if own[0].id == contact.id:
                raise OutOfOrder(Code.OUT_OF_ORDER, due=HOME)
            self._spend(transaction, person.id)
            people.order_contacts(transaction, [contact, *(one for one in own if one.id != contact.id)])
            means.changes.announce(
                transaction,
                visit=visit,
                person=person,
                event=Event.CONTACT_DEFAULT,
                template="notice_contact_default",
                variables=_named(contact),
                now=means.clock.now(),
                before=before,
                details=_details(contact),
            )
        return True

    # ----

    def _tell(self, transaction: Transaction, visit: Visit, person: Person, contact: Contact, *, removed: bool) -> None:
        """Tell a contact that waits what became of itself; the notices of the account are not for it yet."""
        now = self._means.clock.now()
        self._means.outbox.enqueue(
            transaction,
            contact=contact,
            template="notice_your_contact",
            variables={
                "channel": contact.channel.value,
                "removed": removed,
                "usable_from": contact.usable_from,
                "at": now,
                "address": visit.address,
            },
            language=person.language or visit.language,
            purpose=Purpose.NOTICE,
            now=now,
        )


def _address(channel: Channel, typed: str) -> str:
    """What was typed, as it is stored. Raises Wrong."""
    field = _FIELDS[channel]
    if not typed.strip():
        raise Wrong(Code.MISSING, field=field)
    if len(typed) > rules.MOST:
        raise Wrong(Code.TOO_LONG, field=field)
    address = rules.typed_phone(typed) if channel is Channel.SMS else rules.typed_email(typed)
    if address is None:
        raise Wrong(Code.NOT_A_PHONE if channel is Channel.SMS else Code.NOT_AN_EMAIL, field=field)
    return address


def _judge(every: Sequence[Contact], channel: Channel, address: str, field: str) -> None:
    """Whether an address may be added to these. Raises Wrong."""
    own = _confirmed(_of_kind(every, channel))
    if any(rules.same(channel, one.address, address) for one in own):
        raise Wrong(Code.CONTACT_THERE, field=field)
    if len(own) >= rules.CONTACTS:
        raise Wrong(Code.TOO_MANY_CONTACTS, field=field)


def _find(transaction: Transaction, person_id: int, channel: Channel, contact_id: str) -> Contact | None:
    """A present contact of this person and kind. Raises OutOfOrder where it was removed before."""
    contact = people.contact(transaction, contact_id) if rules.is_name(contact_id) else None
    if contact is None or contact.person_id != person_id or contact.channel is not channel:
        return None
    if contact.removed_at is not None:
        raise OutOfOrder(Code.OUT_OF_ORDER, due=HOME)
    return contact


def _of_kind(every: Sequence[Contact], channel: Channel) -> list[Contact]:
    return [one for one in every if one.channel is channel]


def _confirmed(several: Sequence[Contact]) -> list[Contact]:
    return [one for one in several if one.confirmed_at is not None]


def _is_last(contact: Contact, every: Sequence[Contact]) -> bool:
    """Whether without it no contact were left to recover with."""
    return [one.id for one in _confirmed(every)] == [contact.id]


def _shown(contact: Contact, own: Sequence[Contact], now: int) -> Shown:
    state = "pending"
    if contact.confirmed_at is not None:
        state = "active" if contact.usable(now) else "waiting"
    days = -(-max(0, contact.usable_from - now) // _DAY)
    first = _confirmed(own)[:1]
    return Shown(
        contact.id, contact.channel.value, contact.masked, state, days, first=[one.id for one in first] == [contact.id]
    )


def _named(contact: Contact) -> dict[str, object]:
    return {"channel": contact.channel.value, "destination": contact.masked}


def _details(contact: Contact) -> dict[str, object]:
    return {"contact": contact.id, **_named(contact)}
