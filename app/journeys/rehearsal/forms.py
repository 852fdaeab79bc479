"""The shape of what is typed in a rehearsal."""

from wtforms import StringField

from app.foundation.web.shape import Form


class CodeForm(Form):
    """Field ``code``."""

    code = StringField()


class PinForm(Form):
    """Field ``pin``."""

    pin = StringField()


class SendForm(Form):
    """Field ``channel``."""

    channel = StringField()
