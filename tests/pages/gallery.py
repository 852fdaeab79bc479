"""Every page in every state, with made-up contexts, behind the real Content-Security-Policy and nothing else.

`python -m tests.pages.gallery` serves it for the eyes; test_gallery.py walks through it with a browser.
"""

import dataclasses
import gettext
import mimetypes
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flask import Flask, Response, g, jsonify, redirect, render_template, request
from werkzeug.serving import WSGIRequestHandler, make_server

from app.factors.security_question.model import Question
from app.foundation.refusals import Code
from app.foundation.web.signed import utc
from app.journeys.auditing.model import Entry, LogPage
from app.journeys.auditing.model import Place as LogPlace
from app.journeys.authenticators.model import (
    Action,
    Activity,
    Happening,
    Known,
    Membership,
    Overview,
    PasswordPage,
    Profile,
    Row,
    SessionsPage,
    SignedIn,
)
from app.journeys.clients.model import ClientsPage, NewSecret
from app.journeys.clients.model import Shown as ClientShown
from app.journeys.dashboard import rules as dashboard_rules
from app.journeys.dashboard.model import Span
from app.journeys.directory.model import DAYS, Found, Listed, Look
from app.journeys.directory.model import Page as ListPage
from app.journeys.importing.model import DryRun, Progress, Review
from app.journeys.membership.model import Act, Filing, NewMember, Offer, PersonPage, Place
from app.journeys.messaging.model import DeliveryPage, Last, Reach, Test, Way
from app.journeys.policy import forms as policy_forms
from app.journeys.policy import model as policies
from app.journeys.policy import rules as policy_rules
from app.journeys.policy.views import Page as PolicyPage
from app.journeys.support.model import (
    Cause,
    Delivery,
    Ending,
    Hit,
    Line,
    Organized,
    Remedy,
    Results,
    Story,
    Underway,
    Wait,
)
from app.journeys.support.model import PersonPage as Dossier
from app.journeys.support.model import Row as Factor
from app.records.audit.model import Checked, Fault, Tampering
from app.records.clients.model import ApiClient
from app.records.delivery.model import Channel as Channels
from app.records.figures.model import HOUR, Count, Figure
from app.records.organizations.model import (
    PRESETS,
    STANDARD,
    Opening,
    Organization,
    Policy,
    Role,
    SupportLine,
    SupportPolicy,
    Version,
)
from app.records.organizations.model import Profile as Rules
from app.records.people.model import Status
from app.steps.helpdesk import helpdesk
from app.steps.moments import Moment, moment
from app.steps.presence import Present
from app.steps.readiness import Facts, readiness
from app.steps.roster import BadRow, NewPerson, Problem
from app.steps.staff import Staff

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = {"en": "English", "de": "Deutsch"}
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
TOKEN = "ImI5ZGM1M2I1Y2U0ZTQ4ZTdhY2Q3YjY5YzE4ODc3YzIwMWY4ZmE2Njki.aLbPxw.0dUxVZr0Yqk1mN8yqkTdhbmO0Xs"  # as long as real
HASH = "0123456789abcdef"
SUPPORT = {"phone": "+49 30 5550 100", "email": "help@example.org", "hours": "Mon-Fri 8:00-18:00"}


@dataclass(frozen=True)
class Refused:
    """What a template reads of a refusal."""

    code: Code
    field: str = ""
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    retry_after: int = 0


@dataclass(frozen=True)
class Case:
    """A page in one state."""

    template: str
    context: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    status: int = 200
    path: str = ""
    demo: bool = False
    no_support: bool = False


def _errors(*refusals: Refused) -> dict[str, list[Refused]]:
    errors: dict[str, list[Refused]] = {}
    for refused in refusals:
        errors.setdefault(refused.field, []).append(refused)
    return errors


def _one(code: Code, where: str, retry_after: int = 0, **details: Any) -> dict[str, Any]:
    return {"errors": _errors(Refused(code, where, details, retry_after))}


_PHONE = {"channel": "sms", "destination": "+49 ••• ••• 4567"}
_MAIL = {"channel": "email", "destination": "j•••@e•••.org"}
_RULES = [
    {"key": "min_length", "params": {"count": 12}, "live": True},
    {"key": "max_length", "params": {"count": 256}, "live": True},
    {"key": "common", "params": {}, "live": False},
    {"key": "context", "params": {}, "live": False},
    {"key": "current", "params": {}, "live": False},
    {"key": "history", "params": {"count": 4}, "live": False},
    {"key": "confirm", "params": {}, "live": True},
]
_ASKED = [  # by an organization that asks for more
    *_RULES[:2],
    {"key": "classes", "params": {"count": 3}, "live": True},
    *_RULES[2:4],
    {"key": "strength", "params": {"score": 3}, "live": False},
    *_RULES[4:],
]
_ALL_BROKEN = [{"rule": rule["key"], "params": rule["params"]} for rule in _RULES]


def _pin(**changes: Any) -> dict[str, Any]:
    pin = {
        **_PHONE,
        "state": "sent",
        "resend_in": 27,
        "expires_in": 272,
        "tries_left": 5,
        "digits": 6,
        "earlier_void": False,
        "alternatives": [_MAIL],
        "can_resend": True,
        "refused": "",
        "retry_after": 0,
    }
    paths = {
        "enter": "/recovery/pin",
        "send_at": "/recovery/pin/send",
        "status_at": "/recovery/pin/status",
        "start": "/recovery",
    }
    return {"pin": {**pin, **changes}, "user_id": "jane", "errors": {}, **paths}


_AT_SIGN_IN = {
    "enter": "/sign-in/pin",
    "send_at": "/sign-in/alternative",
    "status_at": "/sign-in/pin/status",
    "start": "/sign-in",
    "back": "/sign-in/verify",
}

_IN_REHEARSAL = {
    "enter": "/rehearsal/pin",
    "send_at": "/rehearsal/pin/send",
    "status_at": "/rehearsal/pin/status",
    "start": "/rehearsal",
}


def _ways(template: str, *, status: int = 200, errors: Any = None, **changes: Any) -> Case:
    page = {"has_app": True, "ways": [_PHONE, _MAIL], "has_codes": True, "held_back": None, **changes}
    page.setdefault("temporary", False)
    return Case(template, {"page": page, "user_id": "jane", "errors": errors or {}}, status)


_QUESTION = {"user_id": "jane", "questions": tuple(Question), "typed": {}, "errors": {}}
_OWN_QUESTION = "Where did the two of us meet for the very first time, and who else was there?"


def _answer(question: str, *, own: bool = False, status: int = 200, **changes: Any) -> Case:
    page = {"question": question, "own": own}
    return Case("signin/answer.html", {"page": page, "user_id": "jane", "errors": {}, **changes}, status)


_CODE_AT_SIGN_IN = {"user_id": "jane", "enter": "/sign-in/code", "back": "/sign-in/verify", "errors": {}}
_CODES = [f"{n}Q7M-ZK4T-0{n}VX-H9PW" for n in range(10)]


def _codes(template: str, **changes: Any) -> Case:
    page = {
        "standing": {"left": 7},
        "codes": [],
        "held_back": 0,
        "waits": False,
        "made_on": "2026-09-21 14:13 UTC",
        "usable_on": "2026-09-22 14:13 UTC",
        **changes,
    }
    return Case(
        f"recovery_codes/{template}.html", {"page": page, "signed": {"user_id": "jane", "idle_in": 900}, "errors": {}}
    )


def _password(**changes: Any) -> dict[str, Any]:
    page: dict[str, Any] = {
        "user_id": "jane",
        "rules": _RULES,
        "passwordrules": "minlength: 12; maxlength: 256; allowed: ascii-printable;",
        "can_unlock": False,
        "errors": {},
    }
    return {**page, **changes}


def _refusal(status: int, code: Code | str = "", retry_after: int = 0, due: str = "") -> Case:
    context = {
        "status": status,
        "code": code,
        "retry_after": retry_after,
        "due": due,
        "request_id": "5f2a91c07be44d0c9a63d0b1f7e2c815",
    }
    return Case("errors/refusal.html", context, status)


def _undo(page: str, status: int = 200, **changes: Any) -> Case:
    changed = datetime(2026, 9, 21, 14, 13, tzinfo=UTC)
    shown = {"changed": changed, "user_id": "jane", "frozen": False, "support_decides": False, "errors": {}}
    return Case(f"undo/{page}.html", {**shown, **changes}, status)


def _person(user_id: str, name: str, story: str, **changes: Any) -> dict[str, Any]:
    key = "JBSW Y3DP EHPK 3PXP JBSW Y3DP EHPK 3PXP"
    person = {
        "user_id": user_id,
        "name": name,
        "story": story,
        "password": "correct horse battery",
        "phone": "+49 ••• ••• 4567",
        "email": f"{user_id}@example.org",
        "code": "755224",
        "seconds_left": 17,
        "uri": f"otpauth://totp/Keyturn:{user_id}?secret={key.replace(' ', '')}&issuer=Keyturn",
        "key": key,
        "qr_url": "/qr.svg",
    }
    return {**person, **changes}


_CAST = [
    _person("jane", "Jane Miller", "locked"),
    _person("omar", "Omar Haddad", "no_phone", phone=""),
    _person("ana", "Ana Souza", "slow_clock", seconds_left=4),
    _person("sam", "Sam Okafor", "support"),
    _person("ada", "Ada Novak", "administrator", code="", uri="", key="", qr_url=""),
    _person("nina", "Nina Berg", "invited", password="", code="", uri="", key="", qr_url=""),
]
MESSAGES = [
    {
        "channel": "sms",
        "to": "+49 30 5550 4567",
        "subject": "",
        "body": "Your one-time PIN for Keyturn, good for 5 min:\n482913\nOur staff never ask.\n\n@127.0.0.1 #482913",
        "at": 1790000100,
        "at_text": "14:15",
    },
    {
        "channel": "email",
        "to": "jane@example.org",
        "subject": "Your password was changed",
        "body": "Hello,\n\nyour password was changed on 21 September 2026 at 14:13 UTC.\n\nIf it was not you, tell us.",
        "at": 1790000000,
        "at_text": "14:13",
    },
    {
        "channel": "email",
        "to": "omar@example.org",
        "subject": "Your one-time PIN",
        "body": "Your one-time PIN, good for 10 minutes:\n\n30581746\n\nStaff never ask for it.",
        "at": 1789999000,
        "at_text": "13:56",
    },
]

