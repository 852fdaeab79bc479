"""The one form in which answers are compared, and what an answer must not be."""

import unicodedata

from app.factors.security_question.model import ANSWER_MAX, LEAST, LEAST_QUESTION, QUESTION_MAX, Question


class Unfit(Exception):
    """Neither a question nor an answer that can be kept. ``field`` and ``code`` name what is wrong."""

    def __init__(self, field: str, code: str) -> None:
        super().__init__(f"{field}: {code}")
        self.field = field
        self.code = code


def normalise(text: str) -> str:
    """An answer in its one form: nobody remembers how they wrote it. Empty where nothing is left.

    NFKC, no case, dashes as blanks, no other punctuation, blanks collapsed.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    kept = "".join(" " if _kind(sign) == "Pd" else sign for sign in folded if _stays(sign))
    return " ".join(kept.split())


def typed_answer(text: str) -> str:
    """What is judged of a typed answer. Raises Unfit where it can be nobody's, which is no try."""
    if len(text) > ANSWER_MAX:
        raise Unfit("answer", "too_long")
    wanted = normalise(text)
    if not wanted:
        raise Unfit("answer", "missing")
    return wanted


def chosen_question(text: str) -> tuple[str, bool]:
    """A question as it is kept, and whether it is the person's own. Raises Unfit."""
    question = " ".join(text.split())
    if not question:
        raise Unfit("question", "missing")
    if question in set(Question):
        return question, False
    if len(question) > QUESTION_MAX:
        raise Unfit("question", "too_long")
    if not all(map(str.isprintable, question)):
        raise Unfit("question", "bad_characters")
    if len(normalise(question)) < LEAST_QUESTION:
        raise Unfit("question", "too_short")
    return question, True


def new_answer(text: str, *, asked: str, user_id: str) -> str:
    """A new answer in its one form. ``asked`` are the words of its question. Raises Unfit.

    Not what the question says already, nor the User ID, which whoever guesses has before them; and not one sign alone.
    """
    wanted = typed_answer(text)
    if len(wanted) < LEAST or len(set(wanted) - {" "}) < 2:
        raise Unfit("answer", "too_short")
    if f" {wanted} " in f" {normalise(asked)} " or _bare(wanted) == _bare(normalise(user_id)):
        raise Unfit("answer", "answer_given_away")
    return wanted


def _bare(text: str) -> str:
    return text.replace(" ", "")


def _kind(sign: str) -> str:
    return unicodedata.category(sign)


def _stays(sign: str) -> bool:
    kind = _kind(sign)
    return kind == "Pd" or sign.isspace() or kind[0] not in "PC"
