"""The pages under /admin/api-clients."""

from flask import Blueprint, Response, abort

from app.foundation.refusals import Refusal, Wrong
from app.foundation.web.application import go_to, visit
from app.foundation.web.browser import SESSION, read_cookie
from app.foundation.web.signed import done_at, render_signed, utc
from app.journeys.clients.forms import ClientForm, RotateForm
from app.journeys.clients.model import PAGE
from app.journeys.clients.service import Clients
from app.steps.staff import Staffing


def blueprint(clients: Clients, staffing: Staffing) -> Blueprint:
    """The doors of the pages."""
    doors = Blueprint("clients", __name__)

    @doors.get(PAGE)
    def page() -> Response:
        return _page()

    def _page(refusal: Refusal | None = None, name: str = "", organization: str = "") -> Response:
        staff = staffing.administrator(read_cookie(SESSION), visit())
        context = {"page": clients.page(staff), "name": name, "organization": organization, "utc": utc}
        return render_signed("clients/list.html", staff.present, context, refusal)

    @doors.post(PAGE)
    def create() -> Response:
        form = ClientForm()
        name, organization = form.text("name"), form.text("organization")
        try:
            clients.create(visit(), read_cookie(SESSION), name, organization)
        except Wrong as refusal:
            return _page(refusal, name, organization)
        return go_to(PAGE)

    @doors.post(f"{PAGE}/hide")
    def hide() -> Response:
        clients.hide(staffing.administrator(read_cookie(SESSION), visit()))
        return done_at(PAGE, "client_hidden")

    @doors.get(f"{PAGE}/<client_id>/<any(rotate, revoke):act>")
    def ask(client_id: str, act: str) -> Response:
        staff = staffing.administrator(read_cookie(SESSION), visit(), fresh=True)
        client = clients.find(staff, client_id)
        if client is None:
            abort(404)
        return render_signed("clients/act.html", staff.present, {"client": client, "act": act})

    @doors.post(f"{PAGE}/<client_id>/rotate")
    def rotate(client_id: str) -> Response:
        at_once = RotateForm().text("at_once") == "yes"
        clients.rotate(visit(), read_cookie(SESSION), client_id, at_once=at_once)
        return go_to(PAGE)

    @doors.post(f"{PAGE}/<client_id>/revoke")
    def revoke(client_id: str) -> Response:
        clients.revoke(visit(), read_cookie(SESSION), client_id)
        return done_at(PAGE, "client_revoked")

    return doors
