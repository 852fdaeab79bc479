"""The pages under /sign-in, and the front door."""

from flask import Blueprint, Response, redirect

from app.foundation.refusals import OutOfOrder, Throttled, Wrong
from app.foundation.web.application import refuse_with, remember, render, visit
from app.foundation.web.browser import SIGN_IN, read_cookie, write_cookie
from app.journeys.signin.flow import PAGES, START, State
from app.journeys.signin.forms import PasswordForm, UserIdForm
from app.journeys.signin.service import SignIn
from app.records.people.model import USER_ID_MAX


def blueprint(sign_in: SignIn) -> Blueprint:
    """The doors of the sign-in journey."""
    doors = Blueprint("signin", __name__)

    @doors.get("/")
    def front_door() -> Response:
        return redirect(START, 303)  # type: ignore[return-value]

    @doors.get("/sign-in")
    def user_id_page() -> Response:
        return render("signin/user_id.html", {"user_id": "", "errors": {}})

    @doors.post("/sign-in")
    def begin() -> Response:
        form = UserIdForm()
        typed = form.text("user_id")
        try:
            cookie = sign_in.start(visit(), typed)
        except (Wrong, Throttled) as refusal:
            return refuse_with("signin/user_id.html", refusal, {"user_id": typed[:USER_ID_MAX]})
        return _to(State.PASSWORD, cookie)

    @doors.get("/sign-in/password")
    def password_page() -> Response:
        try:
            flow = sign_in.at(read_cookie(SIGN_IN), State.PASSWORD)
        except OutOfOrder as refusal:
            return _due(refusal)
        return render("signin/password.html", {"user_id": flow.user_id, "errors": {}})

    @doors.post("/sign-in/password")
    def check_password() -> Response:
        form = PasswordForm()
        held = read_cookie(SIGN_IN)
        try:
            cookie = sign_in.check_password(visit(), held, form.text("password"))
        except (Wrong, Throttled) as refusal:
            return refuse_with("signin/password.html", refusal, {"user_id": sign_in.at(held, State.PASSWORD).user_id})
        return _to(State.VERIFY, cookie)

    @doors.get("/sign-in/verify")
    def verify_page() -> Response:
        try:
            flow = sign_in.at(read_cookie(SIGN_IN), State.VERIFY)
        except OutOfOrder as refusal:
            return _due(refusal)
        return render("signin/verify.html", {"user_id": flow.user_id})

    return doors


def _to(state: State, cookie: str) -> Response:
    response = redirect(PAGES[state], 303)
    write_cookie(response, SIGN_IN, cookie)  # type: ignore[arg-type]
    return response  # type: ignore[return-value]


def _due(refusal: OutOfOrder) -> Response:
    remember(refusal)
    return redirect(refusal.due, 303)  # type: ignore[return-value]
