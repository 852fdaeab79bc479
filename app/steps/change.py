"""What follows every change of a factor or a contact: it is written down, and told to every contact.

The notices carry a link that freezes the account (security rule 5).
"""

from collections.abc import Mapping, Sequence

from app.foundation.sql import Transaction
from app.foundation.visit import Visit
from app.records.audit import store as audit
from app.records.audit.model import Event, Record
from app.records.cases.model import Kind
from app.records.cases.service import UndoLinks
from app.records.delivery.outbox import Outbox
from app.records.people import store as people
from app.records.people.model import Contact, Person


class Changes:
    """Announces changes that somebody made to their own account."""

    def __init__(self, *, outbox: Outbox, undo: UndoLinks) -> None:
        self._outbox = outbox
        self._undo = undo

    def announce(
        self,
        transaction: Transaction,
        *,
        visit: Visit,
        person: Person,
        event: Event,
        template: str,
        variables: Mapping[str, object],
        now: int,
        before: Sequence[Contact] = (),
        details: Mapping[str, object] | None = None,
        kind: Kind | None = None,
    ) -> tuple[Contact, ...]:
        """Write the event and queue a notice, with the caller's transaction. Returns who is told.

        Told is every contact that was confirmed and past its waiting time before the change: ``before`` where the
        change is one of contacts, so that whoever removes a contact cannot silence it (security rule 5).
        ``variables`` are the template's own; ``at``, ``address`` and ``undo``, the link, are added. ``kind`` says on
        the page of the link what was changed; without one the template's name does.
        """
        link = self._undo.issue(transaction, person.id, kind or kind_of(template), now)
        told = self._outbox.notify(
            transaction,
            contacts=before or people.contacts_of(transaction, person.id),
            template=template,
            variables={**variables, "at": now, "address": visit.address, "undo": link},
            language=person.language or visit.language,
            now=now,
        )
        shown: dict[str, object] = {"told": [contact.id for contact in told], **(details or {})}
        audit.add(transaction, Record(event, now, person.id, "self", "success", "", visit.address, shown))
        return told


def kind_of(template: str) -> Kind:
    """What a notice tells of, by its name: notice_app_added tells of an app."""
    words = set(template.split("_"))
    if words & {"phone", "email", "contact", "contacts"}:
        return Kind.CONTACT
    if words & {"code", "codes"}:
        return Kind.RECOVERY_CODES
    if "question" in words:
        return Kind.SECURITY_ANSWER
    return Kind.PASSWORD if "password" in words else Kind.APP
