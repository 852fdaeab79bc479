"""The claim: somebody says who they are. Known or not, a flow begins and costs the same."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from app.foundation.refusals import Code, OutOfOrder, Throttled, Wrong
from app.foundation.sql import Database, Transaction
from app.foundation.visit import Visit
from app.records.attempts.model import Factor, Subject
from app.records.attempts.service import AddressLimits, Tries
from app.records.audit import store as audit
from app.records.audit.model import Event, Record
from app.records.delivery.outbox import Outbox
from app.records.flows.model import Course, Flow, Held
from app.records.flows.service import Flows
from app.records.people import store as people
from app.records.people.model import BadUserId, Person, Status, canonical_user_id


class Claims:
    """Begins flows for User IDs, and says whose a flow is."""

    def __init__(
        self, *, database: Database, flows: Flows, tries: Tries, limits: AddressLimits, outbox: Outbox
    ) -> None:
        self._database = database
        self._flows = flows
        self._tries = tries
        self._limits = limits
        self._outbox = outbox

    def begin(self, visit: Visit, course: Course, state: str, typed: str, **notes: Any) -> tuple[str, Held]:
        """A flow for a typed User ID: its cookie and itself. Raises Wrong, Throttled, Unavailable."""
        canonical, person = self.found(visit, course.purpose, typed)
        return self._create(visit, course, state, canonical, typed.strip(), person, notes)

    def found(self, visit: Visit, purpose: str, typed: str) -> tuple[str, Person | None]:
        """A typed User ID in its one spelling, and who that is: None for somebody unknown or inactive.

        Counts a start against the visitor's address. Raises Wrong, Throttled.
        """
        canonical = spelled(typed)
        self._limits.start(visit, purpose)
        with self._database.read() as looking:
            person = people.find(looking, canonical)
        return canonical, person if person is not None and person.status is Status.ACTIVE else None

    def begin_as(self, visit: Visit, course: Course, state: str, person: Person, **notes: Any) -> tuple[str, Held]:
        """A flow for somebody who is known already: signed in, or by a link."""
        self._limits.start(visit, course.purpose)
        return self._create(visit, course, state, person.canonical_id, person.user_id, person, notes)

    def _create(
        self,
        visit: Visit,
        course: Course,
        state: str,
        canonical: str,
        shown: str,
        person: Person | None,
        notes: dict[str, Any],
    ) -> tuple[str, Held]:
        subject = self._tries.subject(canonical, person.id if person else None)
        return self._flows.create(
            course.purpose,
            state,
            subject=subject.key,
            person_id=subject.person_id,
            user_id=shown,
            stamp=person.stamp if person else subject.key[:32],
            visit=visit,
            **notes,
        )

    def person(self, transaction: Transaction, flow: Flow, status: Status = Status.ACTIVE) -> Person | None:
        """The flow's person as the record now says: active, and with the stamp the flow began with. None else.

        ``status`` where the flow is one of somebody frozen.
        """
        person = people.get(transaction, flow.person_id or 0)
        if person is None or person.status is not status or person.stamp != flow.stamp:
            return None
        return person

    def required(self, transaction: Transaction, flow: Flow, course: Course) -> Person:
        """The same after a proof, where there has to be one. Raises OutOfOrder where the flow is dead."""
        person = self.person(transaction, flow)
        if person is None:
            raise OutOfOrder(Code.FLOW_EXPIRED, due=course.start)
        return person

    @contextmanager
    def noting(self, visit: Visit, flow: Flow, factor: Factor, now: int) -> Iterator[None]:
        """Write down that a try was refused unjudged: once in five minutes, for known and unknown at the same cost."""
        try:
            yield
        except Throttled as throttled:
            if self._tries.is_news(subject_of(flow), factor.value):
                details: dict[str, object] = {"factor": factor.value, "retry_after": throttled.retry_after}
                record = own_record(
                    Event.THROTTLED, flow, visit, now, right=False, reason=throttled.code.value, details=details
                )
                with self._database.begin() as transaction:
                    audit.add_if_known(transaction, record)
            raise

    def warn_owner(self, transaction: Transaction, visit: Visit, person: Person, now: int) -> None:
        """Tell somebody, on every channel, that strangers used up what strangers may spend (security rule 1)."""
        self.tell_owner(transaction, visit, person, now, template="notice_strangers")

    def tell_owner(
        self, transaction: Transaction, visit: Visit, person: Person, now: int, *, template: str, **variables: object
    ) -> None:
        """Tell somebody on every channel what was done from an address."""
        self._outbox.notify(
            transaction,
            contacts=people.usable_contacts(transaction, person.id, now),
            template=template,
            variables={"address": visit.address, "at": now, **variables},
            language=person.language or visit.language,
            now=now,
        )


def spelled(typed: str) -> str:
    """A typed User ID in its one spelling. Raises Wrong where nobody can have it."""
    try:
        return canonical_user_id(typed)
    except BadUserId as error:
        code = {"empty": Code.MISSING, "too long": Code.TOO_LONG}.get(str(error), Code.BAD_CHARACTERS)
        raise Wrong(code, field="user_id") from None


def subject_of(flow: Flow) -> Subject:
    """Whom the tries of a flow are counted for."""
    return Subject(flow.subject, flow.person_id)


def named(flow: Flow) -> dict[str, str]:
    """What names a flow in the audit log, so that one journey reads as one story."""
    return {"journey": flow.purpose, "flow": flow.txn}


def own_record(
    event: Event,
    flow: Flow,
    visit: Visit,
    now: int,
    *,
    right: bool,
    reason: str = "",
    details: dict[str, object] | None = None,
) -> Record:
    """What somebody did in a flow, for the audit log."""
    return Record(
        event=event,
        at=now,
        person_id=flow.person_id,
        actor="self",
        outcome="success" if right else "failure",
        reason=reason,
        address=visit.address,
        details={**named(flow), "browser": visit.browser, **(details or {})},
    )
