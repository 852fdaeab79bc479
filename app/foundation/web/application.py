"""The Flask application: limits on what comes in, headers on what goes out, a page for every refusal."""

import ipaddress
import logging
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from io import BytesIO
from typing import IO, Any
from urllib.parse import urlsplit

import structlog
from flask import (
    Blueprint,
    Flask,
    Request,
    Response,
    abort,
    current_app,
    g,
    get_template_attribute,
    jsonify,
    make_response,
    redirect,
    render_template,
    request,
)
from flask_wtf.csrf import CSRFError, CSRFProtect
from werkzeug.exceptions import HTTPException
from werkzeug.wsgi import wrap_file

from app.foundation.chance import Chance
from app.foundation.clock import Clock
from app.foundation.refusals import Code, OutOfOrder, Refusal
from app.foundation.secretbox import Keyring
from app.foundation.settings import ROOT, Settings, is_loopback
from app.foundation.visit import Visit
from app.foundation.web import downloads, pages
from app.foundation.web.browser import (
    BROWSER,
    KNOWN,
    NEXT,
    SESSION,
    BrowserSessions,
    clear_cookie,
    read_cookie,
    write_cookie,
)
from app.foundation.web.quick import Asked, Frame, Told, lane

MOST_BYTES = 64 * 1024  # of a request's body (requirements S-06)
FORWARDING = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Via")
# what is parsed costs by its length, and a visitor without a flow has no other limit
_LONG = 256  # characters of a header that is parsed
_MOST_QUERY = 2_048
_MORE_FIELDS = "keyturn.fields"
_FILES = "keyturn.files"
_PROGRAMS = "keyturn.programs"
_MOST_FIELDS = 64  # Twilio's callbacks have about thirty
_COME_BACK = frozenset({Code.SIGNED_OUT, Code.LOWER_LEVEL, Code.PROOF_OLD, Code.PROOF_NEW})
_LONGEST_COOKIE = 64
_LONGEST_BROWSER = 255
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
_FOR_PROBES = frozenset({"/healthz", "/readyz", "/metrics"})

_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-XSS-Protection": "0",
    # Flask-WTF wants a Referer on https posts, so none at all would break every form (requirements S-04, C-15)
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=()",
}
log = structlog.get_logger()


class _Request(Request):
    def _get_file_stream(self, *_: object, **__: object) -> IO[bytes]:
        """An uploaded file stays in memory, which ``allow_file`` bounds: people's names are left on no disk."""
        return BytesIO()


def build(settings: Settings, keyring: Keyring, chance: Chance, clock: Clock) -> Flask:
    """An application without journeys; wiring registers those."""
    app = Flask("keyturn", template_folder=str(ROOT / "templates"), static_folder=None)
    app.request_class = _Request
    app.config.update(
        SECRET_KEY=keyring.mac_hex("forms"),
        SECRET_KEY_FALLBACKS=[keyring.mac_hex("forms", key=name) for name in keyring.names[1:]],
        SESSION_COOKIE_SECURE=settings.secure,
        SESSION_COOKIE_NAME=BROWSER,
        MAX_CONTENT_LENGTH=MOST_BYTES,
        MAX_FORM_MEMORY_SIZE=MOST_BYTES,
        MAX_FORM_PARTS=32,
        WTF_CSRF_TIME_LIMIT=None,  # bound to the browser's cookie instead (requirements S-11)
        WTF_CSRF_HEADERS=[],
        WTF_CSRF_SSL_STRICT=True,
        PROPAGATE_EXCEPTIONS=False,
    )
    app.session_interface = BrowserSessions(keyring, chance)
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False  # its redirects name a scheme and a host; ours name a path
    app.wsgi_app = _under(app.wsgi_app, "https" if settings.secure else "http")  # type: ignore[method-assign]
    pages.install(app, settings)  # the language first: refusals are pages too
    _guard(app, settings, chance, clock)
    CSRFProtect(app)
    _dress(app, settings, clock)
    _refuse(app)
    return app


def visit() -> Visit:
    """The present request's visit."""
    return Visit(
        g.address,
        g.language,
        g.request_id,
        known_browser=(read_cookie(KNOWN) or "")[:_LONGEST_COOKIE],
        browser="".join(filter(str.isprintable, request.headers.get("User-Agent", "")[:_LONGEST_BROWSER])),
    )


def render(template: str, context: dict[str, Any], status: int = 200) -> Response:
    """A page."""
    return make_response(render_template(template, **context), status)


