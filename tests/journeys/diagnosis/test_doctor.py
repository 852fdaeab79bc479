"""What an examination finds, on real servers of this machine."""

import base64
import contextlib
import json
import threading
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import pytest

from app.foundation.keyfile import keys_of, path_of
from app.foundation.secretbox import Keyring, MasterKey
from app.foundation.settings import Settings
from app.foundation.sql import Database, installation
from app.foundation.sql.migrations import migrate
from app.journeys.diagnosis.model import Check, Level
from app.journeys.diagnosis.service import Diagnosis
from tests import services
from tests.edges import ACCOUNT, API_KEY, API_SECRET, AUTH_TOKEN, Mailbox, closed_port
from tests.hands import START, HandClock


class Account:
    """Twilio's account resource, and the list of its messages, as two kinds of key may see them."""

    def __init__(self) -> None:
        self.status = "active"
        self.clock_off = 0
        self.answer: int | None = None
        self.asked: list[str] = []
        account = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                account.asked.append(self.path)
                code, body = account.look(self.path, self.headers.get("Authorization", ""))
                self.send_response_only(code)
                self.send_header("Date", formatdate(START + account.clock_off, usegmt=True))
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                raise AssertionError("a doctor sends nothing")

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self._server.server_port}"

    def look(self, path: str, authorization: str) -> tuple[int, bytes]:
        user, _, password = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        root = f"/2010-04-01/Accounts/{ACCOUNT}"
        if self.answer:
            return self.answer, b"not even JSON"
        if (user, password) == (ACCOUNT, AUTH_TOKEN) and path == f"{root}.json":
            return 200, json.dumps({"sid": ACCOUNT, "status": self.status}).encode()
        if (user, password) == (API_KEY, API_SECRET) and path.startswith(f"{root}/Messages.json"):
            return 200, b'{"messages": []}'
        return 401, b'{"code": 20003, "message": "Authenticate", "status": 401}'

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def account():
    with Account() as standing:
        yield standing


def examine(settings: Settings, chance, clock: HandClock | None = None) -> dict[str, Check]:
    database = Database(settings.database)
    with contextlib.closing(database):
        return {check.name: check for check in Diagnosis(settings, database, clock or HandClock(), chance).checks()}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def made(state: Path, chance) -> Settings:
    """An installation after `keyturn init`."""
    settings = Settings(state_dir=state)
    ring = Keyring(keys_of(settings, chance), chance)
    database = Database(settings.database)
    migrate(database)
    with database.begin() as transaction:
        installation.remember_keys(transaction, installation.key_checks(ring))
    database.close()
    return settings


def changed(settings: Settings, **values: Any) -> Settings:
    from dataclasses import replace

    return replace(settings, **values)


def test_nothing_is_made_by_looking(state, chance):
    found = examine(Settings(state_dir=state), chance)
    assert not state.exists()
    assert found["database"].level is Level.FAIL
    assert found["database"].remedy == "run: keyturn init"
    assert (found["keys"].level, found["state"].level) == (Level.WARN, Level.WARN)


def test_what_was_made_is_found_well(made, chance):
    found = examine(made, chance)
    for name in ("state", "keys", "database", "store", "clock", "proxy"):
        assert found[name].level is Level.OK, found[name]


def test_keys_that_others_may_read_are_a_failure(made, chance):
    path_of(made).chmod(0o644)
    found = examine(made, chance)["keys"]
    assert (found.level, "chmod 600" in found.finding) == (Level.FAIL, True)


def test_keys_of_another_installation_are_a_failure(made, chance):
    foreign = changed(made, secret_keys=(MasterKey("other", chance.octets(32)),))
    found = examine(foreign, chance)["keys"]
    assert found.level is Level.FAIL
    assert "not those" in found.finding


def test_lost_keys_are_a_failure(made, chance):
    path_of(made).unlink()
    found = examine(made, chance)["keys"]
    assert found.level is Level.FAIL
    assert "lost" in found.finding


