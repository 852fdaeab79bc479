"""The states of a rehearsal: those of a recovery, up to and not including the new password.

    token → pin → done

A purpose of its own: nothing of it opens a page of the recovery, and no grant is ever written.
"""

from enum import StrEnum

from app.records.flows.model import Course

APP = "app"  # the name of the first proof


class State(StrEnum):
    """The named steps."""

    TOKEN = "token"  # noqa: S105 - a step's name
    PIN = "pin"
    DONE = "done"


COURSE = Course(
    purpose="rehearsal",
    start="/rehearsal",
    pages={State.TOKEN: "/rehearsal/token", State.PIN: "/rehearsal/pin", State.DONE: "/rehearsal/done"},
    needed={State.PIN: (APP,)},
    ends=frozenset({State.DONE}),
    finishing=frozenset({State.PIN}),
)
