"""Every flow is walked with marked secrets, and then they are looked for wherever they must not be (ASVS 16.2.5).

The walk is a process of its own, as the portal is, with its log at the most talkative level. What may be where
stands in MAY; whatever is not named there may be nowhere.
"""

import base64
import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import redis

# kind of secret: where it may stand in the clear
MAY: dict[str, set[str]] = {
    "password": set(),  # right, wrong, refused or new
    "hash": {"database"},  # of a password
    "seed": set(),  # of an app, in any notation
    "code": set(),  # of an app, right or wrong
    "pin": {"messages"},  # as sent, and as typed
    "cookie": {"cookies"},
    "csrf token": {"pages"},
    "contact": {"database", "messages"},  # phone number or e-mail address
    "user id": {"database", "store", "pages"},  # the pages show whom one is asked for
    "typed as a user id": {"store", "pages"},  # it may well be a password, typed into the wrong field
    "key": set(),  # a master key, and what was derived from it
    "setting": set(),  # a secret of the settings
    "local": set(),  # a variable where something failed
    "undo link": {"messages", "pages"},  # its own page leads on by it
    "path": {"pages"},  # a link carries a token there; the form of the language leads back to it
    "query": {"pages"},  # ?user_id= prefills the field
}
EVENTS = {  # what must have been logged, or nothing was proved
    "request",
    "malicious_csrf",
    "unexpected",
    "message_sent",
    "message_failed",
}


@dataclass
class Marked:
    """The secrets by kind."""

    values: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, *values: str) -> str:
        self.values.setdefault(kind, []).extend(values)
        return values[0]


def notations(value: str) -> Iterable[bytes]:
    """The ways in which a text could be written down and still be read by anybody."""
    octets = value.encode()
    yield octets
    yield json.dumps(value)[1:-1].encode()
    yield octets.hex().encode()
    yield base64.b64encode(octets).rstrip(b"=")
    yield base64.urlsafe_b64encode(octets).rstrip(b"=")
    yield quote(value).encode()
    yield value.replace("&", "&amp;").encode()


def found(value: str, place: bytes) -> bool:
    for one in set(notations(value)):
        if value.isdigit() and len(value) <= 8:
            # a PIN within a longer number or a digest is chance
            if re.search(rb"(?<![0-9A-Za-z.+/_-])" + re.escape(one) + rb"(?![0-9A-Za-z.+/_-])", place):
                return True
        elif one in place:
            return True
    return False


@pytest.fixture(scope="module")
def places(tmp_path_factory, sqlite_template, valkey_server) -> dict[str, bytes]:
    """Everything that a walk left behind, by place; and under "secrets" what was secret in it."""
    valkey_server.flush()
    folder = tmp_path_factory.mktemp("walk")
    database = folder / "keyturn.sqlite"
    database.write_bytes(sqlite_template.read_bytes())
    done = subprocess.run(
        [sys.executable, "-m", "tests.test_secrets", str(folder), valkey_server.url],
        capture_output=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:].decode()
    files = [path.read_bytes() for path in sorted(folder.glob("keyturn.sqlite*"))]
    assert len(files) > 1, "no write-ahead log was left to be searched"
    with sqlite3.connect(database) as connection:
        rows = "\n".join(connection.iterdump()).encode()
    with redis.Redis.from_url(valkey_server.url) as client:
        store = b"\n".join(entry(client, key) for key in client.scan_iter())
    left = {path.stem: path.read_bytes() for path in folder.glob("*.txt")}
    return {"log": done.stdout + done.stderr, "database": b"".join(files) + rows, "store": store, **left}


def entry(client: "redis.Redis", key: bytes) -> bytes:
    readers = {
        b"string": lambda: client.get(key),
        b"hash": lambda: client.hgetall(key),
        b"list": lambda: client.lrange(key, 0, -1),
        b"zset": lambda: client.zrange(key, 0, -1, withscores=True),
    }
    kind: Any = client.type(key)
    value: Any = readers[kind]()
    return key + b" " + (value if isinstance(value, bytes) else repr(value).encode())


PLACES = ("log", "database", "store", "pages", "cookies", "metrics", "representations", "messages")


@pytest.mark.parametrize("kind", MAY)
@pytest.mark.parametrize("place", PLACES)
def test_a_secret_is_only_where_it_may_be(places, kind, place):
    secrets: Mapping[str, list[str]] = json.loads(places["secrets"])
    assert secrets[kind], f"the walk had no {kind}"
    if place not in MAY[kind]:
        assert [value for value in secrets[kind] if found(value, places[place])] == []