def allow_fields(doors: Blueprint, path: str, most: int) -> None:
    """Let the forms of a path have more fields than those of others."""
    doors.record(lambda state: state.app.extensions.setdefault(_MORE_FIELDS, {}).update({path: most}))


def answer_programs(doors: Blueprint, prefix: str, refuse: Callable[[int, str, int], Response]) -> None:
    """Let what is refused under a path be answered by ``refuse`` instead of a page: programs call there.

    It is given the status, the refusal's code (empty: HTTP's own) and the seconds to wait.
    """
    doors.record(lambda state: state.app.extensions.setdefault(_PROGRAMS, {}).update({prefix: refuse}))


def allow_file(doors: Blueprint, path: str, most: int) -> None:
    """Let the form of a path carry one file, of somebody who is signed in: so many bytes in all.

    The server in front has to let as many in (``Bounds.larger``).
    """
    doors.record(lambda state: state.app.extensions.setdefault(_FILES, {}).update({path: most}))


def show(
    template: str, context: dict[str, Any], refusal: Refusal | None = None, *, support: object | None = None
) -> Response:
    """A page that has a form, as it is or with what was wrong.

    ``support`` is whom this person asks for help, once it is known who they are; None: the installation's.
    """
    if support is not None:
        context = {**context, "support": support}
    if refusal is None:
        return render(template, {"errors": {}, **context})
    return refuse_with(template, refusal, context)


def question_words(key: str) -> str:
    """A security question of the list in the words of the page's language; empty where it is none of them."""
    return str(get_template_attribute("_security_question.html", "listed")(key)).strip()


def as_file(text: str, name: str) -> Response:
    """A text to be saved."""
    response = make_response(text)
    response.mimetype = "text/plain"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def as_download(lines: Iterable[str], name: str, kind: str) -> Response:
    """Lines to be saved, however many: they are put into a file, which the server hands over and forgets."""
    file = downloads.new()
    try:
        file.writelines(line.encode() for line in lines)
    except BaseException:
        file.close()
        raise
    length = file.tell()
    file.flush()
    file.seek(0)
    response = Response(wrap_file(request.environ, file), mimetype=kind, direct_passthrough=True)
    response.headers["Content-Length"] = str(length)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def refuse_with(template: str, refusal: Refusal, context: dict[str, Any]) -> Response:
    """The same page again with what was wrong: 422 beside its field, or 429 with Retry-After."""
    remember(refusal)
    errors: dict[str, list[Refusal]] = {}
    for one in (refusal, *refusal.also):
        errors.setdefault(one.field, []).append(one)
    response = render(template, {**context, "errors": errors}, refusal.status)
    if refusal.retry_after:
        response.headers["Retry-After"] = str(refusal.retry_after)
    return response


def go_to(path: str, name: str = "", cookie: str | None = None) -> Response:
    """On to another page of ours, with a cookie where there is one to write."""
    response = make_response(redirect(path, 303))
    if cookie is not None:
        write_cookie(response, name, cookie)
    return response


def go_on(otherwise: str) -> Response:
    """To the page that was asked for before a proof was due, or else to ``otherwise``."""
    wanted = read_cookie(NEXT)
    response = go_to(pages.own_page(wanted) if wanted else otherwise)
    if wanted:
        clear_cookie(response, NEXT)
    return response


def is_this_machine(host: str) -> bool:
    """Whether a Host header names the machine itself, with or without a port."""
    return is_loopback(re.sub(r":[0-9]+$", "", host).removeprefix("[").removesuffix("]"))


def remember(refusal: Refusal) -> None:
    """Name the refusal in this request's log line."""
    g.refusal = refusal.code.value


def _under(inner: Any, scheme: str) -> Any:
    """What a proxy in front of us does with TLS is in PUBLIC_URL, not in headers that anybody can send.

    Outside of Flask, because a request knows from its first moment on whether it is secure: Flask-WTF asks for
    a Referer only then, and a Host's usual port goes by the scheme.
    """

    def serve(environ: dict[str, Any], start_response: Any) -> Any:
        environ["wsgi.url_scheme"] = scheme
        return inner(environ, start_response)

    return serve


