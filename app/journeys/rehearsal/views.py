"""The pages under /rehearsal, of somebody signed in."""

from typing import Any

from flask import Blueprint, Response, jsonify

from app.foundation.refusals import Refusal, Throttled, Wrong
from app.foundation.web.application import go_to, visit
from app.foundation.web.browser import SESSION, TASK, read_cookie
from app.foundation.web.pages import opens
from app.foundation.web.shape import ChannelForm, CodeForm, PinForm
from app.foundation.web.signed import render_signed
from app.journeys.rehearsal.flow import COURSE, State
from app.journeys.rehearsal.service import Rehearsal
from app.steps.presence import Presence, Present
from app.steps.readiness import REMEDIES

_PIN_PATHS = {
    "enter": "/rehearsal/pin",
    "send_at": "/rehearsal/pin/send",
    "status_at": "/rehearsal/pin/status",
    "start": "/rehearsal",
}


def blueprint(rehearsal: Rehearsal, presence: Presence) -> Blueprint:
    """The doors of the rehearsal."""
    doors = Blueprint("rehearsal", __name__)

    def present() -> Present:
        return presence.full(read_cookie(SESSION), visit())

    @doors.get("/rehearsal")
    def explain() -> Response:
        return _start_page(present())

    def _start_page(here: Present, refusal: Refusal | None = None) -> Response:
        return render_signed("rehearsal/start.html", here, _today(here), refusal)

    def _today(here: Present) -> dict[str, Any]:
        remedies = {thing: path for thing, path in REMEDIES.items() if opens(path)}
        return {"page": rehearsal.today(here), "remedies": remedies}

    @doors.post("/rehearsal")
    def start() -> Response:
        here = present()
        try:
            return _to(State.TOKEN, rehearsal.start(visit(), here))
        except Throttled as refusal:
            return _start_page(here, refusal)

    @doors.get("/rehearsal/token")
    def token_page() -> Response:
        return _token_page()

    def _token_page(refusal: Refusal | None = None) -> Response:
        here = present()
        rehearsal.at(here, read_cookie(TASK), State.TOKEN)
        return render_signed("rehearsal/token.html", here, {"user_id": here.user_id}, refusal)

    @doors.post("/rehearsal/token")
    def prove_app() -> Response:
        form = CodeForm()
        try:
            return _to(State.PIN, rehearsal.prove_app(visit(), present(), read_cookie(TASK), form.text("code")))
        except (Wrong, Throttled) as refusal:
            return _token_page(refusal)

    @doors.get("/rehearsal/pin")
    def pin_page() -> Response:
        return _pin_page()

    def _pin_page(refusal: Refusal | None = None) -> Response:
        here = present()
        context = {"pin": rehearsal.pin_page(here, read_cookie(TASK)), "user_id": here.user_id, **_PIN_PATHS}
        return render_signed("rehearsal/pin.html", here, context, refusal)

    @doors.post("/rehearsal/pin")
    def prove_pin() -> Response:
        form = PinForm()
        try:
            return _to(State.DONE, rehearsal.prove_pin(visit(), present(), read_cookie(TASK), form.text("pin")))
        except (Wrong, Throttled) as refusal:
            return _pin_page(refusal)

    @doors.get("/rehearsal/pin/send")
    def send_page() -> Response:
        rehearsal.at(present(), read_cookie(TASK), State.PIN)
        return _to(State.PIN)

    @doors.post("/rehearsal/pin/send")
    def send() -> Response:
        form = ChannelForm()
        try:
            rehearsal.send(visit(), present(), read_cookie(TASK), form.text("channel"))
        except (Wrong, Throttled) as refusal:
            return _pin_page(refusal)
        return _to(State.PIN)

    @doors.get("/rehearsal/pin/status")
    def status() -> Response:
        return jsonify(rehearsal.pin_page(present(), read_cookie(TASK)).status())

    @doors.get("/rehearsal/done")
    def done() -> Response:
        here = present()
        rehearsal.at(here, read_cookie(TASK), State.DONE)
        return render_signed("rehearsal/done.html", here, _today(here))

    return doors


def _to(state: State, cookie: str | None = None) -> Response:
    return go_to(COURSE.page_of(state), TASK, cookie)
