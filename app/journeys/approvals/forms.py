"""The shape of what agents and people send about requests."""

from wtforms import StringField

from app.foundation.web.shape import Form


class AskForm(Form):
    """Field ``reason``, and what the action needs: ``contact``, ``app`` or ``address``.

    ``do`` says which form of the page was sent: to ask, to carry out, or to withdraw.
    """

    do = StringField()
    request = StringField()
    reason = StringField()
    contact = StringField()
    app = StringField()
    address = StringField()


class DecisionForm(Form):
    """Field ``decision``."""

    decision = StringField()