@pytest.mark.parametrize(("kind", "place"), [(kind, place) for kind in MAY for place in sorted(MAY[kind])])
def test_the_search_finds_what_is_there(places, kind, place):
    """Or the test above would prove nothing."""
    secrets: Mapping[str, list[str]] = json.loads(places["secrets"])
    assert any(found(value, places[place]) for value in secrets[kind])


def test_the_log_spoke_of_everything_that_happened(places):
    lines = [json.loads(line) for line in places["log"].splitlines()]
    assert {line["event"] for line in lines} >= EVENTS
    assert {line.get("status") for line in lines} >= {200, 303, 400, 404, 409, 413, 422, 429, 500}
    assert all({"at", "level"} <= line.keys() for line in lines)
    requests = [line for line in lines if line["event"] == "request"]
    assert all(re.fullmatch(r"[0-9a-f]{32}", line["request_id"]) for line in requests)
    assert len({line["request_id"] for line in requests}) == len(requests)
    # the rule of a door, never the path that was asked for
    assert {line["route"] for line in requests} <= {"-", "/fails", "/breaks"} | _rules()


def _rules() -> set[str]:
    from tests.doors import DOORS

    return {door.rule for door in DOORS}


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ("a secret", b"x a secret x"),
        ("a secret", b"x " + base64.b64encode(b"a secret") + b" x"),
        ("a secret", b"x " + b"a secret".hex().encode()),
        ("a secret", b"?password=a%20secret&x"),
        ('a "secret"', b'{"password": "a \\"secret\\""}'),
        ("123456", b"the PIN 123456."[:-1]),
        ("123456", b'"pin": "123456"'),
    ],
)
def test_a_secret_is_recognised_in_any_notation(value, place):
    assert found(value, place)
    assert not found(value, b"x")


# ---- the walk


def main(folder: Path, store_url: str) -> None:
    """Walk every flow; leave what was seen in *.txt."""
    import logging

    from app.foundation import log
    from app.foundation.secretbox import Keyring, MasterKey
    from app.foundation.sql import Database
    from app.records.people import store as people
    from app.records.people.model import Channel, Contact
    from tests.edges import API_KEY, API_SECRET, AUTH_TOKEN, refuse
    from tests.hands import HandClock, SeededChance
    from tests.portal import opened

    log.configure("DEBUG")
    logging.getLogger("mail").setLevel(logging.WARNING)  # the mailbox's own: not a part of the portal
    marked = Marked()
    material = [b"marked-master-key-number-%d-of-two" % number for number in range(2)]
    marked.add("key", *(octets.decode() for octets in material))
    chance = SeededChance(7)
    keyring = Keyring([MasterKey(f"k{number}", octets) for number, octets in enumerate(material)], chance)
    metrics_token = marked.add("setting", "marked-metrics-token", API_SECRET, f"{API_KEY}:{API_SECRET}", AUTH_TOKEN)
    database = Database(f"sqlite:///{folder / 'keyturn.sqlite'}")
    clock = HandClock()
    with opened(
        database, store_url, clock, keyring, chance=chance, metrics_token=metrics_token, twilio_auth_token=AUTH_TOKEN
    ) as portal:
        marked.add("key", str(portal.web.secret_key), *portal.web.config["SECRET_KEY_FALLBACKS"])
        marked.add(
            "key", *(keyring._derive(name, purpose).hex() for name in keyring.names for purpose in ("pin", "csrf"))
        )

        @portal.web.get("/fails")
        def fails() -> str:
            secret = marked.add("local", "marked-local-variable")
            raise RuntimeError(f"failed with {len(secret)} characters")

        @portal.web.get("/breaks")
        def breaks() -> str:
            address = marked.add("local", "marked-of-a-statement@example.org")
            with portal.base.database.begin() as transaction:
                for _ in range(2):
                    one = Contact("twice", 1, Channel.EMAIL, address, 5, None, 0, None)
                    people.add_contact(transaction, one, 0)
            return ""

        walk = Walk(portal, marked, clock)
        walk.all_of_it(metrics_token, refuse(400, 21610))
        representations = walk.representations(keyring)
        walk.collect_hashes()
        messages = [text.body + text.to for text in portal.phone.texts]
        messages += [mail.text + str(mail.to) for mail in portal.mailbox.mails]
        # the log of SQLite stays where it is only while somebody has the file open
        (folder / "keyturn.sqlite-wal.copy").write_bytes((folder / "keyturn.sqlite-wal").read_bytes())
    for name, text in {
        "secrets": json.dumps(marked.values),
        "pages": "\n".join(walk.pages),
        "cookies": "\n".join(walk.cookies),
        "metrics": walk.metrics,
        "representations": representations,
        "messages": "\n".join(messages),
    }.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")


