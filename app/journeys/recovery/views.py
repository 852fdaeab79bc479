"""The pages under /recovery. A GET shows; only a POST sends, verifies, spends or starts anything."""

from flask import Blueprint, Response, jsonify, request

from app.foundation.refusals import OutOfOrder, Refusal, Throttled, Wrong
from app.foundation.web.application import go_to, render, show, visit
from app.foundation.web.browser import RECOVERY, SIGN_IN, clear_cookie, read_cookie
from app.foundation.web.shape import ChannelForm, CodeForm, NewPasswordForm, PinForm, UserIdForm
from app.journeys.recovery.flow import COURSE, State
from app.journeys.recovery.service import Recovery
from app.records.people.model import USER_ID_MAX
from app.steps.lane_link import LINK_PAGE

_PIN_PATHS = {
    "enter": "/recovery/pin",
    "send_at": "/recovery/pin/send",
    "status_at": "/recovery/pin/status",
    "start": "/recovery",
}


def blueprint(recovery: Recovery) -> Blueprint:
    """The doors of the recovery journey."""
    doors = Blueprint("recovery", __name__)

    @doors.get("/recovery")
    def user_id_page() -> Response:
        if "user_id" not in request.args and recovery.carried_user_id(read_cookie(RECOVERY), read_cookie(SIGN_IN)):
            return _to(State.TOKEN)
        return show("recovery/user_id.html", {"user_id": request.args.get("user_id", "")[:USER_ID_MAX]})

    @doors.post("/recovery")
    def begin() -> Response:
        form = UserIdForm()
        typed = form.text("user_id")
        try:
            cookie = recovery.start(visit(), typed)
        except (Wrong, Throttled) as refusal:
            return show("recovery/user_id.html", {"user_id": typed[:USER_ID_MAX]}, refusal)
        response = _to(State.TOKEN, cookie)
        clear_cookie(response, SIGN_IN)
        return response

    @doors.get("/recovery/token")
    def token_page() -> Response:
        carried = recovery.carried_user_id(read_cookie(RECOVERY), read_cookie(SIGN_IN))
        user_id = carried or recovery.at(read_cookie(RECOVERY), State.TOKEN).user_id
        return show("recovery/token.html", {"user_id": user_id})

    @doors.post("/recovery/token")
    def prove_app() -> Response:
        form = CodeForm()
        held, carrier = read_cookie(RECOVERY), read_cookie(SIGN_IN)
        try:
            cookie = recovery.prove_app(visit(), held, carrier, form.text("code"))
        except (Wrong, Throttled) as refusal:
            user_id = recovery.carried_user_id(held, carrier) or recovery.at(held, State.TOKEN).user_id
            return show("recovery/token.html", {"user_id": user_id}, refusal)
        response = _to(State.PIN, cookie)
        clear_cookie(response, SIGN_IN)
        return response

    @doors.get("/recovery/code")
    def code_page() -> Response:
        carried = recovery.carried_user_id(read_cookie(RECOVERY), read_cookie(SIGN_IN))
        user_id = carried or recovery.at(read_cookie(RECOVERY), State.TOKEN).user_id
        return show("recovery/code.html", {"user_id": user_id})

    @doors.post("/recovery/code")
    def prove_code() -> Response:
        form = CodeForm()
        held, carrier = read_cookie(RECOVERY), read_cookie(SIGN_IN)
        try:
            cookie = recovery.prove_code(visit(), held, carrier, form.text("code"))
        except (Wrong, Throttled) as refusal:
            user_id = recovery.carried_user_id(held, carrier) or recovery.at(held, State.TOKEN).user_id
            return show("recovery/code.html", {"user_id": user_id}, refusal)
        response = _to(State.PIN, cookie)
        clear_cookie(response, SIGN_IN)
        return response

    @doors.get(LINK_PAGE)
    def link_page() -> Response:
        # what was asked for is told in the address: nothing here depends on whom it was asked for
        news = request.args.get("news", "")
        return show("recovery/link.html", {"user_id": "", "news": news})

    @doors.post(LINK_PAGE)
    def ask_link() -> Response:
        form = UserIdForm()
        typed = form.text("user_id")
        try:
            recovery.ask_link(visit(), typed)
        except (Wrong, Throttled) as refusal:
            return show("recovery/link.html", {"user_id": typed[:USER_ID_MAX], "news": ""}, refusal)
        return go_to(f"{LINK_PAGE}?news=asked")

    @doors.get(f"{LINK_PAGE}/<token>")
    def link_opened(token: str) -> Response:
        try:
            recovery.look_at_link(token)
        except OutOfOrder:
            return go_to(f"{LINK_PAGE}?news=over")
        return show("recovery/link_open.html", {"token": token})

    @doors.post(f"{LINK_PAGE}/<token>")
    def open_link(token: str) -> Response:
        UserIdForm()
        response = _to(State.TOKEN, recovery.open_link(visit(), token))
        clear_cookie(response, SIGN_IN)
        return response

    @doors.get("/recovery/other-ways")
    def other_ways() -> Response:
        return render("recovery/other_ways.html", {})

    @doors.get("/recovery/pin")
    def pin_page() -> Response:
        return _pin_page()

    def _pin_page(refusal: Refusal | None = None) -> Response:
        held = read_cookie(RECOVERY)
        context = {"pin": recovery.pin_page(held), "user_id": recovery.at(held, State.PIN).user_id, **_PIN_PATHS}
        return show("recovery/pin.html", context, refusal, support=recovery.helpdesk(held))

    @doors.post("/recovery/pin")
    def prove_pin() -> Response:
        form = PinForm()
        try:
            cookie = recovery.prove_pin(visit(), read_cookie(RECOVERY), form.text("pin"))
        except (Wrong, Throttled) as refusal:
            return _pin_page(refusal)
        return _to(State.PASSWORD, cookie)

    @doors.post("/recovery/pin/send")
    def send() -> Response:
        form = ChannelForm()
        try:
            recovery.send(visit(), read_cookie(RECOVERY), form.text("channel"))
        except (Wrong, Throttled) as refusal:
            return _pin_page(refusal)
        return _to(State.PIN)

    @doors.get("/recovery/pin/send")
    def send_page() -> Response:
        # the form stands on the page of the PIN; a visitor who types this address is taken there
        recovery.at(read_cookie(RECOVERY), State.PIN)
        return _to(State.PIN)

    @doors.get("/recovery/pin/status")
    def status() -> Response:
        return jsonify(recovery.pin_page(read_cookie(RECOVERY)).status())

    @doors.get("/recovery/password")
    def password_page() -> Response:
        return _password_page()

    def _password_page(refusal: Refusal | None = None) -> Response:
        page = recovery.password_page(read_cookie(RECOVERY))
        context = {
            "user_id": page.user_id,
            "rules": page.rules,
            "passwordrules": page.passwordrules,
            "can_unlock": page.can_unlock,
        }
        return show("recovery/password.html", context, refusal, support=recovery.helpdesk(read_cookie(RECOVERY)))

    @doors.post("/recovery/password")
    def set_password() -> Response:
        form = NewPasswordForm()
        try:
            cookie = recovery.set_password(
                visit(), read_cookie(RECOVERY), form.text("new_password"), form.text("confirm_password")
            )
        except (Wrong, Throttled) as refusal:
            return _password_page(refusal)
        return _to(State.DONE, cookie)

    @doors.get("/recovery/unlock")
    def unlock_page() -> Response:
        # where the form stands; a visitor who types this address is taken there
        recovery.at(read_cookie(RECOVERY), State.PASSWORD)
        return _to(State.PASSWORD)

    @doors.post("/recovery/unlock")
    def unlock() -> Response:
        return _to(State.DONE, recovery.unlock(visit(), read_cookie(RECOVERY)))

    @doors.get("/recovery/done")
    def done() -> Response:
        end = recovery.done(read_cookie(RECOVERY))
        return show(
            "recovery/done.html",
            {
                "kind": end.kind,
                "told": end.told,
                "recoveries_ended": end.recoveries_ended,
                "user_id": end.user_id,
                "codes_left": end.codes_left,
            },
            support=recovery.helpdesk(read_cookie(RECOVERY)),
        )

    return doors


def _to(state: State, cookie: str | None = None) -> Response:
    return go_to(COURSE.page_of(state), RECOVERY, cookie)
