"""What the pages of a sign-in show."""

from dataclasses import dataclass

from app.factors.password.model import Rule
from app.factors.pin.model import Way
from app.steps.moments import Moment


@dataclass(frozen=True, slots=True)
class VerifyPage:
    """The ways to the second proof, side by side. Shown after the right password, so they may be the person's own."""

    user_id: str
    has_app: bool
    ways: tuple[Way, ...]
    has_codes: bool
    held_back: Moment | None  # until when, after a recovery, messages do not suffice (security rule 6)
    temporary: bool = False  # the password came of a mailed link: no mailbox is a second proof (security rule 11)
    has_answer: bool = False  # to a security question, which stands beside a temporary password alone
    by_new_app: bool = False  # the fresh proof was by an app that cannot change older factors yet


@dataclass(frozen=True, slots=True)
class NewPasswordPage:
    """The rules before anything is typed. ``expired``, ``temporary``: that is why the present one has to go."""

    user_id: str
    rules: tuple[Rule, ...]
    passwordrules: str
    expired: bool
    temporary: bool = False  # it came of a mailed link


@dataclass(frozen=True, slots=True)
class AnswerPage:
    """A person's security question: the key of one of the list, or their own text."""

    user_id: str
    question: str
    own: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """How a second proof ended: signed in with these cookies, or something is owed first, on the page ``due``."""

    cookie: str  # the flow's next
    due: str = ""
    session: str = ""
    known_browser: str = ""

    @property
    def signed_in(self) -> bool:
        """Whether there is a session."""
        return bool(self.session)
