"""Approval on the portal: what agents ask for, what the person approves, and what is then done (security rule 4).

Each method is one use case; refusals are exceptions. Nobody acts before everybody who has a say has said yes, and the
waiting time is kept by the server's clock.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from app.factors.access_code.model import NewCode
from app.factors.access_code.service import AccessCodes
from app.factors.password.service import Passwords
from app.factors.totp import store as apps
from app.factors.totp.model import AppState
from app.foundation.chance import Chance, is_name
from app.foundation.clock import Clock
from app.foundation.refusals import Code, Forbidden, OutOfOrder, Throttled, Wrong
from app.foundation.secretbox import fingerprint
from app.foundation.sql import Database, Transaction
from app.foundation.visit import Visit
from app.journeys.approvals import rules
from app.journeys.approvals.flow import COURSE, State
from app.journeys.approvals.model import (
    NOBODY,
    ActionPage,
    Asked,
    Choice,
    DeadLink,
    Decision,
    Done,
    NobodyThere,
    Shown,
)
from app.records.attempts.model import Door, Factor
from app.records.attempts.service import AddressLimits, Tries
from app.records.audit import store as audit
from app.records.audit.model import Event, Record
from app.records.cases import rules as moves
from app.records.cases import store as cases
from app.records.cases.model import (
    LIVING_REQUEST,
    REQUEST_LIFE,
    Action,
    Dispute,
    DisputeState,
    Kind,
    Move,
    Request,
    RequestState,
)
from app.records.delivery.model import Purpose
from app.records.delivery.outbox import Outbox
from app.records.flows.model import Flow
from app.records.flows.service import Flows
from app.records.organizations.model import Role
from app.records.people import store as people
from app.records.people.model import (
    BadUserId,
    Channel,
    Contact,
    Person,
    Status,
    canonical_user_id,
    is_email,
    is_phone,
)
from app.steps.casework import OPERATOR, By, Casework, typed_words
from app.steps.claim import Claims
from app.steps.freezing import freeze
from app.steps.invite import Invitations, filed, in_use
from app.steps.presence import held_back
from app.steps.staff import Staff, Staffing

APPROVALS_PAGE = "/support/approvals"
CONTACT_WAIT = 7 * 86_400  # seconds until a contact that support filed serves recovery and approvals (security rule 6)
_KINDS = {Channel.SMS: 2, Channel.EMAIL: 2}  # contacts of a kind
_FACTORS = (Factor.PASSWORD, Factor.APP, Factor.PIN)
_LISTED = 100
DAY = 86_400
EXPIRED_SHOWN = 3 * DAY  # seconds for which a request whose time is over is listed
MOST_A_DAY = 8  # requests about one person
_UNDO = {Action.REMOVE_APP: Kind.APP, Action.CONTACT: Kind.CONTACT}


@dataclass(frozen=True, slots=True)
class ApprovalMeans:
    """What both sides stand on."""

    database: Database
    staffing: Staffing
    casework: Casework
    flows: Flows
    limits: AddressLimits
    tries: Tries
    claims: Claims
    passwords: Passwords
    access: AccessCodes
    invitations: Invitations
    outbox: Outbox
    clock: Clock
    chance: Chance


class Approvals:
    """The agents' side: to ask, to be the second, and to carry out what was granted."""

    def __init__(self, means: ApprovalMeans) -> None:
        self._means = means
        self._database = means.database
        self._work = means.casework
        self._clock = means.clock

    # ---- asking

    def page(self, staff: Staff, user_id: str, action: Action) -> ActionPage:
        """The page of one action on one person. Raises NobodyThere, Forbidden."""
        now = self._clock.now()
        with self._database.read() as looking:
            person = self._theirs(looking, staff, user_id)
            latest = cases.requests_of(looking, person.id, action, 1)
            request = self._shown(looking, latest[0], now, staff) if latest else None
            usable = people.usable_contacts(looking, person.id, now)
            bound = apps.of_person(looking, person.id) if action is Action.REMOVE_APP else ()
        return ActionPage(
            person.user_id,
            person.name,
            action.value,
            action in moves.WEAKENING,
            tuple(Choice(one.id, one.channel.value, one.masked) for one in usable),
            tuple(Choice(one.id, one.state.value, one.label) for one in bound),
            request,
        )

    def ask(self, visit: Visit, staff: Staff, user_id: str, action: Action, asked: Asked) -> None:
        """Ask for one action on one person. Raises NobodyThere, Forbidden, Wrong, Throttled, OutOfOrder."""
        reason = _answered(action, asked)
        self._means.limits.attempt(visit)
        now = self._clock.now()
        with self._database.begin() as transaction:
            self._means.staffing.hold(transaction, staff, Role.SUPPORT)
            person = self._held(transaction, self._theirs(transaction, staff, user_id), action, now)
            request = self._begun(transaction, person, action, asked, reason, staff, now)
            request = self._with_target(transaction, person, request, asked, now)
            self._check(transaction, person, request, now)
            by = By(staff.person.user_id, visit.address, staff.person.id)
            if action is Action.FREEZE:
                self._freeze(transaction, person, request, by, now)
                return
            contact = people.contact(transaction, request.contact_id) if request.contact_id else None
            code = ""
            if contact is not None:
                request, code = self._work.new_code(request)
            cases.add_request(transaction, request)
            self._work.record(transaction, Event.SUPPORT_ASKED, request, by, now)
            self._work.tell(transaction, request, person, "asked", now)
            if contact is not None:
                # counted at the door whose share leaves the owner's own recovery its messages
                self._means.tries.spend_send(transaction, contact.address, Door.SIGN_IN)
                self._work.send_code(transaction, request, person, contact, code, now)

    def _theirs(self, looking: Transaction, staff: Staff, user_id: str) -> Person:
        """The person of a path, where these staff may act on them."""
        person = self._means.staffing.visible(looking, staff, user_id)
        if person is None:
            raise NobodyThere
        if not self._means.staffing.may_act_on(looking, staff, person):
            raise Forbidden(Code.NOT_TO_ACT_ON)
        return person

    def _held(self, transaction: Transaction, person: Person, action: Action, now: int) -> Person:
        """The person, who stays as they are until the transaction ends, and has no other request under way."""
        held = people.hold(transaction, person.id)
        if held is None or held.status is not Status.ACTIVE:
            raise Wrong(Code.PERSON_NOT_ACTIVE)
        if action is not Action.FREEZE and cases.living_requests(transaction, held.id, now):
            raise Wrong(Code.REQUEST_OPEN)
        if action is not Action.FREEZE and cases.asked_since(transaction, held.id, now - DAY) >= MOST_A_DAY:
            # each is told on every channel: nobody is to be worn down by messages until they approve
            raise Throttled(Code.TOO_MANY_STARTS, retry_after=DAY)
        return held

    def _begun(
        self,
        transaction: Transaction,
        person: Person,
        action: Action,
        asked: Asked,
        reason: str,
        staff: Staff,
        now: int,
    ) -> Request:
        contact = self._approver(transaction, person, action, asked.contact, now)
        request = Request(
            id=self._means.chance.name(),
            person_id=person.id,
            organization_id=person.home_organization,
            action=action,
            target="",
            reason=reason,
            state=RequestState.ASKED,
            needs=moves.needs(action, reachable=contact is not None, activating=not in_use(transaction, person.id)),
            asked_by=staff.person.id,
            asked_at=now,
            expires_at=now,
            contact_id=contact.id if contact else "",
        )
        return moves.begun(request, now)

    def _approver(
        self, transaction: Transaction, person: Person, action: Action, chosen: str, now: int
    ) -> Contact | None:
        """The confirmed contact at which the approval is asked for, past its waiting time (security rule 6)."""
        if action in (Action.FREEZE, Action.RESEND_ACTIVATION):
            return None
        if chosen == NOBODY and action is not Action.ACCESS_CODE:
            return None
        found = [one for one in people.usable_contacts(transaction, person.id, now) if one.id == chosen]
        if not found:
            raise Wrong(Code.NOT_REACHABLE, field="contact")
        return found[0]

    def _with_target(
        self, transaction: Transaction, person: Person, request: Request, asked: Asked, now: int
    ) -> Request:
        if request.action is Action.REMOVE_APP:
            return replace(request, target=asked.target if is_name(asked.target) else "")
        if request.action is not Action.CONTACT:
            return request
        new = _typed_contact(asked.target)
        if new is None:
            raise _no_contact(asked.target)
        filed = Contact(
            id=self._means.chance.name(),
            person_id=person.id,
            channel=new[0],
            address=new[1],
            position=_KINDS[new[0]],
            confirmed_at=None,
            usable_from=now + CONTACT_WAIT,
            removed_at=None,
            pending_until=now + REQUEST_LIFE,
        )
        there = people.contacts_of(transaction, person.id)
        if any(one.confirmed_at is not None and one.same_place(filed) for one in there):
            raise Wrong(Code.CONTACT_THERE, field="address", details={"theirs": True})
        if sum(one.channel is filed.channel and one.confirmed_at is not None for one in there) >= _KINDS[new[0]]:
            raise Wrong(Code.TOO_MANY_CONTACTS, field="address", details={"theirs": True})
        people.add_contact(transaction, filed, now)
        return replace(request, target=filed.id)

    # ---- what has to be so, when it is asked for and when it is done

    def _check(self, transaction: Transaction, person: Person, request: Request, now: int) -> None:
        if request.needs.approval:
            approver = people.contact(transaction, request.contact_id)
            if approver is None or not approver.usable(now):
                raise Wrong(Code.NOT_REACHABLE, field="contact")
        if held_back(person, now) and request.action in moves.WEAKENING:
            raise Wrong(Code.RECOVERED_LATELY)
        if request.action in moves.WEAKENING and not request.needs.waiting and in_use(transaction, person.id):
            # asked for at activation, which is over: now it would wait
            raise OutOfOrder(Code.REQUEST_MOVED, due=APPROVALS_PAGE)
        checks: dict[Action, Callable[[Transaction, Person, Request, int], None]] = {
            Action.UNLOCK: self._check_unlock,
            Action.RESEND_ACTIVATION: self._check_activation,
            Action.ACCESS_CODE: self._check_access,
            Action.REMOVE_APP: self._check_app,
        }
        if request.action in checks:
            checks[request.action](transaction, person, request, now)

    def _check_unlock(self, transaction: Transaction, person: Person, _request: Request, now: int) -> None:
        record = self._means.passwords.find(transaction, person.id)
        if record is not None and record.shut(now):
            return  # which lets another link be asked for
        if record is not None and record.change_owed:
            raise Wrong(Code.UNLOCK_NOT_ENOUGH)
        standings = [self._means.tries.standing(transaction, person.id, factor) for factor in _FACTORS]
        if not any(one.locked(now) and not one.disabled for one in standings):
            raise Wrong(Code.HARD_CAPPED if any(one.disabled for one in standings) else Code.NOTHING_LOCKED)

    def _check_activation(self, transaction: Transaction, person: Person, _request: Request, _now: int) -> None:
        if not self._means.invitations.may_go_to(transaction, person):
            raise Wrong(Code.NOT_ACTIVATING)
        channels = {one.channel for one in filed(transaction, person.id)}
        if channels != {Channel.SMS, Channel.EMAIL}:
            # without a phone an activation code is handed over, and support never sees one
            raise Wrong(Code.NEEDS_ADMINISTRATOR)

    def _check_access(self, transaction: Transaction, person: Person, request: Request, now: int) -> None:
        usable = people.usable_contacts(transaction, person.id, now)
        approver = next((one for one in usable if one.id == request.contact_id), None)
        if approver is None:
            raise Wrong(Code.NOT_REACHABLE, field="contact")
        if all(one.same_place(approver) for one in usable):
            raise Wrong(Code.NO_OTHER_CONTACT, field="contact")

    def _check_app(self, transaction: Transaction, person: Person, request: Request, _now: int) -> None:
        found = apps.find(transaction, person.id, request.target)
        if found is None or found.state is AppState.REMOVED:
            raise Wrong(Code.NO_SUCH_APP, field="app")

    # ---- the second agent

    def waiting(self, staff: Staff) -> tuple[Shown, ...]:
        """What waits for a second agent in the staff's own organizations, the oldest first."""
        now = self._clock.now()
        with self._database.read() as looking:
            found = cases.requests_in(looking, staff.organization_ids, RequestState.SECOND, now, _LISTED)
            return tuple(self._shown(looking, one, now, staff) for one in found)

    def expired(self, staff: Staff) -> tuple[Shown, ...]:
        """What came to nothing in those organizations in the last three days, the latest first."""
        now = self._clock.now()
        with self._database.read() as looking:
            found = cases.expired_in(looking, staff.organization_ids, now - EXPIRED_SHOWN, now, _LISTED)
            return tuple(self._shown(looking, one, now, staff) for one in found)

    def one(self, staff: Staff, request_id: str) -> Shown:
        """One request, for the second agent. Raises NobodyThere, Forbidden."""
        with self._database.read() as looking:
            request = self._reviewed(looking, staff, request_id)
            return self._shown(looking, request, self._clock.now(), staff)

    def _reviewed(self, looking: Transaction, staff: Staff, request_id: str) -> Request:
        request = cases.request(looking, request_id) if is_name(request_id) else None
        person = people.get(looking, request.person_id) if request else None
        if request is None or person is None or request.organization_id not in staff.organization_ids:
            raise NobodyThere
        if not self._means.staffing.may_act_on(looking, staff, person):
            raise Forbidden(Code.NOT_TO_ACT_ON)
        return request

    def review(self, visit: Visit, staff: Staff, request_id: str, typed: str) -> None:
        """Confirm or refuse what another agent asked for, once. Raises NobodyThere, Forbidden, Wrong, OutOfOrder."""
        if typed not in (Decision.CONFIRM, Decision.REFUSE):
            raise Wrong(Code.MISSING, field="decision")
        self._means.limits.attempt(visit)
        by = By(staff.person.user_id, visit.address, staff.person.id)
        with self._database.begin() as transaction:
            self._means.staffing.hold(transaction, staff, Role.SUPPORT)
            request = self._reviewed(transaction, staff, request_id)
            if request.asked_by == staff.person.id:
                raise Forbidden(Code.OWN_REQUEST)
            people.hold(transaction, request.person_id)
            request = self._reviewed(transaction, staff, request_id)
            self._answer(transaction, request, by, confirm=typed == Decision.CONFIRM, why="")

    def _answer(self, transaction: Transaction, request: Request, by: By, *, confirm: bool, why: str) -> Request:
        now = self._clock.now()
        move = Move.CONFIRM if confirm else Move.REFUSE
        try:
            after, person = self._work.move(transaction, request, move, by, now, why)
        except OutOfOrder as late:
            raise OutOfOrder(late.code, due=APPROVALS_PAGE) from None
        self._work.tell(transaction, after, person, "granted" if confirm else "ended", now)
        return after

    def confirm_by_operator(self, request_id: str, reason: str) -> Request:
        """The operator's word counts as a second agent's (product.md 3). Raises NobodyThere, Wrong, OutOfOrder."""
        why = rules.stated(reason)
        if why is None:
            raise Wrong(Code.NOT_A_REASON, field="reason")
        with self._database.begin() as transaction:
            request = cases.request(transaction, request_id) if is_name(request_id) else None
            if request is None:
                raise NobodyThere
            people.hold(transaction, request.person_id)
            return self._answer(transaction, request, By(OPERATOR), confirm=True, why=why)

    def open_requests(self, user_id: str) -> tuple[Shown, ...]:
        """What is asked for about somebody, for the operator. Raises NobodyThere."""
        now = self._clock.now()
        with self._database.read() as looking:
            try:
                person = people.find(looking, canonical_user_id(user_id))
            except BadUserId:
                person = None
            if person is None:
                raise NobodyThere
            found = cases.living_requests(looking, person.id, now)
            return tuple(self._shown(looking, one, now, None) for one in found)

    # ---- the deed

    def carry_out(self, visit: Visit, staff: Staff, user_id: str, action: Action, request_id: str) -> None:
        """Do what was granted, once. Raises NobodyThere, Forbidden, Wrong, Throttled, OutOfOrder."""
        self._means.limits.attempt(visit)
        # slow, so with no transaction open
        new = self._means.access.draw() if action is Action.ACCESS_CODE else None
        now = self._clock.now()
        by = By(staff.person.user_id, visit.address, staff.person.id)
        with self._database.begin() as transaction:
            self._means.staffing.hold(transaction, staff, Role.SUPPORT)
            person, request = self._standing(transaction, staff, user_id, action, request_id)
            if person.status is not Status.ACTIVE:
                raise Wrong(Code.PERSON_NOT_ACTIVE)
            if moves.due(request, now):
                self._check(transaction, person, request, now)
            after = self._moved(transaction, request, Move.CARRY_OUT, by, now)
            self._do(transaction, person, after, new, now)
            stage = "filed" if after.state is RequestState.CONFIRMING else "done"
            self._work.tell(transaction, after, person, stage, now, undo=_UNDO.get(action))

    def withdraw(self, visit: Visit, staff: Staff, user_id: str, action: Action, request_id: str) -> None:
        """Take a request back that is not needed any more. Raises NobodyThere, Forbidden, OutOfOrder."""
        self._means.limits.attempt(visit)
        by = By(staff.person.user_id, visit.address, staff.person.id)
        now = self._clock.now()
        with self._database.begin() as transaction:
            self._means.staffing.hold(transaction, staff, Role.SUPPORT)
            person, request = self._standing(transaction, staff, user_id, action, request_id)
            after = self._moved(transaction, request, Move.WITHDRAW, by, now)
            self._forget_target(transaction, after, now)
            self._work.tell(transaction, after, person, "ended", now)

    def _standing(
        self, transaction: Transaction, staff: Staff, user_id: str, action: Action, request_id: str
    ) -> tuple[Person, Request]:
        """The person, held, and their request for this action."""
        person = people.hold(transaction, self._theirs(transaction, staff, user_id).id)
        request = cases.request(transaction, request_id) if is_name(request_id) else None
        if person is None or request is None or request.person_id != person.id or request.action is not action:
            raise NobodyThere
        return person, request

    def _moved(self, transaction: Transaction, request: Request, move: Move, by: By, now: int) -> Request:
        try:
            return self._work.move(transaction, request, move, by, now)[0]
        except OutOfOrder as late:
            raise OutOfOrder(late.code, due=APPROVALS_PAGE) from None

    def _do(self, transaction: Transaction, person: Person, request: Request, new: NewCode | None, now: int) -> None:
        if request.action is Action.UNLOCK:
            for factor in _FACTORS:
                if not self._means.tries.standing(transaction, person.id, factor).disabled:
                    self._means.tries.forgive(transaction, person.id, factor)
            self._means.passwords.reopen(transaction, person.id, now)
        elif request.action is Action.REMOVE_APP:
            # not as if it were stolen: its owner may still undo this with it (security rule 5)
            present = tuple(state for state in AppState if state is not AppState.REMOVED)
            apps.change_state(transaction, request.target, present, AppState.REMOVED, now)
        elif request.action is Action.RESEND_ACTIVATION:
            self._means.invitations.send(transaction, person, person.language, now)
        elif request.action is Action.ACCESS_CODE and new is not None:
            self._give_access(transaction, person, request, new, now)
        elif request.action is Action.CONTACT:
            self._prove_contact(transaction, person, request, now)

    def _give_access(self, transaction: Transaction, person: Person, request: Request, new: NewCode, now: int) -> None:
        contact = people.contact(transaction, request.contact_id)
        if contact is None:
            raise NobodyThere
        given = self._means.access.give(
            transaction, person_id=person.id, stamp=person.stamp, new=new, not_to=contact.id, now=now
        )
        self._means.tries.spend_send(transaction, contact.address, Door.SIGN_IN)
        self._means.outbox.enqueue(
            transaction,
            contact=contact,
            template="access_code",
            variables={"code": new.code, "until": given.expires_at},
            language=person.language,
            purpose=Purpose.PIN,
            now=now,
            expires_at=given.expires_at,
        )

    def _prove_contact(self, transaction: Transaction, person: Person, request: Request, now: int) -> None:
        """Send a code to the filed contact: it counts once whoever reads it typed the code on the portal."""
        contact = people.contact(transaction, request.target)
        if contact is None or not people.keep_pending(transaction, contact.id, request.expires_at):
            raise Wrong(Code.NOT_REACHABLE)
        coded, code = self._work.new_code(request)
        cases.set_code(transaction, coded)
        self._means.tries.spend_send(transaction, contact.address, Door.SIGN_IN)
        self._work.send_code(transaction, coded, person, contact, code, now)

    def _forget_target(self, transaction: Transaction, request: Request, now: int) -> None:
        if request.action is Action.CONTACT:
            people.remove_contact(transaction, request.person_id, request.target, now)

    def _freeze(self, transaction: Transaction, person: Person, request: Request, by: By, now: int) -> None:
        """At once: it weakens nothing. An operator opens the account again, for the agent's word is no dispute."""
        name, stamp = self._means.chance.name(), self._means.chance.name()
        freeze(transaction, Dispute(name, person.id, Kind.ACCOUNT, now, DisputeState.SUPPORT, now), stamp)
        done = replace(request, state=RequestState.DONE, ended_at=now)
        cases.add_request(transaction, done)
        details: dict[str, object] = {"why": request.reason, "request": request.id}
        audit.add(
            transaction, Record(Event.USER_FROZEN, now, person.id, by.actor, "success", "support", by.address, details)
        )
        self._work.tell(transaction, done, person, "done", now)

    # ---- the end of a request's time

    def expire(self) -> int:
        """Write down of each request whose time is over that it is, once, and tell who was told of it.

        Returns how many there were.
        """
        now, ended = self._clock.now(), 0
        while True:
            with self._database.read() as looking:
                over = cases.over(looking, now, _LISTED)
            for one in over:
                with self._database.begin() as transaction:
                    ended += self._expire(transaction, one, now)
            if len(over) < _LISTED:
                return ended

    def _expire(self, transaction: Transaction, request: Request, now: int) -> bool:
        people.hold(transaction, request.person_id)
        try:
            after, person = self._work.move(transaction, request, Move.EXPIRE, By("self"), now)
        except OutOfOrder:
            return False  # by another worker, or the account was frozen
        self._forget_target(transaction, after, now)
        if self._work.was_told(transaction, after):
            self._work.tell(transaction, after, person, "expired", now)
        return True

    # ---- showing

    def _shown(self, looking: Transaction, request: Request, now: int, staff: Staff | None) -> Shown:
        person = people.get(looking, request.person_id)
        own = staff is not None and request.asked_by == staff.person.id
        return shown(looking, self._work, request, person, now, own=own)


