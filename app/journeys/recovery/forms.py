"""The shape of what is typed in a recovery. Who somebody is is judged elsewhere."""

from wtforms import StringField

from app.foundation.web.shape import Form


class UserIdForm(Form):
    """Field ``user_id``."""

    user_id = StringField()


class CodeForm(Form):
    """Field ``code``."""

    code = StringField()


class PinForm(Form):
    """Field ``pin``."""

    pin = StringField()


class SendForm(Form):
    """Field ``channel``."""

    channel = StringField()


class PasswordForm(Form):
    """Fields ``new_password`` and ``confirm_password``. Never stripped, never cut."""

    new_password = StringField()
    confirm_password = StringField()
