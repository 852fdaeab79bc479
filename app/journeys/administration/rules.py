"""What an operator states beside what is to be done."""

from app.journeys.administration.model import NotDone
from app.steps.roster import showable

REASON_MAX = 500  # code points


def reason(typed: str) -> str:
    """An operator's reason for what is audited. Raises NotDone where it is missing, too long or not one line."""
    stated = typed.strip()
    if not stated or len(stated) > REASON_MAX or not showable(stated):
        raise NotDone(f"the reason must be one line of 1 to {REASON_MAX} characters")
    return stated
