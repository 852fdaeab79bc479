"""The pages under /authenticators/app."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flask import Blueprint, Response, abort, request

from app.factors.totp.model import AppState
from app.factors.totp.rules import KEY_LIFE, LABEL_MAX
from app.foundation.refusals import Refusal, Throttled, Wrong
from app.foundation.web.application import visit
from app.foundation.web.browser import ENROLL, SESSION, clear_cookie, read_cookie, write_cookie
from app.foundation.web.signed import done_at, render_signed
from app.journeys.enrollment.forms import LabelForm, NewAppForm, PutAwayForm, TwoCodesForm
from app.journeys.enrollment.model import Boxes, NoSuchAppError
from app.journeys.enrollment.service import HOME, Enrollment, OwnApps
from app.steps.presence import Presence, Present

_STATES = {
    "disable": (AppState.ACTIVE,),
    "enable": (AppState.DISABLED,),
    "synchronize": (AppState.ACTIVE,),
}

_TEMPLATES = {
    "rename": "enrollment/rename.html",
    "disable": "enrollment/disable.html",
    "enable": "enrollment/enable.html",
    "synchronize": "enrollment/synchronize.html",
    "remove": "enrollment/remove.html",
}


def blueprint(enrollment: Enrollment, own: OwnApps, presence: Presence, qr: Callable[[str], bytes]) -> Blueprint:
    """The doors of everything about authenticator apps. ``qr`` makes an SVG of a text."""
    doors = Blueprint("enrollment", __name__)

    def here() -> Present:
        """Which app the proof was by is looked at by the service, which knows whose turn it is (security rule 6)."""
        return presence.fresh(read_cookie(SESSION), visit(), by_new_app=True)

    @doors.get("/authenticators/app/new")
    def new_page() -> Response:
        return _new_page(here(), replacing=request.args.get("replace") == "1")

    def _new_page(present: Present, refusal: Refusal | None = None, label: str = "", *, replacing: bool) -> Response:
        page = enrollment.page(present, read_cookie(ENROLL), replacing=replacing)
        svg = qr(page.uri).decode()
        context = {"page": page, "label": label[:LABEL_MAX], "qr": svg[svg.index("<svg") :]}
        response = render_signed("enrollment/new.html", present, context, refusal)
        write_cookie(response, ENROLL, page.cookie, seconds=KEY_LIFE)
        return response

    @doors.post("/authenticators/app/new")
    def confirm() -> Response:
        form = NewAppForm()
        present, label, replacing = here(), form.text("label"), form.text("replace") == "1"
        try:
            confirmed = enrollment.confirm(
                visit(), present, read_cookie(ENROLL), label, form.text("code"), replacing=replacing
            )
        except (Wrong, Throttled) as refusal:
            return _new_page(present, refusal, label, replacing=replacing)
        response = done_at(confirmed.next, "app_new")
        clear_cookie(response, ENROLL)
        return response

    def _page(name: str, app_id: str, present: Present, refusal: Refusal | None = None, label: str = "") -> Response:
        with _own_alone():
            page = own.page(present, app_id, *_STATES.get(name, ()))
        context = {"page": page, "label": label or page.label, "replaced": request.args.get("replaced") == "1"}
        return render_signed(_TEMPLATES[name], present, context, refusal)

    @doors.get("/authenticators/app/<app_id>/rename")
    def rename_page(app_id: str) -> Response:
        return _page("rename", app_id, here())

    @doors.post("/authenticators/app/<app_id>/rename")
    def rename(app_id: str) -> Response:
        form = LabelForm()
        present, label = here(), form.text("label")
        try:
            with _own_alone():
                own.rename(visit(), present, app_id, label)
        except Wrong as refusal:
            return _page("rename", app_id, present, refusal, label[:LABEL_MAX])
        return done_at(HOME, "app_rename")

    @doors.get("/authenticators/app/<app_id>/synchronize")
    def synchronize_page(app_id: str) -> Response:
        return _page("synchronize", app_id, here())

    @doors.post("/authenticators/app/<app_id>/synchronize")
    def synchronize(app_id: str) -> Response:
        form = TwoCodesForm()
        present = here()
        try:
            with _own_alone():
                own.synchronize(visit(), present, app_id, form.text("code_1"), form.text("code_2"))
        except (Wrong, Throttled) as refusal:
            return _page("synchronize", app_id, present, refusal)
        return done_at(HOME, "app_synchronize")

    def press(name: str, deed: Callable[..., None]) -> None:
        """A page that asks, and the button that does it; where an app is put away, with two boxes."""

        def ask(app_id: str) -> Response:
            return _page(name, app_id, here())

        def do(app_id: str) -> Response:
            form = PutAwayForm()
            present = here()
            boxes = Boxes(everywhere=bool(form.text("everywhere")), stolen=bool(form.text("stolen")))
            with _own_alone():
                deed(visit(), present, app_id, boxes)
            return done_at(HOME, f"app_{name}")

        doors.add_url_rule(f"/authenticators/app/<app_id>/{name}", f"{name}_page", ask, methods=["GET"])
        doors.add_url_rule(f"/authenticators/app/<app_id>/{name}", name, do, methods=["POST"])

    press("disable", own.disable)
    press("enable", own.enable)
    press("remove", own.remove)
    return doors


@contextmanager
def _own_alone() -> Iterator[None]:
    try:
        yield
    except NoSuchAppError:
        abort(404)
