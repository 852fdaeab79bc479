"""The states of a sign-in and the page that is due in each."""

from enum import StrEnum

PURPOSE = "sign_in"
PASSWORD = "password"  # noqa: S105 - the name of a proof


class State(StrEnum):
    """The named steps so far."""

    PASSWORD = "password"  # noqa: S105
    VERIFY = "verify"


START = "/sign-in"
PAGES = {State.PASSWORD: "/sign-in/password", State.VERIFY: "/sign-in/verify"}


def page_of(state: str) -> str:
    """The path of the page that is due in a state."""
    try:
        return PAGES[State(state)]
    except ValueError:
        return START
