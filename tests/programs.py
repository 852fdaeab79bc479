"""A program that asks about passwords and tokens, as far as the portal's doors see it."""

import base64
import json
from dataclasses import dataclass, field
from typing import Any

from werkzeug.test import Client, TestResponse

from app.foundation.secretbox import fingerprint
from app.records.clients import store as clients
from app.records.clients.model import ApiClient
from app.records.organizations import store as organizations
from app.records.organizations.model import DEFAULT, PasswordPolicy, Policy
from tests.portal import PASSWORD, Portal

ALLOWING = Policy(password=PasswordPolicy(min_length=15), authenticate_user=True)
AUTHENTICATE = "/api/v1/authenticate-user"
INTROSPECT = "/api/v1/tokens/introspect"
REVOKE = "/api/v1/tokens/revoke"


@dataclass
class Program:
    """Calls the JSON API, with the credentials of an API client where it has some."""

    portal: Portal
    client: tuple[str, str] | None = None
    address: str = "203.0.113.7"
    http: Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = Client(self.portal.web, TestResponse, use_cookies=False)

    def call(self, path: str, body: Any, **more: Any) -> Any:
        """POST JSON; ``body`` may be bytes as they are."""
        headers = dict(more.pop("headers", {}))
        if self.client is not None:
            headers["Authorization"] = basic(*self.client)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = more.pop("content_type", "application/json")
        return self.http.post(
            path,
            data=data,
            content_type=kind,
            headers=headers,
            base_url="http://localhost",
            environ_overrides={"REMOTE_ADDR": self.address},
            **more,
        )

    def authenticate(self, user_name: str, password: str = PASSWORD) -> Any:
        return self.call(AUTHENTICATE, {"user_name": user_name, "password": password})

    def token(self, user_name: str, password: str = PASSWORD) -> str:
        answer = self.authenticate(user_name, password)
        assert answer.status_code == 200, answer.text
        return str(answer.json["authentication_token"])

    def introspect(self, token: str) -> Any:
        answer = self.call(INTROSPECT, {"token": token})
        assert answer.status_code == 200, answer.text
        return answer.json

    def is_good(self, token: str) -> bool:
        return bool(self.introspect(token)["active"])


def basic(name: str, secret: str) -> str:
    """The header of HTTP Basic."""
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()


def make_client(portal: Portal, organization: str = DEFAULT) -> tuple[str, str]:
    """An API client of an organization: its id and its secret."""
    chance, now = portal.base.chance, portal.base.clock.now()
    secret = chance.token()
    with portal.base.database.begin() as transaction:
        found = organizations.find(transaction, organization)
        assert found is not None
        client = ApiClient(chance.uuid(), found.id, "Test", fingerprint(secret), now, "test")
        clients.add(transaction, client)
    return client.id, secret
