"""The states of a recovery and the page that is due in each. Nothing else moves a recovery on.

    token → pin → password → done
             └──→ closed, after the fifth wrong PIN

In ``token`` a saved code or a temporary access code is good as well as one of an app; their pages stand side by side.
"Alternative Authentication" chooses where the PIN goes; it is data inside the state ``pin`` and completes nothing.
"""

from enum import StrEnum

from app.records.flows.model import Course

APP = "app"  # the names of the proofs
RECOVERY_CODE = "recovery_code"
ACCESS_CODE = "access_code"
PIN = "pin"
_FIRST = frozenset({APP, RECOVERY_CODE, ACCESS_CODE})  # any of them is the first


class State(StrEnum):
    """The named steps."""

    TOKEN = "token"  # noqa: S105 - a step's name
    PIN = "pin"
    PASSWORD = "password"  # noqa: S105
    DONE = "done"


COURSE = Course(
    purpose="recovery",
    start="/recovery",
    pages={
        State.TOKEN: "/recovery/token",
        State.PIN: "/recovery/pin",
        State.PASSWORD: "/recovery/password",
        State.DONE: "/recovery/done",
    },
    needed={State.PIN: (_FIRST,), State.PASSWORD: (_FIRST, PIN)},
    ends=frozenset({State.DONE}),
    finishing=frozenset({State.PASSWORD}),
    after="/sign-in",
)
