"""The shape of what somebody signed in types and presses."""

from wtforms import StringField

from app.foundation.web.shape import Form


class ChangePasswordForm(Form):
    """Fields ``current_password``, ``new_password``, ``confirm_password``, never stripped; and ``everywhere``."""

    current_password = StringField()
    new_password = StringField()
    confirm_password = StringField()
    everywhere = StringField()


class SessionsForm(Form):
    """One of ``name`` (a session), ``all`` (the other sessions), ``forget`` (a known browser)."""

    name = StringField()
    all = StringField()
    forget = StringField()


class ExtendForm(Form):
    """Nothing but the token."""