class Approving:
    """The person's side: the code from the message, and the one page that approves or cancels."""

    def __init__(self, means: ApprovalMeans) -> None:
        self._means = means
        self._database = means.database
        self._flows = means.flows
        self._work = means.casework
        self._clock = means.clock

    def open(self, visit: Visit, typed: str) -> str:
        """Judge a code. Returns a flow's cookie; nothing is approved by it. Raises Wrong, Throttled.

        The try is counted before it is judged; wrong, used, expired and unknown codes get one answer, for one work.
        """
        self._means.limits.attempt(visit)
        octets = typed_words(typed)
        if octets is None:
            raise Wrong(Code.NOT_AN_APPROVAL_CODE, field="code")
        now = self._clock.now()
        # nobody hears how it was judged before the count is committed
        with self._database.begin() as transaction:
            self._means.tries.write_in_any_case(transaction, octets[0])
            found = self._work.find(transaction, octets, now)
            request = self._work.right(found, octets)
            person = people.get(transaction, request.person_id if request else 0)
            right = request is not None and person is not None and person.status is Status.ACTIVE
            if request is not None and right:
                cases.give_tries_back(transaction, request.id)
            else:
                whose = found[0].person_id if found else None
                failed = Record(Event.SUPPORT_CODE_FAIL, now, whose, "self", "failure", "wrong", visit.address)
                audit.add_if_known(transaction, failed)
        if request is None or person is None or not right:
            raise Wrong(Code.WRONG_APPROVAL_CODE, field="code")
        notes = {"request": request.id, "asked": request.state.value}
        return self._means.claims.begin_as(visit, COURSE, State.DECIDE, person, **notes)[0]

    def page(self, cookie: str | None) -> Shown:
        """Who asks for what. Looking changes nothing. Raises OutOfOrder."""
        flow = self._flows.at(cookie, COURSE, State.DECIDE).flow
        with self._database.read() as looking:
            person, request = self._of(looking, flow)
            return shown(looking, self._work, request, person, self._clock.now())

    def _of(self, looking: Transaction, flow: Flow) -> tuple[Person, Request]:
        person = self._means.claims.required(looking, flow, COURSE)
        request = cases.request(looking, flow.notes["request"])
        if request is None or request.person_id != person.id:
            raise OutOfOrder(Code.REQUEST_MOVED, due=COURSE.start)
        return person, request

    def decide(self, visit: Visit, cookie: str | None, typed: str) -> str:
        """Approve just this, once, or cancel it. Returns the flow's new cookie. Raises Wrong, OutOfOrder, Throttled."""
        self._means.limits.attempt(visit)
        if typed not in (Decision.APPROVE, Decision.CANCEL):
            raise Wrong(Code.MISSING, field="decision")
        decision = Decision(typed)
        held = self._flows.at(cookie, COURSE, State.DECIDE)
        now = self._clock.now()
        with self._database.begin() as transaction:
            people.hold(transaction, held.flow.person_id or 0)
            person, request = self._of(transaction, held.flow)
            if decision is Decision.APPROVE:
                if held.flow.notes.get("asked") != request.state:
                    # opened by the words of the approval, which prove no filed contact
                    raise OutOfOrder(Code.REQUEST_MOVED, due=COURSE.start)
                after = self._approve(transaction, visit, person, request, now)
            else:
                after = cancel(transaction, self._work, request, visit, now)
        done: dict[str, Any] = {
            "decision": decision.value,
            "action": after.action.value,
            "waits": after.state is not RequestState.DONE,
            "second": after.state is RequestState.SECOND and bool(after.needs.waiting),
            "filed": request.state is RequestState.CONFIRMING,
        }
        advanced = self._flows.retry(held, lambda latest: self._flows.advance(latest, state=State.DONE, **done))
        if advanced is None:
            raise OutOfOrder(Code.REQUEST_MOVED, due=COURSE.page_of(State.DONE))
        return advanced[0]

    def _approve(self, transaction: Transaction, visit: Visit, person: Person, request: Request, now: int) -> Request:
        by = By("self", visit.address)
        if request.state is RequestState.CONFIRMING:
            before = people.contacts_of(transaction, person.id)
            after, _ = self._work.move(transaction, request, Move.APPROVE, by, now)
            filed = next((one for one in before if one.id == request.target), None)
            own = [one for one in before if filed and one.channel is filed.channel and one.confirmed_at is not None]
            # first of its kind once its waiting time is over: what is on file may be what was lost
            place = min((one.position for one in own), default=1) - 1
            if filed is None or not people.confirm_contact(
                transaction,
                replace(filed, confirmed_at=now, usable_from=now + CONTACT_WAIT, position=place, pending_until=None),
            ):
                raise OutOfOrder(Code.REQUEST_MOVED, due=COURSE.start)
            self._work.tell(transaction, after, person, "done", now, undo=Kind.CONTACT)
            return after
        contact = people.contact(transaction, request.contact_id)
        if contact is None or not contact.usable(now):
            raise OutOfOrder(Code.REQUEST_MOVED, due=COURSE.start)
        after, _ = self._work.move(transaction, request, Move.APPROVE, by, now)
        self._work.tell(transaction, after, person, "approved", now)
        return after

    def done(self, cookie: str | None) -> Done:
        """What the last page tells."""
        notes = self._flows.at(cookie, COURSE, State.DONE).flow.notes
        return Done(
            Decision(notes["decision"]), notes["action"], notes["waits"], notes.get("second", False), notes["filed"]
        )

    # ---- the link of a notice

    def look(self, token: str) -> Shown:
        """What a link cancels. Looking changes nothing. Raises DeadLink."""
        now = self._clock.now()
        with self._database.read() as looking:
            request = cases.by_cancel_link(looking, fingerprint(token), now)
            if request is None:
                raise DeadLink
            return shown(looking, self._work, request, people.get(looking, request.person_id), now)

    def cancel(self, visit: Visit, token: str) -> None:
        """Cancel what a link is about, for good. Raises DeadLink, Throttled."""
        self._means.limits.attempt(visit)
        now = self._clock.now()
        with self._database.begin() as transaction:
            request = cases.by_cancel_link(transaction, fingerprint(token), now)
            if request is None:
                raise DeadLink
            people.hold(transaction, request.person_id)
            try:
                cancel(transaction, self._work, cases.request(transaction, request.id) or request, visit, now)
            except OutOfOrder:
                raise DeadLink from None


