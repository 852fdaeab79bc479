"""The pages under /admin/people/import."""

from flask import Blueprint, Response, jsonify, request

from app.foundation.refusals import Refusal, Throttled, Wrong
from app.foundation.web.application import allow_file, as_download, go_to, visit
from app.foundation.web.browser import SESSION, read_cookie
from app.foundation.web.signed import render_signed
from app.journeys.importing.forms import GoOnForm, UploadForm
from app.journeys.importing.model import IMPORT, MOST_BYTES, MOST_ROWS, MOST_UPLOADED
from app.journeys.importing.service import Importing
from app.steps.staff import Staffing

_SHOWN = 100  # rows of a report on the page; all of them are in the file


def blueprint(importing: Importing, staffing: Staffing) -> Blueprint:
    """The doors of an import."""
    doors = Blueprint("importing", __name__)
    allow_file(doors, IMPORT, MOST_UPLOADED)

    @doors.get(IMPORT)
    def upload_page() -> Response:
        return _upload_page()

    def _upload_page(refusal: Refusal | None = None, organization: str = "") -> Response:
        staff = staffing.administrator(read_cookie(SESSION), visit(), fresh=True)
        context = {
            "organizations": staff.organizations,
            "organization": organization,
            "most_rows": MOST_ROWS,
            "most_mib": MOST_BYTES // 1_048_576,
            "kept": importing.review(staff) is not None,
        }
        return render_signed("importing/upload.html", staff.present, context, refusal)

    @doors.post(IMPORT)
    def upload() -> Response:
        organization = UploadForm().text("organization")
        file = request.files.get("file")
        data, name = (file.read(), file.filename or "") if file else (b"", "")
        try:
            importing.upload(visit(), read_cookie(SESSION), organization, name, data)
        except (Wrong, Throttled) as refusal:
            return _upload_page(refusal, organization)
        return go_to(f"{IMPORT}/review")

    @doors.get(f"{IMPORT}/review")
    def review() -> Response:
        return _review()

    def _review(refusal: Refusal | None = None) -> Response:
        staff = staffing.administrator(read_cookie(SESSION), visit())
        page = importing.review(staff)
        if page is None:
            return go_to(IMPORT)
        context = {"page": page, "shown": _SHOWN, "status_at": f"{IMPORT}/status"}
        return render_signed("importing/review.html", staff.present, context, refusal)

    @doors.post(f"{IMPORT}/review")
    def go_on() -> Response:
        GoOnForm()
        try:
            importing.go_on(visit(), read_cookie(SESSION))
        except (Wrong, Throttled) as refusal:
            return _review(refusal)
        return go_to(f"{IMPORT}/review")

    @doors.get(f"{IMPORT}/status")
    def status() -> Response:
        staff = staffing.administrator(read_cookie(SESSION), visit())
        page = importing.review(staff)
        if page is None:
            return go_to(IMPORT)
        done = page.progress.at if page.progress else 0
        return jsonify(rows=page.total, taken=done, done=page.done)

    @doors.get(f"{IMPORT}/report")
    def report() -> Response:
        staff = staffing.administrator(read_cookie(SESSION), visit())
        page = importing.review(staff)
        if page is None:
            return go_to(IMPORT)
        return as_download(importing.report(page), "rows-not-taken.csv", "text/csv")

    return doors