@lru_cache(maxsize=1_024)
def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An IPv4 address also where a socket for both kinds writes it as IPv6; no zone. Raises ValueError."""
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return parsed.ipv4_mapped or ipaddress.IPv6Address(int(parsed))
    return parsed


def _client_address(settings: Settings, environ: dict[str, Any]) -> str:
    """The client's address: the peer's, or what a trusted proxy says of it, read from the right."""
    try:
        address = _parsed(environ.get("REMOTE_ADDR", ""))
    except ValueError:
        return "0.0.0.0"  # a Unix socket has no peer address
    chain = environ.get("HTTP_X_FORWARDED_FOR")
    hops = [hop.strip() for hop in chain.split(",")] if chain is not None else []
    while hops and any(address in network for network in settings.trusted_proxies):
        try:
            address = _parsed(hops.pop())
        except ValueError:
            # a proxy that we trust says what cannot be: refuse, never guess (CVE-2024-47070)
            abort(400)
    return str(address)


def _is_utf8(octets: bytes) -> bool:
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return True


def _parses(url: str) -> bool:
    """Whether it can be taken apart at all: Flask-WTF takes the Referer apart on https, and an IPv6 may be broken."""
    try:
        urlsplit(url)
    except ValueError:
        return False
    return True


def _guard(app: Flask, settings: Settings, chance: Chance, clock: Clock) -> None:
    expected = settings.netloc

    @app.before_request
    def look_at_the_request() -> None:
        g.started = clock.monotonic()
        g.request_id = chance.name()
        g.address = _client_address(settings, request.environ)
        host = request.host.lower()
        probe = request.path in _FOR_PROBES and is_this_machine(host)
        if host != expected and not probe:
            abort(400)
        if settings.demo and (any(request.headers.get(name) for name in FORWARDING) or not is_loopback(g.address)):
            abort(400)
        _look_at_the_head()
        if request.method == "POST":
            _look_at_the_form()


def _look_at_the_head() -> None:
    if len(request.headers.get("Content-Type", "")) > _LONG or len(request.query_string) > _MOST_QUERY:
        abort(400)
    if not _is_utf8(request.query_string) or not _parses(request.headers.get("Referer", "")):
        abort(400)


def _look_at_the_form() -> None:
    # a second layer beside the token (requirements W-10); browsers that do not send it are not refused
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
        abort(400)
    if _for_programs() is not None:
        # what they send is no form: their doors take it apart themselves
        request.get_data(cache=True)
        _end_of_body()
        return
    uploads = current_app.extensions.get(_FILES, {}).get(request.path, 0)
    # strangers send no more here than anywhere else
    takes_file = uploads and request.mimetype == "multipart/form-data" and read_cookie(SESSION) is not None
    if takes_file:
        request.max_content_length = uploads
        # Werkzeug counts here what it holds of a part between two reads, of a file too
        request.max_form_memory_size = uploads
    most = current_app.extensions.get(_MORE_FIELDS, {}).get(request.path, _MOST_FIELDS)
    if not takes_file and request.get_data(cache=True).count(b"&") > most:
        abort(400)
    fields = request.form.lists()
    _end_of_body()
    # one value for each field, or parsers disagree which of them counts; and hardly any page takes files
    files = [len(values) for _, values in request.files.lists()]
    if files not in ([], [1] if takes_file else []) or any(len(values) > 1 for _, values in fields):
        abort(400)


def _end_of_body() -> None:
    """Werkzeug cuts off what a body without a length has beyond the limit, without a word."""
    terminated = request.content_length is None and request.environ.get("wsgi.input_terminated")
    if terminated and request.environ["wsgi.input"].read(1):
        abort(413)


def answer_quickly(
    app: Flask, settings: Settings, chance: Chance, clock: Clock, path: str, answer: Callable[[Asked], Told | None]
) -> None:
    """Give the plain good answers of a path before Flask is woken. Not in the demo, which looks at every request."""
    if settings.demo:
        return

    def counted(route: str, method: str, status: int, seconds: float) -> None:
        app.extensions["keyturn.requests"](route, method, status, seconds)

    frame = Frame(
        host=settings.netloc,
        headers=_usual(settings),
        address=lambda environ: _client_address(settings, environ),
        counted=counted,
        name=chance.name,
        clock=clock,
    )
    app.wsgi_app = lane(app.wsgi_app, frame, path, answer)  # type: ignore[assignment, method-assign]


def _usual(settings: Settings) -> list[tuple[str, str]]:
    usual = [*_HEADERS.items(), ("Cache-Control", "no-store")]
    if settings.secure:
        usual.append(("Strict-Transport-Security", "max-age=63072000; includeSubDomains"))
    return usual


def _dress(app: Flask, settings: Settings, clock: Clock) -> None:
    usual = _usual(settings)

    @app.after_request
    def dress(response: Response) -> Response:
        given = {name.lower() for name in response.headers.keys()}  # noqa: SIM118 - not a dictionary: it yields pairs
        response.headers.extend([(name, value) for name, value in usual if name.lower() not in given])
        response.headers["X-Request-Id"] = g.get("request_id", "")
        took = clock.monotonic() - g.started if "started" in g else 0.0
        route = request.url_rule.rule if request.url_rule else "-"
        # a stranger's own word would be a time series, and a line of the log, of its own
        method = request.method if request.method in _METHODS else "other"
        app.extensions["keyturn.requests"](route, method, response.status_code, took)
        if request.path not in _FOR_PROBES:
            log.info(
                "request",
                request_id=g.get("request_id"),
                method=method,
                route=route,  # the rule, not the path: a path may carry a link's token
                status=response.status_code,
                refusal=g.get("refusal", ""),
                address=g.get("address"),
                ms=round(took * 1000, 1),
            )
        return response

    app.extensions.setdefault("keyturn.requests", lambda *_: None)


def _is_page() -> bool:
    """Whether people look at the answer; scripts ask for how a PIN stands, and read JSON."""
    return not request.path.endswith("/pin/status") and _for_programs() is None


def _for_programs() -> Callable[[int, str, int], Response] | None:
    """How a program is told what went wrong; None where people ask."""
    doors = current_app.extensions.get(_PROGRAMS, {})
    return next((refuse for prefix, refuse in doors.items() if request.path.startswith(prefix)), None)


def _to_what_is_due(refusal: OutOfOrder) -> Response:
    """Where a GET out of order goes. What a proof is due for is remembered by the browser itself."""
    if refusal.code not in _COME_BACK:
        return go_to(refusal.due)
    return go_to(refusal.due, NEXT, request.full_path if request.query_string else request.path)


def _error_page(status: int, *, code: str = "", retry_after: int = 0, due: str = "") -> Response:
    """What went wrong: as a page, as JSON where a script asked, or as programs want it."""
    refuse = _for_programs()
    if refuse is not None:
        response = refuse(status, code, retry_after)
    elif not _is_page():
        response = jsonify(error=code or str(status), due=due)
        response.status_code = status
    else:
        context = {
            "status": status,
            "code": code,
            "retry_after": retry_after,
            "due": due,
            "request_id": g.get("request_id", ""),
        }
        response = render("errors/refusal.html", context, status)
    if retry_after:
        response.headers["Retry-After"] = str(retry_after)
    return response


def _refuse(app: Flask) -> None:
    @app.errorhandler(Refusal)
    def refused(refusal: Refusal) -> Response:
        remember(refusal)
        if isinstance(refusal, OutOfOrder) and request.method in {"GET", "HEAD"} and _is_page() and refusal.due:
            return _to_what_is_due(refusal)
        if refusal.status == 503:
            log.warning("unavailable", what=getattr(refusal, "what", refusal.code.value), exc_info=refusal.__cause__)
        return _error_page(refusal.status, code=refusal.code.value, retry_after=refusal.retry_after, due=refusal.due)

    @app.errorhandler(CSRFError)
    def forged(error: CSRFError) -> Response:
        g.refusal = "malicious_csrf"
        log.warning("malicious_csrf", reason=str(error.description), request_id=g.get("request_id"))
        # a page of ours always leaves this cookie: where none comes back, they are blocked, and reloading does not help
        return _error_page(400, code="csrf" if read_cookie(BROWSER) else "no_cookie")

    @app.errorhandler(HTTPException)
    def known(error: HTTPException) -> Response:
        status = error.code or 500
        response = _error_page(status)
        if status == 405 and getattr(error, "valid_methods", None):
            response.headers["Allow"] = ", ".join(sorted(error.valid_methods))  # type: ignore[attr-defined]
        return response

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        # the traceback names places, never values: local variables are not logged (ASVS 16.2.5)
        log.error("unexpected", request_id=g.get("request_id"), exc_info=error)
        return _error_page(500)


logging.getLogger("werkzeug").setLevel(logging.WARNING)

__all__ = [
    "FORWARDING",
    "Code",
    "build",
    "go_on",
    "go_to",
    "is_this_machine",
    "question_words",
    "refuse_with",
    "remember",
    "render",
    "show",
    "visit",
]
