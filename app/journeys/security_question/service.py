"""The security question of somebody signed in: of the classic lifecycle, without an app (product.md section 6)."""

from app.foundation.refusals import Code, OutOfOrder, Throttled
from app.foundation.sql import Database, Transaction
from app.foundation.visit import Visit
from app.journeys.security_question.model import QuestionPage
from app.records.attempts.model import Door
from app.records.attempts.service import AddressLimits, Tries
from app.steps.presence import Presence, Present
from app.steps.security_answer import SecurityAnswerStep

HOME = "/authenticators"
PAGE = f"{HOME}/security-question"


class OwnQuestion:
    """What the page does."""

    def __init__(
        self,
        *,
        database: Database,
        security_answers: SecurityAnswerStep,
        tries: Tries,
        limits: AddressLimits,
        presence: Presence,
    ) -> None:
        self._database = database
        self._answers = security_answers
        self._tries = tries
        self._limits = limits
        self._presence = presence

    def page(self, present: Present) -> QuestionPage:
        """The present question. Raises OutOfOrder where questions are nothing to this person."""
        with self._database.read() as looking:
            self._must_apply(looking, present)
            found = self._answers.standing(looking, present.person, present.policy)
        return QuestionPage(found.question, found.own) if found else QuestionPage()

    def replace(self, visit: Visit, present: Present, *, question: str, asked: str, answer: str) -> None:
        """Set another question with its answer. The caller asked for a fresh proof.

        ``asked`` are the words of a question of the list. Raises Wrong, Throttled, OutOfOrder, Unavailable.
        """
        self._limits.attempt(visit)
        with self._database.read() as looking:
            self._must_apply(looking, present)
        new = self._answers.prepare(present.person, question=question, asked=asked, answer=answer)
        try:
            with self._database.begin() as transaction:
                # each is told to every contact, as messages to one destination are counted (requirements M-10)
                self._tries.spend_send(transaction, f"questions of {present.person.id}", Door.SIGN_IN)
                self._presence.hold(transaction, present)
                self._must_apply(transaction, present)
                self._answers.replace(transaction, visit, present.person, new)
        except Throttled as throttled:
            raise Throttled(throttled.code, field="question", retry_after=throttled.retry_after) from None

    def _must_apply(self, transaction: Transaction, present: Present) -> None:
        if not self._answers.applies(transaction, present.person, present.policy):
            raise OutOfOrder(Code.OUT_OF_ORDER, due=HOME)
