"""The page of messages under /admin/delivery."""

from flask import Blueprint, Response, abort, jsonify

from app.foundation.refusals import Refusal, Throttled, Wrong
from app.foundation.web.application import go_to, visit
from app.foundation.web.browser import SESSION, read_cookie
from app.foundation.web.signed import render_signed, utc
from app.journeys.messaging.forms import TestForm
from app.journeys.messaging.model import PAGE
from app.journeys.messaging.service import Messaging
from app.steps.staff import Staffing


def blueprint(messaging: Messaging, staffing: Staffing) -> Blueprint:
    """The doors of the page."""
    doors = Blueprint("messaging", __name__)

    @doors.get(PAGE)
    def page() -> Response:
        return _page()

    def _page(refusal: Refusal | None = None) -> Response:
        staff = staffing.administrator(read_cookie(SESSION), visit())
        context = {"page": messaging.page(staff), "utc": utc, "status_at": f"{PAGE}/status"}
        return render_signed("messaging/delivery.html", staff.present, context, refusal)

    @doors.post(PAGE)
    def send() -> Response:
        try:
            messaging.send(visit(), read_cookie(SESSION), TestForm().text("contact"))
        except (Wrong, Throttled) as refusal:
            return _page(refusal)
        return go_to(PAGE)

    @doors.get(f"{PAGE}/status")
    def status() -> Response:
        # a script asks: that does not put the end of the session off
        test = messaging.test(staffing.administrator(read_cookie(SESSION), visit(), used=False))
        if test is None:
            abort(404)
        return jsonify(channel=test.channel.value, destination=test.destination, state=test.state, settled=test.settled)

    return doors
