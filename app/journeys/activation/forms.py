"""The shape of what is typed in an activation."""

from wtforms import StringField

from app.foundation.web.shape import Form


class AppForm(Form):
    """Fields ``label`` and ``code``."""

    label = StringField()
    code = StringField()
