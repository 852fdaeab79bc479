"""The step of a security answer: who owes one, and its judgement beside a temporary password (docs/decisions/0008).

It proves nothing anywhere else, and nothing of somebody who has an authenticator app (security rule 11).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from app.factors.security_question.model import Answered, NewAnswer
from app.factors.security_question.service import SecurityAnswers
from app.factors.totp import store as apps
from app.foundation.clock import Clock
from app.foundation.refusals import Code, Unavailable, Wrong
from app.foundation.sql import Database, Transaction
from app.foundation.visit import Visit
from app.records.attempts.model import Door, Factor
from app.records.attempts.service import Tries
from app.records.audit import store as audit
from app.records.audit.model import Event
from app.records.flows.model import Flow, Proof
from app.records.organizations import store as organizations
from app.records.organizations.model import Policy, Profile
from app.records.people.model import Person
from app.records.sessions.model import SECURITY_ANSWER, STRONG
from app.steps.change import Changes
from app.steps.claim import Claims, own_record, subject_of
from app.steps.lane import door_of
from app.steps.presence import held_back

TEMPORARY = "temporary"  # the note of a flow whose password came from a reset link
_NOTICE = "notice_question_set"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class SecurityAnswerMeans:
    """What the step stands on."""

    database: Database
    answers: SecurityAnswers
    tries: Tries
    claims: Claims
    changes: Changes
    clock: Clock


class SecurityAnswerStep:
    """Says who has to set a question, keeps what they set, and judges answers."""

    def __init__(self, means: SecurityAnswerMeans) -> None:
        self._means = means

    def applies(self, transaction: Transaction, person: Person, policy: Policy | None = None) -> bool:
        """Whether questions are anything to somebody: all their organizations are classic, and no app is bound.

        Whatever state the app is in: one that is disabled comes back by a switch. ``policy`` is what they meet, where
        it was read already.
        """
        met = policy or organizations.policy_of_person(transaction, person.id, self._means.clock.now())
        return met.profile is Profile.CLASSIC and not apps.of_person(transaction, person.id)

    def owed(self, transaction: Transaction, person: Person, policy: Policy | None = None) -> bool:
        """Whether somebody has to set one before anything else."""
        return self.applies(transaction, person, policy) and self._means.answers.find(transaction, person.id) is None

    def standing(self, transaction: Transaction, person: Person, policy: Policy | None = None) -> Answered | None:
        """Somebody's answer, None where there is none or it is good for nothing."""
        if not self.applies(transaction, person, policy):
            return None
        return self._means.answers.find(transaction, person.id)

    def usable(self, transaction: Transaction, person: Person, now: int) -> Answered | None:
        """The answer that may stand beside a temporary password now: not within a day of a recovery (security rule 6).

        Whether somebody may have a reset link goes by this as well.
        """
        found = self.standing(transaction, person)
        return found if found is not None and found.usable(now) and not held_back(person, now) else None

    def offered(self, transaction: Transaction, person: Person | None, flow: Flow, now: int) -> Answered | None:
        """The answer that a flow may ask for; None where its password did not come of a reset link."""
        if person is None or flow.notes.get(TEMPORARY) is not True:
            return None
        return self.usable(transaction, person, now)

    # ---- setting one

    def prepare(self, person: Person, *, question: str, asked: str, answer: str) -> NewAnswer:
        """Judge and hash, with no transaction open. Raises Wrong, Unavailable."""
        return self._means.answers.prepare(
            person_id=person.id, user_id=person.user_id, question=question, asked=asked, answer=answer
        )

    def set_first(self, transaction: Transaction, visit: Visit, person: Person, new: NewAnswer, flow: Flow) -> bool:
        """Keep the answer that is owed, and tell its owner; False where it is owed no more.

        It waits a day where the flow has no second factor but a mailed PIN: whoever has the mailbox could else make a
        second way into the account beside it before its owner reads the notice.
        """
        now = self._means.clock.now()
        waits = not {proof.factor for proof in flow.proofs} & STRONG
        if not self.owed(transaction, person):
            return False
        if not self._means.answers.set_first(transaction, person.id, new, now, waits=waits):
            return False
        self._announce(transaction, visit, person, now, {"journey": flow.purpose, "flow": flow.txn})
        return True

    def replace(self, transaction: Transaction, visit: Visit, person: Person, new: NewAnswer) -> Answered:
        """Keep another answer, and tell its owner. The caller holds the person and asked for a fresh proof."""
        now = self._means.clock.now()
        replaced = self._means.answers.replace(transaction, person.id, new, now)
        self._announce(transaction, visit, person, now, {"usable_from": replaced.usable_from})
        return replaced

    def _announce(
        self, transaction: Transaction, visit: Visit, person: Person, now: int, details: dict[str, object]
    ) -> None:
        # a new answer has tries of its own, but for those that the day has counted
        self._means.tries.clear(transaction, person.id, Factor.ANSWER)
        self._means.changes.announce(
            transaction,
            visit=visit,
            person=person,
            event=Event.ANSWER_SET,
            template=_NOTICE,
            variables={},
            now=now,
            details=details,
        )

    # ---- proving it

    def shape(self, typed: str) -> str:
        """The answer in its one form. Raises Wrong where it can be nobody's, which is no try."""
        return self._means.answers.shape(typed)

    def prove(
        self, visit: Visit, flow: Flow, answer: str, then: Callable[[Transaction, Person, Proof], _T]
    ) -> tuple[_T, Proof]:
        """Judge an answer for a flow. Returns what ``then`` made of it in the same transaction, and the proof.

        Counted in a write of its own before it is judged; one slow hash, also where there is nothing to judge. Without
        the note TEMPORARY in the flow each is answered as a wrong one. Raises Throttled, Wrong, Unavailable.
        """
        means = self._means
        now = means.clock.now()
        with means.database.read() as looking:
            person = means.claims.person(looking, flow)
            record = self.offered(looking, person, flow, now)
            door = door_of(looking, visit, flow, Door.SIGN_IN, now)
        with means.claims.noting(visit, flow, Factor.ANSWER, now):
            spent = means.tries.spend(subject_of(flow), Factor.ANSWER, door)
        try:
            right = means.answers.check(record, answer)
        except Unavailable:
            # nothing was judged, so nothing was tried: a flood must not use up the owner's tries
            means.tries.take_back(spent)
            raise
        with means.database.begin() as transaction:
            # an app, another answer or an undo may have come while it was hashed
            right = right and record is not None and record == self.offered(transaction, person, flow, now)
            event = Event.ANSWER_OK if right else Event.ANSWER_FAIL
            reason = "" if right else "wrong"
            audit.add_if_known(transaction, own_record(event, flow, visit, now, right=right, reason=reason))
            if right and person is not None:
                means.tries.succeed(transaction, spent)
                proof = Proof(SECURITY_ANSWER, now)
                result = then(transaction, person, proof)
            elif person is not None and spent.closed_to_strangers:
                means.claims.warn_owner(transaction, visit, person, now)
        if not right or record is None:
            raise Wrong(Code.WRONG_ANSWER, field="answer")
        means.answers.strengthen(record, answer)
        return result, proof
