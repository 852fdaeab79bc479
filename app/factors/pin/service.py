"""Making, sending and checking one-time PINs. Once handed to the outbox a PIN exists only as a keyed hash."""

from app.factors.pin.model import Pin
from app.factors.pin.rules import digits_of, life_of
from app.foundation.chance import Chance
from app.foundation.refusals import Code, Throttled
from app.foundation.secretbox import Keyring, same
from app.foundation.sql import Transaction
from app.records.attempts.model import Door
from app.records.attempts.service import Tries
from app.records.delivery.model import Purpose
from app.records.delivery.outbox import Outbox
from app.records.delivery.service import SmsGuard
from app.records.organizations.model import PinPolicy
from app.records.people.model import Channel, Contact


class Pins:
    """What the journeys need of PINs."""

    def __init__(
        self,
        keyring: Keyring,
        chance: Chance,
        outbox: Outbox,
        tries: Tries,
        *,
        messages_per_hour: int,
        sms: SmsGuard,
    ) -> None:
        self._keyring = keyring
        self._chance = chance
        self._outbox = outbox
        self._tries = tries
        self._messages_per_hour = messages_per_hour
        self._sms = sms

    def may_go_to(self, transaction: Transaction, contact: Contact, now: int) -> bool:
        """Whether a message may go to a contact at all: an SMS not to every country."""
        if contact.channel is not Channel.SMS:
            return True
        return self._sms.may_go_to(transaction, contact.person_id, contact.address, now)

    def send(
        self,
        transaction: Transaction,
        *,
        policy: PinPolicy,
        txn: str,
        purpose: str,
        contact: Contact,
        door: Door,
        language: str,
        now: int,
    ) -> Pin:
        """Make a PIN for one flow and queue its message with the caller's transaction. Raises Throttled, Wrong.

        The address is read from the contact again when the message leaves (requirements B-15).
        """
        self._tries.spend_send(transaction, contact.address, door)
        self._tries.hold_messages(transaction)
        if self._outbox.sent_within(transaction, 3_600, now) >= self._messages_per_hour:
            raise Throttled(Code.TOO_MANY_MESSAGES, retry_after=600)
        # counted with the message that it is for, or many at once would all find room
        fare = None
        if contact.channel is Channel.SMS:
            fare = self._sms.spend(transaction, contact.person_id, contact.address, now)
        channel = contact.channel.value
        digits = self._chance.digits(digits_of(policy, channel))
        life = life_of(policy, channel)
        expires_at = now + life
        outbox_id = self._outbox.enqueue(
            transaction,
            contact=contact,
            template="pin",
            variables={"pin": digits, "minutes": life // 60},
            language=language,
            purpose=Purpose.PIN,
            now=now,
            expires_at=expires_at,
            fare=fare,
        )
        digest = self._digest(txn, purpose, contact.id, digits)
        return Pin(channel, contact.id, contact.masked, digest, outbox_id, now, expires_at, len(digits))

    def matches(self, pin: Pin, *, txn: str, purpose: str, typed: str) -> bool:
        """Whether the typed digits are this flow's living PIN. The caller has counted the try."""
        return same(self._digest(txn, purpose, pin.contact_id, typed), pin.digest)

    def verified(self, transaction: Transaction, pin: Pin, now: int) -> None:
        """Write down that a PIN was typed: where few of those sent are, no more go by SMS."""
        self._outbox.verified(transaction, pin.outbox_id, now)

    def _digest(self, txn: str, purpose: str, contact_id: str, digits: str) -> str:
        return self._keyring.mac_hex("pin", txn, purpose, contact_id, digits)
