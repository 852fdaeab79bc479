"""Every door of the portal: its rule, its methods, how it is guarded, and how to knock at it with any bytes."""

import io
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from flask import Flask
from werkzeug.test import TestResponse, create_environ, run_wsgi_app
from werkzeug.wrappers import Request

from app.foundation.clock import Clock
from app.foundation.secretbox import Keyring, MasterKey
from app.foundation.sql import Database
from app.records.cases import rules
from app.records.cases import store as cases
from app.records.cases.model import Action, Kind, RequestState
from app.records.cases.model import Request as SupportRequest
from app.records.flows.model import Held
from app.records.organizations.model import PRESETS, Profile
from app.records.people import store as people
from app.wiring import build_approval_means, build_steps
from tests.hands import HandClock, SeededChance
from tests.portal import Browser, Portal, opened

PHONE = "+491700000001"
EMAIL = "jane@example.org"
ADDRESS = "192.0.2.10"
ASKED = "Where did we two meet?"


class Guard(StrEnum):
    """What has to be true before a door does anything."""

    PUBLIC = "public"  # open to everybody
    LINK = "link"  # the token of a mailed link
    CODE = "code"  # words from a message, which lead on to a step
    STEP = "step"  # a flow of this browser's own stands at this step
    SESSION = "session"  # somebody is signed in
    SUPPORT = "support"  # an agent or administrator, with two factors
    ADMINISTRATOR = "administrator"  # an administrator, with two factors
    DEMO = "demo"  # the demo alone has it, on this machine alone
    OPERATORS = "operators"  # this machine itself, or the bearer token
    SIGNED = "signed"  # the provider's signature
    PROGRAM = "program"  # what is sent is no form: a password to judge, or nothing
    CLIENT = "client"  # the credentials of an API client


@dataclass(frozen=True, slots=True)
class Door:
    """One rule of the application's map. ``stand`` names the step of a flow that it belongs to."""

    rule: str
    methods: frozenset[str]
    guard: Guard
    fields: tuple[str, ...] = ()
    stand: str = ""
    example: str = ""  # a path of the rule where the rule itself is none

    @property
    def path(self) -> str:
        return self.example or self.rule


def _door(rule: str, methods: str, guard: Guard, *fields: str, stand: str = "", example: str = "") -> Door:
    return Door(rule, frozenset(methods.split()), guard, fields, stand, example)


