"""The pages under /authenticators/recovery-codes."""

from flask import Blueprint, Response, render_template

from app.foundation.refusals import Refusal, Throttled
from app.foundation.web.application import as_file, go_to, visit
from app.foundation.web.browser import SESSION, read_cookie
from app.foundation.web.signed import render_signed
from app.journeys.recovery_codes.forms import MakeForm, SavedForm
from app.journeys.recovery_codes.service import PAGE, OwnCodes
from app.steps.presence import Presence, Present


def blueprint(own_codes: OwnCodes, presence: Presence) -> Blueprint:
    """The doors of the recovery codes."""
    doors = Blueprint("recovery_codes", __name__)

    @doors.get(PAGE)
    def page() -> Response:
        present = presence.full(read_cookie(SESSION), visit())
        return _page(present)

    def _page(present: Present, refusal: Refusal | None = None) -> Response:
        shown = own_codes.page(present)
        if not shown.codes and not shown.held_back:
            present = presence.fresh(read_cookie(SESSION), visit())  # asked for before the button is, not after
        template = "recovery_codes/shown.html" if shown.codes else "recovery_codes/standing.html"
        return render_signed(template, present, {"page": shown}, refusal)

    @doors.post(PAGE)
    def make() -> Response:
        form = MakeForm()
        present = presence.fresh(read_cookie(SESSION), visit())
        try:
            own_codes.make(visit(), present, stolen=bool(form.text("stolen")))
        except Throttled as refusal:
            return _page(present, refusal)
        return go_to(PAGE)

    @doors.get(f"{PAGE}/saved")
    def saved_page() -> Response:
        presence.full(read_cookie(SESSION), visit())
        return go_to(PAGE)

    @doors.post(f"{PAGE}/saved")
    def saved() -> Response:
        SavedForm()
        own_codes.saved(presence.full(read_cookie(SESSION), visit()))
        return go_to("/authenticators")

    @doors.get(f"{PAGE}/download")
    def download() -> Response:
        present = presence.full(read_cookie(SESSION), visit())
        text = render_template("recovery_codes/file.txt", page=own_codes.shown(present), user_id=present.user_id)
        return as_file(text, "recovery-codes.txt")

    return doors
