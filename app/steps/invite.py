"""Inviting somebody to activate their account: a mailed link, and a second thing that the link alone is not."""

from app.factors.recovery_code import rules
from app.factors.recovery_code.model import OCTETS
from app.foundation.chance import Chance
from app.foundation.secretbox import Keyring, fingerprint, same
from app.foundation.sql import Transaction
from app.records.delivery.model import Purpose
from app.records.delivery.outbox import Outbox
from app.records.invitations import store
from app.records.invitations.model import LIFE, Invitation
from app.records.people import store as people
from app.records.people.model import Channel, Contact, Person


class Invitations:
    """Makes invitations and judges their activation codes."""

    def __init__(self, *, keyring: Keyring, chance: Chance, outbox: Outbox, public_url: str) -> None:
        self._keyring = keyring
        self._chance = chance
        self._outbox = outbox
        self._public_url = public_url.rstrip("/")

    def send(self, transaction: Transaction, person: Person, language: str, now: int) -> tuple[Contact, str] | None:
        """Queue the mail with a new link; returns where it goes and the activation code, empty where a phone is filed.

        None where there is no mailbox. The earlier invitation dies; what was reached by it stays reached.
        """
        contacts = people.contacts_of(transaction, person.id)
        mailbox = next((contact for contact in contacts if contact.channel is Channel.EMAIL), None)
        if mailbox is None:
            return None
        by_code = not any(contact.channel is Channel.SMS for contact in contacts)
        token = self._chance.token()
        code = rules.written(self._chance.octets(OCTETS)) if by_code else ""
        unfinished = store.unfinished(transaction, person.id)
        invitation = Invitation(
            id=fingerprint(token),
            person_id=person.id,
            contact_id=mailbox.id,
            code_digest=self._digest(fingerprint(token), code) if code else "",
            reached=unfinished.reached if unfinished else "",
            expires_at=now + LIFE,
        )
        store.add(transaction, invitation)
        self._outbox.enqueue(
            transaction,
            contact=mailbox,
            template="invitation",
            variables={
                "user_id": person.user_id,
                "link": f"{self._public_url}/activate/{token}",
                "until": invitation.expires_at,
                "by_code": by_code,
            },
            language=person.language or language,
            purpose=Purpose.NOTICE,
            now=now,
            expires_at=invitation.expires_at,
        )
        return mailbox, rules.shown(code)

    def is_unfinished(self, transaction: Transaction, person: Person) -> bool:
        """Whether somebody was invited before and has not come to the end."""
        return store.unfinished(transaction, person.id) is not None

    def code_fits(self, invitation: Invitation, code: str) -> bool:
        """Whether it is the activation code, in its one form. The caller has counted the try."""
        return bool(invitation.code_digest) and same(self._digest(invitation.id, code), invitation.code_digest)

    def _digest(self, invitation_id: str, code: str) -> str:
        return self._keyring.mac_hex("activation-code", invitation_id, code)