_WHO = {"user_id": "jane", "idle_in": 900, "now": 1_790_000_000}
_OWN_PHONE = {"id": "0" * 32, "state": "active", "days": 0, "first": True, **_PHONE}
_NEW_PHONE = {
    "id": "1" * 32,
    "channel": "sms",
    "destination": "••• ••• 98",
    "state": "waiting",
    "days": 7,
    "first": False,
}
_OWN_MAIL = {"id": "2" * 32, "state": "active", "days": 0, "first": True, **_MAIL}


def _new_contact(field: str, *contacts: Any, status: int = 200, typed: str = "", errors: Any = None) -> Case:
    page = {"channel": "sms" if field == "phone" else "email", "contacts": contacts, "full": len(contacts) > 1}
    context = {"signed": _WHO, "page": page, "field": field, "typed": typed, "errors": errors or {}}
    return Case("contacts/new.html", context, status)


def _contact(template: str, contact: Any, *, status: int = 200, errors: Any = None, **more: str) -> Case:
    page = {"contact": contact, "loss": "", "instead": "", **more}
    return Case(template, {"signed": _WHO, "page": page, "field": "phone", "errors": errors or {}}, status)


_AT_CONFIRM = {
    "enter": "/authenticators/phone/new/confirm",
    "send_at": "/authenticators/phone/new/confirm/send",
    "status_at": "/authenticators/phone/new/confirm/pin/status",
    "start": "/authenticators/phone/new",
}
_LONG = "a.very.long.user-id.of.the.kind.that.directories.like.to.give@subsidiary.example.org"
_WRONG = Refused(Code.PASSWORD_RULES, "new_password", {"broken": _ALL_BROKEN[:1] + _ALL_BROKEN[2:3], "strength": None})

_NOW = 1_790_000_000
_SIGNED = {
    "signed": {"user_id": "jane", "idle_in": 900, "role": "member"},
    "idle_at": datetime.fromtimestamp(_NOW + 900, UTC),
    "done": None,
    "errors": {},
}
_REMEDIES = {"recovery_codes": "/authenticators/recovery-codes", "email": "/authenticators/email/new"}


def _since(ago: int) -> Moment:
    return moment(_NOW - ago, _NOW)


def _actions(at: str, *names: str) -> tuple[Action, ...]:
    return tuple(Action(name, f"/authenticators/{at}/{name}") for name in names)


_ROWS = (
    Row(
        "password",
        "active",
        bound=_since(40 * 86_400),
        last_used=_since(5),
        actions=(Action("change_password", "/authenticators/password"),),
    ),
    Row(
        "app",
        "active",
        "Phone",
        bound=_since(400 * 86_400),
        last_used=_since(3 * 86_400),
        actions=_actions("app/1", "rename", "disable", "synchronize", "remove"),
    ),
    Row(
        "app",
        "pending",
        "An old tablet with a label that is as long as labels may be here.",
        bound=_since(7_200),
        usable_from=_since(-79_200),
        actions=_actions("app/2", "rename", "disable", "synchronize", "remove"),
    ),
    Row("app", "disabled", "Work", bound=_since(86_400), actions=_actions("app/3", "rename", "enable", "remove")),
    Row("sms", "active", "••• ••• 67", bound=_since(86_400), default=True, actions=_actions("phone/1", "remove")),
    Row("email", "pending", "j•••@e•••.org", actions=_actions("email/1", "remove")),
    Row(
        "recovery_codes",
        "active",
        bound=_since(86_400),
        left=7,
        actions=(Action("recovery_codes", "/authenticators/recovery-codes"),),
    ),
)
_ADD = [Action(name, f"/{name}") for name in ("add_app", "replace_app", "add_phone", "add_email")]
_RICH, _POOR = readiness(Facts(2, 1, 1, 7)), readiness(Facts(1, 1, 0, 0))
_AWAITING = readiness(Facts(1, 1, 0, 0, frozenset({"recovery_codes", "email"})))
_OWN_PASSWORD: dict[str, Any] = {
    "page": PasswordPage(_RULES, "minlength: 12; maxlength: 256; allowed: ascii-printable;"),  # type: ignore[arg-type]
    "everywhere": True,
}
_FIREFOX, _NAMELESS = ("Firefox", "Linux"), ("", "")


def _happening(event: str, ago: int, outcome: str = "success", actor: str = "", **details: Any) -> Happening:
    reason = str(details.pop("reason", ""))
    return Happening(event, _since(ago), outcome, reason, "2001:db8::7", _FIREFOX, actor, details)


_HISTORY = (
    _happening("authn_login_success", 5, level=2),
    _happening("authn_token_success", 6, journey="sign_in"),
    _happening("authn_token_fail", 66, "failure", reason="clock_off"),
    _happening("authn_login_unlock", 3_600, actor="sam", reason="operator"),
    _happening("authn_login_unlock", 3_700, actor="operator", reason="operator"),
    _happening("authn_password_change", 90_000, reason="changed"),
)


def _sessions_page(level: int = 2) -> SessionsPage:
    return SessionsPage(
        (
            SignedIn("a", _FIREFOX, "192.0.2.10", _since(600), _since(3), this=True, level=level),
            SignedIn("b", ("Safari", "iPhone"), "2001:db8::7", _since(9_000), _since(400), this=False, level=1),
        ),
        (
            Known("c", _FIREFOX, "192.0.2.10", _since(86_400), _since(600), this=True),
            Known("d", _NAMELESS, "198.51.100.20", _since(86_400 * 90), _since(86_400 * 40), this=False),
        ),
        level,
    )