_APP = "/authenticators/app/0"
DOORS = (
    _door("/", "GET", Guard.PUBLIC),
    _door("/help", "GET", Guard.PUBLIC),
    _door("/language", "POST", Guard.PUBLIC, "language", "next"),
    _door("/static/<digest>/<path:name>", "GET", Guard.PUBLIC, example="/static/0/app.css"),
    _door("/sign-in", "GET POST", Guard.PUBLIC, "user_id"),
    _door("/sign-in/password", "GET POST", Guard.STEP, "password", stand="sign-in/password"),
    _door("/sign-in/verify", "GET POST", Guard.STEP, "code", stand="sign-in/verify"),
    _door("/sign-in/code", "GET POST", Guard.STEP, "code", stand="sign-in/verify"),
    _door("/sign-in/alternative", "GET POST", Guard.STEP, "channel", stand="sign-in/verify"),
    _door("/sign-in/pin", "GET POST", Guard.STEP, "pin", stand="sign-in/pin"),
    _door("/sign-in/pin/status", "GET", Guard.STEP, stand="sign-in/pin"),
    _door("/sign-in/new-password", "GET POST", Guard.STEP, "new_password", "confirm_password", stand="sign-in/new"),
    _door("/sign-in/security-answer", "GET POST", Guard.STEP, "answer", stand="sign-in/answer"),
    _door(
        "/sign-in/security-question",
        "GET POST",
        Guard.STEP,
        "question",
        "own_question",
        "answer",
        stand="sign-in/question",
    ),
    _door(
        "/authenticators/security-question",
        "GET POST",
        Guard.SESSION,
        "question",
        "own_question",
        "answer",
        stand="session/question",
    ),
    _door("/sign-out", "GET POST", Guard.PUBLIC),
    _door("/authenticators", "GET", Guard.SESSION, stand="session/home"),
    _door("/rehearsal", "GET POST", Guard.SESSION),
    _door("/rehearsal/token", "GET POST", Guard.SESSION, "code", stand="session/rehearsal"),
    _door("/rehearsal/pin", "GET POST", Guard.SESSION, "pin", stand="session/rehearsal-pin"),
    _door("/rehearsal/pin/send", "GET POST", Guard.SESSION, "channel", stand="session/rehearsal-pin"),
    _door("/rehearsal/pin/status", "GET", Guard.SESSION, stand="session/rehearsal-pin"),
    _door("/rehearsal/done", "GET", Guard.SESSION, stand="session/rehearsal-done"),
    _door("/step-up", "GET POST", Guard.SESSION, "code", stand="session/home"),
    _door("/step-up/alternative", "GET POST", Guard.SESSION, "channel", stand="session/home"),
    _door("/step-up/pin", "GET POST", Guard.SESSION, "pin", stand="session/pin"),
    _door("/step-up/pin/status", "GET", Guard.SESSION, stand="session/pin"),
    _door(
        "/authenticators/password",
        "GET POST",
        Guard.SESSION,
        "current_password",
        "new_password",
        "confirm_password",
        "everywhere",
    ),
    _door("/profile", "GET", Guard.SESSION),
    _door("/activity", "GET", Guard.SESSION),
    _door("/sessions", "GET POST", Guard.SESSION, "name", "all", "forget"),
    _door("/sessions/extend", "POST", Guard.SESSION),
    _door("/.well-known/change-password", "GET", Guard.PUBLIC),
    _door("/authenticators/app/new", "GET POST", Guard.SESSION, "label", "code"),
    _door("/authenticators/app/<app_id>/rename", "GET POST", Guard.SESSION, "label", example=f"{_APP}/rename"),
    _door(
        "/authenticators/app/<app_id>/disable",
        "GET POST",
        Guard.SESSION,
        "everywhere",
        "stolen",
        example=f"{_APP}/disable",
    ),
    _door("/authenticators/app/<app_id>/enable", "GET POST", Guard.SESSION, example=f"{_APP}/enable"),
    _door(
        "/authenticators/app/<app_id>/synchronize",
        "GET POST",
        Guard.SESSION,
        "code_1",
        "code_2",
        example=f"{_APP}/synchronize",
    ),
    _door(
        "/authenticators/app/<app_id>/remove",
        "GET POST",
        Guard.SESSION,
        "everywhere",
        "stolen",
        example=f"{_APP}/remove",
    ),
    _door("/authenticators/phone/new", "GET POST", Guard.SESSION, "phone"),
    _door("/authenticators/phone/new/confirm", "GET POST", Guard.SESSION, "pin"),
    _door("/authenticators/phone/new/confirm/send", "GET POST", Guard.SESSION),
    _door("/authenticators/phone/new/confirm/pin/status", "GET", Guard.SESSION),
    _door(
        "/authenticators/phone/<contact_id>/remove",
        "GET POST",
        Guard.SESSION,
        "everywhere",
        example="/authenticators/phone/0/remove",
    ),
    _door(
        "/authenticators/phone/<contact_id>/default",
        "GET POST",
        Guard.SESSION,
        example="/authenticators/phone/0/default",
    ),
    _door("/authenticators/email/new", "GET POST", Guard.SESSION, "email"),
    _door("/authenticators/email/new/confirm", "GET POST", Guard.SESSION, "pin"),
    _door("/authenticators/email/new/confirm/send", "GET POST", Guard.SESSION),
    _door("/authenticators/email/new/confirm/pin/status", "GET", Guard.SESSION),
    _door(
        "/authenticators/email/<contact_id>/remove",
        "GET POST",
        Guard.SESSION,
        "everywhere",
        example="/authenticators/email/0/remove",
    ),
    _door(
        "/authenticators/email/<contact_id>/default",
        "GET POST",
        Guard.SESSION,
        example="/authenticators/email/0/default",
    ),
    _door("/authenticators/recovery-codes", "GET POST", Guard.SESSION, "stolen"),
    _door("/authenticators/recovery-codes/saved", "GET POST", Guard.SESSION),
    _door("/authenticators/recovery-codes/download", "GET", Guard.SESSION),
    _door("/step-up/code", "GET POST", Guard.SESSION, "code"),
    _door("/recovery", "GET POST", Guard.PUBLIC, "user_id"),
    _door("/recovery/token", "GET POST", Guard.STEP, "code", stand="recovery/token"),
    _door("/recovery/code", "GET POST", Guard.STEP, "code", stand="recovery/token"),
    _door("/forgot", "GET POST", Guard.PUBLIC, "user_id"),
    _door("/forgot/password", "GET", Guard.PUBLIC),
    _door("/forgot/<token>", "GET POST", Guard.LINK, example="/forgot/" + "x" * 43),
    _door("/recovery/link", "GET POST", Guard.PUBLIC, "user_id"),
    _door("/recovery/link/<token>", "GET POST", Guard.LINK, example="/recovery/link/" + "x" * 43),
    _door("/recovery/other-ways", "GET", Guard.PUBLIC),
    _door("/recovery/pin", "GET POST", Guard.STEP, "pin", stand="recovery/pin"),
    _door("/recovery/pin/send", "GET POST", Guard.STEP, "channel", stand="recovery/pin"),
    _door("/recovery/pin/status", "GET", Guard.STEP, stand="recovery/pin"),
    _door("/recovery/password", "GET POST", Guard.STEP, "new_password", "confirm_password", stand="recovery/password"),
    _door("/recovery/unlock", "GET POST", Guard.STEP, stand="recovery/password"),
    _door("/recovery/done", "GET", Guard.STEP, stand="recovery/done"),
    _door("/activate", "GET", Guard.PUBLIC),
    _door("/activate/<token>", "GET POST", Guard.LINK, example=f"/activate/{'x' * 43}"),
    _door("/activate/pin", "GET POST", Guard.STEP, "pin", stand="activate/pin"),
    _door("/activate/pin/send", "GET POST", Guard.STEP, "channel", stand="activate/pin"),
    _door("/activate/pin/status", "GET", Guard.STEP, stand="activate/pin"),
    _door("/activate/code", "GET POST", Guard.STEP, "code", stand="activate/code"),
    _door("/activate/resume", "GET POST", Guard.STEP, "password", stand="activate/resume"),
    _door("/activate/password", "GET POST", Guard.STEP, "new_password", "confirm_password", stand="activate/password"),
    _door("/activate/contacts", "GET POST", Guard.STEP, stand="activate/contacts"),
    _door("/activate/app", "GET POST", Guard.STEP, "label", "code", stand="activate/app"),
    _door("/activate/codes", "GET POST", Guard.STEP, stand="activate/codes"),
    _door("/activate/codes/download", "GET", Guard.STEP, stand="activate/shown"),
    _door("/activate/codes/saved", "GET POST", Guard.STEP, stand="activate/shown"),
    _door("/activate/done", "GET", Guard.STEP, stand="activate/done"),
    _door("/undo", "GET", Guard.PUBLIC),
    _door("/undo/<token>", "GET POST", Guard.LINK, example=f"/undo/{'x' * 43}"),
    _door("/undo/choose", "GET POST", Guard.STEP, "code", stand="undo/choose"),
    _door("/undo/code", "GET POST", Guard.STEP, "code", stand="undo/choose"),
    _door("/undo/decide", "GET POST", Guard.STEP, "decision", stand="undo/decide"),
    _door("/undo/done", "GET", Guard.STEP, stand="undo/done"),
    _door("/admin/audit", "GET", Guard.ADMINISTRATOR),
    _door(
        "/admin/audit/export",
        "POST",
        Guard.ADMINISTRATOR,
        "person",
        "event",
        "outcome",
        "actor",
        "from",
        "to",
        "format",
    ),
    _door("/support", "GET", Guard.SUPPORT),
    _door("/support/people", "GET", Guard.SUPPORT, "q"),
    _door("/support/people/<user_id>", "GET", Guard.SUPPORT, example="/support/people/jane"),
    _door("/admin/people", "GET", Guard.ADMINISTRATOR),
    _door("/admin/people/export", "POST", Guard.ADMINISTRATOR, "organization", "list", "days", "q"),
    _door(
        "/admin/people/new",
        "GET POST",
        Guard.ADMINISTRATOR,
        "user_id",
        "first_name",
        "last_name",
        "email",
        "phone",
        "organization",
    ),
    _door("/admin/people/import", "GET POST", Guard.ADMINISTRATOR, "organization"),
    _door("/admin/people/import/review", "GET POST", Guard.ADMINISTRATOR),
    _door("/admin/people/import/status", "GET", Guard.ADMINISTRATOR),
    _door("/admin/people/import/report", "GET", Guard.ADMINISTRATOR),
    _door("/admin/api-clients", "GET POST", Guard.ADMINISTRATOR, "name", "organization"),
    _door("/admin/api-clients/hide", "POST", Guard.ADMINISTRATOR),
    _door(
        "/admin/api-clients/<client_id>/<any(rotate, revoke):act>",
        "GET",
        Guard.ADMINISTRATOR,
        example="/admin/api-clients/none/rotate",
    ),
    _door(
        "/admin/api-clients/<client_id>/rotate",
        "POST",
        Guard.ADMINISTRATOR,
        "at_once",
        example="/admin/api-clients/none/rotate",
    ),
    _door(
        "/admin/api-clients/<client_id>/revoke", "POST", Guard.ADMINISTRATOR, example="/admin/api-clients/none/revoke"
    ),
    _door("/sign-in/to/<note>", "GET", Guard.PUBLIC, example="/sign-in/to/none"),
    _door("/admin/delivery", "GET POST", Guard.ADMINISTRATOR, "contact"),
    _door("/admin/delivery/status", "GET", Guard.ADMINISTRATOR),
    _door("/admin/people/propose", "GET POST", Guard.ADMINISTRATOR, "user_id", "organization"),
    _door("/admin/people/<user_id>", "GET", Guard.ADMINISTRATOR, example="/admin/people/jane"),
    *(
        _door(
            f"/admin/people/<user_id>/{act}",
            "GET POST",
            Guard.ADMINISTRATOR,
            "organization",
            *{"role": ("role",), "contacts": ("email", "phone")}.get(act, ()),
            example=f"/admin/people/jane/{act}",
        )
        for act in ("invite", "contacts", "deactivate", "reactivate", "role", "remove")
    ),
    _door(
        "/profile/memberships/<organization_id>",
        "GET POST",
        Guard.SESSION,
        "decision",
        example="/profile/memberships/0",
    ),
    _door("/admin/policy", "GET POST", Guard.ADMINISTRATOR, "password_min_length"),
    _door("/admin/policy/preview", "GET POST", Guard.ADMINISTRATOR, "password_min_length"),
    _door("/admin/policy/stranded", "GET POST", Guard.ADMINISTRATOR, "password_min_length"),
    _door("/admin/policy/withdraw", "GET POST", Guard.ADMINISTRATOR),
    _door("/approve", "GET POST", Guard.CODE, "code"),
    _door("/approve/decide", "GET POST", Guard.STEP, "decision", stand="approve/decide"),
    _door("/approve/done", "GET", Guard.STEP, stand="approve/done"),
    _door("/approve/cancel/<token>", "GET POST", Guard.LINK, example=f"/approve/cancel/{'x' * 43}"),
    _door("/approve/cancelled", "GET", Guard.PUBLIC),
    *(
        _door(
            f"/support/people/<user_id>/{action}",
            "GET POST",
            Guard.SUPPORT,
            "do",
            "request",
            "reason",
            "contact",
            "app",
            "address",
            example=f"/support/people/jane/{action}",
        )
        for action in Action
    ),
    _door("/support/approvals", "GET", Guard.SUPPORT),
    _door(
        "/support/approvals/<request_id>",
        "GET POST",
        Guard.SUPPORT,
        "decision",
        example=f"/support/approvals/{'0' * 32}",
    ),
    _door("/admin/dashboard", "GET", Guard.ADMINISTRATOR),
    _door("/healthz", "GET", Guard.PUBLIC),
    _door("/readyz", "GET", Guard.OPERATORS),
    _door("/metrics", "GET", Guard.OPERATORS),
    _door("/.well-known/security.txt", "GET", Guard.PUBLIC),
    _door("/webhooks/twilio/status", "POST", Guard.SIGNED, "MessageSid", "MessageStatus"),
    _door("/api/v1/authenticate-user", "POST", Guard.PROGRAM),
    _door("/soap/users", "GET POST", Guard.PROGRAM),
    _door("/api/v1/tokens/introspect", "POST", Guard.CLIENT, "token"),
    _door("/api/v1/tokens/revoke", "POST", Guard.CLIENT, "token"),
    _door("/api/v1/openapi.json", "GET", Guard.PUBLIC),
    _door("/demo", "GET", Guard.DEMO),
    _door("/demo/inbox", "GET", Guard.DEMO),
    _door("/demo/qr/<user_id>.svg", "GET", Guard.DEMO, example="/demo/qr/jane.svg"),
    _door("/demo/failing", "POST", Guard.DEMO, "channel", "failing"),
)
# the demo's doors are there in the demo alone, and tests that walk all doors walk the portal's own
OWN = tuple(door for door in DOORS if door.guard is not Guard.DEMO)
POSTED = tuple(door for door in OWN if "POST" in door.methods)
# stands of one state: with another way to prove it, or with its codes shown
BESIDE = {
    "sign-in/pin": {"sign-in/verify"},
    "sign-in/answer": {"sign-in/verify"},
    "activate/shown": {"activate/codes"},
    "activate/codes": {"activate/shown"},
}
STANDS = tuple(dict.fromkeys(door.stand for door in OWN if door.stand))


