"""The states of a first activation (security rule 13) and the page that is due in each.

pin | code → password → contacts → app → codes → done
     └────→ resume ────────┘ (a later step, on another device)
"""

from enum import StrEnum

from app.records.flows.model import Course

FILED = "filed"  # the proof by a PIN to the filed phone, or by the code that was handed over


class State(StrEnum):
    """The named steps."""

    PIN = "pin"
    CODE = "code"
    RESUME = "resume"
    PASSWORD = "password"  # noqa: S105 - a step's name
    CONTACTS = "contacts"
    APP = "app"
    CODES = "codes"
    DONE = "done"


ORDER = (State.PASSWORD, State.CONTACTS, State.APP, State.CODES, State.DONE)

COURSE = Course(
    purpose="activation",
    start="/activate",
    pages={state: f"/activate/{state}" for state in State},
    needed=dict.fromkeys((State.RESUME, State.PASSWORD, State.CONTACTS, State.APP, State.CODES), (FILED,)),
    ends=frozenset({State.DONE}),
)


def step_after(state: State) -> State:
    """The next step of those that an invitation remembers."""
    return ORDER[ORDER.index(state) + 1]
