"""The whole portal on real stores, with a phone and a mailbox at the edge, walked through its doors."""

import html
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from werkzeug.test import Client, TestResponse

from app.factors.totp import rules as totp
from app.factors.totp.service import from_base32
from app.foundation.chance import Chance, SystemChance
from app.foundation.clock import Clock
from app.foundation.secretbox import Keyring
from app.foundation.settings import Settings
from app.foundation.sql import Database
from app.records.attempts.model import Door, Factor
from app.records.delivery.worker import Worker
from app.records.organizations import store as organizations
from app.records.organizations.model import DEFAULT, Policy, Role, Version
from app.records.people.model import Person, Status
from app.wiring import Foundation, Means, build_foundation, build_means, build_steps, build_web, build_worker
from tests.cast import add_person
from tests.cast import organization as cast_organization
from tests.edges import ACCOUNT, API_KEY, API_SECRET, Mailbox, Phone

PASSWORD = "correct horse battery staple"
NEW_PASSWORD = "another fine long passphrase"
WEAK_ENOUGH = {"argon2_memory_kib": 64, "argon2_passes": 1}  # real hashing at its cheapest


def test_settings(**overrides: Any) -> Settings:
    """Settings as a test wants them: unchecked, so that hashing may be cheap."""
    values: dict[str, Any] = {
        "public_url": "http://localhost",
        "mail_from": "keyturn@example.org",
        "twilio_account_sid": ACCOUNT,
        "twilio_api_key_sid": API_KEY,
        "twilio_api_key_secret": API_SECRET,
        "twilio_from": "+15005550006",
        "support_phone": "+1 555 0100",
        "support_email": "help@example.org",
        "hashing_slots": 2,
        **WEAK_ENOUGH,
    }
    return Settings(**{**values, **overrides})


test_settings.__test__ = False  # type: ignore[attr-defined]


@dataclass
class Portal:
    """The portal and what stands around it."""

    base: Foundation
    means: Means
    web: Flask
    worker: Worker
    phone: Phone
    mailbox: Mailbox
    seeds: dict[str, bytes] = field(default_factory=dict)

    def add(
        self,
        user_id: str,
        *,
        phone: str = "",
        email: str = "",
        password: str = PASSWORD,
        app: bool = True,
        status: Status = Status.ACTIVE,
        must_change: bool = False,
        language: str = "en",
        role: Role = Role.MEMBER,
        home: str = DEFAULT,
    ) -> Person:
        """Somebody with a password, contacts and an app."""
        now = self.base.clock.now()
        new = self.means.passwords.first(password) if password else None
        with self.base.database.begin() as transaction:
            person = add_person(
                transaction,
                user_id,
                self.base.chance,
                phone=phone,
                email=email,
                status=status,
                language=language,
                role=role,
                home=home,
            )
            if new is not None:
                self.means.passwords.first_password(transaction, person.id, new, must_change=must_change, now=now)
            if app:
                seed = self.seeds[user_id] = self.base.chance.octets(20)
                self.means.apps.bind(
                    transaction, person_id=person.id, seed=seed, label="Phone", now=now, usable_from=now
                )
        return person

    def add_codes(self, person: Person, *, usable_in: int = 0) -> tuple[str, ...]:
        """Ten saved codes; ``usable_in`` seconds until they may serve a recovery."""
        now, new = self.base.clock.now(), self.means.codes.draw()
        with self.base.database.begin() as transaction:
            self.means.codes.bind(transaction, person_id=person.id, new=new, now=now, usable_from=now + usable_in)
        return new.codes

    def decide(self, policy: Policy, organization: str = DEFAULT) -> None:
        """What an organization decides, from now on."""
        now = self.base.clock.now()
        with self.base.database.begin() as transaction:
            found = cast_organization(transaction, self.base.chance, organization)
            number = len(organizations.versions(transaction, found.id)) + 1
            assert organizations.add_version(transaction, Version(found.id, number, policy, now, "test", now))

    def invite(self, user_id: str, *, phone: str = "", email: str = "") -> "Guest":
        """Somebody with filed contacts and nothing else, who gets an invitation."""
        with self.base.database.begin() as transaction:
            person = add_person(transaction, user_id, self.base.chance, phone=phone, email=email, confirmed=False)
        return self.invite_again(person, email)

    def invite_again(self, person: Person, email: str) -> "Guest":
        """A new invitation for the same."""
        with self.base.database.begin() as transaction:
            sent = build_steps(self.base, self.means).invitations.send(transaction, person, "en", self.base.clock.now())
        assert sent is not None
        self.deliver()
        found = re.search(r"https?://[^/]+(/activate/\S+)", self.mailbox.to(email)[-1].text)
        assert found
        return Guest(person, found[1], sent[1])

    def code(self, user_id: str, offset: int = 0) -> str:
        """What the person's app shows, or showed so many steps from now."""
        return totp.hotp(self.seeds[user_id], totp.step_at(self.base.clock.now()) + offset)

    def wrong_code(self, user_id: str) -> str:
        """A code that is none of the person's within ten minutes."""
        near = {self.code(user_id, offset) for offset in range(-25, 26)}
        return next(code for code in (f"{n:06d}" for n in range(1_000_000)) if code not in near)

    def deliver(self) -> None:
        """Let the worker send what is queued."""
        while self.worker.run_once():
            pass

    def last_pin(self, to: str) -> str:
        """The PIN of the newest message to a number or address."""
        if to.startswith("+"):
            return self.phone.to(to)[-1].pin
        return self.mailbox.to(to)[-1].pin

    def lock(self, person: Person) -> None:
        """Failed sign-ins until the person waits."""
        subject = self.means.tries.subject(person.canonical_id, person.id)
        for _ in range(5):
            self.means.tries.spend(subject, Factor.PASSWORD, Door.SIGN_IN)

    def browser(self, **environ: str) -> "Browser":
        """A new browser."""
        return Browser(self.web, environ)