@contextmanager
def standing(
    template: Path, folder: Path, store_url: str, *, clock: Clock | None = None, **settings: Any
) -> Iterator[Portal]:
    """A portal of its own for several tests: SQLite in ``folder``, limits per address out of the way."""
    path = folder / "keyturn.sqlite"
    path.write_bytes(template.read_bytes())
    chance = SeededChance()
    keyring = Keyring([MasterKey("only", chance.octets(32))], chance)
    wide: dict[str, Any] = {"limit_starts_per_address": 100_000, "limit_tries_per_address": 100_000}
    with opened(
        Database(f"sqlite:///{path}"), store_url, clock or HandClock(), keyring, **{**wide, **settings}
    ) as portal:
        yield portal


def stand_at(
    portal: Portal, step: str, user_id: str, environ: Mapping[str, str] | None = None, phone: str = PHONE
) -> Browser:
    """A new browser whose flow stands at a step, for somebody who is there with that phone."""
    browser = portal.browser(**(environ or {}))
    name, _, state = step.partition("/")
    if step in {"sign-in/question", "sign-in/answer", "session/question"}:
        _classic_to(portal, browser, step)
    elif name == "session":
        browser.sign_in(portal, user_id)
        browser.get("/step-up")
        if state.startswith("rehearsal"):
            portal.deliver()
            portal.base.clock.sleep(30)  # the code of the sign-in is spent
            assert browser.post("/rehearsal").status_code == 303
            browser.get("/rehearsal/token")
        if state in {"rehearsal-pin", "rehearsal-done"}:
            assert browser.post("/rehearsal/token", code=portal.code(user_id)).status_code == 303
            browser.get("/rehearsal/pin")
        if state == "rehearsal-done":
            portal.deliver()
            assert browser.post("/rehearsal/pin", pin=portal.last_pin(phone)).status_code == 303
        if state == "pin":
            portal.deliver()
            assert browser.post("/step-up/alternative", channel="sms").status_code == 303
            browser.get("/step-up/pin")
    elif name == "sign-in":
        browser.get("/sign-in")
        browser.post("/sign-in", user_id=user_id)
        if state in {"verify", "pin", "new"}:
            assert browser.post("/sign-in/password", password="correct horse battery staple").status_code == 303
        if state == "pin":
            assert browser.post("/sign-in/alternative", channel="sms").status_code == 303
            browser.get("/sign-in/pin")
        if state == "new":
            assert browser.post("/sign-in/verify", code=portal.code(user_id)).status_code == 303
            browser.get("/sign-in/new-password")
    elif name == "activate":
        guest_to(portal, browser, state)
    elif name == "undo":
        _undo_to(portal, browser, state)
    elif name == "approve":
        _approve_to(portal, browser, state)
    elif state == "token":
        browser.recover_to_token(user_id)
    elif state == "pin":
        browser.recover_to_pin(portal, user_id)
    elif state in {"password", "done"}:
        browser.recover_to_password(portal, user_id, phone)
        if state == "done":
            new = f"a fine new passphrase {portal.base.chance.name()}"
            assert browser.post("/recovery/password", new_password=new, confirm_password=new).status_code == 303
    return browser


