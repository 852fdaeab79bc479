"""The base of all forms, Flask-WTF's, read as text; and those that several rooms have alike."""

from flask_wtf import FlaskForm
from wtforms import StringField


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


class EverywhereForm(Form):
    """Field ``everywhere``: ticked where all other sessions are to end."""

    everywhere = StringField()
