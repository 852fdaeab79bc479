"""The outbox: a message is written with the change that it tells of, in the same transaction."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TypeVar

from app.foundation.chance import Chance
from app.foundation.secretbox import Keyring
from app.foundation.sql import Transaction
from app.records.delivery import rules, store
from app.records.delivery.channels import letters
from app.records.delivery.model import Channel, Contact, Entry, Fare, Purpose, State

PURPOSE_OF_KEY = "outbox"

_C = TypeVar("_C", bound=Contact)


class Outbox:
    """Enqueues messages. Nothing leaves the house here (architecture rule 10)."""

    def __init__(self, keyring: Keyring, chance: Chance, public_host: str) -> None:
        self._keyring = keyring
        self._chance = chance
        self._public_host = public_host

    def enqueue(
        self,
        transaction: Transaction,
        *,
        contact: Contact,
        template: str,
        variables: Mapping[str, object],
        language: str,
        purpose: Purpose,
        now: int,
        expires_at: int | None = None,
        wanted: bool | None = None,
        fare: Fare | None = None,
    ) -> str:
        """Queue one message and return its id.

        ``fare`` says that an SMS was counted in this transaction; one without is counted when it leaves.

        ``wanted`` False does the same work and leaves nothing behind, so that before a proof nobody can tell whether
        a message goes out (security rule 14); those who use it say True where one does.

        ``variables`` must be fit for JSON; they are sealed and wiped once they are not needed. Where it goes is
        not kept: the contact is read again when it is sent (requirement B-15). A PIN needs ``expires_at``; a
        notice without one is tried for three days. Raises ValueError for a template that does not exist.
        """
        channel = Channel(contact.channel)
        if not _exists(template, channel):
            raise ValueError(f"there is no template {template!r} for {channel.value}")
        if expires_at is None:
            if purpose is Purpose.PIN:
                raise ValueError("a PIN expires")
            expires_at = now + rules.NOTICE_LIFE
        name = self._chance.name()
        plain = json.dumps(dict(variables), ensure_ascii=False).encode()
        entry = Entry(
            id=name,
            channel=channel,
            purpose=purpose,
            person_id=contact.person_id,
            contact_id=contact.id,
            template=template,
            language=language,
            payload=self._keyring.seal(PURPOSE_OF_KEY, plain, bound_to=f"outbox:{name}"),
            tries=0,
            created_at=now,
            expires_at=expires_at,
            # fixed here, so that a second copy after a crash is recognised as the same letter
            message_id=f"<{name}@{self._public_host}>" if channel is Channel.EMAIL else "",
            organization_id=fare.organization_id if fare else None,  # the home organization then
            fare=fare,
        )
        if wanted is None:
            store.add(transaction, entry)
        else:
            store.add_if(transaction, entry, wanted=wanted)
        return name

    def notify(
        self,
        transaction: Transaction,
        *,
        contacts: Sequence[_C],
        template: str,
        variables: Mapping[str, object],
        language: str,
        now: int,
    ) -> tuple[_C, ...]:
        """Queue a notice to every given contact that is confirmed and past its waiting time; return those.

        A contact that was just removed counts if the caller names it (security rule 5, requirement A-08).
        """
        told = tuple(one for one in contacts if one.confirmed_at is not None and one.usable_from <= now)
        for contact in told:
            self.enqueue(
                transaction,
                contact=contact,
                template=template,
                variables=variables,
                language=language,
                purpose=Purpose.NOTICE,
                now=now,
            )
        return told

    def state(self, transaction: Transaction, outbox_id: str) -> State:
        """Where a message is. UNKNOWN for an id that is not there."""
        found = store.state(transaction, outbox_id)
        return found[0] if found else State.UNKNOWN

    def reason(self, transaction: Transaction, outbox_id: str) -> str:
        """Why it failed or waits, as a stable code (docs/delivery.md); empty where nothing is wrong."""
        found = store.state(transaction, outbox_id)
        return found[1] if found else ""

    def withdraw(self, transaction: Transaction, outbox_id: str, now: int) -> bool:
        """Take back a message that is not needed any more, such as a voided PIN. True where it never left.

        One that is being sent at this moment cannot be called back, but gets no further attempt.
        """
        return store.withdraw(transaction, outbox_id, now)

    def verified(self, transaction: Transaction, outbox_id: str, now: int) -> None:
        """Write down that the PIN of a message was typed."""
        store.verify(transaction, outbox_id, now)

    def sms_within(self, transaction: Transaction, seconds: int, now: int) -> tuple[int, int, int]:
        """Of SMS in the last so many seconds: PINs counted, PINs typed, and the millionths that all of them cost."""
        return store.sms_since(transaction, now - seconds)

    def sent_within(self, transaction: Transaction, seconds: int, now: int) -> int:
        """How many messages were enqueued in the last so many seconds, over the whole installation.

        Not counted is what the portal tells by itself (``BY_ITSELF``).
        """
        return store.count_since(transaction, now - seconds)


@lru_cache(maxsize=128)
def _exists(template: str, channel: Channel) -> bool:
    return letters.exists(template, channel)
