"""The pages of requests: agents under /support, the person under /approve. No GET asks, approves, cancels or does."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, abort

from app.foundation.refusals import Refusal, Throttled, Wrong
from app.foundation.web.application import go_to, render, show, visit
from app.foundation.web.browser import APPROVAL, SESSION, read_cookie
from app.foundation.web.shape import CodeForm, Form
from app.foundation.web.signed import done_at, render_signed
from app.journeys.approvals.flow import COURSE, State
from app.journeys.approvals.forms import AskForm, DecisionForm
from app.journeys.approvals.model import Asked, DeadLink, Decision, NobodyThere, Shown
from app.journeys.approvals.service import APPROVALS_PAGE, Approvals, Approving
from app.records.cases.model import Action
from app.records.cases.rules import WEAKENING
from app.records.people.model import from_path, to_path
from app.steps.staff import Staff, Staffing

_PEOPLE = "/support/people"
_TARGETS = {Action.REMOVE_APP: "app", Action.CONTACT: "address"}  # the field that says on what


def blueprint(approvals: Approvals, staffing: Staffing) -> Blueprint:
    """The doors of agents."""
    doors = Blueprint("approvals", __name__)

    def staff_for(action: Action) -> Staff:
        """Whoever asks for what weakens an account has just proved that it is them."""
        return staffing.support(read_cookie(SESSION), visit(), fresh=action in WEAKENING)

    # each action by itself, so that the page of the person and other paths below it have names of their own
    for action in Action:
        _acting(doors, action, approvals, staff_for)

    @doors.get(APPROVALS_PAGE)
    def waiting() -> Response:
        staff = staffing.support(read_cookie(SESSION), visit())
        rows = [_times(one) for one in approvals.waiting(staff)]
        expired = [_times(one) for one in approvals.expired(staff)]
        return render_signed("approvals/list.html", staff.present, {"requests": rows, "expired": expired})

    @doors.get(f"{APPROVALS_PAGE}/<request_id>")
    def review_page(request_id: str) -> Response:
        return _review_page(request_id)

    def _review_page(request_id: str, refusal: Refusal | None = None) -> Response:
        staff = staffing.support(read_cookie(SESSION), visit(), fresh=True)
        try:
            context = {"request": _times(approvals.one(staff, request_id))}
        except NobodyThere:
            abort(404)
        return render_signed("approvals/review.html", staff.present, context, refusal)

    @doors.post(f"{APPROVALS_PAGE}/<request_id>")
    def review(request_id: str) -> Response:
        typed = DecisionForm().text("decision")
        staff = staffing.support(read_cookie(SESSION), visit(), fresh=True)
        try:
            approvals.review(visit(), staff, request_id, typed)
        except NobodyThere:
            abort(404)
        except (Wrong, Throttled) as refusal:
            return _review_page(request_id, refusal)
        return done_at(APPROVALS_PAGE, "support_confirmed" if typed == Decision.CONFIRM else "support_refused")

    return doors


def _acting(doors: Blueprint, action: Action, approvals: Approvals, staff_for: Any) -> None:
    path = f"{_PEOPLE}/<user_id>/{action.value}"

    @doors.get(path, endpoint=f"{action.name.lower()}_page")
    def page(user_id: str) -> Response:
        return _page(from_path(user_id))

    def _page(user_id: str, form: Form | None = None, refusal: Refusal | None = None) -> Response:
        staff = staff_for(action)
        try:
            shown = approvals.page(staff, user_id, action)
        except NobodyThere:
            abort(404)
        kept = {name: form.text(name) if form else "" for name in ("reason", "contact", "app", "address")}
        request = _times(shown.request) if shown.request else None
        context = {"page": {**asdict(shown), "request": request}, "typed": kept, "person": _person(shown.user_id)}
        return render_signed("approvals/action.html", staff.present, context, refusal)

    @doors.post(path, endpoint=f"{action.name.lower()}_do")
    def do(user_id: str) -> Response:
        user_id = from_path(user_id)
        form = AskForm()
        staff = staff_for(action)
        try:
            if form.text("do") == "carry-out":
                approvals.carry_out(visit(), staff, user_id, action, form.text("request"))
                done = "support_filed" if action is Action.CONTACT else "support_done"
            elif form.text("do") == "withdraw":
                approvals.withdraw(visit(), staff, user_id, action, form.text("request"))
                done = "support_withdrawn"
            else:
                target = form.text(_TARGETS[action]) if action in _TARGETS else ""
                asked = Asked(form.text("reason"), form.text("contact"), target)
                approvals.ask(visit(), staff, user_id, action, asked)
                done = "support_frozen" if action is Action.FREEZE else "support_asked"
        except NobodyThere:
            abort(404)
        except (Wrong, Throttled) as refusal:
            return _page(user_id, form, refusal)
        return done_at(f"{_person(user_id)}/{action.value}", done)


def _person(user_id: str) -> str:
    """The path of somebody's page."""
    return f"{_PEOPLE}/{to_path(user_id)}"


