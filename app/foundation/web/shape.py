"""The base of all forms, Flask-WTF's, read as text; and those that several rooms have alike."""

from flask_wtf import FlaskForm
from wtforms import StringField

_SHOWN = 1_000  # characters of what was typed


class Form(FlaskForm):
    """A posted form. Its ``<input>`` elements are written in the templates; here stands the shape alone."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def text(self, name: str) -> str:
        """What was typed into a field, as it came; empty where the field is not there."""
        return str(self[name].data or "")


class UserIdForm(Form):
    """Field ``user_id``."""

    user_id = StringField()


class CodeForm(Form):
    """Field ``code``: an app's, or a saved one."""

    code = StringField()


class PinForm(Form):
    """Field ``pin``."""

    pin = StringField()


class ChannelForm(Form):
    """Field ``channel``: where a PIN is sent."""

    channel = StringField()


class PasswordForm(Form):
    """Field ``password``. Never stripped, never cut."""

    password = StringField()


class NewPasswordForm(Form):
    """Fields ``new_password`` and ``confirm_password``. Never stripped, never cut."""

    new_password = StringField()
    confirm_password = StringField()


class AnswerForm(Form):
    """Field ``answer``. Never stripped, never cut."""

    answer = StringField()


class QuestionForm(Form):
    """Fields ``question``, ``own_question`` and ``answer``.

    ``question`` is a key of the list, ``own`` where the text stands in ``own_question``, or that text itself.
    """

    question = StringField()
    own_question = StringField()
    answer = StringField()

    def chosen(self) -> str:
        """The key, or the person's own text."""
        question = self.text("question")
        return self.text("own_question") if question in {"", "own"} else question

    def typed(self) -> dict[str, str]:
        """What a page shows again: never the answer."""
        return {name: self.text(name)[:_SHOWN] for name in ("question", "own_question")}


class EverywhereForm(Form):
    """Field ``everywhere``: ticked where all other sessions are to end."""

    everywhere = StringField()
