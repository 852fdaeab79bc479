"""/healthz, /readyz, /metrics, the provider's callbacks, and the well-known pages."""

from datetime import UTC, datetime, timedelta

from flask import Blueprint, Response, abort, g, jsonify, request
from flask_wtf.csrf import CSRFProtect

from app.foundation.clock import Clock
from app.foundation.metrics import Metrics
from app.foundation.secretbox import same
from app.foundation.settings import Settings, is_loopback
from app.foundation.web.application import FORWARDING, is_this_machine
from app.journeys.operations.service import Operations
from app.records.delivery.channels import STATUS_PATH
from app.records.delivery.service import Callbacks

_EXPIRES_IN = timedelta(days=180)  # RFC 9116 sec. 2.5.5 recommends less than a year


def blueprint(
    operations: Operations, callbacks: Callbacks, metrics: Metrics, settings: Settings, clock: Clock
) -> Blueprint:
    """The doors for programs that watch over the portal."""
    doors = Blueprint("operations", __name__)

    def for_operators_only() -> None:
        """This machine, or the bearer token of METRICS_TOKEN; to all others the page does not exist (ASVS 13.4.5)."""
        kind, _, given = request.headers.get("Authorization", "").partition(" ")
        if settings.metrics_token and kind.lower() == "bearer" and same(given, settings.metrics_token):
            return
        # a proxy in front of us is on this machine too; whom it brings along is known by what it adds, and where
        # it adds nothing, by the public name
        forwarded = any(name in request.headers for name in FORWARDING)
        if forwarded or not is_loopback(g.address) or not is_this_machine(request.host):
            abort(404)

    @doors.get("/healthz")
    def healthz() -> Response:
        return jsonify(status="ok")

    @doors.get("/readyz")
    def readyz() -> Response:
        for_operators_only()
        away = operations.away()
        response = jsonify(status="away" if away else "ok", away=list(away))
        if away:
            response.status_code = 503
            response.headers["Retry-After"] = "5"
        return response

    @doors.get("/metrics")
    def figures() -> Response:
        for_operators_only()
        return Response(metrics.page(), mimetype="text/plain; version=0.0.4")

    @doors.get("/.well-known/security.txt")
    def security_txt() -> Response:
        contact = settings.security_contact or (settings.support_email and f"mailto:{settings.support_email}")
        if not contact:
            abort(404)
        expires = datetime.fromtimestamp(clock.now(), UTC) + _EXPIRES_IN
        lines = [
            f"Contact: {contact}",
            f"Expires: {expires:%Y-%m-%dT00:00:00Z}",
            "Preferred-Languages: en, de",
            f"Canonical: {settings.public_url.rstrip('/')}/.well-known/security.txt",
        ]
        return Response("\n".join(lines) + "\n", mimetype="text/plain")

    @doors.post(STATUS_PATH)
    def twilio_status() -> Response:
        parameters = {name: value for name, value in request.form.items()}  # noqa: C416 - one value each, checked before
        if not callbacks.receive(parameters, request.headers.get("X-Twilio-Signature")):
            abort(403)
        return Response(status=204)

    return doors


def exempt(csrf: CSRFProtect, doors: Blueprint) -> None:
    """The provider signs its callbacks and has no cookie; no other POST is without a token."""
    csrf.exempt(doors)