def test_a_key_that_joined_is_well(made, chance):
    rotated = changed(made, secret_keys=(MasterKey("new", chance.octets(32)), *keys_of(made, chance)))
    assert examine(rotated, chance)["keys"].level is Level.OK


def test_a_database_that_is_behind_or_the_demos_is_a_failure(made, chance):
    from sqlalchemy import text

    database = Database(made.database)
    with database.begin() as transaction:
        installation.mark_demo(transaction)
    assert "demo" in examine(made, chance)["database"].finding
    with database.begin() as transaction:
        transaction.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    database.close()
    found = examine(made, chance)["database"]
    assert (found.level, found.remedy) == (Level.FAIL, "run: keyturn init")


def test_a_database_that_is_away_is_a_failure_without_its_password(state, chance):
    settings = Settings(state_dir=state, database_url="postgresql+psycopg://app:very-secret@127.0.0.1:1/app")
    found = examine(settings, chance)["database"]
    assert (found.level, found.remedy) == (Level.FAIL, "check DATABASE_URL")
    assert "very-secret" not in repr(found)


def test_an_external_store_that_keeps_everything_is_well(made, chance, redis_url):
    found = examine(changed(made, redis_url=redis_url), chance)["store"]
    assert found.level is Level.OK, found
    assert "noeviction" in found.finding


def test_an_external_store_that_forgets_is_a_failure(made, chance):
    server = services.RedisServer(services.find_valkey(), ("--maxmemory-policy", "allkeys-lru"))
    server.start()
    try:
        found = examine(changed(made, redis_url=server.url), chance)["store"]
    finally:
        server.stop()
    assert found.level is Level.FAIL
    assert "noeviction" in found.remedy


@pytest.mark.parametrize(
    "url", ["unix:///dev/null/nowhere", "redis://:very-secret@127.0.0.1:1/0", "redis://x:secret@[/"]
)
def test_an_external_store_that_is_away_is_a_failure_without_its_password(made, chance, url):
    found = examine(changed(made, redis_url=url), chance)["store"]
    assert (found.level, found.remedy) == (Level.FAIL, "check REDIS_URL")
    assert "secret" not in repr(found)


def test_a_mail_server_is_asked_and_gets_no_letter(made, chance):
    with Mailbox() as mailbox:
        settings = changed(made, smtp_url=mailbox.url, mail_from="keyturn@example.org")
        found = examine(settings, chance)
        assert found["smtp"].level is Level.OK, found["smtp"]
        assert found["channels"].level is Level.OK
        assert mailbox.sessions == 1
        assert mailbox.attempts == 0
        assert mailbox.mails == []


def test_a_mail_server_that_does_not_answer_is_a_failure(made, chance):
    with closed_port() as port:
        settings = changed(made, smtp_url=f"smtp://127.0.0.1:{port}", mail_from="keyturn@example.org")
        found = examine(settings, chance)["smtp"]
    assert (found.level, found.finding) == (Level.FAIL, "provider unreachable")


def test_a_mail_server_that_refuses_the_password_is_a_failure(made, chance):
    with Mailbox(user="keyturn", password="right") as mailbox:
        url = mailbox.url.replace("right", "wrong")
        found = examine(changed(made, smtp_url=url, mail_from="keyturn@example.org"), chance)["smtp"]
    assert (found.level, found.finding) == (Level.FAIL, "provider setup (535)")
    assert "wrong" not in repr(found)


def test_a_sender_that_cannot_be_is_a_failure_of_its_setting(made, chance):
    settings = changed(made, smtp_url="smtp://127.0.0.1", mail_from="nobody at all@")
    found = examine(settings, chance)["smtp"]
    assert found.level is Level.FAIL
    assert "MAIL_FROM" in found.finding


