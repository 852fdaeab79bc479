"""The edge of the world, as things that tests can read: a phone behind Twilio's API, and a mailbox behind SMTP.

Both are real servers on a loopback port of their own. They can be told to misbehave, message by message.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import re
import socket
import ssl
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

HOST = "127.0.0.1"
ACCOUNT = "AC" + "0" * 32
AUTH_TOKEN = "a-token-for-tests"
API_KEY = "SK" + "0" * 32
API_SECRET = "a-secret-for-tests"
SENDER = "+15005550006"  # Twilio's own magic number for "can send"

_PIN = re.compile(r"^(?P<pin>[0-9]{6,8})$", re.MULTILINE)
# what Twilio answers for its magic numbers (requirement M-12)
_MAGIC = {
    "+15005550001": 21211,
    "+15005550002": 21612,
    "+15005550003": 21408,
    "+15005550004": 21610,
    "+15005550009": 21614,
}


def pin_in(text: str) -> str:
    """The PIN that stands on a line of its own."""
    found = _PIN.search(text)
    assert found, f"no PIN in {text!r}"
    return found["pin"]


class Certificates:
    """An authority of our own, a certificate for this machine (or other names), and whom to trust to believe it."""

    def __init__(self, *names: str) -> None:
        self._authority = trustme.CA()
        self._ours = self._authority.issue_cert(*(names or (HOST, "localhost")))

    def server(self) -> ssl.SSLContext:
        """What a server shows."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ours.configure_cert(context)
        return context

    def client(self) -> ssl.SSLContext:
        """Trust in this authority alone."""
        context = ssl.create_default_context()
        self._authority.configure_trust(context)
        return context

    @property
    def authority(self) -> bytes:
        """The authority's own certificate, PEM."""
        return self._authority.cert_pem.bytes()


def wait_until(enough: Callable[[], bool], seconds: float, what: Callable[[], str]) -> None:
    """Return as soon as it is enough; fail with ``what`` it is instead."""
    deadline = time.monotonic() + seconds
    while not enough():
        if time.monotonic() > deadline:
            raise AssertionError(what())
        time.sleep(0.01)


# ---- the phone


@dataclass(frozen=True, slots=True)
class Text:
    """An SMS that the provider accepted."""

    sid: str
    to: str
    body: str
    fields: dict[str, str]
    user: str  # who authenticated

    @property
    def pin(self) -> str:
        return pin_in(self.body)


@dataclass(frozen=True, slots=True)
class Answer:
    """How the next POST is answered. What is not said is as usual: 201, at once."""

    status: int = 201
    code: int = 0  # Twilio's own
    accepts: bool = True  # whether the message is taken over
    replies: bool = True  # False: the connection is closed without a byte
    delay: float = 0  # seconds between taking it over and the reply
    body: bytes = b""  # instead of the proper one
    location: str = ""
    problem: bool = False  # an RFC 9457 body


def refuse(status: int, code: int, *, problem: bool = False) -> Answer:
    """An error of the API."""
    return Answer(status, code, accepts=False, problem=problem)


HANG_UP_BEFORE = Answer(accepts=False, replies=False)
HANG_UP_AFTER = Answer(replies=False)


@dataclass
class _Posted:
    status: str = "queued"
    error_code: int | None = None
    asked: int = 0
    price: str | None = None
    unit: str | None = None


