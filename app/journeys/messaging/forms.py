"""The shape of a request for a test message."""

from wtforms import StringField

from app.foundation.web.shape import Form


class TestForm(Form):
    """Field ``contact``: the id of one of the administrator's own."""

    __test__ = False  # for pytest, which takes it for a test otherwise

    contact = StringField()