def _classic_to(portal: Portal, browser: Browser, step: str) -> None:
    """Sign in as somebody of one's own who owes a security question, or has set it, or may answer it."""
    user_id = f"classic-{portal.base.chance.name()[:8]}"
    phone = f"+49172{int(portal.base.chance.name()[:6], 16):08d}"
    person = portal.add(user_id, phone=phone, app=False, home="Classic")
    portal.decide(PRESETS[Profile.CLASSIC], "Classic")
    if step != "sign-in/answer":
        assert browser.sign_in_by_pin(portal, user_id, phone).location == "/sign-in/security-question"
        browser.get("/sign-in/security-question")
    if step == "session/question":
        answer = browser.post("/sign-in/security-question", question=ASKED, answer="Under the oak")
        assert answer.location == "/authenticators"
        browser.get("/authenticators/security-question")
    elif step == "sign-in/answer":
        answers = portal.means.answers
        new = answers.prepare(person_id=person.id, user_id=user_id, question=ASKED, asked="", answer="Under the oak")
        with portal.base.database.begin() as transaction:
            assert answers.set_first(transaction, person.id, new, portal.base.clock.now())
        browser.sign_in_to_verify(user_id)
        cookie = browser.cookie("keyturn-sign-in") or browser.cookie("__Host-keyturn-sign-in")
        held = portal.means.flows.load(cookie, "sign_in")
        kept = re.search(r"keyturn-sign-in=([^;]+)", cookies_of(browser))
        held = portal.means.flows.load(kept[1] if kept else None, "sign_in")
        assert isinstance(held, Held)
        assert portal.means.flows.change(held, temporary=True, owed=True) is not None
        browser.get("/sign-in/security-answer")


