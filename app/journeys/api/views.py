"""The doors under /api/v1: JSON, and problem details for whatever goes wrong (RFC 9457)."""

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, g, render_template
from flask_wtf.csrf import CSRFProtect

from app.foundation.refusals import Code, Wrong
from app.foundation.web.application import answer_programs, remember, visit
from app.foundation.web.quick import Asked, Told
from app.journeys.api import forms
from app.journeys.api.forms import Malformed
from app.journeys.api.model import INTROSPECT, PREFIX, WINDOW, Looked, NotAClient, OverQuota, Quota
from app.journeys.api.service import Api
from app.steps.credentials import SENTENCES, Authenticated, NotAuthenticated, Urls

_BLANK = "about:blank"
_URN = "urn:keyturn:problem:"
_QUOTA = "https://iana.org/assignments/http-problem-types#quota-exceeded"
_CHALLENGE = 'Basic realm="keyturn-api", charset="UTF-8"'
# RFC 9110 sec. 11.6.1 wants a challenge with each 401; this one makes no browser ask for a password
_PERSON = 'AuthenticateUser realm="keyturn"'
_DETAILS = {
    400: "The request is malformed.",
    404: "There is nothing at this address.",
    405: "This address does not take that method.",
    413: "The body is longer than 64 KiB.",
    415: "Send application/json, or form fields where it is about a token.",
    429: "This address asked too often.",
    500: "Something went wrong on this side. The request id names it in the log.",
    503: "A store or the hasher does not answer. Nothing was judged; ask again later.",
}
_FIELDS = {
    Code.MISSING: "This is needed.",
    Code.TOO_LONG: "This is longer than anybody's can be.",
    Code.BAD_CHARACTERS: "This has to be text.",
}


def blueprint(api: Api, public_url: str) -> Blueprint:
    """The doors."""
    doors = Blueprint("api", __name__)
    answer_programs(doors, PREFIX, _refused)

    @doors.errorhandler(Malformed)
    def malformed(refusal: Malformed) -> Response:
        return _problem(400, "malformed", str(refusal))

    @doors.errorhandler(NotAClient)
    def unknown_client(_: NotAClient) -> Response:
        answer = _problem(
            401, "invalid_client", "These are not the credentials of an API client.", error="invalid_client"
        )
        answer.headers["WWW-Authenticate"] = _CHALLENGE
        return answer

    @doors.errorhandler(OverQuota)
    def over_quota(refusal: OverQuota) -> Response:
        quota = refusal.quota
        answer = _json(
            429,
            {
                "type": _QUOTA,
                "title": "Quota exceeded",
                "status": 429,
                "detail": "This client asked too often.",
                "violated-policies": [quota.policy],
            },
            "application/problem+json",
        )
        answer.headers["Retry-After"] = str(quota.resets_in)
        return _counted(answer, quota)

    @doors.errorhandler(Wrong)
    def wrong(refusal: Wrong) -> Response:
        remember(refusal)
        name = refusal.field
        error = {"field": name, "code": refusal.code.value, "detail": _FIELDS[refusal.code]}
        return _problem(422, "invalid_fields", f"{name}: {error['detail']}", errors=[error])

    @doors.post(f"{PREFIX}authenticate-user")
    def authenticate_user() -> Response:
        given = forms.body()
        user_name, password = forms.needed(given, "user_name"), forms.needed(given, "password")
        outcome, quota = api.authenticate(visit(), forms.credentials(), user_name, password)
        if isinstance(outcome, Authenticated):
            return _counted(_json(200, _authenticated(outcome)), quota)
        g.refusal = outcome.cause.value
        return _counted(_not_authenticated(outcome), quota)

    @doors.post(INTROSPECT)
    def introspect() -> Response:
        client = _client()
        looked, quota = api.introspect(visit(), client, forms.needed(forms.fields(), "token"))
        return _counted(_json(200, _looked(looked, public_url)), quota)

    @doors.post(f"{PREFIX}tokens/revoke")
    def revoke() -> Response:
        client = _client()
        return _counted(_json(200, {}), api.revoke(visit(), client, forms.needed(forms.fields(), "token")))

    @doors.get(f"{PREFIX}openapi.json")
    def openapi() -> Response:
        return Response(
            render_template("api/openapi.json", public_url=public_url, window=WINDOW), mimetype="application/json"
        )

    return doors


