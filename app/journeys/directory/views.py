"""The lists of people under /admin/people."""

from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, abort, request

from app.foundation.web.application import as_download, visit
from app.foundation.web.browser import SESSION, read_cookie
from app.foundation.web.signed import render_signed, utc
from app.journeys.directory.forms import ExportForm
from app.journeys.directory.model import DAYS, Listed, Look, Page
from app.journeys.directory.service import Directory
from app.records.people.model import to_path
from app.steps.staff import Staff, Staffing

_PAGE = "/admin/people"


def blueprint(directory: Directory, staffing: Staffing) -> Blueprint:
    """The doors of the lists."""
    doors = Blueprint("directory", __name__)

    def look(staff: Staff, fields: Any) -> Look:
        found = directory.look(
            staff,
            organization=fields("organization"),
            listed=fields("list"),
            days=fields("days"),
            prefix=fields("q"),
        )
        if found is None:
            abort(404)
        return found

    @doors.get(_PAGE)
    def people() -> Response:
        staff = staffing.administrator(read_cookie(SESSION), visit())
        page = directory.page(
            staff, look(staff, lambda name: request.args.get(name, "")), request.args.get("after", "")
        )
        context = {
            "page": page,
            "utc": utc,
            "lists": tuple(Listed),
            "days": DAYS.get(page.look.listed),
            "next_page": f"{_PAGE}?{_asked(page)}" if page.after else "",
            "paths": {one.user_id: f"{_PAGE}/{to_path(one.user_id)}" for one in page.people},
            "typed": request.args.get("q", "")[:255],
        }
        return render_signed("directory/people.html", staff.present, context)

    @doors.post(f"{_PAGE}/export")
    def export() -> Response:
        staff = staffing.administrator(read_cookie(SESSION), visit())
        chosen = look(staff, ExportForm().text)
        return as_download(directory.export(visit(), staff, chosen), f"{chosen.listed.value}.csv", "text/csv")

    return doors


def _asked(page: Page) -> str:
    """The same list behind the last of this page."""
    look = page.look
    asked = {"organization": look.organization.id, "list": look.listed.value, "q": look.prefix, "after": page.after}
    return urlencode({**asked, "days": look.days} if look.listed in DAYS else asked)