_STOPS = ("password", "contacts", "app", "codes", "shown", "done")


def guest_to(portal: Portal, browser: Browser, state: str) -> None:
    """Invite somebody of one's own, and go to a step of their activation."""
    user_id = f"guest-{portal.base.chance.name()[:8]}"
    email = f"{user_id}@example.org"
    phone = f"+49171{int(portal.base.chance.name()[:6], 16):08d}"  # one number gets so many messages
    guest = portal.invite(user_id, phone="" if state == "code" else phone, email=email)
    chosen = f"a fine new passphrase {portal.base.chance.name()}"
    wanted = "contacts" if state == "resume" else state
    browser.activate_to(portal, guest, _STOPS.index(wanted) if wanted in _STOPS else -1, phone, chosen)
    if state == "resume":
        portal.base.clock.sleep(60)  # until another PIN may be sent
        portal.deliver()  # notices, which would come after the PIN
        browser.activate_to(portal, guest, 0, phone, chosen)
        browser.get("/activate/resume")


def _undo_to(portal: Portal, browser: Browser, state: str) -> None:
    """Freeze somebody of one's own, for a password that was just changed."""
    user_id = f"frozen-{portal.base.chance.name()[:8]}"
    person = portal.add(user_id, phone=PHONE)
    with portal.base.database.begin() as transaction:
        link = portal.means.undo.issue(transaction, person.id, Kind.PASSWORD, portal.base.clock.now() + 1)
    path = "/undo" + link.rpartition("/undo")[2]
    browser.get(path)
    assert browser.post(path).location == "/undo/choose"
    browser.get("/undo/choose")
    if state in {"decide", "done"}:
        assert browser.post("/undo/choose", code=portal.code(user_id)).location == "/undo/decide"
        browser.get("/undo/decide")
    if state == "done":
        assert browser.post("/undo/decide", decision="keep").location == "/undo/done"


