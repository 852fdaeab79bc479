"""What the page of a signed-in person's security question shows."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QuestionPage:
    """The present question, empty where there is none. ``own``: it is the person's own text, and no key of the list."""

    question: str = ""
    own: bool = False