@dataclass(frozen=True, slots=True)
class Guest:
    """Somebody who was invited: the path of the mailed link, and the code that was handed over, if one was."""

    person: Person
    path: str
    code: str


class Browser:
    """A browser without JavaScript: keeps cookies, fills in forms as they stand on the page."""

    def __init__(self, web: Flask, environ: dict[str, str] | None = None) -> None:
        self.client = Client(web)
        self.environ = {"REMOTE_ADDR": "192.0.2.10", **(environ or {})}
        self.page: TestResponse | None = None

    def get(self, path: str, **options: Any) -> TestResponse:
        """Open a page, following nothing."""
        response = self.client.get(path, environ_overrides=self.environ, **options)
        if response.mimetype == "text/html" and response.status_code != 303:
            self.page = response
        return response

    def post(self, path: str, *, token: bool = True, **fields: Any) -> TestResponse:
        """Submit the form of that action from the page that is open, or a form of one's own."""
        if token:
            fields.setdefault("csrf_token", self.token())
        response = self.client.post(path, data=fields, environ_overrides=self.environ)
        if response.mimetype == "text/html" and response.status_code != 303:
            self.page = response
        return response

    def token(self) -> str:
        """The CSRF token of the page that is open; opens one where none is."""
        if self.page is None or 'name="csrf_token"' not in self.page.text:
            self.get("/recovery/other-ways")
        assert self.page is not None
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', self.page.text)
        assert found, self.page.text
        return html.unescape(found[1])

    def cookie(self, name: str) -> str | None:
        """A cookie's value."""
        held = self.client.get_cookie(name)
        return held.value if held else None

    # ---- the sign-in, step by step

    def sign_in_to_verify(self, user_id: str, password: str = PASSWORD) -> TestResponse:
        self.get("/sign-in")
        self.post("/sign-in", user_id=user_id)
        self.get("/sign-in/password")
        response = self.post("/sign-in/password", password=password)
        assert response.status_code == 303, response.text
        self.get("/sign-in/verify")
        return response

    def sign_in(self, portal: Portal, user_id: str, password: str = PASSWORD) -> TestResponse:
        """With the password and the app."""
        self.sign_in_to_verify(user_id, password)
        response = self.post("/sign-in/verify", code=portal.code(user_id))
        assert response.status_code == 303, response.text
        return response

    def sign_in_by_pin(self, portal: Portal, user_id: str, to: str, password: str = PASSWORD) -> TestResponse:
        """With the password and a PIN to a number or an address."""
        self.sign_in_to_verify(user_id, password)
        response = self.post("/sign-in/alternative", channel="sms" if to.startswith("+") else "email")
        assert response.status_code == 303, response.text
        self.get("/sign-in/pin")
        portal.deliver()
        response = self.post("/sign-in/pin", pin=portal.last_pin(to))
        assert response.status_code == 303, response.text
        return response

    # ---- the activation, step by step

    def activate_to(self, portal: Portal, guest: Guest, steps: int, phone: str, chosen: str = NEW_PASSWORD) -> None:
        """Open the link and begin; then so many steps, of which the first is the proof. -1: none, just begin."""
        self.get(guest.path)
        begun = self.post(guest.path)
        assert begun.status_code == 303, begun.text
        self.get(begun.location)
        if steps < 0:
            return
        portal.deliver()
        if guest.code:
            answer = self.post("/activate/code", code=guest.code)
        else:
            answer = self.post("/activate/pin", pin=portal.last_pin(phone))
        assert answer.status_code == 303, answer.text
        page = self.get(answer.location)
        for step in (self._choose, self._confirm, self._connect, self._make, self._save)[:steps]:
            answer = step(portal, guest, page, chosen)
            assert answer.status_code == 303, answer.text
            page = self.get(answer.location)

    def _choose(self, _portal: Portal, _guest: Guest, _page: TestResponse, chosen: str) -> TestResponse:
        return self.post("/activate/password", new_password=chosen, confirm_password=chosen)

    def _confirm(self, *_: object) -> TestResponse:
        return self.post("/activate/contacts")

    def _connect(self, portal: Portal, guest: Guest, page: TestResponse, _chosen: str) -> TestResponse:
        key = re.search(r'data-totp-key="([A-Z2-7 ]+)"', page.text)
        assert key
        seed = portal.seeds[guest.person.user_id] = from_base32(key[1])
        return self.post("/activate/app", label="Phone", code=totp.hotp(seed, totp.step_at(portal.base.clock.now())))

    def _make(self, *_: object) -> TestResponse:
        return self.post("/activate/codes")

    def _save(self, *_: object) -> TestResponse:
        return self.post("/activate/codes/saved")

    # ---- the recovery, step by step

    def recover_to_token(self, user_id: str) -> TestResponse:
        self.get("/recovery?user_id=")
        response = self.post("/recovery", user_id=user_id)
        self.get("/recovery/token")
        return response

    def recover_to_pin(self, portal: Portal, user_id: str) -> TestResponse:
        self.recover_to_token(user_id)
        response = self.post("/recovery/token", code=portal.code(user_id))
        assert response.status_code == 303, response.text
        self.get("/recovery/pin")
        return response

    def recover_to_pin_by_code(self, user_id: str, code: str) -> TestResponse:
        """By a saved code."""
        self.recover_to_token(user_id)
        self.get("/recovery/code")
        response = self.post("/recovery/code", code=code)
        assert response.status_code == 303, response.text
        self.get("/recovery/pin")
        return response

    def recover_to_password(self, portal: Portal, user_id: str, to: str) -> TestResponse:
        self.recover_to_pin(portal, user_id)
        portal.deliver()
        response = self.post("/recovery/pin", pin=portal.last_pin(to))
        assert response.status_code == 303, response.text
        self.get("/recovery/password")
        return response