class Phone:
    """A server that speaks Twilio's Messages API, and the phones behind it."""

    def __init__(self, certificates: Certificates | None = None) -> None:
        phone = self

        class Handler(_Messages):
            edge = phone

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self._server.daemon_threads = True
        if certificates is not None:
            self._server.socket = certificates.server().wrap_socket(self._server.socket, server_side=True)
        self.base = f"{'https' if certificates else 'http'}://{HOST}:{self._server.server_port}"
        self.texts: list[Text] = []
        self.posts = 0  # whether or not accepted
        self.unauthorized = 0
        self._plan: deque[Answer] = deque()
        self._posted: dict[str, _Posted] = {}
        self.lock = threading.Lock()
        self.closing = threading.Event()
        self.hurry = threading.Event()  # replies come without their delay from then on
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.hurry.set()
        self._server.socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._server.server_close()

    def _serve(self) -> None:
        # and not serve_forever, whose shutdown waits until it looks up the next time: a thousand tests have a phone
        while not self.closing.is_set():
            with contextlib.suppress(OSError):  # a client that broke off, or the end
                self._server.process_request(*self._server.socket.accept())

    def plan(self, *answers: Answer) -> None:
        """How the next POSTs are answered, one each; later ones as usual."""
        with self.lock:
            self._plan.extend(answers)

    def tell(
        self, sid: str, status: str, error_code: int | None = None, *, price: str | None = None, unit: str | None = None
    ) -> None:
        """What a look at this message will say from now on."""
        with self.lock:
            self._posted[sid].price, self._posted[sid].unit = price, unit
            self._posted[sid].status, self._posted[sid].error_code = status, error_code

    def asked(self, sid: str) -> int:
        """How often the fate of a message was asked for."""
        with self.lock:
            return self._posted[sid].asked

    def wait(self, count: int, seconds: float = 60) -> list[Text]:
        """The texts, as soon as there are so many."""
        wait_until(lambda: len(self.texts) >= count, seconds, lambda: f"{len(self.texts)} texts instead of {count}")
        return self.texts

    def to(self, number: str) -> list[Text]:
        """The texts of one phone, oldest first."""
        return [text for text in self.texts if text.to == number]

    # ---- for the handler

    def next_answer(self, number: str) -> Answer:
        with self.lock:
            self.posts += 1
            if self._plan:
                return self._plan.popleft()
        return refuse(400, _MAGIC[number]) if number in _MAGIC else Answer()

    def take(self, fields: dict[str, str], user: str) -> str:
        with self.lock:
            sid = f"SM{len(self._posted):032x}"
            self._posted[sid] = _Posted()
            self.texts.append(Text(sid, fields.get("To", ""), fields.get("Body", ""), fields, user))
        return sid

    def look(self, sid: str) -> _Posted | None:
        with self.lock:
            found = self._posted.get(sid)
            if found:
                found.asked += 1
            return found


class _Messages(BaseHTTPRequestHandler):
    edge: Phone
    protocol_version = "HTTP/1.1"
    _path = re.compile(rf"/2010-04-01/Accounts/{ACCOUNT}/Messages(?:/(?P<sid>SM[0-9a-f]{{32}}))?\.json")

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        fields = {name: values[-1] for name, values in parse_qs(self.rfile.read(length).decode()).items()}
        user = self._user()
        found = self._path.fullmatch(urlsplit(self.path).path)
        if not user or not found or found["sid"]:
            self._reply(*((404, _error(404, 20404)) if user else (401, _error(401, 20003))))
            return
        answer = self.edge.next_answer(fields.get("To", ""))
        sid = self.edge.take(fields, user) if answer.accepts else ""
        if answer.delay:
            self.edge.hurry.wait(answer.delay)
        if not answer.replies:
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
            return
        if answer.body:
            self._reply(answer.status, answer.body)
        elif answer.status == 201:
            body = {"sid": sid, "status": "queued", "error_code": None, "to": fields.get("To")}
            self._reply(201, json.dumps(body).encode())
        else:
            self._reply(answer.status, _error(answer.status, answer.code, problem=answer.problem), answer.location)

    def do_GET(self) -> None:
        found = self._path.fullmatch(urlsplit(self.path).path)
        if not self._user():
            self._reply(401, _error(401, 20003))
            return
        posted = self.edge.look(found["sid"]) if found and found["sid"] else None
        if posted is None or found is None:
            self._reply(404, _error(404, 20404))
            return
        body = {"sid": found["sid"], "status": posted.status, "error_code": posted.error_code}
        body |= {"price": posted.price, "price_unit": posted.unit}
        self._reply(200, json.dumps(body).encode())

    def _user(self) -> str:
        kind, _, given = self.headers.get("Authorization", "").partition(" ")
        if kind == "Basic":
            user, _, password = base64.b64decode(given).decode().partition(":")
            if (user, password) in {(ACCOUNT, AUTH_TOKEN), (API_KEY, API_SECRET)}:
                return user
        with self.edge.lock:
            self.edge.unauthorized += 1
        return ""

    def _reply(self, status: int, body: bytes, location: str = "") -> None:
        with contextlib.suppress(OSError):  # a client that was killed, or gave up
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            super().handle()


