"""The page under /admin/dashboard. It is only looked at."""

from flask import Blueprint, Response, request

from app.foundation.web.application import visit
from app.foundation.web.browser import SESSION, read_cookie
from app.foundation.web.signed import render_signed
from app.journeys.dashboard.model import Span
from app.journeys.dashboard.service import Dashboard
from app.steps.staff import Staffing


def blueprint(dashboard: Dashboard, staffing: Staffing) -> Blueprint:
    """The door of the dashboard."""
    doors = Blueprint("dashboard", __name__)

    @doors.get("/admin/dashboard")
    def page() -> Response:
        staff = staffing.administrator(read_cookie(SESSION), visit())
        span = Span.HOURS if request.args.get("span") == Span.HOURS else Span.DAYS
        return render_signed("dashboard/plots.html", staff.present, {"page": dashboard.page(staff, span)})

    return doors
