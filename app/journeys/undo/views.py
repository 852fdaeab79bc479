"""The pages under /undo. A GET shows, however often a scanner of mail opens it; only a POST freezes or decides."""

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response

from app.foundation.refusals import Refusal, Throttled, Wrong
from app.foundation.web.application import go_to, render, show, visit
from app.foundation.web.browser import TASK, read_cookie
from app.foundation.web.shape import CodeForm
from app.journeys.undo.flow import COURSE, State
from app.journeys.undo.forms import ChoiceForm, DecisionForm
from app.journeys.undo.model import DeadLink, Disputed
from app.journeys.undo.service import Undo


def blueprint(undo: Undo) -> Blueprint:
    """The doors of the undo journey."""
    doors = Blueprint("undo", __name__)

    @doors.get("/undo")
    def newest_link() -> Response:
        return render("undo/dead.html", {"dead": False})

    @doors.get("/undo/<token>")
    def link_page(token: str) -> Response:
        return _link_page(token)

    def _link_page(token: str, refusal: Refusal | None = None) -> Response:
        try:
            return show("undo/link.html", {"token": token, **_about(undo.look(token))}, refusal)
        except DeadLink:
            return _dead()

    @doors.post("/undo/<token>")
    def freeze(token: str) -> Response:
        try:
            return _to(State.CHOOSE, undo.freeze(visit(), token))
        except DeadLink:
            return _dead()
        except Throttled as refusal:
            return _link_page(token, refusal)

    @doors.get("/undo/choose")
    def choose_page() -> Response:
        return _choose_page()

    def _choose_page(refusal: Refusal | None = None) -> Response:
        return show("undo/choose.html", _about(undo.choose_page(read_cookie(TASK))), refusal)

    @doors.post("/undo/choose")
    def choose() -> Response:
        form = ChoiceForm()
        held = read_cookie(TASK)
        try:
            if form.text("stolen") == "yes":
                return _to(State.DONE, undo.leave_to_support(visit(), held))
            return _to(State.DECIDE, undo.prove_app(visit(), held, form.text("code")))
        except (Wrong, Throttled) as refusal:
            return _choose_page(refusal)

    @doors.get("/undo/code")
    def code_page() -> Response:
        return _code_page()

    def _code_page(refusal: Refusal | None = None) -> Response:
        return show("undo/code.html", {"user_id": undo.code_page(read_cookie(TASK))}, refusal)

    @doors.post("/undo/code")
    def prove_code() -> Response:
        form = CodeForm()
        try:
            return _to(State.DECIDE, undo.prove_code(visit(), read_cookie(TASK), form.text("code")))
        except (Wrong, Throttled) as refusal:
            return _code_page(refusal)

    @doors.get("/undo/decide")
    def decide_page() -> Response:
        return _decide_page()

    def _decide_page(refusal: Refusal | None = None) -> Response:
        return show(
            "undo/decide.html",
            _about(undo.decide_page(read_cookie(TASK))),
            refusal,
            support=undo.helpdesk(read_cookie(TASK)),
        )

    @doors.post("/undo/decide")
    def decide() -> Response:
        form = DecisionForm()
        try:
            return _to(State.DONE, undo.decide(visit(), read_cookie(TASK), form.text("decision")))
        except (Wrong, Throttled) as refusal:
            return _decide_page(refusal)

    @doors.get("/undo/done")
    def done() -> Response:
        end = undo.done(read_cookie(TASK))
        return show(
            "undo/done.html",
            {"ending": end.ending, "user_id": end.user_id},
            support=undo.helpdesk(read_cookie(TASK)),
        )

    return doors


def _about(page: Disputed) -> dict[str, Any]:
    return {
        "kind": page.kind,
        "changed": datetime.fromtimestamp(page.changed_at, UTC),
        "user_id": page.user_id,
        "frozen": page.frozen,
        "support_decides": page.support,
    }


def _dead() -> Response:
    return render("undo/dead.html", {"dead": True}, 410)


def _to(state: State, cookie: str) -> Response:
    return go_to(COURSE.page_of(state), TASK, cookie)
