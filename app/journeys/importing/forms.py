"""The shape of an upload."""

from wtforms import FileField, StringField

from app.foundation.web.shape import Form


class UploadForm(Form):
    """Fields ``organization``, an id, and ``file``."""

    organization = StringField()
    file = FileField()


class GoOnForm(Form):
    """A button alone."""
