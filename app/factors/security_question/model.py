"""A security question with its answer: one a person, of the classic lifecycle alone (product.md section 6)."""

from dataclasses import dataclass, field
from enum import StrEnum

QUESTION_MAX = 200  # code points of a question of one's own
ANSWER_MAX = 200  # code points as typed
LEAST = 4  # code points of an answer in its one form
LEAST_QUESTION = 8  # of a question of one's own, likewise
WAITING = 86_400  # seconds before an answer that replaced another proves anything (security rule 6)


class Question(StrEnum):
    """Questions that have many possible answers, which stay true and stand in no register. Templates have the words."""

    FIRST_TOY = "first_toy"
    CHILDHOOD_FRIEND = "childhood_friend"
    FIRST_JOURNEY = "first_journey"
    FIRST_CONCERT = "first_concert"
    FIRST_FILM = "first_film"
    FIRST_DISH = "first_dish"
    TEACHER = "teacher"
    DREAM_WORK = "dream_work"


@dataclass(frozen=True, slots=True)
class Answered:
    """One row of security_answers. ``question`` is the key of a ``Question``, or the person's own text where ``own``.

    ``pepper`` names the key of the keyring.
    """

    person_id: int
    question: str
    own: bool
    hash: str = field(repr=False)
    pepper: str
    set_at: int
    usable_from: int

    def usable(self, now: int) -> bool:
        """Whether it may prove something, beside a temporary password."""
        return self.usable_from <= now


@dataclass(frozen=True, slots=True)
class NewAnswer:
    """A question and an answer that were judged and hashed, and are nobody's yet."""

    question: str
    own: bool
    hash: str = field(repr=False)
    pepper: str