def _error(status: int, code: int, *, problem: bool = False) -> bytes:
    if problem:
        body: dict[str, Any] = {"type": "about:blank", "title": "no", "status": status, "code": code}
    else:
        body = {"code": code or status, "message": "no", "more_info": "", "status": status}
    return json.dumps(body).encode()


def sign(token: str, url: str, fields: dict[str, str]) -> str:
    """X-Twilio-Signature as the provider computes it (twilio.com/docs/usage/webhooks/webhooks-security)."""
    signed = url + "".join(name + fields[name] for name in sorted(fields))
    return base64.b64encode(hmac.digest(token.encode(), signed.encode(), hashlib.sha1)).decode()


# ---- the mailbox


@dataclass(frozen=True, slots=True)
class Mail:
    """A letter that the server accepted."""

    sender: str
    to: tuple[str, ...]
    raw: bytes
    over_tls: bool
    user: str
    message: EmailMessage = field(repr=False)

    @property
    def subject(self) -> str:
        return str(self.message["Subject"])

    @property
    def text(self) -> str:
        """The body with plain line ends, without the last one."""
        return str(self.message.get_content()).replace("\r\n", "\n").rstrip("\n")

    @property
    def pin(self) -> str:
        return pin_in(self.text)


class Mailbox:
    """An SMTP server, and the mailboxes behind it.

    ``security`` is "smtp" (in the clear), "smtp+starttls" or "smtps", as in SMTP_URL.
    """

    def __init__(
        self, security: str = "smtp", certificates: Certificates | None = None, user: str = "", password: str = ""
    ) -> None:
        self._security = security
        self._user = user
        self._password = password
        self._listening = socket.create_server((HOST, 0))
        self.port = int(self._listening.getsockname()[1])
        self.mails: list[Mail] = []
        self.sessions = 0
        self.greeted_as: list[str] = []
        self.attempts = 0  # MAIL FROM commands
        self._plan: dict[str, deque[str]] = {name: deque() for name in ("MAIL", "RCPT", "DATA", "QUIT")}
        self.hold = threading.Event()
        self.hold.set()
        options: dict[str, Any] = {"server_hostname": "mail.test"}
        context = certificates.server() if certificates else None
        if security == "smtp+starttls" and context:
            options |= {"tls_context": context, "require_starttls": True}
        if user:
            options |= {"authenticator": self._authenticate, "auth_require_tls": security == "smtp+starttls"}
            options |= {"auth_required": True}
        self._controller = _Controller(
            _Handler(self),
            listening=self._listening,
            ssl_context=context if security == "smtps" else None,
            smtp_options=options,
        )

    def _authenticate(self, _server: Any, _session: Any, _envelope: Any, _kind: str, given: Any) -> AuthResult:
        right = isinstance(given, LoginPassword) and (given.login, given.password) == (
            self._user.encode(),
            self._password.encode(),
        )
        # handled=False together with success=False would leave the client without any answer
        return AuthResult(success=right, handled=right, auth_data=self._user if right else None)

    @property
    def url(self) -> str:
        """SMTP_URL."""
        who = f"{self._user}:{self._password}@" if self._user else ""
        return f"{self._security}://{who}{HOST}:{self.port}"

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.hold.set()
        self._controller.stop()
        self._listening.close()

    def plan(self, command: str, *answers: str) -> None:
        """Answer the next MAIL, RCPT, DATA or QUIT commands so, one each.

        ``answers`` are replies such as "550 5.1.1 unknown"; "drop" closes the connection (DATA: after the letter
        was taken over), "hold" waits until ``hold`` is set, after the letter was taken over.
        """
        self._plan[command].extend(answers)

    def next_answer(self, command: str) -> str:
        return self._plan[command].popleft() if self._plan[command] else ""

    def wait(self, count: int, seconds: float = 60) -> list[Mail]:
        """The letters, as soon as there are so many."""
        wait_until(lambda: len(self.mails) >= count, seconds, lambda: f"{len(self.mails)} letters instead of {count}")
        return self.mails

    def to(self, address: str) -> list[Mail]:
        """The letters of one mailbox, oldest first."""
        return [mail for mail in self.mails if address in mail.to]