def person_blueprint(approving: Approving) -> Blueprint:
    """The doors of the person who is asked."""
    doors = Blueprint("approve", __name__)

    @doors.get(COURSE.start)
    def code_page() -> Response:
        return show("approvals/code.html", {})

    @doors.post(COURSE.start)
    def code() -> Response:
        form = CodeForm()
        try:
            return go_to(COURSE.page_of(State.DECIDE), APPROVAL, approving.open(visit(), form.text("code")))
        except (Wrong, Throttled) as refusal:
            return show("approvals/code.html", {}, refusal)

    @doors.get(COURSE.page_of(State.DECIDE))
    def decide_page() -> Response:
        return _decide_page()

    def _decide_page(refusal: Refusal | None = None) -> Response:
        request = approving.page(read_cookie(APPROVAL))
        return show("approvals/decide.html", {"request": _times(request)}, refusal)

    @doors.post(COURSE.page_of(State.DECIDE))
    def decide() -> Response:
        form = DecisionForm()
        try:
            cookie = approving.decide(visit(), read_cookie(APPROVAL), form.text("decision"))
            return go_to(COURSE.page_of(State.DONE), APPROVAL, cookie)
        except (Wrong, Throttled) as refusal:
            return _decide_page(refusal)

    @doors.get(COURSE.page_of(State.DONE))
    def done() -> Response:
        end = approving.done(read_cookie(APPROVAL))
        cancelled = end.decision is Decision.CANCEL
        context = {
            "cancelled": cancelled,
            "action": end.action,
            "waits": end.waits,
            "second": end.second,
            "filed": end.filed,
        }
        return render("approvals/done.html", context)

    @doors.get("/approve/cancel/<token>")
    def cancel_page(token: str) -> Response:
        return _cancel_page(token)

    def _cancel_page(token: str, refusal: Refusal | None = None) -> Response:
        try:
            return show("approvals/cancel.html", {"token": token, "request": _times(approving.look(token))}, refusal)
        except DeadLink:
            return _dead()

    @doors.post("/approve/cancel/<token>")
    def cancel(token: str) -> Response:
        try:
            approving.cancel(visit(), token)
        except DeadLink:
            return _dead()
        except Throttled as refusal:
            return _cancel_page(token, refusal)
        return go_to("/approve/cancelled")

    @doors.get("/approve/cancelled")
    def cancelled() -> Response:
        return render(
            "approvals/done.html", {"cancelled": True, "action": "", "waits": False, "second": False, "filed": False}
        )

    return doors


def _dead() -> Response:
    return render("approvals/dead.html", {}, 410)


def _times(request: Shown) -> dict[str, Any]:
    """A request with its times as templates take them."""
    shown = asdict(request)
    for name in ("asked_at", "expires_at", "approved_at", "confirmed_at", "ready_at", "ended_at"):
        shown[name] = None if shown[name] is None else datetime.fromtimestamp(shown[name], UTC)
    return shown
