"""Inviting somebody to activate their account: a mailed link, and a second thing that the link alone is not."""

from app.factors.password import store as passwords
from app.factors.recovery_code import rules
from app.factors.recovery_code.model import OCTETS
from app.factors.totp import store as apps
from app.foundation.chance import Chance
from app.foundation.secretbox import Keyring, fingerprint, same
from app.foundation.sql import Transaction
from app.records.delivery.model import Purpose
from app.records.delivery.outbox import Outbox
from app.records.invitations import store
from app.records.invitations.model import LIFE, Invitation
from app.records.organizations import store as organizations
from app.records.organizations.model import Role
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
        people.hold(transaction, person.id)  # of two at once the second voids the first
        contacts = filed(transaction, person.id)
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

    def may_go_to(self, transaction: Transaction, person: Person) -> bool:
        """Whether an invitation would alter nothing that is in use: only what an earlier one began (rule 12)."""
        earlier = store.unfinished(transaction, person.id)
        begun = earlier is not None and earlier.reached != "" and person.recovered_at is None
        return begun or not in_use(transaction, person.id)

    def untouched(self, transaction: Transaction, person: Person) -> bool:
        """Whether nobody proved anything of the account yet: no app, password or contact of it, no step of an
        activation; and nobody gave it power, or who files its contacts would take that over (security rule 4)."""
        earlier = store.unfinished(transaction, person.id)
        memberships = organizations.memberships_of(transaction, person.id)
        return (
            person.recovered_at is None
            and not in_use(transaction, person.id)
            and not (earlier is not None and earlier.reached)
            and not any(one.confirmed_at for one in people.contacts_of(transaction, person.id))
            and all(one.is_primary and one.role is Role.MEMBER for one in memberships if one.proposed_at is None)
        )

    def living(self, transaction: Transaction, invitation_id: str, now: int) -> Invitation | None:
        """An invitation that is still good. One by which no password was chosen dies once another way gave one."""
        invitation = store.find(transaction, invitation_id, now)
        if invitation is None or (not invitation.reached and in_use(transaction, invitation.person_id)):
            return None
        return invitation

    def code_fits(self, invitation: Invitation, code: str) -> bool:
        """Whether it is the activation code, in its one form. The caller has counted the try."""
        return bool(invitation.code_digest) and same(self._digest(invitation.id, code), invitation.code_digest)

    def _digest(self, invitation_id: str, code: str) -> str:
        return self._keyring.mac_hex("activation-code", invitation_id, code)


def filed(transaction: Transaction, person_id: int) -> tuple[Contact, ...]:
    """The contacts that the administrator filed, confirmed or not; none that somebody typed and never confirmed."""
    return tuple(one for one in people.contacts_of(transaction, person_id) if one.pending_until is None)


def in_use(transaction: Transaction, person_id: int) -> bool:
    """Whether somebody has an app, or a password that was not given to them to be changed."""
    record = passwords.find(transaction, person_id)
    return bool(apps.of_person(transaction, person_id)) or (record is not None and not record.given)