class _Statements:
    """SQL that was compiled already, for all the databases of one kind: each engine has a dialect of its own."""

    def __init__(self) -> None:
        self._compiled: dict[Any, Any] = {}

    def get(self, key: Any) -> Any:
        return self._compiled.get((key[0].name, *key[1:]))

    def __setitem__(self, key: Any, compiled: Any) -> None:
        self._compiled[key[0].name, *key[1:]] = compiled


_statements = _Statements()


def sharing(database: Database) -> Database:
    """The same database, which compiles no statement anew that another one of its kind has met in this run."""
    for engine in (database._engine, database._reader):
        engine.update_execution_options(compiled_cache=_statements)
    return database


class _Compiled(BytecodeCache):
    """Templates compiled once for all the portals of a run; Jinja compares each with its source."""

    def __init__(self) -> None:
        self._code: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._code:
            bucket.bytecode_from_string(self._code[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._code[bucket.key] = bucket.bytecode_to_string()


_compiled = _Compiled()


@contextmanager
def opened(
    database: Database,
    store_url: str,
    clock: Clock,
    keyring: Keyring,
    *,
    chance: Chance | None = None,
    **overrides: Any,
) -> Iterator[Portal]:
    """The portal on a given database and store."""
    with Phone() as phone, Mailbox() as mailbox:
        settings = test_settings(
            database_url=database.url.render_as_string(hide_password=False),
            smtp_url=mailbox.url,
            twilio_api_base=phone.base,
            **overrides,
        )
        base = build_foundation(
            settings, ephemeral_url=store_url, clock=clock, chance=chance or SystemChance(), keyring=keyring
        )
        sharing(base.database)
        means = build_means(base)
        web = build_web(base, means)
        web.jinja_env.bytecode_cache = _compiled
        try:
            yield Portal(base, means, web, build_worker(base), phone, mailbox)
        finally:
            base.database.close()
            base.ephemeral.close()
            base.hasher.close()
