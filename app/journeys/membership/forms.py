"""The shape of what administrators type about people, and of what people answer."""

from wtforms import StringField

from app.foundation.web.shape import Form


class NewMemberForm(Form):
    """Fields ``user_id``, ``first_name``, ``last_name``, ``email``, ``phone`` and ``organization``, an id."""

    user_id = StringField()
    first_name = StringField()
    last_name = StringField()
    email = StringField()
    phone = StringField()
    organization = StringField()


class ProposalForm(Form):
    """Fields ``user_id`` and ``organization``, an id."""

    user_id = StringField()
    organization = StringField()


class ActForm(Form):
    """Fields ``organization``, an id, ``role``, ``email`` and ``phone``: what a form about one person needs of them."""

    organization = StringField()
    role = StringField()
    email = StringField()
    phone = StringField()


class DecisionForm(Form):
    """Field ``decision``: ``accept`` or ``decline``."""

    decision = StringField()
