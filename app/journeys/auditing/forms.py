"""The shape of what an administrator filters the log by."""

from collections.abc import Mapping

from wtforms import StringField

from app.foundation.web.shape import Form
from app.journeys.auditing.model import Asked

# the fields in the order of the page, each with what the journey calls it: two are no names in Python
FIELDS = {
    "person": "person",
    "event": "event",
    "outcome": "outcome",
    "actor": "actor",
    "from": "first",
    "to": "last",
}


class ExportForm(Form):
    """The filter, and field ``format``: jsonl or csv."""

    person = StringField()
    event = StringField()
    outcome = StringField()
    actor = StringField()
    first = StringField(name="from")
    last = StringField(name="to")
    format = StringField()


def asked_by(fields: Mapping[str, str]) -> Asked:
    """What a query or a form says, as it came."""
    return Asked(**{name: fields.get(field, "") for field, name in FIELDS.items()})


def said_by(asked: Asked) -> dict[str, str]:
    """The same back, without what is empty."""
    return {field: getattr(asked, name) for field, name in FIELDS.items() if getattr(asked, name)}
