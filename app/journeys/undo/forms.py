"""The shape of what is typed after a freezing."""

from wtforms import StringField

from app.foundation.web.shape import CodeForm, Form


class ChoiceForm(CodeForm):
    """Field ``code``; ``stolen`` = ``yes`` where the phone is gone."""

    stolen = StringField()


class DecisionForm(Form):
    """Field ``decision``."""

    decision = StringField()
