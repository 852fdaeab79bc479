"""The pages under /forgot. A GET shows; only a POST mails anything or makes a password."""

from flask import Blueprint, Response, request

from app.foundation.refusals import OutOfOrder, Throttled, Wrong
from app.foundation.web.application import go_to, render, show, visit
from app.foundation.web.browser import RESET, SIGN_IN, clear_cookie, read_cookie
from app.foundation.web.shape import Form, UserIdForm
from app.journeys.classic.service import PAGE, Classic
from app.records.people.model import USER_ID_MAX

_SHOWN_AT = f"{PAGE}/password"


def blueprint(classic: Classic) -> Blueprint:
    """The doors of the classic way."""
    doors = Blueprint("classic", __name__)

    @doors.get(PAGE)
    def ask_page() -> Response:
        classic.must_be_offered()
        # what was asked for is told in the address: nothing here depends on whom it was asked for
        news = request.args.get("news", "")
        user_id = "" if news else classic.carried_user_id(read_cookie(SIGN_IN))
        return show("classic/ask.html", {"user_id": user_id, "news": news})

    @doors.post(PAGE)
    def ask() -> Response:
        form = UserIdForm()
        typed = form.text("user_id")
        try:
            classic.ask(visit(), typed)
        except (Wrong, Throttled) as refusal:
            return show("classic/ask.html", {"user_id": typed[:USER_ID_MAX], "news": ""}, refusal)
        return go_to(f"{PAGE}?news=asked")

    @doors.get(f"{PAGE}/<token>")
    def link(token: str) -> Response:
        try:
            classic.look(token)
        except OutOfOrder as refusal:
            if refusal.due != PAGE:
                raise
            return go_to(f"{PAGE}?news=over")
        return render("classic/link.html", {"token": token})

    @doors.post(f"{PAGE}/<token>")
    def make(token: str) -> Response:
        Form()
        return go_to(_SHOWN_AT, RESET, classic.make(visit(), token))

    @doors.get(_SHOWN_AT)
    def shown() -> Response:
        # shown by the browser's own cookie, which goes with the page: a reload has nothing to show
        page = classic.shown(read_cookie(RESET))
        context: dict[str, object] = {"user_id": "", "password": ""}
        if page is not None:
            context = {"user_id": page.user_id, "password": page.password, "until": page.until}
        response = render("classic/shown.html", context)
        clear_cookie(response, RESET)
        return response

    return doors
