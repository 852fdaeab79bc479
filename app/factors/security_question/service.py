"""Setting and checking security answers: hashed like passwords, one slow hash a try, whoever is asked."""

from app.factors.security_question import rules, store
from app.factors.security_question.model import LEAST, LEAST_QUESTION, WAITING, Answered, NewAnswer
from app.foundation.refusals import Code, Unavailable, Wrong
from app.foundation.secretbox import Keyring
from app.foundation.slowhash import SlowHasher
from app.foundation.sql import Database, Transaction

_PEPPER = "security-answer-pepper"
_LEAST = {"question": LEAST_QUESTION, "answer": LEAST}


class SecurityAnswers:
    """What the steps need of security answers. Slow hashes are computed with no transaction open."""

    def __init__(self, database: Database, hasher: SlowHasher, keyring: Keyring) -> None:
        self._database = database
        self._hasher = hasher
        self._keyring = keyring

    def find(self, transaction: Transaction, person_id: int) -> Answered | None:
        """A person's answer, None where there is none."""
        return store.find(transaction, person_id)

    def prepare(self, *, person_id: int, user_id: str, question: str, asked: str, answer: str) -> NewAnswer:
        """Judge a question and its answer and hash it: one slow hash, none for what is refused.

        ``question`` is a key of the list or the person's own text; ``asked`` its words, where it is a key. Raises
        Wrong, for both fields at once; Unavailable.
        """
        found: list[Wrong] = []
        kept, own, wanted = "", False, ""
        try:
            kept, own = rules.chosen_question(question)
        except rules.Unfit as unfit:
            found.append(_wrong(unfit))
        try:
            wanted = rules.new_answer(answer, asked=kept if own else asked, user_id=user_id)
        except rules.Unfit as unfit:
            found.append(_wrong(unfit))
        if found:
            first, *others = found
            raise Wrong(first.code, field=first.field, details=first.details, also=tuple(others))
        key = self._keyring.active
        return NewAnswer(kept, own, self._hasher.hash(self._peppered(person_id, wanted, key)), key)

    def set_first(
        self, transaction: Transaction, person_id: int, new: NewAnswer, now: int, *, waits: bool = False
    ) -> bool:
        """Give somebody who has none an answer, good at once or after a day; False where there was one meanwhile."""
        return store.add_if_none(transaction, _answered(person_id, new, now, now + WAITING if waits else now))

    def replace(self, transaction: Transaction, person_id: int, new: NewAnswer, now: int) -> Answered:
        """Give somebody another answer, which waits a day; the earlier one is gone at once."""
        replaced = _answered(person_id, new, now, now + WAITING)
        store.put(transaction, replaced)
        return replaced

    def remove(self, transaction: Transaction, person_id: int) -> bool:
        """Forget somebody's answer; False where there is none."""
        return store.remove(transaction, person_id)

    def roll_back(self, transaction: Transaction, person_id: int, moment: int) -> bool:
        """Forget an answer that was set at a moment or later. The one before it does not come back."""
        return store.remove(transaction, person_id, moment)

    def shape(self, typed: str) -> str:
        """The answer in its one form. Raises Wrong where it can be nobody's, which is no try."""
        try:
            return rules.typed_answer(typed)
        except rules.Unfit as unfit:
            raise _wrong(unfit) from None

    def check(self, record: Answered | None, answer: str) -> bool:
        """Whether an answer (of ``shape``) is right. Exactly one slow hash, also for somebody who has none.

        The try has been counted, and no transaction is open. Raises Unavailable where the hasher is busy.
        """
        if record is None:
            self._hasher.dummy(self._peppered(0, answer, self._keyring.active))
            return False
        return self._hasher.verify(record.hash, self._peppered(record.person_id, answer, record.pepper))

    def strengthen(self, record: Answered, answer: str) -> bool:
        """After a right answer: hash it anew where parameters or pepper call for it. True where that was done."""
        key = self._keyring.active
        if record.pepper == key and not self._hasher.needs_rehash(record.hash):
            return False
        try:
            phc = self._hasher.hash(self._peppered(record.person_id, answer, key))
        except Unavailable:
            return False
        with self._database.begin() as transaction:
            return store.strengthen(transaction, record, phc, key)

    def _peppered(self, person_id: int, answer: str, key: str) -> bytes:
        return self._keyring.mac_kept(_PEPPER, person_id, answer, key=key).encode()


def _answered(person_id: int, new: NewAnswer, now: int, usable_from: int) -> Answered:
    return Answered(person_id, new.question, new.own, new.hash, new.pepper, now, usable_from)


def _wrong(unfit: rules.Unfit) -> Wrong:
    return Wrong(Code(unfit.code), field=unfit.field, details={"least": _LEAST[unfit.field]})