class Walk:
    """Somebody who goes through everything, and notes what they see and what is secret in it."""

    def __init__(self, portal: Any, marked: Marked, clock: Any) -> None:
        self.portal = portal
        self.marked = marked
        self.clock = clock
        self.pages: list[str] = []
        self.cookies: list[str] = []
        self.metrics = ""
        self._number = 0

    def _secret(self, kind: str) -> str:
        self._number += 1
        return self.marked.add(kind, f"marked {kind} {self._number:04d} & more")

    def see(self, answer: Any) -> Any:
        """Note an answer: its body and headers among the pages, its cookies and tokens among the secrets."""
        for line in answer.headers.getlist("Set-Cookie"):
            self.cookies.append(line)
            value = line.partition("=")[2].partition(";")[0]
            if len(value) > 20:
                self.marked.add("cookie", value)
        self.marked.add("csrf token", *re.findall(r'name="csrf_token" value="([^"]+)"', answer.text) or ["-" * 40])
        headers = [f"{name}: {value}" for name, value in answer.headers if name != "Set-Cookie"]
        self.pages.append("\n".join([answer.status, *headers, answer.text]))
        return answer

    def post(self, browser: Any, path: str, **fields: str) -> Any:
        return self.see(browser.post(path, **fields))

    def get(self, browser: Any, path: str, **options: Any) -> Any:
        return self.see(browser.get(path, **options))

    def pins(self) -> None:
        for text in self.portal.phone.texts:
            self.marked.add("pin", *re.findall(r"^[0-9]{6,8}$", text.body, re.MULTILINE) or ["-" * 9])
        for mail in self.portal.mailbox.mails:
            self.marked.add("pin", *re.findall(r"^[0-9]{6,8}$", mail.text, re.MULTILINE) or ["-" * 9])

    def all_of_it(self, metrics_token: str, refusal: Any) -> None:
        portal, marked = self.portal, self.marked
        phone = marked.add("contact", "+4917055501234")
        email = marked.add("contact", "marked.jane@mailhost.example.org")
        user_id = marked.add("user id", "marked-jane")
        password = self._secret("password")
        jane = portal.add(user_id, phone=phone, email=email, password=password)
        seed: bytes = portal.seeds[user_id]
        marked.add("seed", seed.hex(), base64.b32encode(seed).decode().rstrip("="), base64.b64encode(seed).decode())

        self.sign_in(user_id, self._secret("password"), self._secret("password"), password)
        self.recover(user_id, phone, email, refusal)
        portal.lock(jane)
        self.unlock(user_id, phone)
        self.stray(metrics_token)
        self.undo(user_id, phone)
        self.pins()

    def sign_in(self, user_id: str, *passwords: str) -> None:
        browser = self.portal.browser()
        self.get(browser, "/sign-in")
        self.post(browser, "/sign-in", user_id=user_id)
        self.get(browser, "/sign-in/password")
        for password in (*passwords[:1], *passwords):
            self.post(browser, "/sign-in/password", password=password)
        self.get(browser, "/sign-in/verify")

    def recover(self, user_id: str, phone: str, email: str, refusal: Any) -> None:
        portal, marked = self.portal, self.marked
        browser = portal.browser()
        self.get(browser, f"/recovery?user_id={quote(self._secret('query'))}")
        self.post(browser, "/recovery", user_id=user_id)
        self.get(browser, "/recovery/token")
        for code in (portal.wrong_code(user_id), portal.code(user_id, -5), portal.code(user_id), portal.code(user_id)):
            self.post(browser, "/recovery/token", code=marked.add("code", code))
        self.get(browser, "/recovery/pin")
        portal.phone.plan(refusal)
        portal.deliver()
        self.get(browser, "/recovery/pin/status")
        portal.mailbox.plan("RCPT", f"450 4.2.1 <{email}> is busy, try later")
        self.post(browser, "/recovery/pin/send", channel="email")
        self.post(browser, "/recovery/pin/send", channel="email")
        portal.deliver()
        self.clock.advance(130)
        portal.deliver()
        assert self.post(browser, "/recovery/pin/send", channel="sms").status_code == 303
        portal.deliver()
        self.get(browser, "/recovery/pin")
        self.post(browser, "/recovery/pin", pin=marked.add("pin", "91827364"))
        self.post(browser, "/recovery/pin", pin="12")
        self.post(browser, "/recovery/pin", pin=portal.last_pin(phone))
        self.get(browser, "/recovery/password")
        new = self._secret("password")
        self.post(browser, "/recovery/password", new_password=new, confirm_password=self._secret("password"))
        self.post(browser, "/recovery/password", new_password=marked.add("password", "marked7"), confirm_password="x")
        self.post(browser, "/recovery/password", new_password=new, confirm_password=new)
        assert self.get(browser, "/recovery/done").status_code == 200
        portal.deliver()
        self.clock.advance(86_400)
        self.sign_in(user_id, new)
        browser.environ["HTTP_ACCEPT_LANGUAGE"] = "de"
        self.get(browser, "/recovery/pin")

    def unlock(self, user_id: str, phone: str) -> None:
        browser = self.portal.browser()
        browser.recover_to_password(self.portal, user_id, phone)
        assert self.post(browser, "/recovery/unlock").status_code == 303
        self.get(browser, "/recovery/done")
        self.portal.deliver()

    def undo(self, user_id: str, phone: str) -> None:
        """The link of the newest notice that has one, to its end."""
        portal, browser = self.portal, self.portal.browser()
        tokens = [token for text in portal.phone.to(phone) for token in re.findall(r"/undo/(\S+)", text.body)]
        path = f"/undo/{self.marked.add('undo link', *reversed(tokens))}"
        self.get(browser, path)
        assert self.post(browser, path).status_code == 303
        self.get(browser, "/undo/choose")
        code = self.marked.add("code", portal.code(user_id, 1))
        assert self.post(browser, "/undo/choose", code=code).status_code == 303
        self.get(browser, "/undo/decide")
        assert self.post(browser, "/undo/decide", decision="keep").status_code == 303
        self.get(browser, "/undo/done")
        self.post(browser, path)
        portal.deliver()

    def stray(self, metrics_token: str) -> None:
        """What goes wrong, and what nobody should do."""
        portal = self.portal
        browser = portal.browser()
        self.get(browser, "/sign-in")
        stray = self._secret("typed as a user id")
        self.post(browser, "/sign-in", user_id=stray)
        self.post(browser, "/sign-in/password", password=self._secret("password"))
        self.post(browser, "/recovery", user_id=stray)
        self.get(browser, "/recovery/token")
        for number in range(7):
            self.post(browser, "/recovery/token", code=self.marked.add("code", f"70707{number}"))
        self.post(browser, "/recovery/password", new_password=self._secret("password"))
        self.see(browser.post("/recovery", token=False, csrf_token=self._secret("csrf token"), user_id="x"))
        self.post(browser, "/sign-in/password", password=self._secret("password") * 100)
        self.post(browser, "/sign-in/password", password="x" * 70_000)
        self.get(browser, f"/undo/{quote(self._secret('path'))}")
        self.get(browser, f"/no/such/page/{quote(self._secret('path'))}")
        self.get(browser, f"/sign-in?password={quote(self._secret('password'))}")
        self.get(browser, "/metrics", headers={"Authorization": f"Bearer {self._secret('setting')}"})
        self.get(browser, "/recovery", headers={"Authorization": f"Basic {self._secret('password')}"})
        self.get(browser, "/recovery", headers={"Referer": f"http://localhost/undo/{quote(self._secret('path'))}"})
        self.get(browser, "/fails")
        self.get(browser, "/breaks")
        self.get(browser, "/healthz")
        page = browser.get("/metrics", headers={"Authorization": f"Bearer {metrics_token}"})
        assert page.status_code == 200
        self.metrics = page.text

    def representations(self, keyring: Any) -> str:
        """What a careless log line or an assertion would show of the things that hold secrets."""
        portal = self.portal
        self.clock.advance(86_400)
        browser = portal.browser()
        browser.recover_to_pin(portal, "marked-jane")
        cookie = self.marked.add("cookie", browser.cookie("keyturn-recovery"))
        from app.factors.password import store as passwords
        from app.factors.pin.model import Pin
        from app.factors.totp import store as totp
        from app.records.people import store as people

        held = portal.means.flows.load(cookie, "recovery")
        with portal.base.database.read() as looking:
            person = people.find(looking, "marked-jane")
            assert person is not None
            things: list[object] = [
                *people.contacts_of(looking, person.id),
                passwords.find(looking, person.id),
                *passwords.remembered(looking, person.id),
                *totp.of_person(looking, person.id),
            ]
        things += [
            portal.base,
            portal.base.settings,
            portal.means,
            portal.web,
            portal.worker,
            keyring,
            *keyring._keys.values(),
            held.flow,
            Pin.from_notes(held.flow.notes["pin"]),
            portal.means.passwords.first(self._secret("password")),
            vars(keyring),
        ]
        # the User ID is no secret here: whose a thing is may be said
        return "\n".join(map(repr, things)).replace("marked-jane", "")

    def collect_hashes(self) -> None:
        with sqlite3.connect(self.portal.base.database.url.database) as connection:
            for row in connection.execute("SELECT hash, history_salt FROM passwords"):
                self.marked.add("hash", *(value for value in row if value))
            for row in connection.execute("SELECT digest FROM password_history"):
                self.marked.add("hash", *row)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
