"""Pages of somebody signed in: their frame needs to know who it is and when the session ends."""

from datetime import UTC, datetime
from typing import Any, Protocol

from flask import Response

from app.foundation.refusals import Refusal
from app.foundation.web.application import go_to, show
from app.foundation.web.browser import DONE, clear_cookie, read_cookie


class SignedIn(Protocol):
    """What the frame shows of a session."""

    @property
    def user_id(self) -> str:
        """The User ID as it is written."""

    @property
    def idle_in(self) -> int:
        """Seconds until the session ends unless it is used."""

    @property
    def role(self) -> str:
        """What else they may open: support, administrator, or member."""

    @property
    def idle_at(self) -> int:
        """When that is."""

    @property
    def support(self) -> object | None:
        """Whom they ask for help; None: the installation's support."""


def render_signed(
    template: str, present: SignedIn, context: dict[str, Any], refusal: Refusal | None = None
) -> Response:
    """A page in the frame, as it is or with what was wrong; and what was done on the page before, once."""
    done = read_cookie(DONE)
    framed = {"signed": present, "idle_at": utc(present.idle_at), "done": done, **context}
    response = show(template, framed, refusal, support=present.support)
    if done:
        clear_cookie(response, DONE)
    return response


def done_at(path: str, what: str) -> Response:
    """On to a page that says once what was done. ``what`` has its words in templates/_done.html."""
    return go_to(path, DONE, what)


def utc(seconds: int) -> datetime:
    """A moment as templates say it."""
    return datetime.fromtimestamp(seconds, UTC)