def _approve_to(portal: Portal, browser: Browser, state: str) -> None:
    """Ask somebody of one's own for an approval, at a phone."""
    person = portal.add(f"asked-{portal.base.chance.name()[:8]}", phone=PHONE)
    now = portal.base.clock.now()
    means = build_approval_means(portal.base, portal.means, build_steps(portal.base, portal.means))
    with portal.base.database.begin() as transaction:
        contact = people.contacts_of(transaction, person.id)[0]
        needed = rules.needs(Action.UNLOCK, reachable=True)
        asked = SupportRequest(
            id=portal.base.chance.name(),
            person_id=person.id,
            organization_id=person.home_organization,
            action=Action.UNLOCK,
            target="",
            reason="Asked for by a test",
            state=RequestState.ASKED,
            needs=needed,
            asked_by=person.id,
            asked_at=now,
            expires_at=now,
            contact_id=contact.id,
        )
        request, words = means.casework.new_code(rules.begun(asked, now))
        cases.add_request(transaction, request)
    browser.get("/approve")
    assert browser.post("/approve", code=words).location == "/approve/decide"
    browser.get("/approve/decide")
    if state == "done":
        assert browser.post("/approve/decide", decision="approve").location == "/approve/done"


@dataclass(frozen=True, slots=True)
class Knock:
    """A request, as raw as a server hands it on: header values and the path are Latin-1 of any bytes."""

    method: str = "GET"
    path: str = "/"
    query: str = ""
    body: bytes = b""
    kind: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    cookie: str = ""
    address: str | None = ADDRESS
    host: str | None = "localhost"
    length: str | None = None  # what Content-Length says where that is not the truth
    environ: Mapping[str, Any] = field(default_factory=dict)


