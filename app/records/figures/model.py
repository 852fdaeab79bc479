"""What is counted."""

from dataclasses import dataclass
from enum import StrEnum

HOUR = 3_600
DAY = 86_400


class Figure(StrEnum):
    """The name of a number that is kept by the hour."""

    BEGUN = "recovery_begun"  # its first proof was right
    FINISHED = "recovery_finished"
    WRONG_PASSWORD = "wrong_password"  # noqa: S105 - a name, not a secret
    WRONG_APP_CODE = "wrong_app_code"
    CLOCK_OFF = "clock_off"
    APP_CODE_USED = "app_code_used"
    WRONG_SAVED_CODE = "wrong_saved_code"
    WRONG_PIN = "wrong_pin"
    PIN_EXPIRED = "pin_expired"
    PIN_NOT_SENT = "pin_not_sent"
    PASSWORD_REFUSED = "password_refused"  # noqa: S105
    HELD_BACK = "held_back"
    SMS_DELIVERED = "sms_delivered"
    SMS_SENT = "sms_sent"
    SMS_UNKNOWN = "sms_unknown"
    SMS_FAILED = "sms_failed"
    SMS_WAITING = "sms_waiting"
    EMAIL_SENT = "email_sent"
    EMAIL_UNKNOWN = "email_unknown"
    EMAIL_FAILED = "email_failed"
    EMAIL_WAITING = "email_waiting"
    SMS_PINS = "sms_pins"  # counted by the spend guard, with what they cost
    SMS_TYPED = "sms_typed"
    SMS_NOTICES = "sms_notices"


CAUSES = (
    Figure.WRONG_PASSWORD,
    Figure.WRONG_APP_CODE,
    Figure.CLOCK_OFF,
    Figure.APP_CODE_USED,
    Figure.WRONG_SAVED_CODE,
    Figure.WRONG_PIN,
    Figure.PIN_EXPIRED,
    Figure.PIN_NOT_SENT,
    Figure.PASSWORD_REFUSED,
    Figure.HELD_BACK,
)


class Source(StrEnum):
    """What is counted from, each up to an hour of its own."""

    EVENTS = "events"
    MESSAGES = "messages"

    @property
    def figures(self) -> tuple[Figure, ...]:
        """What is counted from it."""
        of_events = (Figure.BEGUN, Figure.FINISHED, *CAUSES)
        return of_events if self is Source.EVENTS else tuple(one for one in Figure if one not in of_events)


@dataclass(frozen=True, slots=True)
class Count:
    """How often something happened to the people of one organization from ``at`` on, for an hour or for a day.

    ``at`` is in seconds since the epoch, ``cost`` in millionths of the currency of the settings.
    """

    at: int
    figure: Figure
    count: int
    cost: int = 0
