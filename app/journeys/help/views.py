"""The page /help: what to do where a sign-in does not go on. It knows nothing of whoever reads it."""

from flask import Blueprint, Response

from app.foundation.web.application import show
from app.journeys.help.service import Help

PAGE = "/help"


def blueprint(service: Help) -> Blueprint:
    """The door of the help: no journey begins behind it."""
    doors = Blueprint("help", __name__)

    @doors.get(PAGE)
    def page() -> Response:
        return show("help/help.html", {"classic": service.offers_links()}, support=service.helpdesk())

    return doors
