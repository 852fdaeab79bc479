"""The shape of what is typed at sign-in."""

from wtforms import StringField

from app.foundation.web.shape import Form


class UserIdForm(Form):
    """Field ``user_id``."""

    user_id = StringField()


class PasswordForm(Form):
    """Field ``password``: never stripped, never cut."""

    password = StringField()


class CodeForm(Form):
    """Field ``code``."""

    code = StringField()


class PinForm(Form):
    """Field ``pin``."""

    pin = StringField()


class ChannelForm(Form):
    """Field ``channel``."""

    channel = StringField()


class NewPasswordForm(Form):
    """Fields ``new_password`` and ``confirm_password``. Never stripped, never cut."""

    new_password = StringField()
    confirm_password = StringField()
