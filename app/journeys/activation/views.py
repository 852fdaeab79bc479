"""The pages under /activate. The link's page shows; only its button begins anything."""

from collections.abc import Callable

from flask import Blueprint, Response, jsonify, render_template

from app.factors.totp.rules import KEY_LIFE, LABEL_MAX
from app.foundation.refusals import Refusal, Throttled, Wrong
from app.foundation.web.application import as_file, go_to, render, show, visit
from app.foundation.web.browser import ENROLL, TASK, clear_cookie, read_cookie, write_cookie
from app.foundation.web.shape import ChannelForm, CodeForm, NewPasswordForm, PasswordForm, PinForm
from app.journeys.activation.flow import COURSE, State
from app.journeys.activation.forms import AppForm
from app.journeys.activation.service import Activation
from app.steps.helpdesk import Helpdesk

_PIN_PATHS = {
    "enter": "/activate/pin",
    "send_at": "/activate/pin/send",
    "status_at": "/activate/pin/status",
    "start": "/activate",
}


def blueprint(activation: Activation, qr: Callable[[str], bytes]) -> Blueprint:
    """The doors of the first activation. ``qr`` makes an SVG of a text."""
    doors = Blueprint("activation", __name__)

    def _support() -> Helpdesk | None:
        return activation.helpdesk(read_cookie(TASK))

    @doors.get("/activate")
    def without_link() -> Response:
        return render("activation/no_link.html", {})

    @doors.get("/activate/<token>")
    def welcome(token: str) -> Response:
        page = activation.welcome(token)
        return show("activation/welcome.html", {"page": page})

    @doors.post("/activate/<token>")
    def begin(token: str) -> Response:
        try:
            return _to(*activation.begin(visit(), token))
        except Throttled as refusal:
            return show("activation/welcome.html", {"page": activation.welcome(token)}, refusal)

    @doors.get("/activate/pin")
    def pin_page() -> Response:
        return _pin_page()

    def _pin_page(refusal: Refusal | None = None) -> Response:
        cookie = read_cookie(TASK)
        page = activation.pin_page(cookie)
        context = {"pin": page, "user_id": activation.at(cookie, State.PIN).user_id, **_PIN_PATHS}
        return show("activation/pin.html", context, refusal)

    @doors.post("/activate/pin")
    def prove_pin() -> Response:
        form = PinForm()
        try:
            return _to(*activation.prove_pin(visit(), read_cookie(TASK), form.text("pin")))
        except (Wrong, Throttled) as refusal:
            return _pin_page(refusal)

    @doors.get("/activate/pin/send")
    def send_page() -> Response:
        activation.at(read_cookie(TASK), State.PIN)
        return go_to("/activate/pin")

    @doors.post("/activate/pin/send")
    def send() -> Response:
        form = ChannelForm()
        try:
            activation.send(visit(), read_cookie(TASK), form.text("channel"))
        except (Wrong, Throttled) as refusal:
            return _pin_page(refusal)
        return go_to("/activate/pin")

    @doors.get("/activate/pin/status")
    def status() -> Response:
        return jsonify(activation.pin_page(read_cookie(TASK)).status())

    @doors.get("/activate/code")
    def code_page() -> Response:
        return _code_page()

    def _code_page(refusal: Refusal | None = None) -> Response:
        context = {"user_id": activation.at(read_cookie(TASK), State.CODE).user_id}
        return show("activation/code.html", context, refusal)

    @doors.post("/activate/code")
    def prove_code() -> Response:
        form = CodeForm()
        try:
            return _to(*activation.prove_code(visit(), read_cookie(TASK), form.text("code")))
        except (Wrong, Throttled) as refusal:
            return _code_page(refusal)

    @doors.get("/activate/resume")
    def resume_page() -> Response:
        return _resume_page()

    def _resume_page(refusal: Refusal | None = None) -> Response:
        context = {"user_id": activation.at(read_cookie(TASK), State.RESUME).user_id}
        return show("activation/resume.html", context, refusal, support=_support())

    @doors.post("/activate/resume")
    def resume() -> Response:
        form = PasswordForm()
        try:
            return _to(*activation.resume(visit(), read_cookie(TASK), form.text("password")))
        except (Wrong, Throttled) as refusal:
            return _resume_page(refusal)

    @doors.get("/activate/password")
    def password_page() -> Response:
        return _password_page()

    def _password_page(refusal: Refusal | None = None) -> Response:
        page = activation.password_page(read_cookie(TASK))
        context = {"user_id": page.user_id, "rules": page.rules, "passwordrules": page.passwordrules}
        return show("activation/password.html", context, refusal, support=_support())

    @doors.post("/activate/password")
    def set_password() -> Response:
        form = NewPasswordForm()
        try:
            cookie = activation.set_password(
                visit(), read_cookie(TASK), form.text("new_password"), form.text("confirm_password")
            )
        except (Wrong, Throttled) as refusal:
            return _password_page(refusal)
        return _to(cookie, State.CONTACTS)

    @doors.get("/activate/contacts")
    def contacts_page() -> Response:
        return show(
            "activation/contacts.html", {"page": activation.contacts_page(read_cookie(TASK))}, support=_support()
        )

    @doors.post("/activate/contacts")
    def confirm_contacts() -> Response:
        return _to(activation.confirm_contacts(visit(), read_cookie(TASK)), State.APP)

    @doors.get("/activate/app")
    def app_page() -> Response:
        return _app_page()

    def _app_page(refusal: Refusal | None = None, label: str = "") -> Response:
        cookie = read_cookie(TASK)
        page = activation.app_page(cookie, read_cookie(ENROLL))
        svg = qr(page.uri).decode()
        context = {
            "user_id": activation.at(cookie, State.APP).user_id,
            "page": page,
            "label": label[:LABEL_MAX],
            "qr": svg[svg.index("<svg") :],
        }
        response = show("activation/app.html", context, refusal, support=_support())
        write_cookie(response, ENROLL, page.cookie, seconds=KEY_LIFE)
        return response

    @doors.post("/activate/app")
    def add_app() -> Response:
        form = AppForm()
        label = form.text("label")
        try:
            cookie = activation.add_app(visit(), read_cookie(TASK), read_cookie(ENROLL), label, form.text("code"))
        except (Wrong, Throttled) as refusal:
            return _app_page(refusal, label)
        response = _to(cookie, State.CODES)
        clear_cookie(response, ENROLL)
        return response

    @doors.get("/activate/codes")
    def codes_page() -> Response:
        return _codes_page()

    def _codes_page(refusal: Refusal | None = None) -> Response:
        return show(
            "activation/codes.html", {"page": activation.codes_page(read_cookie(TASK))}, refusal, support=_support()
        )

    @doors.post("/activate/codes")
    def make_codes() -> Response:
        try:
            activation.make_codes(visit(), read_cookie(TASK))
        except Throttled as refusal:
            return _codes_page(refusal)
        return go_to(COURSE.page_of(State.CODES))

    @doors.get("/activate/codes/download")
    def download() -> Response:
        page = activation.codes_shown(read_cookie(TASK))
        text = render_template("recovery_codes/file.txt", page=page, user_id=page.user_id)
        return as_file(text, "recovery-codes.txt")

    @doors.get("/activate/codes/saved")
    def saved_page() -> Response:
        activation.at(read_cookie(TASK), State.CODES)
        return go_to(COURSE.page_of(State.CODES))

    @doors.post("/activate/codes/saved")
    def saved() -> Response:
        return _to(activation.finish(visit(), read_cookie(TASK)), State.DONE)

    @doors.get("/activate/done")
    def done() -> Response:
        user_id = activation.at(read_cookie(TASK), State.DONE).user_id
        return show("activation/done.html", {"user_id": user_id}, support=_support())

    return doors


def _to(cookie: str, state: State) -> Response:
    return go_to(COURSE.page_of(state), TASK, cookie)
