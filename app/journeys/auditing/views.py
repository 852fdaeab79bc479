"""The page of the audit log, and its export."""

import re
from urllib.parse import urlencode

from flask import Blueprint, Response, request

from app.foundation.refusals import Code, Refusal, Throttled, Wrong
from app.foundation.web.application import as_download, visit
from app.foundation.web.browser import SESSION, read_cookie
from app.foundation.web.signed import render_signed
from app.journeys.auditing.forms import ExportForm, asked_by, said_by
from app.journeys.auditing.model import Asked, Form, LogPage, Place
from app.journeys.auditing.service import OUTCOMES, AuditLog
from app.records.audit.model import Event
from app.steps.staff import Staff, Staffing

PAGE = "/admin/audit"
_EVENTS = tuple(sorted(event.value for event in Event))
_KINDS = {Form.CSV: "text/csv", Form.JSON_LINES: "application/jsonl"}
_PLACE = re.compile(r"([0-9]{1,11})\.([0-9]{1,18})")


def blueprint(audit_log: AuditLog, staffing: Staffing) -> Blueprint:
    """The doors of the log."""
    doors = Blueprint("auditing", __name__)

    def administrator() -> Staff:
        return staffing.administrator(read_cookie(SESSION), visit())

    @doors.get(PAGE)
    def page() -> Response:
        staff, asked = administrator(), asked_by(request.args)
        before = _place(request.args.get("before", ""))
        try:
            found = audit_log.page(staff, audit_log.wanted(asked), before)
        except Wrong as refusal:
            return _page(staff, asked, None, refusal=refusal)
        return _page(staff, asked, found, later=before is not None)

    @doors.post(f"{PAGE}/export")
    def export() -> Response:
        posted = ExportForm()
        staff, asked = administrator(), asked_by(request.form)
        try:
            form = _format(posted.text("format"))
            lines = audit_log.export(visit(), staff, audit_log.wanted(asked), asked, form)
        except (Wrong, Throttled) as refusal:
            return _page(staff, asked, None, refusal=refusal)
        return as_download(lines, f"audit-log.{form.value}", _KINDS[form])

    return doors


def _page(
    staff: Staff, asked: Asked, found: LogPage | None, *, later: bool = False, refusal: Refusal | None = None
) -> Response:
    """``later``: it is not the first page."""
    said = said_by(asked)
    older = found.older if found else None
    context = {
        "page": found,
        "asked": said,
        "events": _EVENTS,
        "outcomes": OUTCOMES,
        "newest": _link(said) if later else "",
        "older": _link({**said, "before": f"{older.at}.{older.id}"}) if older else "",
    }
    return render_signed("auditing/log.html", staff.present, context, refusal)


def _link(said: dict[str, str]) -> str:
    return f"{PAGE}?{urlencode(said)}" if said else PAGE


def _place(text: str) -> Place | None:
    """Where a page begins; None, which is the newest, for what no page of ours says."""
    found = _PLACE.fullmatch(text)
    return Place(int(found[1]), int(found[2])) if found else None


def _format(typed: str) -> Form:
    try:
        return Form(typed)
    except ValueError:
        raise Wrong(Code.NOT_A_CHOICE, field="format") from None
