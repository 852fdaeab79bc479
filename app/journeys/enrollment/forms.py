"""The shape of what is typed about apps."""

from wtforms import StringField

from app.foundation.web.shape import Form


class NewAppForm(Form):
    """Fields ``label`` and ``code``."""

    label = StringField()
    code = StringField()


class LabelForm(Form):
    """Field ``label``."""

    label = StringField()


class TwoCodesForm(Form):
    """Fields ``code_1`` and ``code_2``."""

    code_1 = StringField()
    code_2 = StringField()
