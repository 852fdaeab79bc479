"""Pure rules: when a factor was last used."""

from collections.abc import Iterable

from app.records.audit.model import Event, Record


def last_used(records: Iterable[Record]) -> dict[str, int]:
    """When the password ("password") and each contact (its id) last proved something; of records newest first."""
    found: dict[str, int] = {}
    for record in records:
        if record.event is Event.SIGN_IN_PASSWORD_OK:
            found.setdefault("password", record.at)
        elif record.event is Event.PIN_OK and isinstance(record.details.get("contact"), str):
            found.setdefault(str(record.details["contact"]), record.at)
    return found


PROVING = (Event.SIGN_IN_PASSWORD_OK, Event.PIN_OK)  # what ``last_used`` looks for
