"""The shape of what is typed about apps."""

from wtforms import StringField

from app.foundation.web.shape import EverywhereForm, Form


class NewAppForm(Form):
    """Fields ``label`` and ``code``; ``replace`` is 1 where it is a new phone's."""

    label = StringField()
    code = StringField()
    replace = StringField()


class LabelForm(Form):
    """Field ``label``."""

    label = StringField()


class PutAwayForm(EverywhereForm):
    """The same, and ``stolen``: ticked where the phone was lost or stolen."""

    stolen = StringField()


class TwoCodesForm(Form):
    """Fields ``code_1`` and ``code_2``."""

    code_1 = StringField()
    code_2 = StringField()