def sms(settings: Settings, account: Account, *, key: bool, **values: Any) -> Settings:
    signer = {"twilio_api_key_sid": API_KEY, "twilio_api_key_secret": API_SECRET} if key else {}
    token = {} if key else {"twilio_auth_token": AUTH_TOKEN}
    given = {"twilio_account_sid": ACCOUNT, "twilio_from": "+15005550006", "twilio_api_base": account.base}
    return changed(settings, **{**given, **signer, **token, **values})


def test_the_account_is_asked_for_by_its_token(made, chance, account):
    found = examine(sms(made, account, key=False), chance)
    assert found["twilio"].level is Level.OK, found["twilio"]
    assert found["clock"].finding == "agrees with Twilio's within 5 s"
    assert account.asked == [f"/2010-04-01/Accounts/{ACCOUNT}.json"]


def test_a_key_that_may_not_read_the_account_is_asked_what_it_may(made, chance, account):
    found = examine(sms(made, account, key=True), chance)["twilio"]
    assert found.level is Level.WARN  # for want of the token, callbacks cannot be believed
    assert found.finding.startswith("answers")
    assert account.asked[-1].endswith("/Messages.json?PageSize=1")


def test_credentials_that_are_refused_are_a_failure_and_not_repeated(made, chance, account):
    for settings in (
        sms(made, account, key=False, twilio_auth_token="a-wrong-secret"),
        sms(made, account, key=True, twilio_api_key_secret="a-wrong-secret"),
    ):
        found = examine(settings, chance)["twilio"]
        assert (found.level, found.finding) == (Level.FAIL, "provider setup (20003)")
        assert "a-wrong-secret" not in repr(found)


def test_a_suspended_account_is_a_failure(made, chance, account):
    account.status = "suspended"
    assert examine(sms(made, account, key=False), chance)["twilio"].finding == "account inactive"


@pytest.mark.parametrize("answer", [200, 404, 500, 301])
def test_an_answer_that_makes_no_sense_is_no_crash(made, chance, account, answer):
    account.answer = answer
    found = examine(sms(made, account, key=False), chance)["twilio"]
    assert found.level is (Level.OK if answer == 200 else Level.FAIL)


def test_an_api_that_does_not_answer_is_a_failure(made, chance, account):
    with closed_port() as port:
        settings = sms(made, account, key=False, twilio_api_base=f"http://127.0.0.1:{port}")
        assert examine(settings, chance)["twilio"].finding == "provider unreachable"


@pytest.mark.parametrize(("off", "way"), [(-60, "ahead"), (60, "behind")])
def test_a_clock_that_is_off_is_a_warning(made, chance, account, off, way):
    account.clock_off = off
    found = examine(sms(made, account, key=False), chance)["clock"]
    assert found.level is Level.WARN
    assert f"60 s {way}" in found.finding


def test_a_clock_that_jumps_is_a_warning(made, chance):
    class Jumping(HandClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            self._start += 30

    found = examine(made, chance, Jumping())["clock"]
    assert (found.level, "jumped by +30.0 s" in found.finding) == (Level.WARN, True)


def test_nobody_can_be_sent_a_pin_where_no_channel_is_set_up(made, chance):
    found = examine(made, chance)
    assert found["channels"].level is Level.FAIL
    assert (found["smtp"].level, found["twilio"].level) == (Level.WARN, Level.WARN)


def test_the_public_address_has_to_lead_here(made, chance):
    assert examine(made, chance)["public_url"].level is Level.WARN
    local = changed(made, public_url="https://localhost")
    assert examine(local, chance)["public_url"].level is Level.OK
    assert examine(local, chance)["proxy"].level is Level.WARN
    away = changed(made, public_url="https://keyturn.invalid")
    assert examine(away, chance)["public_url"].level is Level.FAIL


def test_a_server_that_lets_others_in_over_plain_http_is_a_warning(made, chance):
    assert examine(changed(made, bind="0.0.0.0:8470"), chance)["proxy"].level is Level.WARN
