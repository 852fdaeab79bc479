"""/demo: a phone and a mailbox, in demo mode on this machine alone (security rule 15)."""

from collections.abc import Callable

from flask import Blueprint, Response, abort, jsonify, request

from app.foundation.web.application import go_to, render
from app.journeys.demo.service import DemoDesk

_CHANNELS = frozenset({"sms", "email"})


def blueprint(desk: DemoDesk, qr: Callable[[str], bytes]) -> Blueprint:
    """The doors of the demo. Wiring registers them only where settings.demo is set."""
    doors = Blueprint("demo", __name__)

    @doors.get("/demo")
    def index() -> Response:
        return render("demo/index.html", {"cast": desk.cast(), "messages": desk.messages(), "failing": desk.failing()})

    @doors.get("/demo/inbox")
    def inbox() -> Response:
        phones = [{"user_id": one.user_id, "code": one.code, "seconds_left": one.seconds_left} for one in desk.cast()]
        return jsonify(cast=phones, messages=desk.messages())

    @doors.get("/demo/qr/<user_id>.svg")
    def picture(user_id: str) -> Response:
        uri = desk.uri(user_id)
        if not uri:
            abort(404)
        return Response(qr(uri), mimetype="image/svg+xml")

    @doors.post("/demo/failing")
    def fail() -> Response:
        channel, failing = request.form.get("channel", ""), request.form.get("failing", "")
        if channel not in _CHANNELS or failing not in {"on", "off"}:
            abort(400)
        desk.fail(channel, failing=failing == "on")
        return go_to("/demo")

    return doors
