"""The shape of what is typed after a freezing."""

from wtforms import StringField

from app.foundation.web.shape import Form


class CodeForm(Form):
    """Field ``code``; ``stolen`` = ``yes`` where the phone is gone."""

    code = StringField()
    stolen = StringField()


class DecisionForm(Form):
    """Field ``decision``."""

    decision = StringField()