def cancel(transaction: Transaction, work: Casework, request: Request, visit: Visit, now: int) -> Request:
    """The person says no. Raises OutOfOrder where there is nothing left to cancel."""
    after, person = work.move(transaction, request, Move.CANCEL, By("self", visit.address), now)
    if after.action is Action.CONTACT:
        people.remove_contact(transaction, person.id, after.target, now)
    work.tell(transaction, after, person, "ended", now)
    return after


def shown(
    looking: Transaction, work: Casework, request: Request, person: Person | None, now: int, *, own: bool = False
) -> Shown:
    """A request as its pages show it."""
    named = work.shown(looking, request)
    contact = people.contact(looking, request.contact_id) if request.contact_id else None
    second = people.get(looking, request.second_by) if request.second_by is not None else None
    expired = request.state in LIVING_REQUEST and request.expires_at <= now
    return Shown(
        id=request.id,
        user_id=person.user_id if person else "",
        name=person.name if person else "",
        action=named["action"],
        target=_target(looking, request),
        agent=named["agent"],
        organization=named["organization"],
        reason=request.reason,
        state=RequestState.EXPIRED.value if expired else request.state.value,
        asked_at=request.asked_at,
        expires_at=request.expires_at,
        contact=contact.masked if contact else "",
        needs_second=request.needs.second,
        waiting=request.needs.waiting,
        approved_at=request.approved_at,
        confirmed_at=request.confirmed_at,
        second=second.name if second else "",
        ready_at=request.ready_at,
        ended_at=request.ended_at,
        due=moves.due(request, now),
        lacked=moves.lacked(request).value if expired or request.state is RequestState.EXPIRED else "",
        own=own,
    )


