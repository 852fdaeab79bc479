"""Send-me-a-test: an SMS or e-mail to a contact of the administrator's own, and what the provider made of it."""

import json
from collections.abc import Collection
from dataclasses import dataclass

from app.foundation.clock import Clock
from app.foundation.ephemeral import Ephemeral
from app.foundation.refusals import Code, Throttled, Wrong
from app.foundation.sql import Database, Transaction
from app.foundation.visit import Visit
from app.journeys.messaging import queries
from app.journeys.messaging.model import FOLLOWED, LIFE, DeliveryPage, Reach, Test, Way
from app.records.attempts.model import Door
from app.records.attempts.service import AddressLimits, Tries
from app.records.audit import store as audit
from app.records.audit.model import Event, Record
from app.records.delivery.model import Channel, Purpose, State
from app.records.delivery.outbox import Outbox
from app.records.organizations.model import Role
from app.records.people import store as people
from app.records.people.model import Contact
from app.steps.staff import Staff, Staffing

_GOOD = (State.SENT, State.DELIVERED)
_BAD = (State.FAILED, State.UNKNOWN)


@dataclass(frozen=True, slots=True)
class MessagingMeans:
    """What the journey stands on. ``configured`` are the channels that have settings."""

    database: Database
    ephemeral: Ephemeral
    clock: Clock
    limits: AddressLimits
    tries: Tries
    outbox: Outbox
    staffing: Staffing
    configured: Collection[Channel]
    messages_per_hour: int


class Messaging:
    """The page /admin/delivery."""

    def __init__(self, means: MessagingMeans) -> None:
        self._means = means

    def page(self, staff: Staff) -> DeliveryPage:
        """Both channels, the administrator's own contacts, and the newest test since this sign-in."""
        now, own = self._means.clock.now(), staff.organization_ids
        with self._means.database.read() as looking:
            ways = tuple(
                Way(
                    channel,
                    channel in self._means.configured,
                    queries.last(looking, own, channel, _GOOD, now),
                    queries.last(looking, own, channel, _BAD, now),
                )
                for channel in Channel
            )
            contacts = people.usable_contacts(looking, staff.person.id, now)
            test = self._test(looking, staff)
        reaches = tuple(Reach(one.id, Channel(one.channel.value), one.masked) for one in contacts)
        return DeliveryPage(ways, reaches, test)

    def test(self, staff: Staff) -> Test | None:
        """What became of the newest test since this sign-in; None where there was none lately."""
        with self._means.database.read() as looking:
            return self._test(looking, staff)

    def _test(self, looking: Transaction, staff: Staff) -> Test | None:
        held = self._means.ephemeral.get(_place(staff))
        if held is None:
            return None
        channel, destination, outbox_id, at = json.loads(held)
        if at <= self._means.clock.now() - FOLLOWED:
            return None
        state = self._means.outbox.state(looking, outbox_id)
        reason = self._means.outbox.reason(looking, outbox_id)
        # of an e-mail nothing more can be known than that the server took it
        ends = {State.DELIVERED, State.FAILED} | ({State.SENT} if channel == Channel.EMAIL else set())
        return Test(Channel(channel), destination, state.shown.value, reason, settled=state in ends)

    def send(self, visit: Visit, session: str | None, contact_id: str) -> None:
        """Queue a test to one of the administrator's own contacts, counted as every message is.

        Raises Wrong where it is none of theirs that is confirmed and past its waiting time; Throttled, OutOfOrder.
        """
        means = self._means
        staff = means.staffing.administrator(session, visit)
        means.limits.attempt(visit)
        now = means.clock.now()
        with means.database.begin() as transaction:
            means.staffing.hold(transaction, staff, Role.ADMINISTRATOR)
            contact = _own(transaction, staff, contact_id, now)
            means.tries.spend_send(transaction, contact.address, Door.SIGN_IN)
            means.tries.hold_messages(transaction)
            if means.outbox.sent_within(transaction, 3_600, now) >= means.messages_per_hour:
                raise Throttled(Code.TOO_MANY_MESSAGES, retry_after=600)
            outbox_id = means.outbox.enqueue(
                transaction,
                contact=contact,
                template="test",
                variables={"at": now},
                language=staff.person.language or visit.language,
                purpose=Purpose.NOTICE,
                now=now,
                expires_at=now + LIFE,
            )
            person, details = staff.person, {"channel": contact.channel.value, "contact": contact.id}
            audit.add(
                transaction,
                Record(Event.TEST_SENT, now, person.id, person.user_id, "success", "", visit.address, {**details}),
            )
        kept = [contact.channel.value, contact.masked, outbox_id, now]
        means.ephemeral.put(_place(staff), json.dumps(kept).encode(), FOLLOWED)


def _own(transaction: Transaction, staff: Staff, contact_id: str, now: int) -> Contact:
    for one in people.usable_contacts(transaction, staff.person.id, now):
        if one.id == contact_id:
            return one
    raise Wrong(Code.NOT_A_CONTACT, field="contact")


def _place(staff: Staff) -> str:
    return f"test-message:{staff.present.session.name}"
