"""The states of a sign-in and the page that is due in each.

    password → verify ⇄ pin → done
                  ├─────┴──→ new_password → done, where a change is owed
                  └─────┴──→ (new_password →) question → done, where a security question is owed

In ``verify`` and ``pin`` the code of an app and a saved code are good as well, and where the password came of a reset
link the answer to a security question: the ways stand side by side.
"""

from enum import StrEnum

from app.records.flows.model import Course

PASSWORD = "password"  # noqa: S105 - the name of a proof


class State(StrEnum):
    """The named steps."""

    PASSWORD = "password"  # noqa: S105
    VERIFY = "verify"
    PIN = "pin"
    NEW_PASSWORD = "new_password"  # noqa: S105
    QUESTION = "question"
    DONE = "done"


COURSE = Course(
    purpose="sign_in",
    start="/sign-in",
    pages={
        State.PASSWORD: "/sign-in/password",
        State.VERIFY: "/sign-in/verify",
        State.PIN: "/sign-in/pin",
        State.NEW_PASSWORD: "/sign-in/new-password",
        State.QUESTION: "/sign-in/security-question",
        State.DONE: "/authenticators",
    },
    needed=dict.fromkeys((State.VERIFY, State.PIN, State.NEW_PASSWORD, State.QUESTION), (PASSWORD,)),
    ends=frozenset({State.DONE}),
)

# a fresh proof from somebody who is signed in already: one state, for the PIN that is on its way
STEP_UP = Course(
    purpose="step_up",
    start="/step-up",
    pages={State.PIN: "/step-up/pin", State.DONE: "/authenticators"},
    ends=frozenset({State.DONE}),
)
