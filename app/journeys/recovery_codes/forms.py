"""The shape of what is sent from the page of the recovery codes."""

from wtforms import StringField

from app.foundation.web.shape import Form


class MakeForm(Form):
    """Field ``stolen``: ticked where the earlier codes are lost or were seen."""

    stolen = StringField()


class SavedForm(Form):
    """No field: the button alone."""