class _Handler:
    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def handle_EHLO(  # noqa: N802 - names that aiosmtpd looks for
        self, _server: Any, session: Any, _envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        self._mailbox.sessions += 1
        self._mailbox.greeted_as.append(hostname)
        session.host_name = hostname
        return responses

    async def handle_MAIL(self, server: Any, _session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802
        self._mailbox.attempts += 1
        answer = self._mailbox.next_answer("MAIL")
        if answer == "drop":
            server.transport.abort()
        elif not answer:
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return answer or "250 OK"

    async def handle_RCPT(self, server: Any, _session: Any, envelope: Any, address: str, _options: list[str]) -> str:  # noqa: N802
        answer = self._mailbox.next_answer("RCPT")
        if answer == "drop":
            server.transport.abort()
        elif not answer:
            envelope.rcpt_tos.append(address)
        return answer or "250 OK"

    async def handle_QUIT(self, server: Any, _session: Any, _envelope: Any) -> str:  # noqa: N802
        if self._mailbox.next_answer("QUIT") == "drop":
            server.transport.abort()
        return "221 Bye"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        answer = self._mailbox.next_answer("DATA")
        if answer in {"", "drop", "hold"}:
            message = message_from_bytes(envelope.original_content, policy=policy.default)
            assert isinstance(message, EmailMessage)
            self._mailbox.mails.append(
                Mail(
                    sender=envelope.mail_from,
                    to=tuple(envelope.rcpt_tos),
                    raw=envelope.original_content,
                    over_tls=session.ssl is not None or server.transport.get_extra_info("sslcontext") is not None,
                    user=session.auth_data or "",
                    message=message,
                )
            )
        if answer == "hold":
            while not self._mailbox.hold.is_set():  # noqa: ASYNC110 - set by another thread
                await asyncio.sleep(0.02)
        if answer == "drop":
            server.transport.abort()
        return answer if answer[:1].isdigit() else "250 OK"


class _Controller(Controller):
    """Listens on a socket that is bound already, so that parallel runs never meet on a port."""

    def __init__(
        self,
        handler: Any,
        *,
        listening: socket.socket,
        ssl_context: ssl.SSLContext | None,
        smtp_options: dict[str, Any],
    ) -> None:
        self._listening = listening
        super().__init__(
            handler, hostname=HOST, port=listening.getsockname()[1], ssl_context=ssl_context, **smtp_options
        )

    def factory(self) -> SMTP:
        with warnings.catch_warnings():
            # it knows of TLS only by STARTTLS, and warns of a login over smtps
            warnings.filterwarnings("ignore", message="Requiring AUTH while not requiring TLS")
            return SMTP(self.handler, loop=self.loop, **self.SMTP_kwargs)

    def _create_server(self) -> Any:
        return self.loop.create_server(self._factory_invoker, sock=self._listening, ssl=self.ssl_context)

    def _trigger_server(self) -> None:
        # the base class would connect with TLS that trusts nobody here
        with contextlib.ExitStack() as stack:
            knock = stack.enter_context(socket.create_connection((HOST, self.port), timeout=5))
            if self.ssl_context is not None:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                knock = stack.enter_context(context.wrap_socket(knock))
            knock.recv(64)


@contextlib.contextmanager
def closed_port() -> Iterator[int]:
    """A port where nobody listens, and nobody else will while this lasts."""
    with socket.socket() as bound:
        bound.bind((HOST, 0))
        yield int(bound.getsockname()[1])
