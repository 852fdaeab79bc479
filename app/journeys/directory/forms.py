"""The shape of what a list is exported by."""

from wtforms import StringField

from app.foundation.web.shape import Form


class ExportForm(Form):
    """Fields ``organization``, ``list``, ``days`` and ``q``: the same as in the address of the list."""

    organization = StringField()
    list = StringField()
    days = StringField()
    q = StringField()
