"""The shapes of the forms of API clients."""

from wtforms import StringField

from app.foundation.web.shape import Form


class ClientForm(Form):
    """Fields ``name`` and ``organization``, the id of one of the administrator's own."""

    name = StringField()
    organization = StringField()


class RotateForm(Form):
    """Field ``at_once``: the earlier secret ends now instead of in a day."""

    at_once = StringField()