def knock(web: Flask, knocking: Knock) -> TestResponse:
    """Send it to the application, past every nicety of a client."""
    environ: dict[str, Any] = create_environ("/", method=knocking.method)
    environ["PATH_INFO"] = knocking.path
    environ["QUERY_STRING"] = knocking.query
    environ["wsgi.input"] = io.BytesIO(knocking.body)
    for name, value in (("HTTP_HOST", knocking.host), ("REMOTE_ADDR", knocking.address)):
        environ.pop(name, None)
        if value is not None:
            environ[name] = value
    if knocking.body or knocking.method == "POST":
        environ["CONTENT_LENGTH"] = str(len(knocking.body)) if knocking.length is None else knocking.length
    if knocking.kind:
        environ["CONTENT_TYPE"] = knocking.kind
    if knocking.cookie:
        environ["HTTP_COOKIE"] = knocking.cookie
    for name, value in knocking.headers:
        key = f"HTTP_{name.upper().replace('-', '_')}"
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    environ.update(knocking.environ)
    body, status, headers = run_wsgi_app(web, environ, buffered=True)
    return TestResponse(body, status, headers, request=Request(environ))


FORM = "application/x-www-form-urlencoded"


def form(fields: Iterable[tuple[str, str | bytes]]) -> bytes:
    """A form's body: fields may repeat, and values may be any bytes."""
    return urlencode([(name, value) for name, value in fields]).encode()


def cookies_of(browser: Browser) -> str:
    """The Cookie header that a browser would send."""
    jar = browser.client._cookies or {}
    return "; ".join(f"{cookie.key}={cookie.value}" for cookie in jar.values())


def token_in(page: str) -> str:
    """The CSRF token of a page."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found, page
    return found[1]
