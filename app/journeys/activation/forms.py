"""The shape of what is typed in an activation."""

from wtforms import StringField

from app.foundation.web.shape import Form


class PinForm(Form):
    """Field ``pin``."""

    pin = StringField()


class SendForm(Form):
    """Field ``channel``."""

    channel = StringField()


class CodeForm(Form):
    """Field ``code``."""

    code = StringField()


class PasswordForm(Form):
    """Field ``password``. Never stripped, never cut."""

    password = StringField()


class NewPasswordForm(Form):
    """Fields ``new_password`` and ``confirm_password``. Never stripped, never cut."""

    new_password = StringField()
    confirm_password = StringField()


class AppForm(Form):
    """Fields ``label`` and ``code``."""

    label = StringField()
    code = StringField()
