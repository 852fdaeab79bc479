"""The states after a freezing and the page that is due in each.

choose → decide → done
   └──────────────→ done, where support is left to decide
"""

from enum import StrEnum

from app.records.flows.model import Course

OLDER = "older_factor"  # the name of the proof: an app or a saved code from before the change


class State(StrEnum):
    """The named steps."""

    CHOOSE = "choose"
    DECIDE = "decide"
    DONE = "done"


COURSE = Course(
    purpose="undo",
    start="/undo",  # says that the newest link leads here again
    pages={State.CHOOSE: "/undo/choose", State.DECIDE: "/undo/decide", State.DONE: "/undo/done"},
    needed={State.DECIDE: (OLDER,)},
    ends=frozenset({State.DONE}),
    after="/undo",
)
