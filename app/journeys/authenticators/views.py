"""The pages of somebody signed in."""

from flask import Blueprint, Response

from app.foundation.web.application import visit
from app.foundation.web.browser import SESSION, read_cookie
from app.foundation.web.signed import render_signed
from app.journeys.authenticators.service import Authenticators
from app.steps.presence import Presence


def blueprint(authenticators: Authenticators, presence: Presence) -> Blueprint:
    """The doors of the tabs."""
    doors = Blueprint("authenticators", __name__)

    @doors.get("/authenticators")
    def overview() -> Response:
        present = presence.present(read_cookie(SESSION), visit())
        page = authenticators.overview(present)
        return render_signed("authenticators/overview.html", present, {"page": page, "errors": {}})

    return doors
