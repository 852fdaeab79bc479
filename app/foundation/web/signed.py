"""Pages of somebody signed in: their frame needs to know who it is and when the session ends."""

from datetime import UTC, datetime
from typing import Any, Protocol

from flask import Response

from app.foundation.refusals import Refusal
from app.foundation.web.application import show


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


def render_signed(
    template: str, present: SignedIn, context: dict[str, Any], refusal: Refusal | None = None
) -> Response:
    """A page in the frame, as it is or with what was wrong."""
    framed = {"signed": present, "idle_at": datetime.fromtimestamp(present.idle_at, UTC), **context}
    return show(template, framed, refusal)