def quick(api: Api, public_url: str) -> Callable[[Asked], Told | None]:
    """Introspection by form fields, where client and body are in order: what relying programs ask all the time."""

    def answer(asked: Asked) -> Told | None:
        client = forms.basic(asked.authorization)
        if client is None or asked.kind.partition(";")[0].strip().lower() != forms.FORM:
            return None
        token = forms.needed(forms.form(asked.body), "token")
        told = api.look(client, token)
        if told is None:
            return None
        looked, quota = told
        return Told(json.dumps(_looked(looked, public_url), ensure_ascii=False).encode(), _limits(quota))

    return answer


def exempt(csrf: CSRFProtect, doors: Blueprint) -> None:
    """Programs send no cookie, and what they send is read from no browser's form: a JSON body or credentials."""
    csrf.exempt(doors)


def _client() -> tuple[str, str]:
    given = forms.credentials()
    if given is None:
        raise NotAClient
    return given


def _authenticated(one: Authenticated) -> dict[str, Any]:
    return {
        "success": True,
        "authentication_token": one.token,
        "expires_in": one.expires_in,
        "user_name": one.user_name,
        "first_name": one.first_name,
        "last_name": one.last_name,
        "accounts": [
            {
                "name": account.name,
                "context_identifier": account.context_identifier,
                "is_primary": account.is_primary,
            }
            for account in one.accounts
        ],
        **_urls(one.urls),
    }


def _urls(urls: Urls) -> dict[str, str]:
    named = {
        "expired_password_url": urls.expired_password,
        "change_password_url": urls.change_password,
        "update_security_question_url": urls.update_security_question,
    }
    return {name: url for name, url in named.items() if url}


def _not_authenticated(one: NotAuthenticated) -> Response:
    sentence = SENTENCES[one.cause]
    answer = _problem(
        401,
        one.cause.value,
        sentence,
        success=False,
        exceptions=[{"severity": "Error", "text": sentence}],
        **_urls(one.urls),
    )
    answer.headers["WWW-Authenticate"] = _PERSON
    if one.retry_after:
        answer.headers["Retry-After"] = str(one.retry_after)
    return answer


def _looked(looked: Looked | None, public_url: str) -> dict[str, Any]:
    if looked is None:
        return {"active": False}
    return {
        "active": True,
        "token_type": "AuthenticationToken",
        "iss": public_url,
        "sub": looked.user_name,
        "username": looked.user_name,
        "first_name": looked.first_name,
        "last_name": looked.last_name,
        "iat": looked.issued_at,
        "exp": looked.expires_at,
        "amr": ["pwd"],
        "account": {
            "name": looked.organization.name,
            "context_identifier": looked.organization.id,
            "is_primary": looked.is_primary,
        },
    }


def _json(status: int, value: object, kind: str = "application/json") -> Response:
    return Response(json.dumps(value, ensure_ascii=False), status, mimetype=kind)


def _problem(status: int, code: str, detail: str, **more: object) -> Response:
    """Problem details; ``code`` names the type, empty where there is no more to say than the status does."""
    value = {
        "type": f"{_URN}{code}" if code else _BLANK,
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": f"urn:keyturn:request:{g.get('request_id', '')}",
        **more,
    }
    return _json(status, value, "application/problem+json")


def _refused(status: int, code: str, _retry_after: int) -> Response:
    """What a page would say elsewhere."""
    return _problem(status, code, _DETAILS.get(status, HTTPStatus(status).description or HTTPStatus(status).phrase))


def _counted(answer: Response, quota: Quota | None) -> Response:
    """With the client's limit, and never with a person's (requirements R-11)."""
    if quota is not None:
        answer.headers.extend(_limits(quota))
    return answer


def _limits(quota: Quota) -> list[tuple[str, str]]:
    return [
        ("RateLimit-Policy", f'"{quota.policy}";q={quota.most};w={WINDOW}'),
        ("RateLimit", f'"{quota.policy}";r={max(quota.left, 0)};t={quota.resets_in}'),
    ]
