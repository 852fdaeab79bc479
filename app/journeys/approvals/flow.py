"""The states of an approval and the page that is due in each.

A right code begins it: decide → done. Only a button of that page approves or cancels.
"""

from enum import StrEnum

from app.records.flows.model import Course


class State(StrEnum):
    """The named steps."""

    DECIDE = "decide"
    DONE = "done"


COURSE = Course(
    purpose="approval",
    start="/approve",
    pages={State.DECIDE: "/approve/decide", State.DONE: "/approve/done"},
    ends=frozenset({State.DONE}),
    after="/approve",
)
