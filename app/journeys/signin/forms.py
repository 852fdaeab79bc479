"""The shape of what is typed at sign-in."""

from wtforms import StringField

from app.foundation.web.shape import Form


class UserIdForm(Form):
    """Field ``user_id``."""

    user_id = StringField()


class PasswordForm(Form):
    """Field ``password``: never stripped, never cut."""

    password = StringField()
