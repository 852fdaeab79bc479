"""The pages of somebody signed in: the tabs, the change of the password, the sessions."""

from dataclasses import replace

from flask import Blueprint, Response, jsonify, request

from app.foundation.refusals import Code, Refusal, Throttled, Wrong
from app.foundation.web.application import go_to, visit
from app.foundation.web.browser import SESSION, read_cookie
from app.foundation.web.pages import opens
from app.foundation.web.signed import done_at, render_signed
from app.journeys.authenticators.forms import ChangePasswordForm, ExtendForm, SessionsForm
from app.journeys.authenticators.model import Action, Overview
from app.journeys.authenticators.service import CHANGE_PASSWORD, HOME, Authenticators, OwnSessions
from app.steps.presence import Presence, Present
from app.steps.readiness import REMEDIES

_PASSWORD_PAGE = f"{HOME}/password"
_MOST_PAGES = 1_000
_REHEARSAL = "/rehearsal"
# what can be added: shown where this portal has the page
_ADD = (
    Action("add_app", f"{HOME}/app/new"),
    Action("replace_app", f"{HOME}/app/new?replace=1"),
    Action("add_phone", f"{HOME}/phone/new"),
    Action("add_email", f"{HOME}/email/new"),
)


def blueprint(authenticators: Authenticators, presence: Presence) -> Blueprint:
    """The doors of the tabs."""
    doors = Blueprint("authenticators", __name__)

    def present() -> Present:
        return presence.present(read_cookie(SESSION), visit())

    @doors.get("/authenticators")
    def overview() -> Response:
        here = present()
        page = _with_pages_that_exist(authenticators.overview(here))
        context = {"page": page, "add": _existing(_ADD), "remedies": _remedies()}
        context["rehearse"] = _REHEARSAL if opens(_REHEARSAL) else ""
        return render_signed("authenticators/overview.html", here, context)

    @doors.get("/authenticators/password")
    def password_page() -> Response:
        return _password_page(present())

    def _password_page(here: Present, refusal: Refusal | None = None, *, everywhere: bool = True) -> Response:
        page = authenticators.password_page(here)
        return render_signed("authenticators/password.html", here, {"page": page, "everywhere": everywhere}, refusal)

    @doors.post("/authenticators/password")
    def change_password() -> Response:
        form = ChangePasswordForm()
        here, everywhere = present(), bool(form.text("everywhere"))
        try:
            authenticators.change_password(
                visit(),
                here,
                current=form.text("current_password"),
                candidate=form.text("new_password"),
                confirm=form.text("confirm_password"),
                everywhere=everywhere,
            )
        except (Wrong, Throttled) as refusal:
            return _password_page(here, refusal, everywhere=everywhere)
        return done_at(HOME, "password")

    @doors.get("/.well-known/change-password")
    def well_known() -> Response:
        return go_to(_PASSWORD_PAGE)

    @doors.get("/profile")
    def profile() -> Response:
        here = present()
        context = {"page": authenticators.profile(here), "remedies": _remedies()}
        return render_signed("authenticators/profile.html", here, context)

    @doors.get("/activity")
    def activity() -> Response:
        here = present()
        page = authenticators.activity(here, _page_number())
        return render_signed("authenticators/activity.html", here, {"page": page, "change_password": CHANGE_PASSWORD})

    return doors


def sessions_blueprint(own_sessions: OwnSessions, presence: Presence) -> Blueprint:
    """The doors of the list of sessions. To end some takes two factors, to look takes none of them anew."""
    doors = Blueprint("own_sessions", __name__)

    @doors.get("/sessions")
    def page() -> Response:
        return _page(presence.present(read_cookie(SESSION), visit()))

    def _page(here: Present, refusal: Refusal | None = None) -> Response:
        context = {"page": own_sessions.page(visit(), here)}
        return render_signed("authenticators/sessions.html", here, context, refusal)

    @doors.post("/sessions")
    def end() -> Response:
        form = SessionsForm()
        here = presence.full(read_cookie(SESSION), visit())
        if name := form.text("name"):
            own_sessions.end(visit(), here, name)
            return done_at("/sessions", "session")
        if form.text("all"):
            own_sessions.end_others(visit(), here)
            return done_at("/sessions", "sessions")
        if known := form.text("forget"):
            own_sessions.forget(visit(), here, known)
            return done_at("/sessions", "browser")
        return _page(here, Wrong(Code.MISSING, field="name"))

    @doors.post("/sessions/extend")
    def extend() -> Response:
        ExtendForm()
        # whoever asks for a page uses the session, and this asks for the smallest
        return jsonify(idle_in=presence.present(read_cookie(SESSION), visit()).idle_in)

    return doors


def _page_number() -> int:
    asked = request.args.get("page", "1")
    return min(max(int(asked), 1), _MOST_PAGES) if asked.isascii() and asked.isdigit() and len(asked) < 6 else 1


def _existing(actions: tuple[Action, ...]) -> tuple[Action, ...]:
    """Those whose page this portal has, so that no link is dead."""
    return tuple(action for action in actions if opens(action.path))


def _remedies() -> dict[str, str]:
    return {thing: path for thing, path in REMEDIES.items() if opens(path)}


def _with_pages_that_exist(page: Overview) -> Overview:
    return replace(page, rows=tuple(replace(row, actions=_existing(row.actions)) for row in page.rows))
