"""Undo without signing in: a mailed link freezes, and a factor older than the change decides (security rule 5).

Each method is one use case. They take the link's token or the flow's cookie; refusals are exceptions.
"""

from dataclasses import dataclass, replace
from typing import Any

from app.factors.password.model import NewHash
from app.factors.password.service import Passwords
from app.factors.recovery_code.model import Use
from app.factors.recovery_code.service import RecoveryCodes
from app.factors.security_question.service import SecurityAnswers
from app.factors.totp.service import AuthenticatorApps
from app.foundation.chance import Chance
from app.foundation.clock import Clock
from app.foundation.refusals import Code, OutOfOrder, Wrong
from app.foundation.secretbox import fingerprint
from app.foundation.sql import Database, Transaction
from app.foundation.visit import Visit
from app.journeys.undo.flow import COURSE, OLDER, State
from app.journeys.undo.model import DeadLink, Decision, Disputed, Done, Ending
from app.records.attempts.model import Door
from app.records.attempts.service import AddressLimits
from app.records.audit import store as audit
from app.records.audit.model import Event, Record
from app.records.cases import store as cases
from app.records.cases.model import AGAIN, LINK_LIFE, Dispute, DisputeState, Kind, UndoLink
from app.records.cases.service import UndoLinks
from app.records.delivery.outbox import Outbox
from app.records.flows.model import Flow, Held, Proof
from app.records.flows.service import Flows
from app.records.people import store as people
from app.records.people.model import Contact, Person, Status
from app.steps.app_code import AppCodes, Counting
from app.steps.claim import Claims, own_record
from app.steps.freezing import freeze
from app.steps.helpdesk import Helpdesk, Helpdesks
from app.steps.saved_code import CountingSet, SavedCodes, SavedProof


@dataclass(frozen=True, slots=True)
class UndoMeans:
    """What the journey stands on."""

    database: Database
    flows: Flows
    limits: AddressLimits
    apps: AuthenticatorApps
    codes: RecoveryCodes
    answers: SecurityAnswers
    passwords: Passwords
    outbox: Outbox
    links: UndoLinks
    clock: Clock
    chance: Chance
    claims: Claims
    app_codes: AppCodes
    saved_codes: SavedCodes
    helpdesks: Helpdesks


class _OvertakenError(Exception):
    """Somebody froze or decided in between."""


