"""The states of a new contact, for each kind: a PIN is on its way there, and then it is confirmed.

(address typed) → pin → done
                   └──→ closed, after the fifth wrong PIN
"""

from enum import StrEnum

from app.records.flows.model import Course
from app.records.people.model import Channel

HOME = "/authenticators"


class State(StrEnum):
    """The named steps."""

    PIN = "pin"
    DONE = "done"


def _course(kind: str) -> Course:
    start = f"{HOME}/{kind}/new"
    return Course(
        purpose="contact",
        start=start,
        pages={State.PIN: f"{start}/confirm", State.DONE: HOME},
        ends=frozenset({State.DONE}),
    )


COURSES = {Channel.SMS: _course("phone"), Channel.EMAIL: _course("email")}
