"""The states of a recovery and the page that is due in each. Nothing else moves a recovery on.

    token → pin → password → done
             └──→ closed, after the fifth wrong PIN

"Alternative Authentication" chooses where the PIN goes; it is data inside the state ``pin`` and completes nothing.
"""

from enum import StrEnum

PURPOSE = "recovery"
APP = "app"  # the names of the two proofs
PIN = "pin"
MOST_CANDIDATES = 20  # new passwords that one flow may propose (security rule 8)


class State(StrEnum):
    """The named steps."""

    TOKEN = "token"  # noqa: S105 - a step's name
    PIN = "pin"
    PASSWORD = "password"  # noqa: S105
    DONE = "done"
    CLOSED = "closed"


# the proofs without which a flow may not stand in a state
NEEDED = {
    State.TOKEN: (),
    State.PIN: (APP,),
    State.PASSWORD: (APP, PIN),
    State.DONE: (),
    State.CLOSED: (),
}

START = "/recovery"
PAGES = {
    State.TOKEN: "/recovery/token",
    State.PIN: "/recovery/pin",
    State.PASSWORD: "/recovery/password",
    State.DONE: "/recovery/done",
    State.CLOSED: START,
}


def page_of(state: str) -> str:
    """The path of the page that is due in a state."""
    try:
        return PAGES[State(state)]
    except ValueError:
        return START