def _dashboard(span: Span, *, counts: tuple[Count, ...] | None = None, budget: int = 1_000) -> Case:
    if counts is None:
        tally = {
            figure: 3 + place * 5 % 17 for place, figure in enumerate(Figure) if figure is not Figure.APP_CODE_USED
        }
        tally |= {Figure.BEGUN: 20, Figure.FINISHED: 16, Figure.SMS_PINS: 9, Figure.SMS_TYPED: 7, Figure.SMS_NOTICES: 4}
        counts = tuple(
            Count(_NOW - HOUR * hour, figure, most * (1 + hour * hour % 7) // 8, cost=20_000 * (hour * hour % 7))
            for hour in range(0, 700, 3)
            for figure, most in tally.items()
        )
    page = dashboard_rules.page(span, counts, _NOW, organizations=("default",), budget=budget, currency="USD")
    staff = {"signed": {"user_id": "ada", "idle_in": 900, "role": "administrator"}, "errors": {}}
    return Case("dashboard/plots.html", {**staff, "page": page}, path="/admin/dashboard")


def _signed(template: str, status: int = 200, /, **context: Any) -> Case:
    return Case(f"authenticators/{template}.html", {**_SIGNED, **context}, status, "/authenticators")


def _rehearsal(name: str, status: int = 200, /, **changes: Any) -> Case:
    page = {"readiness": _POOR, "possible": True}
    context = {**_SIGNED, "page": page, "remedies": _REMEDIES, **changes}
    return Case(f"rehearsal/{name}.html", context, status, "/rehearsal")


_QUESTION_ROW = Row(
    "security_question",
    "pending",
    bound=_since(60),
    usable_from=moment(_NOW + 86_400, _NOW),
    actions=(Action("security_question", "/authenticators/security-question"),),
)


def _overview(page: Overview, done: str = "") -> Case:
    return _signed("overview", page=page, add=_ADD, remedies=_REMEDIES, done=done, rehearse="/rehearsal")


_SQUARES = "".join(f'<path d="M{i * 7 % 23} {i * 11 % 25}h1v1h-1z"/>' for i in range(220))
_QR = f'<svg viewBox="-4 -4 33 33">{_SQUARES}</svg>'


def _new_app(status: int = 200, errors: Any = None, **changes: Any) -> Case:
    key = "JBSW Y3DP EHPK 3PXP JBSW Y3DP EHPK 3PXP"
    uri = f"otpauth://totp/Keyturn:jane?secret={key.replace(' ', '')}&issuer=Keyturn"
    page = {"uri": uri, "key": key, "replacing": False, "waits": 86_400, **changes}
    context = {"page": page, "label": "", "qr": _QR, "signed": _WHO, "errors": errors or {}}
    return Case("enrollment/new.html", context, status, "/authenticators/app/new")


def _app(name: str, status: int = 200, *, errors: Any = None, replaced: bool = False, **changes: Any) -> Case:
    page = {
        "id": "abc",
        "label": "Phone",
        "state": "active",
        "waits_until": None,
        "last_way": False,
        "next_way_at": None,
        **changes,
    }
    context = {"page": page, "label": "Phone", "replaced": replaced, "signed": _WHO, "errors": errors or {}}
    return Case(f"enrollment/{name}.html", context, status)


_AT_ACTIVATION = {
    "enter": "/activate/pin",
    "send_at": "/activate/pin/send",
    "status_at": "/activate/pin/status",
    "start": "/activate",
}


def _activation(name: str, status: int = 200, *, errors: Any = None, **context: Any) -> Case:
    context = {"user_id": "nina", "errors": errors or {}, **context}
    return Case(f"activation/{name}.html", context, status, f"/activate/{name}")


def _welcome(status: int = 200, *, errors: Any = None, **changes: Any) -> Case:
    page = {"user_id": "nina", "by_code": False, "destination": _PHONE["destination"], **changes}
    return replace(_activation("welcome", status, errors=errors, page=page), path=f"/activate/{'x' * 43}")


def _first_codes(*codes: str, status: int = 200, errors: Any = None, waits: bool = False) -> Case:
    page = {"user_id": "nina", "codes": codes, "waits": waits, "made_on": "2026-09-21 14:13 UTC"}
    page["usable_on"] = "2026-09-22 14:13 UTC"
    return _activation("codes", status, errors=errors, page=page)


def _first_app(status: int = 200, errors: Any = None, label: str = "") -> Case:
    page = _new_app().context["page"]
    return _activation("app", status, errors=errors, page=page, label=label, qr=_QR)


def _first_password(status: int = 200, errors: Any = None) -> Case:
    known = {name: value for name, value in _password().items() if name not in {"user_id", "errors", "can_unlock"}}
    known["rules"] = [rule for rule in _RULES if rule["key"] not in {"current", "history"}]
    return _activation("password", status, errors=errors, **known)


_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


def _entry(number: int, event: str, outcome: str = "success", actor: str = "self", **details: Any) -> Entry:
    reason = str(details.pop("reason", ""))
    at = datetime.fromtimestamp(_NOW - 70 * (4_711 - number), UTC)
    details = {"browser": _AGENT, **details}
    return Entry(number, event, at, "jane", "", actor, outcome, reason, "2001:db8::7", details)


_ENTRIES = (
    _entry(4_711, "authn_login_success", level=2, proofs=["app"], session="0" * 32),
    _entry(4_710, "authn_token_success", journey="sign_in"),
    _entry(4_709, "authn_token_fail", "failure", reason="clock_off", half_minutes=3),
    replace(_entry(4_708, "authn_login_unlock", actor="operator", reason="operator"), address="", user_id=_LONG),
    replace(_entry(4_707, "user_activated", actor="sam"), organization="Subsidiary Ltd"),
    replace(_entry(4_706, "audit_log_exported"), user_id=""),
)
_WHOLE = Checked(_NOW - 9_000, 1_234_567, None)


def _log(status: int = 200, *, errors: Any = None, page: Any = ..., asked: Any = None, **more: str) -> Case:
    utc = datetime.fromtimestamp(_NOW - 9_000, UTC)
    page = LogPage(_ENTRIES, LogPlace(_NOW, 4_000), utc, _WHOLE, utc) if page is ... else page
    signed = {"user_id": "ada", "idle_in": 900, "role": "administrator"}
    context = {**_SIGNED, "signed": signed, "page": page, "asked": asked or {}, "newest": "", "older": "", **more}
    context |= {"events": _LOG_EVENTS, "outcomes": ("success", "failure"), "errors": errors or {}}
    return Case("auditing/log.html", context, status, "/admin/audit")


_LOG_EVENTS = tuple(sorted({one.event for one in _ENTRIES}))
_SOON = 1_790_000_000 + 80_000
_HELPDESK = helpdesk(
    SupportPolicy(
        (
            SupportLine("DE", "+49 30 1234567", "0 for an outside line", "hilfe@acme.example"),
            SupportLine("FR", "+33 1 23 45 67 89", "", ""),
            SupportLine(email="help@acme.example"),
        ),
        "Europe/Berlin",
        tuple(Opening(day, "08:00", "17:00") for day in range(5)),
    ),
    _NOW,
)
_OWED = {k: v for k, v in _password().items() if k != "can_unlock"}

_STAFF_FRAME = {**_SIGNED, "signed": {"user_id": "ada", "idle_in": 900, "role": "administrator"}, "utc": utc}
_HERE = Organization("0b0e6c1e-5a59-4d4c-9d1d-7f6b6f1f3a10", "Northwind Traders", _NOW)
_THERE = Organization("1b0e6c1e-5a59-4d4c-9d1d-7f6b6f1f3a10", "Subsidiary Ltd", _NOW)
_LISTED = (
    Found(1, "jane", "jane", "Jane", "Doe", Status.ACTIVE, Role.MEMBER, _NOW),
    Found(2, _LONG, _LONG, "Hildegard von der Tann-Rathsamhausen", "", Status.INACTIVE, Role.MEMBER, _NOW),
    Found(3, "sam", "sam", "", "", Status.ACTIVE, Role.SUPPORT, _NOW, locked=("temporary", "password", "app")),
    Found(4, "ulf", "ulf", "Ulf Berg", "", Status.FROZEN, Role.ADMINISTRATOR, _NOW),
)
_WHY = {
    "expiring": replace(_LISTED[0], expires_at=_NOW + 5 * 86_400),
    "idle": replace(_LISTED[0], signed_in_at=_NOW - 100 * 86_400),
    "stranded": replace(_LISTED[0], no_first=True, no_second=True),
}


def _list(listed: Listed, *found: Found, count: int | None = None, organizations: Any = (_HERE,), **more: Any) -> Case:
    days = DAYS.get(listed)
    look = Look(_HERE, listed, days[0] if days else 0)
    page = ListPage(look, organizations, found, count, "sam" if more.get("next_page") else "", later=False, now=_NOW)
    paths = {one.user_id: f"/admin/people/{one.user_id}" for one in found}
    asked = {"next_page": "", "typed": "", "done": "", **more}
    context = {"page": page, "lists": tuple(Listed), "days": days, "paths": paths, **asked}
    return Case("directory/people.html", {**_STAFF_FRAME, **context}, path="/admin/people")


def _member_page(done: str = "", **changes: Any) -> Case:
    page = PersonPage(
        "jane",
        "Jane Doe",
        Status.ACTIVE,
        "/admin/people/jane",
        _NOW - 86_400,
        (Place(_HERE, Role.MEMBER, home=True), Place(_THERE, Role.SUPPORT, home=False)),
        at_home=True,
        is_self=False,
        in_use=False,
        has_app=False,
        contacts=(("sms", "••• ••• 67", True), ("email", "j•••@e•••.org", False)),
        acts=(Act.INVITE, Act.CONTACTS, Act.DEACTIVATE, Act.ROLE, Act.REMOVE),
    )
    page = replace(page, **changes)
    acts = {act.value for act in page.acts}
    return Case("membership/person.html", {**_STAFF_FRAME, "page": page, "acts": acts, "done": done})


def _act(act: str, status: int = 200, **more: Any) -> Case:
    page = _member_page(**more.pop("page", {})).context["page"]
    context = {"page": page, "act": act, "place": page.places[0], "roles": tuple(Role), "role": "member", **more}
    return Case("membership/act.html", {**_STAFF_FRAME, **context}, status)


def _of_people(name: str, status: int = 200, **context: Any) -> Case:
    return Case(f"membership/{name}.html", {**_STAFF_FRAME, "organizations": (_HERE,), **context}, status)


_NOBODY_YET = NewMember("", "", "", "", "", "")
_MISTYPED = NewMember("jane", "Jane", "", "jane", "12", "")
_MISFILED = {"errors": _errors(Refused(Code.NOT_AN_EMAIL, "email"), Refused(Code.NOT_A_PHONE, "phone"))}
_PEOPLE_CASES: dict[str, Case] = {
    "people": _list(Listed.EVERYBODY, *_LISTED, next_page="/admin/people?after=sam"),
    "people-locked": _list(Listed.LOCKED, *_LISTED[2:], count=2, organizations=(_HERE, _THERE)),
    "people-expiring": _list(Listed.EXPIRING, _WHY["expiring"], count=1),
    "people-idle": _list(Listed.IDLE, _WHY["idle"], _LISTED[2], count=2),
    "people-stranded": _list(Listed.STRANDED, _WHY["stranded"], count=1),
    "people-none": _list(Listed.NEVER_ACTIVATED, count=0, done="member_proposed"),
    "person": _member_page(),
    "person-handover": _member_page("member_created", handover="7K4M-ZXQ9-0AVP-H3ND"),
    "person-guest": _member_page("member_role", at_home=False, acts=(Act.ROLE, Act.REMOVE), in_use=True, has_app=True),
    "person-self": _member_page(is_self=True, acts=(Act.ROLE,), in_use=True, has_app=True),
    "person-frozen": _member_page(status=Status.FROZEN, acts=(Act.ROLE,), in_use=True, has_app=True),
    "person-inactive": _member_page(
        "deactivated", status=Status.INACTIVE, acts=(Act.REACTIVATE, Act.ROLE), in_use=True
    ),
    "person-invite": _act("invite"),
    "person-contacts": _act("contacts", typed=Filing("", "")),
    "person-contacts-wrong": _act("contacts", 422, typed=Filing("jane", "12"), **_MISFILED),
    "person-deactivate": _act("deactivate"),
    "person-deactivate-staff": _act("deactivate", page={"staff_elsewhere": True}),
    "person-deactivate-last": _act("deactivate", page={"staff_elsewhere": True, "last_elsewhere": True}),
    "person-remove-last": _act("remove", 422, **_one(Code.LAST_ADMINISTRATOR, "")),
    "person-reactivate": _act("reactivate"),
    "person-role": _act("role"),
    "person-role-no-app": _act("role", 422, **{"role": "support", **_one(Code.NEEDS_APP, "role")}),
    "person-role-self": _act("role", page={"is_self": True, "has_app": True}),
    "person-remove": _act("remove"),
    "person-new": _of_people("new", typed=_NOBODY_YET),
    "person-new-taken": _of_people("new", 422, typed=_MISTYPED, **_one(Code.USER_ID_TAKEN, "user_id")),
    "person-new-wrong": _of_people(
        "new",
        422,
        typed=_MISTYPED,
        organizations=(_HERE, _THERE),
        **_MISFILED,
    ),
    "person-propose": _of_people("propose", typed="", organization=""),
    "person-propose-missing": _of_people(
        "propose", 422, **{"typed": "", "organization": "", **_one(Code.MISSING, "user_id")}
    ),
    "offer": _of_people("offer", page=Offer(_HERE, _NOW, strands=True)),
    "offer-missing": _of_people("offer", 422, **{"page": Offer(_HERE, _NOW, False), **_one(Code.MISSING, "decision")}),
}

_ON_DUTY = {**_SIGNED, "signed": {"user_id": "sam", "idle_in": 900, "role": "support"}}


def _search(typed: str = "", results: Results | None = None, status: int = 200, errors: Any = None) -> Case:
    organizations = ({"name": "default"}, {"name": "Subsidiary Ltd"})
    context = {**_ON_DUTY, "typed": typed, "results": results, "organizations": organizations, "errors": errors or {}}
    return Case("support/search.html", context, status, "/support")


_HITS = (
    Hit("ana", "Ana Souza", "active", "a•••@e•••.org", "/support/people/ana"),
    Hit(_LONG, "", "frozen", "", "/support/people/x"),
    Hit("anatol", "Anatol Bartholomäus von der Wollendorf-Hohenberg", "inactive", "", "/support/people/anatol"),
)


def _line(event: str, ago: int, *, reason: str = "", failed: bool = False, **more: Any) -> Line:
    known = {name: more.pop(name) for name in ("actor", "journey", "delivery") if name in more}
    where: dict[str, Any] = {} if "actor" in known else {"address": "2001:db8:17:42::7", "browser": _FIREFOX}
    return Line(ago, event, _NOW - ago, _since(ago), failed, reason, details=more, **where, **known)


_LOST = Delivery("failed", "bad_number", "••• ••• 67")
_RECOVERY = (
    _line("authn_token_fail", 420, failed=True, reason="clock_off", offset_seconds=-90),
    _line("authn_token_success", 400),
    _line("authn_pin_sent", 400, channel="sms", delivery=_LOST),
    _line("authn_pin_sent", 300, channel="sms", delivery=Delivery("sent", "", "••• ••• 67")),
    _line("authn_pin_fail", 290, failed=True, reason="wrong", tries_left=4),
    _line("authn_pin_sent", 200, channel="sms", delivery=_LOST),
)
_TIMELINE = (
    Story("recovery", _RECOVERY, Ending.BADLY, Remedy("ask_email")),
    Story(
        "sign_in",
        (
            _line("authn_login_fail", 3_700, failed=True, reason="wrong_password"),
            _line("excess_rate_limit_exceeded", 3_600, failed=True, factor="password"),
        ),
        Ending.BADLY,
        Remedy("unlock", "/support/people/ana/unlock"),
    ),
    Story(
        "sign_in",
        tuple(
            replace(_line("authn_login_fail", ago, failed=True, reason="wrong_password"), address=f"2001:db8::{ago}")
            for ago in range(7_100, 4_000, -62)
        ),
        Ending.BADLY,
        count=50,
    ),
    Story("", (_line("authn_login_unlock", 7_200, actor="sam", reason="operator"),), Ending.WELL),
    Story(
        "recovery",
        (
            _line("authn_token_success", 90_000),
            _line("authn_pin_success", 89_900),
            _line("authn_password_change_fail", 89_800, failed=True, rules=["min_length", "common", "history"]),
            _line("authn_password_change", 89_700, reason="recovery"),
        ),
        Ending.WELL,
        Remedy("freeze", "/support/people/ana/freeze"),
    ),
)


def _somebody(**changes: Any) -> Case:
    page = Dossier(
        user_id="ana",
        name="Ana Souza",
        status="active",
        memberships=(
            Organized("default", "member", primary=True),
            Organized("Subsidiary Ltd", "support", primary=False),
        ),
        language="en",
        created=_since(86_400 * 400),
        causes=(Cause("nothing"),),
        rows=(
            Factor("password", "active", bound=_since(86_400 * 40), last_used=_since(400)),
            Factor("app", "active", "Phone", bound=_since(86_400 * 90), last_used=_since(400), seen=_since(400)),
            Factor("sms", "active", "••• ••• 67", bound=_since(86_400 * 400)),
            Factor("email", "active", "a•••@e•••.org", bound=_since(86_400 * 400), last_used=_since(86_400)),
            Factor("recovery_codes", "active", bound=_since(86_400 * 90), left=7),
        ),
        waits=(),
        sessions=1,
        browsers=2,
        invited_until=None,
        stories=_TIMELINE[-1:],
        older="",
        newest=True,
        requests=(),
        activated=True,
        may_act=True,
        path="/support/people/ana",
    )
    return Case("support/person.html", {**_ON_DUTY, "page": replace(page, **changes)}, path="/support/people/ana")


_TROUBLES = (
    Cause("clock", Remedy("set_clock"), {"half_minutes": 3, "direction": "slow"}),
    Cause("password_waits", None, {"until": _since(-300), "count": 6}),
    Cause("undelivered", None, {"count": 2, "channel": "sms", "reason": "bad_number"}),
)
_TROUBLED = (
    Factor("password", "expired", bound=_since(86_400 * 95), expires=_since(86_400 * 5), owed="age"),
    Factor(
        "app",
        "locked",
        "An old tablet with a label that is as long as labels may be here.",
        bound=_since(86_400 * 90),
        half_minutes=-3,
        seen=_since(400),
    ),
    Factor("app", "pending", "New phone", bound=_since(3_600), usable_from=_since(-80_000)),
    Factor("app", "disabled", "Work", bound=_since(86_400 * 30), half_minutes=2, seen=_since(86_400)),
    Factor("sms", "pending", "••• ••• 98", bound=_since(3_600), usable_from=_since(-80_000)),
    Factor("email", "pending", "a•••@e•••.org"),
    Factor("recovery_codes", "none"),
)
_WAITS = (
    Wait("password", "sign_in", _since(-300), 6),
    Wait("app", "recovery", None, 26),
    Wait("pin", "lane", _since(-3_000), 7),
)
_LOCKED_OUT = (
    Cause("password_waits", Remedy("unlock", "/support/people/ana/unlock"), {"until": _since(-300), "count": 6}),
)

_GOOD = tuple(NewPerson(f"p{n}", f"p{n}", line=n + 2) for n in range(1_400))
_BAD = (
    BadRow(3, (Problem("user_id", "is missing"), Problem("email", "is not an e-mail address"))),
    BadRow(7, (Problem("", "a quoted field holds a line break"),), 9),
    BadRow(12, (Problem("password_hash", "can be imported by the operator's command alone"),)),
    BadRow(15, (Problem("user_id", "stands in line 2 already"),)),
)


def _import(good: int = 1_400, bad: tuple[BadRow, ...] = _BAD, at: int | None = None, there: int = 12) -> Case:
    run = DryRun("0", _HERE.id, _GOOD[:good], bad, tuple(range(there)))
    page = Review(_HERE, run, None if at is None else Progress("0", at, at - there, there))
    context = {"page": page, "shown": 100, "status_at": "/admin/people/import/status"}
    return Case("importing/review.html", {**_STAFF_FRAME, **context})


_UPLOAD = {
    **_STAFF_FRAME,
    "organizations": (_HERE,),
    "organization": "",
    "most_rows": 10_000,
    "most_mib": 1,
    "kept": True,
}
_IMPORT_CASES: dict[str, Case] = {
    "import": Case("importing/upload.html", _UPLOAD),
    "import-wrong": Case("importing/upload.html", {**_UPLOAD, "kept": False, **_one(Code.NOT_AN_IMPORT, "file")}, 422),
    "import-review": _import(),
    "import-under-way": _import(at=1_000),
    "import-done": _import(at=1_400, bad=()),
    "import-nothing": _import(0, there=0),
}

_REQUESTED: dict[str, Any] = {
    "id": "5f2a91c07be44d0c9a63d0b1f7e2c815",
    "user_id": "jane",
    "name": "Jane Miller",
    "action": "remove-app",
    "target": "Phone",
    "agent": "Sam Okafor",
    "organization": "Subsidiary Ltd",
    "reason": "Jane lost her phone on the train and wants its app removed.",
    "state": "asked",
    "asked_at": datetime(2026, 9, 21, 14, 13, tzinfo=UTC),
    "expires_at": datetime(2026, 9, 22, 14, 13, tzinfo=UTC),
    "contact": "j•••@e•••.org",
    "needs_second": True,
    "waiting": 86_400,
    "approved_at": None,
    "confirmed_at": None,
    "second": "",
    "ready_at": None,
    "ended_at": None,
    "due": False,
    "own": False,
}
_APPROVED = {**_REQUESTED, "state": "second", "approved_at": _REQUESTED["expires_at"]}
_GRANTED = {
    **_APPROVED,
    "state": "granted",
    "confirmed_at": _REQUESTED["expires_at"],
    "second": "Tess Lindqvist",
    "ready_at": datetime(2026, 9, 23, 14, 13, tzinfo=UTC),
}
_EXPIRED = {**_APPROVED, "state": "expired", "lacked": "second"}
_CONFIRMING = {**_GRANTED, "action": "contact", "target": "••• ••• 98", "state": "confirming"}


def _acting(action: str, status: int = 200, errors: Any = None, **changes: Any) -> Case:
    contacts = [
        {"id": "a", "kind": "sms", "shown": "••• ••• 67"},
        {"id": "b", "kind": "email", "shown": "j•••@e•••.org"},
    ]
    targets = [{"id": "c", "kind": "active", "shown": "Phone"}, {"id": "d", "kind": "disabled", "shown": "Tablet"}]
    page: dict[str, Any] = {
        "user_id": "jane",
        "name": "Jane Miller",
        "action": action,
        "request": None,
        "contacts": contacts,
    }
    weakens = action in ("access-code", "remove-app", "contact")
    page = {**page, "weakens": weakens, "targets": targets if action == "remove-app" else [], **changes}
    typed = dict.fromkeys(("reason", "contact", "app", "address"), "")
    context = {**_ON_DUTY, "page": page, "person": "/support/people/jane", "typed": typed, "errors": errors or {}}
    return Case("approvals/action.html", context, status)


def _approve(page: str, status: int = 200, **context: Any) -> Case:
    ends = {"cancelled": False, "filed": False, "waits": True, "second": False, "action": "remove-app"}
    return Case(f"approvals/{page}.html", {"errors": {}, "token": "x" * 43, **ends, **context}, status)


def _seconds(page: str, **context: Any) -> Case:
    return Case(f"approvals/{page}.html", {**_ON_DUTY, **context})


_APPROVAL_CASES: dict[str, Case] = {
    "approve": _approve("code"),
    "approve-wrong": _approve("code", 422, **_one(Code.WRONG_APPROVAL_CODE, "code")),
    "approve-no-words": _approve("code", 422, **_one(Code.NOT_AN_APPROVAL_CODE, "code")),
    "approve-decide": _approve("decide", request=_REQUESTED),
    "approve-decide-contact": _approve("decide", request=_CONFIRMING),
    "approve-decide-missing": _approve("decide", 422, **{"request": _REQUESTED, **_one(Code.MISSING, "decision")}),
    "approve-done": _approve("done"),
    "approve-done-code": _approve("done", action="access-code", second=True),
    "approve-done-contact": _approve("done", filed=True, waits=False),
    "approve-cancelled": _approve("done", cancelled=True),
    "approve-cancel": _approve("cancel", request=_GRANTED),
    "approve-dead": _approve("dead", 410),
    "approvals": _seconds("list", requests=[_APPROVED, {**_APPROVED, "own": True, "action": "access-code"}]),
    "approvals-none": _seconds("list", requests=[]),
    "approvals-expired": _seconds("list", requests=[_APPROVED], expired=[_EXPIRED, {**_EXPIRED, "own": True}]),
    "approvals-review": _seconds("review", request=_APPROVED),
    "approvals-review-own": _seconds("review", request={**_APPROVED, "own": True}),
    "approvals-review-done": _seconds("review", request=_GRANTED),
    **{
        f"act-{name}": _acting(name) for name in ("unlock", "resend-activation", "access-code", "remove-app", "contact")
    },
    "act-freeze": _acting("freeze"),
    "act-access-code-none": _acting("access-code", contacts=[]),
    "act-remove-app-none": _acting("remove-app", targets=[]),
    "act-wrong": _acting(
        "remove-app", 422, _errors(Refused(Code.NO_SUCH_APP, "app"), Refused(Code.NOT_A_REASON, "reason"))
    ),
    "act-refused": _acting("unlock", 422, _errors(Refused(Code.NOTHING_LOCKED))),
    "act-contact-wrong": _acting("contact", 422, _errors(Refused(Code.NOT_A_PHONE, "address"))),
    "act-asked": _acting("remove-app", request=_REQUESTED),
    "act-waiting": _acting("remove-app", request=_GRANTED),
    "act-due": _acting("remove-app", request={**_GRANTED, "due": True}),
    "act-last": _acting("remove-app", request={**_GRANTED, "state": "cancelled", "ended_at": _GRANTED["ready_at"]}),
}

_SMS, _EMAIL = Channels.SMS, Channels.EMAIL
_WAYS = (
    Way(_SMS, True, Last(_NOW - 300), Last(_NOW - 86_400, "unreachable")),
    Way(_EMAIL, False, None, None),
)
_REACHES = (Reach("1", _SMS, "••• ••• 67"), Reach("2", _EMAIL, "j•••@e•••.org"))


def _delivery(test: Test | None = None, reaches: Any = _REACHES, status: int = 200, errors: Any = None) -> Case:
    page = DeliveryPage(_WAYS, reaches, test)
    context = {"page": page, "status_at": "/admin/delivery/status", "errors": errors or {}}
    return Case("messaging/delivery.html", {**_STAFF_FRAME, **context}, status, "/admin/delivery")


_CLIENT = ApiClient("3f1c9a52-7c11-4a4e-9b68-0a5d7f6f2c11", _HERE.id, "Billing", "", _NOW - 86_400, "ada")
_SECRET = "N0tAS3cret" * 4
_CLIENTS = (
    ClientShown(replace(_CLIENT, rotated_at=_NOW - 600), _HERE.name, _NOW + 85_800),
    ClientShown(replace(_CLIENT, name="Old CRM", created_by="operator", revoked_at=_NOW - 60), _HERE.name, 0),
)


def _api_clients(page: ClientsPage, status: int = 200, **context: Any) -> Case:
    framed = {**_STAFF_FRAME, "page": page, "name": "", "organization": "", "errors": {}, **context}
    return Case("clients/list.html", framed, status, "/admin/api-clients")


def _client_act(act: str) -> Case:
    return Case("clients/act.html", {**_STAFF_FRAME, "client": _CLIENT, "act": act}, path="/admin/api-clients")


_CLASSIC = PRESETS[Rules.CLASSIC]
_LINES = SupportPolicy(
    (SupportLine("DE", "+49 30 1234567", "0 before it from inside", "help@example.org"),),
    "Europe/Berlin",
    tuple(Opening(day, "08:00", "17:00") for day in range(5)),
    ("2026-12-25",),
)
_VERSIONS = (
    policies.Shown(
        Version(_HERE.id, 4, replace(STANDARD, support=_LINES), _NOW - 600, "ada", _NOW + 864_000),
        policies.Standing.STAGED,
        (policies.Change("support.time_zone", "UTC", "Europe/Berlin"),),
    ),
    policies.Shown(Version(_HERE.id, 3, STANDARD, _NOW - 86_400, "ada", _NOW - 86_400), policies.Standing.HOLDS, ()),
    policies.Shown(
        Version(_HERE.id, 2, _CLASSIC, _NOW - 90_000, "ada", _NOW + 864_000), policies.Standing.WITHDRAWN, ()
    ),
    policies.Shown(
        Version(_HERE.id, 1, _CLASSIC, _NOW - 172_800, "operator", _NOW - 172_800), policies.Standing.REPLACED, ()
    ),
)
_LOSING = policies.Verdict((policies.Loss.RECOVERY, policies.Loss.SIGN_IN), ("app", "recovery_codes"), ("phone",))
_STRANDING = policies.Preview(
    100_000,
    {7: _LOSING, 8: _LOSING},
    12,
    (policies.Stranded(7, _LOSING, "ana", "Ana Souza"), policies.Stranded(8, _LOSING, _LONG, "")),
)


def _policy(
    held: Policy = STANDARD,
    versions: tuple[policies.Shown, ...] = (),
    status: int = 200,
    errors: Any = None,
    done: str = "",
    **shown: Any,
) -> Case:
    staged = versions[0].version if versions else None
    book = policies.Book(_HERE, held, staged, versions, _NOW)
    typed = policy_forms.filled(policy_rules.texts(held), held, book.newest)
    page = PolicyPage(Staff(Present(None, None, _NOW), (_HERE, _THERE)), book, typed)  # type: ignore[arg-type]
    context = {**_STAFF_FRAME, **page.context(**shown), "errors": errors or {}, "done": done}
    return Case("policy/edit.html", context, status, "/admin/policy")


_POLICY_CASES: dict[str, Case] = {
    "policy": _policy(),
    "policy-classic": _policy(replace(_CLASSIC, support=_LINES), _VERSIONS, done="policy_saved"),
    "policy-preview": _policy(preview=_STRANDING, policy=_CLASSIC),
    "policy-preview-nobody": _policy(preview=policies.Preview(3, {}, 0), policy=replace(STANDARD, support=_LINES)),
    "policy-strands": _policy(
        preview=_STRANDING,
        policy=_CLASSIC,
        status=422,
        errors=_errors(Refused(Code.POLICY_STRANDS, "known", {"count": 2})),
    ),
    "policy-staged": _policy(replace(_CLASSIC, support=_LINES), _VERSIONS, done="policy_staged"),
    "policy-raised": _policy(
        preview=policies.Preview(3, {}, 0),
        policy=replace(STANDARD, password=replace(STANDARD.password, min_length=15), authenticate_user=True),
        raised=True,
    ),
    "policy-wrong": _policy(
        status=422,
        errors=_errors(
            *(
                Refused(Code.POLICY_RULE, field, {"problem": problem, **bounds})
                for field, problem, bounds in (
                    ("password_min_length", "bounds", {"least": 8, "most": 64}),
                    ("password_context_words", "words", {"least": 3, "most": 32}),
                    ("lockout_minutes", "number", {}),
                    ("recovery_first", "proofs", {}),
                    ("sms_countries", "country", {}),
                    ("support_lines", "empty", {}),
                    ("support_openings", "hours", {}),
                    ("support_closed_on", "dates", {}),
                    ("holds_from", "from", {}),
                )
            )
        ),
    ),
    "policy-same": _policy(status=422, errors=_errors(Refused(Code.POLICY_SAME))),
    "policy-proof-old": _policy(status=409, errors=_errors(Refused(Code.PROOF_OLD))),
    "policy-moved": _policy(
        versions=_VERSIONS,
        status=409,
        errors=_errors(Refused(Code.POLICY_MOVED)),
        theirs={
            "version": _VERSIONS[0].version,
            "rows": [
                ("password.min_length", "12", "15", "20"),
                ("recovery.first", "app", "app, recovery_code", "recovery_code, app"),
                ("lockout.on_failures", "retry", "lock", "retry"),
            ],
        },
    ),
}

_DELIVERY_CASES: dict[str, Case] = {
    "api-clients": _api_clients(ClientsPage(_CLIENTS, (_HERE,), None), done="client_revoked"),
    "api-clients-secret": _api_clients(ClientsPage(_CLIENTS, (_HERE,), NewSecret(_CLIENT, _SECRET)), secret=_SECRET),
    "api-clients-secret-wrong": _api_clients(
        ClientsPage(_CLIENTS, (_HERE,), NewSecret(_CLIENT, _SECRET)),
        422,
        secret=_SECRET,
        errors=_errors(Refused(Code.MISSING, "name")),
    ),
    "api-clients-none": _api_clients(
        ClientsPage((), (_HERE,), None), 422, errors=_errors(Refused(Code.MISSING, "name"))
    ),
    "api-client-rotate": _client_act("rotate"),
    "api-client-revoke": _client_act("revoke"),
    "delivery": _delivery(),
    "delivery-delivered": _delivery(Test(_SMS, "••• ••• 67", "delivered", "", settled=True)),
    "delivery-waits": _delivery(Test(_EMAIL, "j•••@e•••.org", "queued", "provider_setup", settled=True)),
    "delivery-failed": _delivery(Test(_SMS, "••• ••• 67", "failed", "bad_number", settled=True)),
    "delivery-throttled": _delivery(None, status=429, errors=_errors(Refused(Code.TOO_MANY_MESSAGES, "", {}, 600))),
    "delivery-no-contact": _delivery(None, ()),
}

CASES: dict[str, Case] = {
    **_DELIVERY_CASES,
    **_POLICY_CASES,
    **_IMPORT_CASES,
    **_PEOPLE_CASES,
    **_APPROVAL_CASES,
    "authenticators": _overview(Overview(_ROWS, 2, _RICH)),
    "authenticators-poor": _overview(
        Overview((replace(_ROWS[0], state="locked"), replace(_ROWS[1], last_used=None)), 1, _POOR, _since(-40_000)),
        "password",
    ),
    "authenticators-expiring": _overview(
        Overview((replace(_ROWS[0], expires=moment(_SOON, _NOW)), *_ROWS[1:]), 2, _RICH)
    ),
    "authenticators-expired": _overview(
        Overview((replace(_ROWS[0], state="expired", expires=_since(60)), *_ROWS[1:]), 2, _RICH)
    ),
    "authenticators-locked": Case(
        "authenticators/overview.html",
        {
            **_overview(Overview((replace(_ROWS[0], state="locked", endless=True), *_ROWS[1:]), 2, _RICH)).context,
            "support": _HELPDESK,
        },
    ),
    "authenticators-barred": _overview(
        Overview((_ROWS[0], replace(_ROWS[1], barred=True), *_ROWS[2:]), 2, readiness(Facts(0, 1, 1, 7)))
    ),
    "authenticators-awaiting": _overview(Overview(_ROWS, 2, _AWAITING)),
    "change-password": _signed("password", **_OWN_PASSWORD),
    "change-password-kept": _signed(
        "password",
        429,
        page=PasswordPage(_ASKED, "minlength: 16; maxlength: 256;", moment(_SOON, _NOW)),  # type: ignore[arg-type]
        **{k: v for k, v in _OWN_PASSWORD.items() if k != "page"},
        **_one(Code.PASSWORD_YOUNG, "new_password", 80_000),
    ),
    "change-password-wrong": _signed(
        "password", 422, **{**_OWN_PASSWORD, **_one(Code.WRONG_PASSWORD, "current_password")}
    ),
    "change-password-two-errors": _signed(
        "password", 422, **{**_OWN_PASSWORD, "errors": _errors(Refused(Code.MISSING, "current_password"), _WRONG)}
    ),
    "change-password-over": _signed(
        "password", 429, **{**_OWN_PASSWORD, **_one(Code.TOO_MANY_CANDIDATES, "new_password", 20_000)}
    ),
    "profile": _signed(
        "profile",
        page=Profile(
            "Jane Doe",
            _LONG,
            (
                Membership("default", "member", primary=True),
                Membership("Subsidiary Ltd", "support", primary=False),
                Membership("Northwind", "member", primary=False, id="0", proposed=True),
            ),
            "",
            _since(40 * 86_400),
            _RICH,
        ),
        remedies=_REMEDIES,
    ),
    "activity": _signed("activity", page=Activity(_HISTORY, 2, more=True)),
    "activity-empty": _signed("activity", page=Activity((), 1, more=False)),
    "sessions": _signed("sessions", page=_sessions_page(), done="session"),
    "sessions-level-1": _signed("sessions", page=_sessions_page(1), done=""),
    "sessions-missing": _signed("sessions", 422, page=_sessions_page(), done="", **_one(Code.MISSING, "name")),
    "409-ended": _refusal(409, Code.NOTHING_TO_END, due="/sessions"),
    "support": _search(),
    "support-found": _search("an", Results(_HITS, more=False)),
    "support-more": _search("an", Results(_HITS * 4, more=True)),
    "support-nobody": _search("zz", Results((), more=False)),
    "support-short": _search("a", None, 422, _errors(Refused(Code.TOO_SHORT, "q", {"least": 2}))),
    "support-person": _somebody(),
    "support-person-troubled": _somebody(
        causes=_TROUBLES, rows=_TROUBLED, waits=_WAITS, stories=_TIMELINE, older="1-2", sessions=0
    ),
    "support-person-lapsed": _somebody(
        causes=(
            Cause("password_lapsed", Remedy("unlock", "/support/people/ana/unlock"), {"until": _since(3_600)}),
            Cause("no_app", Remedy("access-code", "/support/people/ana/access-code")),
        ),
        rows=(
            Factor("password", "locked", bound=_since(90_000), expires=_since(3_600), owed="lapsed"),
            Factor("app", "none"),
            Factor("sms", "active", "••• ••• 67", bound=_since(86_400 * 400)),
        ),
        stories=(
            Story(
                "sign_in",
                (_line("authn_login_fail", 600, failed=True, reason="lapsed"),),
                Ending.BADLY,
                Remedy("unlock", "/support/people/ana/unlock"),
            ),
            Story("", (_line("authn_reset_letter_sent", 700, reason="lapsed"),), Ending.WELL),
            Story("reset", (_line("authn_temporary_password_created", 90_000, reason="reset"),), Ending.WELL),
            Story("", (_line("authn_reset_link_sent", 90_100, reason="link"),), Ending.WELL),
        ),
    ),
    "support-person-locked": _somebody(
        causes=_LOCKED_OUT, status="frozen", waits=_WAITS[:1], stories=(), newest=False, invited_until=_since(-80_000)
    ),
    "support-person-asked": _somebody(
        causes=_LOCKED_OUT,
        requests=(
            Underway("unlock", "granted", due=True, until=_since(-86_400), path="/support/people/ana/unlock"),
            Underway("access-code", "second", due=False, until=_since(-86_400), path=""),
        ),
    ),
    "support-person-new": _somebody(
        causes=(Cause("invitation_open", Remedy("open_invitation"), {"until": _since(-80_000)}),),
        activated=False,
        stories=(),
    ),
    "support-person-staff": _somebody(
        causes=(Cause("invitation_over", Remedy("not_yours"), {"until": _since(86_400)}),),
        rows=(Factor("password", "none"), Factor("app", "none"), Factor("recovery_codes", "none")),
        may_act=False,
        user_id=_LONG,
        name=_LONG,
        stories=(),
    ),
    "sign-in": Case("signin/user_id.html", {"user_id": "", "errors": {}}, path="/sign-in"),
    "sign-in-ended": Case("signin/user_id.html", {"user_id": "", "errors": {}, "ended": True}, path="/sign-in"),
    "sign-in-missing": Case("signin/user_id.html", {"user_id": "", **_one(Code.MISSING, "user_id")}, 422, "/sign-in"),
    "sign-in-demo": Case("signin/user_id.html", {"user_id": "", "errors": {}}, path="/sign-in", demo=True),
    "password": Case("signin/password.html", {"user_id": "jane", "errors": {}}, path="/sign-in/password"),
    "password-long-id": Case("signin/password.html", {"user_id": _LONG, "errors": {}}, no_support=True),
    "password-wrong": Case("signin/password.html", {"user_id": "jane", **_one(Code.WRONG_PASSWORD, "password")}, 422),
    "password-blocked": Case(
        "signin/password.html", {"user_id": "jane", **_one(Code.TOO_MANY_TRIES, "password", 240)}, 429
    ),
    "sign-in-classic": Case("signin/user_id.html", {"user_id": "", "errors": {}, "classic": True}, path="/sign-in"),
    "password-classic": Case(
        "signin/password.html", {"user_id": "jane", "errors": {}, "classic": True}, path="/sign-in/password"
    ),
    "password-lapsed": Case(
        "signin/password.html",
        {"user_id": "jane", "classic": True, **_one(Code.PASSWORD_LAPSED, "password", shut=True)},
        422,
    ),
    "password-lapsed-opened": Case(
        "signin/password.html",
        {"user_id": "jane", "classic": True, **_one(Code.PASSWORD_LAPSED, "password", shut=False)},
        422,
    ),
    "verify-temporary": _ways("signin/verify.html", has_app=False, ways=[_PHONE], temporary=True),
    "forgot": Case("classic/ask.html", {"user_id": "jane", "news": "", "errors": {}}, path="/forgot"),
    "forgot-missing": Case("classic/ask.html", {"user_id": "", "news": "", **_one(Code.MISSING, "user_id")}, 422),
    "forgot-asked": Case("classic/ask.html", {"user_id": "", "news": "asked", "errors": {}}, path="/forgot"),
    "forgot-over": Case("classic/ask.html", {"user_id": "", "news": "over", "errors": {}}, path="/forgot"),
    "forgot-link": Case("classic/link.html", {"token": "t" * 43}),
    "forgot-shown": Case(
        "classic/shown.html", {"user_id": "jane", "password": "Kxmq-7rtp-w9bc-d2ef", "until": _since(-86_400)}
    ),
    "forgot-shown-already": Case("classic/shown.html", {"user_id": "", "password": ""}),
    "verify": _ways("signin/verify.html"),
    "verify-wrong": _ways("signin/verify.html", status=422, errors=_errors(Refused(Code.WRONG_CODE, "code"))),
    "verify-no-app": _ways("signin/verify.html", has_app=False, ways=[_MAIL], has_codes=False),
    "verify-recovered": _ways("signin/verify.html", ways=[], held_back=_since(-86_400)),
    "verify-recovered-nothing": _ways(
        "signin/verify.html", has_app=False, ways=[], has_codes=False, held_back=_since(-86_400)
    ),
    "verify-nothing": _ways("signin/verify.html", has_app=False, ways=[], has_codes=False),
    "verify-answer": _ways("signin/verify.html", has_app=False, ways=[_PHONE], has_codes=False, has_answer=True),
    "verify-answer-alone": _ways("signin/verify.html", has_app=False, ways=[], has_codes=False, has_answer=True),
    "security-answer": _answer("first_concert"),
    "security-answer-own": _answer(_OWN_QUESTION, own=True),
    "security-answer-wrong": _answer("first_toy", status=422, **_one(Code.WRONG_ANSWER, "answer")),
    "security-answer-blocked": _answer("first_toy", status=429, **_one(Code.TOO_MANY_TRIES, "", 80_000)),
    "security-question": Case("signin/question.html", _QUESTION),
    "security-question-own": Case(
        "signin/question.html",
        {
            **_QUESTION,
            "typed": {"question": "own", "own_question": "Who?"},
            "errors": _errors(
                Refused(Code.TOO_SHORT, "question", {"least": 8}), Refused(Code.ANSWER_GIVEN_AWAY, "answer")
            ),
        },
        422,
    ),
    "security-question-own-missing": Case(
        "signin/question.html", {**_QUESTION, "typed": {"question": "own"}, **_one(Code.MISSING, "question")}, 422
    ),
    "security-question-change": Case(
        "security_question/question.html",
        {**_SIGNED, **_QUESTION, "page": {"question": "first_concert", "own": False}},
        path="/authenticators/security-question",
    ),
    "security-question-none": Case(
        "security_question/question.html",
        {**_SIGNED, **_QUESTION, "page": {"question": "", "own": False}, **_one(Code.MISSING, "answer")},
        422,
        "/authenticators/security-question",
    ),
    "authenticators-question": _overview(Overview((_ROWS[0], _QUESTION_ROW), 1, _RICH, answered=True)),
    "help": Case("help/help.html", {}, path="/help"),
    "help-open": Case("help/help.html", {"support": _HELPDESK, "classic": True}, path="/help"),
    "help-no-support": Case("help/help.html", {}, path="/help", no_support=True),
    "no-cookie": _refusal(400, "no_cookie"),
    "sign-in-pin": Case("signin/pin.html", {**_pin(), **_AT_SIGN_IN}, path="/sign-in/pin"),
    "rehearsal": _rehearsal("start"),
    "rehearsal-wait": _rehearsal("start", 429, **_one(Code.TOO_MANY_STARTS, "", 600)),
    "rehearsal-barred": _rehearsal(
        "start", page={"readiness": readiness(Facts(0, 1, 0, 0)), "possible": False, "app_barred": True}
    ),
    "rehearsal-nothing": _rehearsal("start", page={"readiness": readiness(Facts(0, 1, 0, 0)), "possible": False}),
    "rehearsal-token": _rehearsal("token", user_id="jane"),
    "rehearsal-token-wrong": _rehearsal("token", 422, user_id="jane", **_one(Code.WRONG_CODE, "code")),
    "rehearsal-pin": _rehearsal("pin", **{**_pin(), **_IN_REHEARSAL}),
    "rehearsal-done": _rehearsal("done"),
    "step-up": _ways("signin/step_up.html", ways=[_PHONE]),
    "sign-in-code": Case("signin/code.html", _CODE_AT_SIGN_IN, path="/sign-in/code"),
    "sign-in-code-used": Case("signin/code.html", {**_CODE_AT_SIGN_IN, **_one(Code.SAVED_CODE_USED, "code")}, 422),
    "recovery-codes": _codes("standing"),
    "recovery-codes-none": _codes("standing", standing=None),
    "recovery-codes-waiting": _codes("standing", waits=True),
    "recovery-codes-held-back": _codes("standing", held_back=50_000),
    "recovery-codes-shown": _codes("shown", codes=_CODES, waits=True),
    "recovery-code": Case("recovery/code.html", {"user_id": "jane", "errors": {}}, path="/recovery/code"),
    "recovery-code-wrong": Case("recovery/code.html", {"user_id": "jane", **_one(Code.WRONG_SAVED_CODE, "code")}, 422),
    "recovery-code-blocked": Case(
        "recovery/code.html", {"user_id": "jane", **_one(Code.TOO_MANY_TRIES, "", 3_000)}, 429
    ),
    "token-spraying": Case("recovery/token.html", {"user_id": "jane", **_one(Code.SPRAYING, "", 30_000)}, 429),
    "link": Case("recovery/link.html", {"user_id": "", "news": "", "errors": {}}, path="/recovery/link"),
    "link-over": Case("recovery/link.html", {"user_id": "", "news": "over", "errors": {}}, path="/recovery/link"),
    "link-asked": Case("recovery/link.html", {"user_id": "", "news": "asked", "errors": {}}, path="/recovery/link"),
    "link-open": Case("recovery/link_open.html", {"token": "t" * 43, "errors": {}}),
    "step-up-no-phone": _ways("signin/step_up.html", ways=[], has_codes=False),
    "step-up-new-app": _ways("signin/step_up.html", ways=[_PHONE], by_new_app=True),
    "app-new": _new_app(),
    "app-new-phone": _new_app(replacing=True),
    "app-new-wrong": _new_app(422, _errors(Refused(Code.WRONG_CODE, "code"))),
    "app-new-label": _new_app(422, _errors(Refused(Code.MISSING, "label"))),
    "app-new-expired": _new_app(422, _errors(Refused(Code.KEY_EXPIRED, "code"))),
    "app-new-slow": _new_app(422, _errors(Refused(Code.CLOCK_OFF, "code", {"half_minutes": 3, "direction": "slow"}))),
    "app-rename": _app("rename"),
    "app-disable": _app("disable"),
    "app-disable-last": _app("disable", last_way=True),
    "app-enable": _app("enable", state="disabled"),
    "app-enable-new": _app("enable", state="disabled", waits_until=_SOON),
    "app-remove": _app("remove"),
    "app-remove-last": _app("remove", last_way=True),
    "app-remove-old": _app("remove", replaced=True, last_way=True, next_way_at=_SOON),
    "app-synchronize": _app("synchronize"),
    "app-synchronize-wrong": _app("synchronize", 422, errors=_errors(Refused(Code.NOT_IN_A_ROW, "code_1"))),
    "password-owed-temporary": Case("signin/new_password.html", {**_OWED, "expired": False, "temporary": True}),
    "password-owed": Case("signin/new_password.html", {**_OWED, "expired": False}),
    "password-expired": Case("signin/new_password.html", {**_OWED, "rules": _ASKED, "expired": True}),
    "phone-new": _new_contact("phone", _OWN_PHONE),
    "phone-new-wrong": _new_contact(
        "phone", _OWN_PHONE, status=422, typed="0170 123", errors=_errors(Refused(Code.NOT_A_PHONE, "phone"))
    ),
    "phone-new-full": _new_contact("phone", _OWN_PHONE, _NEW_PHONE),
    "email-new": _new_contact("email", _OWN_MAIL),
    "phone-confirm": Case("contacts/pin.html", {**_pin(alternatives=[]), **_AT_CONFIRM}),
    "phone-confirm-failed": Case("contacts/pin.html", {**_pin(alternatives=[], state="failed"), **_AT_CONFIRM}),
    "phone-remove": _contact("contacts/remove.html", _OWN_PHONE),
    "phone-remove-usable": _contact("contacts/remove.html", _OWN_PHONE, loss="usable"),
    "phone-remove-last": _contact("contacts/remove.html", _OWN_PHONE, loss="last"),
    "phone-remove-refused": _contact(
        "contacts/remove.html", _OWN_PHONE, status=422, errors=_errors(Refused(Code.LAST_CONTACT)), loss="last"
    ),
    "phone-default": _contact("contacts/default.html", _NEW_PHONE, instead=_PHONE["destination"]),
    "recovery": Case("recovery/user_id.html", {"user_id": "jane", "errors": {}}, path="/recovery"),
    "recovery-two-errors": Case(
        "recovery/user_id.html",
        {"user_id": "jane", "errors": _errors(Refused(Code.BAD_CHARACTERS, "user_id"), Refused(Code.MISSING, "x"))},
        422,
    ),
    "recovery-no-field": Case("recovery/user_id.html", {"user_id": "jane", **_one(Code.TOO_MANY_STARTS, "", 600)}, 429),
    "token": Case("recovery/token.html", {"user_id": "jane", "errors": {}}, path="/recovery/token"),
    "token-wrong": Case("recovery/token.html", {"user_id": "jane", **_one(Code.WRONG_CODE, "code")}, 422),
    "token-used": Case("recovery/token.html", {"user_id": "jane", **_one(Code.CODE_USED, "code")}, 422),
    "token-slow": Case(
        "recovery/token.html",
        {"user_id": "jane", **_one(Code.CLOCK_OFF, "code", half_minutes=3, direction="slow")},
        422,
    ),
    "token-fast": Case(
        "recovery/token.html",
        {"user_id": "jane", **_one(Code.CLOCK_OFF, "code", half_minutes=1, direction="fast")},
        422,
    ),
    "other-ways": Case("recovery/other_ways.html"),
    "other-ways-no-support": Case("recovery/other_ways.html", no_support=True),
    "pin-queued": Case("recovery/pin.html", _pin(state="queued", resend_in=30), path="/recovery/pin"),
    "pin-sent": Case("recovery/pin.html", _pin(), path="/recovery/pin"),
    "pin-delivered": Case("recovery/pin.html", _pin(state="delivered", resend_in=0), path="/recovery/pin"),
    "pin-failed": Case("recovery/pin.html", _pin(state="failed"), path="/recovery/pin"),
    "pin-failed-alone": Case("recovery/pin.html", _pin(state="failed", alternatives=[])),
    "pin-unknown": Case("recovery/pin.html", _pin(state="unknown", resend_in=0), path="/recovery/pin"),
    "pin-email": Case(
        "recovery/pin.html",
        _pin(**_MAIL, digits=8, earlier_void=True, alternatives=[_PHONE], resend_in=119, expires_in=598),
    ),
    "pin-email-alone": Case("recovery/pin.html", _pin(**_MAIL, digits=8, alternatives=[], expires_in=598)),
    "pin-wrong": Case("recovery/pin.html", {**_pin(tries_left=2), **_one(Code.WRONG_PIN, "pin")}, 422),
    "pin-expired": Case("recovery/pin.html", _pin(state="delivered", expires_in=0, resend_in=0)),
    "pin-expired-error": Case(
        "recovery/pin.html", {**_pin(expires_in=0, resend_in=0), **_one(Code.PIN_EXPIRED, "pin")}, 422
    ),
    "pin-over": Case("recovery/pin.html", {**_pin(tries_left=0, resend_in=0), **_one(Code.PIN_SPENT, "pin")}, 422),
    "pin-no-resend": Case("recovery/pin.html", _pin(can_resend=False, resend_in=0)),
    "pin-too-soon": Case("recovery/pin.html", {**_pin(), **_one(Code.TOO_SOON, "channel", 27)}, 429),
    "pin-not-sent": Case(
        "recovery/pin.html",
        _pin(
            destination="", state="failed", expires_in=0, resend_in=0, refused=Code.TOO_MANY_MESSAGES, retry_after=900
        ),
    ),
    "pin-no-contact": Case(
        "recovery/pin.html",
        _pin(
            destination="",
            state="failed",
            expires_in=0,
            resend_in=0,
            alternatives=[],
            can_resend=False,
            refused=Code.NO_CHANNEL,
        ),
    ),
    "new-password": Case("recovery/password.html", _password(), path="/recovery/password"),
    "new-password-unlock": Case("recovery/password.html", _password(can_unlock=True), path="/recovery/password"),
    "new-password-rules": Case(
        "recovery/password.html",
        _password(
            **_one(
                Code.PASSWORD_RULES,
                "new_password",
                broken=_ALL_BROKEN,
                strength={"score": 0, "advice": ["very_common", "add_words", "capitals_help_little"]},
            ),
            can_unlock=True,
        ),
        422,
    ),
    "new-password-asked": Case(
        "recovery/password.html",
        _password(
            rules=_ASKED,
            **_one(
                Code.PASSWORD_RULES,
                "new_password",
                broken=[{"rule": one["key"], "params": one["params"]} for one in (_ASKED[2], _ASKED[5])],
                strength={"score": 1, "advice": ["single_word"]},
            ),
        ),
        422,
    ),
    "new-password-two-errors": Case(
        "recovery/password.html",
        _password(errors=_errors(_WRONG, Refused(Code.MISSING, "confirm_password"))),
        422,
    ),
    "done": Case(
        "recovery/done.html",
        {"kind": "password", "told": [_PHONE, _MAIL], "recoveries_ended": 0, "user_id": "jane", "codes_left": None},
    ),
    "done-others-ended": Case(
        "recovery/done.html",
        {"kind": "password", "told": [_MAIL], "recoveries_ended": 2, "user_id": "omar", "codes_left": 1},
    ),
    "done-unlock": Case(
        "recovery/done.html",
        {"kind": "unlock", "told": [_PHONE, _MAIL], "recoveries_ended": 0, "user_id": "jane", "codes_left": 9},
    ),
    "undo": _undo("link", kind="password", token="x" * 43),
    "undo-frozen": _undo("link", kind="contact", token="x" * 43, frozen=True),
    "undo-throttled": _undo("link", 429, kind="app", token="x" * 43, **_one(Code.TOO_MANY_TRIES, "", 600)),
    "undo-dead": _undo("dead", 410, dead=True),
    "undo-newest": _undo("dead", dead=False),
    "undo-choose": _undo("choose", kind="contact"),
    "undo-choose-wrong": _undo("choose", 422, kind="account", **_one(Code.WRONG_CODE, "code")),
    "undo-code": Case("undo/code.html", {"user_id": "jane", "errors": {}}, path="/undo/code"),
    "undo-code-wrong": Case("undo/code.html", {"user_id": "jane", **_one(Code.WRONG_SAVED_CODE, "code")}, 422),
    "undo-support": _undo("choose", kind="recovery_codes", support_decides=True),
    "undo-decide": _undo("decide", kind="app"),
    "undo-decide-missing": _undo("decide", 422, kind="app", **_one(Code.MISSING, "decision")),
    "undo-kept": _undo("done", ending="keep"),
    "undo-rolled-back": _undo("done", ending="roll_back"),
    "undo-left-to-support": _undo("done", ending="support"),
    "activate-no-link": Case("activation/no_link.html", path="/activate"),
    "activate": _welcome(),
    "activate-by-code": _welcome(by_code=True, destination=""),
    "activate-throttled": _welcome(429, errors=_errors(Refused(Code.TOO_MANY_STARTS, "", {}, 600))),
    "activate-pin": Case("activation/pin.html", {**_pin(alternatives=[]), **_AT_ACTIVATION}, path="/activate/pin"),
    "activate-pin-wrong": Case(
        "activation/pin.html",
        {**_pin(alternatives=[], tries_left=4), **_AT_ACTIVATION, **_one(Code.WRONG_PIN, "pin")},
        422,
        "/activate/pin",
    ),
    "activate-code": _activation("code"),
    "activate-code-wrong": _activation("code", 422, errors=_errors(Refused(Code.WRONG_ACTIVATION_CODE, "code"))),
    "activate-resume": _activation("resume"),
    "activate-resume-wrong": _activation("resume", 422, errors=_errors(Refused(Code.WRONG_PASSWORD, "password"))),
    "activate-password": _first_password(),
    "activate-password-two-errors": _first_password(422, _errors(_WRONG, Refused(Code.MISSING, "confirm_password"))),
    "activate-contacts": _activation("contacts", page={"user_id": "nina", "contacts": [_PHONE, _MAIL]}),
    "activate-app": _first_app(),
    "activate-app-wrong": _first_app(422, _errors(Refused(Code.WRONG_CODE, "code")), "Phone"),
    "activate-codes": _first_codes(),
    "activate-codes-busy": _first_codes(status=429, errors=_errors(Refused(Code.TOO_MANY_TRIES, "", {}, 120))),
    "activate-codes-shown": _first_codes(*_CODES),
    "activate-done": _activation("done"),
    "audit": _log(older="/admin/audit?before=1790000000.4000"),
    "audit-filtered": _log(
        asked={"person": "jane", "event": "authn_token_fail", "outcome": "failure", "from": "2026-09-01"},
        newest="/admin/audit?person=jane",
    ),
    "audit-nothing": _log(page=LogPage((), None, None, None, None)),
    "audit-nothing-fits": _log(
        page=LogPage((), None, datetime.fromtimestamp(_NOW, UTC), None, None), asked={"person": "nobody"}
    ),
    "audit-tampered": _log(
        page=LogPage(
            _ENTRIES[:2],
            None,
            datetime.fromtimestamp(_NOW, UTC),
            replace(_WHOLE, fault=Fault(Tampering.EDITED, 4_242)),
            datetime.fromtimestamp(_NOW, UTC),
        )
    ),
    "audit-two-errors": _log(
        422,
        page=None,
        asked={"person": "jane", "from": "yesterday", "event": "nothing"},
        errors=_errors(Refused(Code.NOT_A_CHOICE, "event"), Refused(Code.NOT_A_DATE, "from")),
    ),
    "audit-dates-crossed": _log(
        422,
        page=None,
        asked={"from": "2026-09-02", "to": "2026-09-01"},
        errors=_errors(Refused(Code.DATES_CROSSED, "to")),
    ),
    "audit-throttled": _log(429, page=None, errors=_errors(Refused(Code.TOO_MANY_TRIES, "", {}, 120))),
    "409-link-dead": _refusal(409, Code.LINK_DEAD, due="/activate"),
    "400": _refusal(400),
    "400-csrf": _refusal(400, "csrf"),
    "403": _refusal(403),
    "404": _refusal(404),
    "405": _refusal(405),
    "409": _refusal(409, Code.OUT_OF_ORDER, due="/recovery/pin"),
    "409-done": _refusal(409, Code.CARRIED_OUT, due="/recovery/done"),
    "409-app-bound": _refusal(409, Code.APP_BOUND, due="/authenticators"),
    "409-new-app": _refusal(409, Code.PROOF_NEW, due="/step-up"),
    "409-expired": _refusal(409, Code.FLOW_EXPIRED),
    "409-decided": _refusal(409, Code.DECIDED, due="/undo"),
    "409-lost": _refusal(409, Code.FLOW_LOST),
    "409-spent": _refusal(409, Code.PIN_SPENT, due="/recovery"),
    "409-not-locked": _refusal(409, Code.NOT_LOCKED, due="/recovery/password"),
    "413": _refusal(413),
    "429": _refusal(429, Code.TOO_MANY_TRIES, 27, "/recovery/token"),
    "429-starts": _refusal(429, Code.TOO_MANY_STARTS, 600),
    "500": _refusal(500),
    "503": _refusal(503, Code.HASHER_BUSY, 5, "/sign-in/password"),
    "dashboard": _dashboard(Span.DAYS, budget=60),
    "dashboard-hours": _dashboard(Span.HOURS),
    "dashboard-empty": _dashboard(Span.DAYS, counts=()),
    "demo": Case("demo/index.html", {"cast": _CAST, "messages": MESSAGES, "failing": set()}, path="/demo", demo=True),
    "demo-failing": Case(
        "demo/index.html", {"cast": _CAST, "messages": [], "failing": {"sms", "email"}}, path="/demo", demo=True
    ),
}

RECOVERY = ("recovery", "token", "pin-sent", "new-password-unlock", "done")  # one whole recovery


class Gallery:
    """The application, and the hands that tests have in it."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, dict[str, str]]] = []
        self.status: dict[str, Any] = {}  # what /recovery/pin/status answers; empty: what the asking page shows
        self.asked = 0
        self.brand = "#1f4e8c"
        self.app = self._build()

    def _build(self) -> Flask:
        app = Flask(__name__, template_folder=str(ROOT / "templates"), static_folder=None)
        app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True, "extensions": ["jinja2.ext.i18n"]}
        app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]
            lambda text: _catalogue().gettext(text),
            lambda one, many, count: _catalogue().ngettext(one, many, count),
            newstyle=True,
        )

        app.jinja_env.globals.update(
            languages=LANGUAGES,
            brand_name="Keyturn",
            static_url=lambda name: f"/static/{HASH}/{name}",
            csrf_token=lambda: TOKEN,
        )

        @app.context_processor
        def _globals() -> dict[str, Any]:
            return {"language": g.language}

        @app.after_request
        def _headers(response: Response) -> Response:
            response.headers["Content-Security-Policy"] = CSP
            response.headers.setdefault(
                "Cache-Control", "max-age=3600" if request.path.startswith("/static/") else "no-store"
            )
            return response

        @app.before_request
        def _take() -> Response | None:
            g.language = "en"
            if request.method != "POST":
                return None
            self.posts.append((request.path, request.form.to_dict()))
            time.sleep(0.5)  # long enough for a second press
            return redirect("/en/verify", 303)  # type: ignore[return-value]

        @app.get("/<any(en, de):language>/<name>")
        def page(language: str, name: str) -> tuple[str, int]:
            g.language = language
            return self.render(name), CASES[name].status

        @app.get(f"/static/{HASH}/<name>")
        def static_file(name: str) -> Response:
            if name == "brand.css":
                css = Response(f":root{{--brand:{self.brand}}}", mimetype="text/css")
                css.cache_control.no_store = True
                return css
            # read here: a file that is sent stays open where the browser has gone on to the next page
            return Response((ROOT / "static" / name).read_bytes(), mimetype=mimetypes.guess_type(name)[0])

        @app.get("/recovery/pin/status")
        @app.get("/sign-in/pin/status")
        @app.get("/rehearsal/pin/status")
        @app.get("/authenticators/phone/new/confirm/pin/status")
        def status() -> Response:
            self.asked += 1
            asking = CASES[(request.referrer or "").rpartition("/")[2]].context["pin"]
            answered = ("channel", "destination", "state", "resend_in", "expires_in", "tries_left")
            return jsonify({name: asking[name] for name in answered} | self.status)

        @app.get("/demo/inbox")
        def inbox() -> Response:
            cast = [{"user_id": "jane", "code": "287082", "seconds_left": 29}]
            late = {**MESSAGES[0], "body": "One more.\n\n130495", "at_text": "14:16"}
            return jsonify({"cast": cast, "messages": [late, *MESSAGES]})

        @app.get("/qr.svg")
        def qr() -> Response:
            squares = "".join(f"<path d='M{i * 7 % 23} {i * 11 % 25}h1v1h-1z'/>" for i in range(220))
            svg = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='-1 -1 27 27'>{squares}</svg>"
            return Response(svg, mimetype="image/svg+xml")

        @app.get("/")
        def index() -> str:
            links = "".join(
                f"<li>{name}: <a href='/en/{name}'>en</a> <a href='/de/{name}'>de</a></li>" for name in CASES
            )
            return f"<!doctype html><title>Gallery</title><ul>{links}</ul>"

        return app

    def render(self, name: str) -> str:
        """The HTML of a case, in the language of the present request."""
        case = CASES[name]
        support = dict.fromkeys(SUPPORT, "") if case.no_support else SUPPORT
        context: dict[str, Any] = {"support": support, "path": case.path or "/recovery", "demo": case.demo}
        return render_template(case.template, **{**context, **case.context})

    def html(self, name: str, language: str = "en") -> str:
        """The HTML of a case without a server."""
        with self.app.test_request_context("/"):
            g.language = language
            return self.render(name)


def _catalogue() -> gettext.NullTranslations:
    if g.language == "en":
        return gettext.NullTranslations()
    return gettext.translation("keyturn", ROOT / "translations", languages=[g.language])


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name
        """No line per request."""


@contextmanager
def serving(gallery: Gallery, port: int = 0) -> Iterator[str]:
    """The gallery on a loopback port; yields its address."""
    server = make_server("127.0.0.1", port, gallery.app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


if __name__ == "__main__":
    with serving(Gallery(), 8471) as address:
        print(f"{address}/ (Ctrl-C ends it)")  # noqa: T201
        threading.Event().wait()