def _target(looking: Transaction, request: Request) -> str:
    if request.action is Action.REMOVE_APP:
        found = apps.find(looking, request.person_id, request.target)
        return found.label if found else ""
    if request.action is Action.CONTACT:
        contact = people.contact(looking, request.target)
        return contact.masked if contact and contact.address else ""
    return ""


def _answered(action: Action, asked: Asked) -> str:
    """The reason, where each field of the form is filled in. Raises Wrong with everything that is not."""
    wrong: list[Wrong] = []
    if action is Action.REMOVE_APP and not asked.target:
        wrong.append(Wrong(Code.NO_SUCH_APP, field="app"))
    if action is Action.CONTACT and _typed_contact(asked.target) is None:
        wrong.append(_no_contact(asked.target))
    if action not in (Action.FREEZE, Action.RESEND_ACTIVATION) and not asked.contact:
        wrong.append(Wrong(Code.NOT_REACHABLE, field="contact"))
    reason = rules.stated(asked.reason)
    if reason is None:
        wrong.append(Wrong(Code.NOT_A_REASON, field="reason"))
    if reason is None or wrong:
        first, *others = wrong
        raise Wrong(first.code, field=first.field, also=tuple(others))
    return reason


def _no_contact(typed: str) -> Wrong:
    return Wrong(Code.NOT_AN_EMAIL if "@" in typed else Code.NOT_A_PHONE, field="address")


def _typed_contact(typed: str) -> tuple[Channel, str] | None:
    plain = "".join(typed.split())
    local, at, domain = plain.rpartition("@")
    if at:
        address = f"{local}@{domain.lower()}"
        return (Channel.EMAIL, address) if is_email(address) else None
    number = plain.translate({ord(one): None for one in "-()/"})
    return (Channel.SMS, number) if is_phone(number) else None
