"""What follows every change of a factor or a contact: it is written down, and told to every contact."""

from collections.abc import Mapping, Sequence

from app.foundation.sql import Transaction
from app.foundation.visit import Visit
from app.records.audit import store as audit
from app.records.audit.model import Event, Record
from app.records.delivery.outbox import Outbox
from app.records.people import store as people
from app.records.people.model import Contact, Person


class Changes:
    """Announces changes that somebody made to their own account."""

    def __init__(self, *, outbox: Outbox) -> None:
        self._outbox = outbox

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
    ) -> tuple[Contact, ...]:
        """Write the event and queue a notice, with the caller's transaction. Returns who is told.

        Told is every contact that was confirmed and past its waiting time before the change: ``before`` where the
        change is one of contacts, so that whoever removes a contact cannot silence it (security rule 5).
        ``variables`` are the template's own; ``at`` and ``address`` are added.
        """
        told = self._outbox.notify(
            transaction,
            contacts=before or people.contacts_of(transaction, person.id),
            template=template,
            variables={**variables, "at": now, "address": visit.address},
            language=person.language or visit.language,
            now=now,
        )
        shown: dict[str, object] = {"told": [contact.id for contact in told], **(details or {})}
        audit.add(transaction, Record(event, now, person.id, "self", "success", "", visit.address, shown))
        return told
