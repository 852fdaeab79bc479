"""The shape of what is typed about contacts."""

from wtforms import StringField

from app.foundation.web.shape import Form


class PhoneForm(Form):
    """Field ``phone``."""

    phone = StringField()


class EmailForm(Form):
    """Field ``email``."""

    email = StringField()
