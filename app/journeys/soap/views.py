"""/soap/users: AuthenticateUser over SOAP 1.1 and 1.2, and its WSDL."""

from flask import Blueprint, Response, abort, g, make_response, render_template, request
from flask_wtf.csrf import CSRFProtect

from app.foundation.settings import Settings
from app.foundation.web.application import MOST_BYTES, answer_programs, visit
from app.journeys.soap import rules
from app.journeys.soap.model import Blame, Unreadable, Version
from app.journeys.soap.service import SoapUsers

PATH = "/soap/users"
_ROOM = "/soap/"  # what is refused under it is answered by a Fault
_WSDL = "wsdl"


def blueprint(users: SoapUsers, settings: Settings) -> Blueprint:
    """The door for programs that speak SOAP."""
    doors = Blueprint("soap", __name__)
    namespace = settings.soap_namespace
    action = rules.action(namespace)
    address = f"{settings.public_url.rstrip('/')}{PATH}"

    @doors.get(PATH)
    def describe() -> Response:
        # .NET and its like ask by other spellings too
        if _WSDL not in {name.lower() for name in request.args}:
            abort(405, valid_methods=["POST"])
        text = render_template("soap/users.xml", address=address, namespace=namespace, action=action)
        return _xml(text.encode(), Version.V11)

    @doors.post(PATH)
    def call() -> Response:
        try:
            version = _head(action)
            charset = request.mimetype_params.get("charset", "")
            asked = rules.read(request.get_data(), version, charset, namespace)
        except Unreadable as refusal:
            return _fault(refusal)
        result, cause = users.authenticate(visit(), asked)
        g.refusal = cause.value if cause else ""
        return _xml(rules.reply(result, version, asked.namespace), version)

    def refuse(status: int, _code: str, retry_after: int) -> Response:
        blame = Blame.SERVER if status in _OURS else Blame.CLIENT
        sentence = _SENTENCES.get(status, "The request was refused.").format(seconds=retry_after, address=address)
        return _fault(Unreadable(blame, sentence, status=status))

    answer_programs(doors, _ROOM, refuse)
    return doors


def exempt(csrf: CSRFProtect, doors: Blueprint) -> None:
    """Programs have no cookie, so that there is nothing a foreign page could borrow."""
    csrf.exempt(doors)


_MEDIA_TYPES = "A request comes as text/xml (SOAP 1.1) or application/soap+xml (SOAP 1.2), without attachments."
_OURS = frozenset({429, 500, 503})  # the message was none of the reasons
_SENTENCES = {
    400: "The request could not be read.",
    404: "There is no service at this address; the one of users is {address}.",
    405: "The service is called by POST. What it says and hears is described at {address}?wsdl.",
    413: f"The request is larger than {MOST_BYTES} bytes.",
    429: "Too many requests came from this address. Try again in {seconds} seconds.",
    500: "The service failed. The header X-Request-Id names what its operator will find in the log.",
    503: "The service is not available for the moment, and nothing was judged. Try again in {seconds} seconds.",
}


def _version() -> Version | None:
    """The version that the media type names; None: neither."""
    return next((version for version in Version if request.mimetype == version.media_type), None)


def _head(action: str) -> Version:
    """The version of a request whose headers are in order. Raises Unreadable."""
    version = _version()
    if version is None:
        raise Unreadable(Blame.CLIENT, _MEDIA_TYPES, status=415)
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Unreadable(Blame.CLIENT, "The body of a request is not compressed.", status=415)
    _look_at_the_action(version, action)
    return version


def _look_at_the_action(version: Version, action: str) -> None:
    """The action is ours where one is named at all. Raises Unreadable.

    SOAP 1.1 lets it be empty where the address says it all (sec. 6.1.1), and 1.2 lets it be left out; here the one
    operation stands in the body in any case.
    """
    named = [request.headers.get("SOAPAction", "")]
    if version is Version.V12:
        named.append(request.mimetype_params.get("action", ""))
    for one in named:
        text = one.strip()
        quoted = len(text) > 1 and text[0] == text[-1] == '"'
        if (text[1:-1] if quoted else text) not in {"", action}:
            raise Unreadable(Blame.CLIENT, f"The action is not the one of this service, which is {action}.")


def _fault(refusal: Unreadable) -> Response:
    version = _version() or Version.V11
    response = _xml(rules.fault(refusal, version), version)
    response.status_code = rules.status_of(refusal, version)
    g.refusal = g.get("refusal") or f"soap_{refusal.blame.value}"
    return response


def _xml(octets: bytes, version: Version) -> Response:
    response = make_response(octets)
    response.headers["Content-Type"] = f"{version.media_type}; charset=utf-8"
    return response
