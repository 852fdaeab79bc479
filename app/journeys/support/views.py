"""The pages of support. No form posts here: looking is all that they do."""

from flask import Blueprint, Response, abort, request

from app.foundation.refusals import Wrong
from app.foundation.web.application import visit
from app.foundation.web.browser import SESSION, read_cookie
from app.foundation.web.signed import render_signed
from app.journeys.support.model import Results
from app.journeys.support.service import HOME, SEARCH, Support
from app.records.people.model import USER_ID_MAX, from_path
from app.steps.staff import Staff, Staffing


def blueprint(support: Support, staffing: Staffing) -> Blueprint:
    """The doors of the console."""
    doors = Blueprint("support", __name__)

    def staff() -> Staff:
        return staffing.support(read_cookie(SESSION), visit())

    @doors.get(HOME)
    def home() -> Response:
        return _search_page(staff(), "", None)

    @doors.get(SEARCH)
    def search() -> Response:
        here, typed = staff(), request.args.get("q")
        if typed is None:
            return _search_page(here, "", None)
        try:
            results = support.search(here, typed)
        except Wrong as refusal:
            return _search_page(here, typed, None, refusal)
        return _search_page(here, typed, results)

    def _search_page(here: Staff, typed: str, results: Results | None, refusal: Wrong | None = None) -> Response:
        context = {"typed": typed[: USER_ID_MAX + 1], "results": results, "organizations": here.organizations}
        return render_signed("support/search.html", here.present, context, refusal)

    @doors.get(f"{SEARCH}/<user_id>")
    def person(user_id: str) -> Response:
        here = staff()
        page = support.person(visit(), here, from_path(user_id), request.args.get("before", ""))
        if page is None:
            abort(404)
        return render_signed("support/person.html", here.present, {"page": page})

    return doors