class Undo:
    """The journey behind the link in a notice."""

    def __init__(self, means: UndoMeans) -> None:
        self._means = means
        self._database = means.database
        self._flows = means.flows
        self._clock = means.clock

    # ---- the link

    def look(self, token: str) -> Disputed:
        """What the link is about. Raises DeadLink. Looking changes nothing, however often it is done."""
        with self._database.read() as looking:
            link, person = self._linked(looking, token)
        return Disputed(link.kind, link.changed_at, frozen=person.status is Status.FROZEN)

    def _linked(self, looking: Transaction, token: str) -> tuple[UndoLink, Person]:
        link = cases.link(looking, fingerprint(token), self._clock.now())
        person = people.get(looking, link.person_id) if link else None
        if link is None or person is None or person.status is Status.INACTIVE:
            raise DeadLink
        return link, person

    def freeze(self, visit: Visit, token: str) -> str:
        """Spend the link and freeze the account, or join the dispute for which it is frozen. Returns a flow's cookie.

        Raises DeadLink, Throttled.
        """
        self._means.limits.attempt(visit)
        while True:
            with self._database.read() as looking:
                link, person = self._linked(looking, token)
            # the flow comes first: were there no room for it, the link would be spent for nothing
            frozen = person.status is Status.FROZEN
            person = replace(person, stamp=person.stamp if frozen else self._means.chance.name())
            cookie, _ = self._means.claims.begin_as(visit, COURSE, State.CHOOSE, person)
            try:
                with self._database.begin() as transaction:
                    self._press(transaction, visit, link, person)
            except _OvertakenError:
                continue
            return cookie

    def _press(self, transaction: Transaction, visit: Visit, link: UndoLink, person: Person) -> None:
        now = self._clock.now()
        held = people.hold(transaction, person.id)
        if not cases.spend_link(transaction, link.id, now):
            raise DeadLink
        if held is None or held.status is not person.status:
            raise _OvertakenError
        if held.status is Status.ACTIVE:
            self._freeze(transaction, visit, link, person, now)
            return
        dispute = cases.living(transaction, person.id)
        if dispute is None or held.stamp != person.stamp:
            raise _OvertakenError
        cases.reach_back(transaction, dispute.id, link.kind, link.changed_at)
        audit.add(transaction, _record(Event.USER_FROZEN, person, visit, now, "again", {"kind": link.kind.value}))

    def _freeze(self, transaction: Transaction, visit: Visit, link: UndoLink, person: Person, now: int) -> None:
        again = cases.resolved_since(transaction, person.id, now - AGAIN)
        state = DisputeState.SUPPORT if again else DisputeState.OPEN
        dispute = Dispute(self._means.chance.name(), person.id, link.kind, link.changed_at, state, now)
        ended = freeze(transaction, dispute, person.stamp)
        if ended is None:
            raise _OvertakenError
        undo = self._means.links.issue(transaction, person.id, link.kind, now, changed_at=link.changed_at)
        told = self._tell(transaction, visit, person, "notice_frozen", undo, now, opened_at=now)
        details: dict[str, object] = {
            "kind": link.kind.value,
            "changed_at": link.changed_at,
            "state": state.value,
            "sessions": ended,
            "told": [contact.id for contact in told],
        }
        audit.add(transaction, _record(Event.USER_FROZEN, person, visit, now, "undo_link", details))

    # ---- who may decide

    def choose_page(self, cookie: str | None) -> Disputed:
        """What is disputed, and whether support alone decides."""
        flow = self._flows.at(cookie, COURSE, State.CHOOSE).flow
        with self._database.read() as looking:
            dispute = self._dispute(looking, flow)
        return _shown(flow, dispute)

    def _dispute(self, transaction: Transaction, flow: Flow) -> Dispute:
        """What the flow's person is frozen for. Raises OutOfOrder where they are so no more."""
        person = self._means.claims.person(transaction, flow, Status.FROZEN)
        dispute = cases.living(transaction, person.id) if person else None
        if dispute is None:
            raise OutOfOrder(Code.DECIDED, due=COURSE.start)
        return dispute

    def _open(self, transaction: Transaction, flow: Flow) -> Dispute:
        """The same where a factor may decide it."""
        dispute = self._dispute(transaction, flow)
        if dispute.state is not DisputeState.OPEN:
            raise OutOfOrder(Code.OUT_OF_ORDER, due=COURSE.page_of(State.CHOOSE))
        return dispute

    def prove_app(self, visit: Visit, cookie: str | None, typed: str) -> str:
        """Judge the code of an app that counted before the disputed change. Returns the flow's new cookie.

        The owner's lane: strangers cannot have spent its tries.
        """
        code = self._means.app_codes.shape(typed)
        held, since = self._proving(visit, cookie)

        def then(transaction: Transaction, _person: Person, _now: int) -> None:
            self._still(transaction, held.flow, since)

        counting = Counting(
            Status.FROZEN,
            lambda looking, person: self._means.apps.older(looking, person.id if person else None, since),
        )
        _, now = self._means.app_codes.prove(visit, held.flow, Door.LANE, code, then, counting)
        return self._advance(held, State.DECIDE, Proof(OLDER, now), since=since)

    def code_page(self, cookie: str | None) -> str:
        """The User ID, where a saved code may decide."""
        flow = self._flows.at(cookie, COURSE, State.CHOOSE).flow
        with self._database.read() as looking:
            self._open(looking, flow)
        return flow.user_id

    def prove_code(self, visit: Visit, cookie: str | None, typed: str) -> str:
        """The same as ``prove_app`` for a code of the set that counted before the disputed change. It is spent."""
        code = self._means.saved_codes.shape(typed)
        held, since = self._proving(visit, cookie)

        def then(transaction: Transaction, _person: Person, _proof: SavedProof) -> None:
            self._still(transaction, held.flow, since)

        whose = CountingSet(
            Status.FROZEN,
            lambda looking, person: self._means.codes.older(looking, person.id if person else None, since),
        )
        _, proof = self._means.saved_codes.prove(visit, held.flow, Door.LANE, Use.UNDO, code, then, whose)
        return self._advance(held, State.DECIDE, Proof(OLDER, proof.at), since=since)

    def _proving(self, visit: Visit, cookie: str | None) -> tuple[Held, int]:
        """The flow of somebody who proves an older factor, and what it must be older than."""
        self._means.limits.attempt(visit)
        held = self._flows.at(cookie, COURSE, State.CHOOSE)
        with self._database.read() as looking:
            return held, self._open(looking, held.flow).changed_at

    def _still(self, transaction: Transaction, flow: Flow, since: int) -> None:
        """Raises OutOfOrder where an earlier change was disputed meanwhile, which needs an older factor."""
        if self._open(transaction, flow).changed_at != since:
            raise OutOfOrder(Code.OUT_OF_ORDER, due=COURSE.page_of(State.CHOOSE))

    def leave_to_support(self, visit: Visit, cookie: str | None) -> str:
        """The phone is gone with the older factor: nobody but support decides. Returns the flow's new cookie."""
        self._means.limits.attempt(visit)
        held = self._flows.at(cookie, COURSE, State.CHOOSE)
        now = self._clock.now()
        with self._database.begin() as transaction:
            if cases.to_support(transaction, self._dispute(transaction, held.flow).id):
                audit.add(transaction, own_record(Event.LEFT_TO_SUPPORT, held.flow, visit, now, right=True))
        return self._advance(held, State.DONE, ending=Ending.SUPPORT.value)

    # ---- the decision

    def helpdesk(self, cookie: str | None) -> Helpdesk | None:
        """Whom to ask for help, once a first proof was right."""
        return self._means.helpdesks.at(cookie, COURSE)

    def decide_page(self, cookie: str | None) -> Disputed:
        """What is disputed."""
        flow = self._flows.at(cookie, COURSE, State.DECIDE).flow
        with self._database.read() as looking:
            dispute = self._dispute(looking, flow)
        return _shown(flow, dispute)

    def decide(self, visit: Visit, cookie: str | None, typed: str) -> str:
        """Keep what was changed, or roll it back; once. Returns the flow's new cookie."""
        if typed not in set(Decision):
            raise Wrong(Code.MISSING, field="decision")
        decision = Decision(typed)
        self._means.limits.attempt(visit)
        held = self._flows.at(cookie, COURSE, State.DECIDE)
        unusable = self._means.passwords.unusable() if decision is Decision.ROLL_BACK else None
        with self._database.begin() as transaction:
            self._carry_out(transaction, visit, held.flow, unusable)
        return self._advance(held, State.DONE, ending=decision.value)

    def _carry_out(self, transaction: Transaction, visit: Visit, flow: Flow, unusable: NewHash | None) -> None:
        """Everything that follows from a decision, in one transaction; with ``unusable`` all is rolled back."""
        now, since = self._clock.now(), flow.notes["since"]
        person = people.hold(transaction, flow.person_id or 0)
        dispute = cases.living(transaction, flow.person_id or 0)
        to = DisputeState.KEPT if unusable is None else DisputeState.ROLLED_BACK
        stands = person is not None and person.status is Status.FROZEN and person.stamp == flow.stamp
        if person is None or dispute is None or not stands:
            raise OutOfOrder(Code.DECIDED, due=COURSE.page_of(State.DONE))
        if not cases.resolve(transaction, dispute.id, since, to, now):
            # left to support, or an earlier change is disputed as well: that needs an older factor
            raise OutOfOrder(Code.OUT_OF_ORDER, due=COURSE.start)
        undo = self._means.links.issue(transaction, person.id, Kind.ACCOUNT, now)
        template, event = "notice_unfrozen", Event.USER_UNFROZEN
        if unusable is not None:
            template, event = "notice_rolled_back", Event.ROLLED_BACK
        # told before: everybody who was told of the change is told what became of it
        told = self._tell(transaction, visit, person, template, undo, now, opened_at=dispute.opened_at)
        if unusable is not None:
            self._means.apps.roll_back(transaction, person.id, since, now)
            self._means.codes.roll_back(transaction, person.id, since, now)
            self._means.answers.roll_back(transaction, person.id, since)
            people.roll_back_contacts(transaction, person.id, since, now)
            self._means.passwords.revoke(transaction, person.id, unusable, now)
            people.mark_recovered(transaction, person.id, now)
        people.unfreeze(transaction, person.id, self._means.chance.name())
        details: dict[str, object] = {"since": since, "told": [contact.id for contact in told]}
        audit.add(transaction, own_record(event, flow, visit, now, right=True, reason=to.value, details=details))

    def done(self, cookie: str | None) -> Done:
        """What the last page tells."""
        flow = self._flows.at(cookie, COURSE, State.DONE).flow
        return Done(Ending(flow.notes["ending"]), flow.user_id)

    # ---- inside

    def _advance(self, held: Held, state: State, proof: Proof | None = None, **notes: Any) -> str:
        advanced = self._flows.retry(
            held, lambda latest: self._flows.advance(latest, state=state, proof=proof, **notes)
        )
        if advanced is None:
            raise OutOfOrder(Code.OUT_OF_ORDER, due=COURSE.page_of(state))
        return advanced[0]

    def _tell(
        self,
        transaction: Transaction,
        visit: Visit,
        person: Person,
        template: str,
        undo: str,
        now: int,
        *,
        opened_at: int,
    ) -> tuple[Contact, ...]:
        """A notice to every contact, and to those whose removal could be disputed when the dispute was opened.

        None that was removed earlier, or whoever reads it could freeze the account by one notice after the other.
        """
        return self._means.outbox.notify(
            transaction,
            contacts=people.contacts_since(transaction, person.id, opened_at - LINK_LIFE),
            template=template,
            variables={"at": now, "address": visit.address, "undo": undo},
            language=person.language or visit.language,
            now=now,
        )


def _shown(flow: Flow, dispute: Dispute) -> Disputed:
    support = dispute.state is DisputeState.SUPPORT
    return Disputed(dispute.kind, dispute.changed_at, flow.user_id, frozen=True, support=support)


def _record(event: Event, person: Person, visit: Visit, now: int, reason: str, details: dict[str, object]) -> Record:
    return Record(event, now, person.id, "self", "success", reason, visit.address, details)
