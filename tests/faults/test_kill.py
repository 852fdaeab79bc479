"""Kill -9 at each step: afterwards everything of a change is there, or nothing, and no notice of it is lost.

What a visitor was told is kept in a ledger outside the process that dies.
"""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from psycopg import sql

from app.factors.totp.rules import hotp, step_at
from app.factors.totp.service import from_base32
from app.foundation.ephemeral import Ephemeral
from app.foundation.sql import Database, metadata
from app.records.people.store import people
from tests.faults.dying import NEVER, Mortals, mortals
from tests.journeys import behind
from tests.journeys.behind import RECOVERY
from tests.portal import NEW_PASSWORD, PASSWORD, opened, sharing
from tests.services import PostgreSQL

PHONE = "+491700000001"
EMAIL = "jane@example.org"
TOKEN, PIN, NEW, UNLOCK = "/recovery/token", "/recovery/pin", "/recovery/password", "/recovery/unlock"
LEASE = 61  # seconds after which what a dead sender had claimed is another's


class Copies:
    """A database in a certain state, and fresh copies of it, one at a time."""

    def __init__(self, url: str, directory: Path, server: PostgreSQL | None) -> None:
        self._url, self._directory, self._server = url, directory, server
        self._count = 0
        self._last = ""
        self._state = _state(server, url) if server else None

    def fresh(self) -> str:
        """The URL of another copy; the one before is no longer needed. Nobody may be connected to the original."""
        self._count += 1
        if self._server is None or self._state is None:
            path = self._directory / f"copy{self._count}.sqlite"
            shutil.copyfile(self._url.removeprefix("sqlite:///"), path)
            return f"sqlite:///{path}"
        if self._last:
            self._server.give_back(self._last)
        self._last = self._server.fresh()
        with self._server.connect(self._last) as connection, connection.cursor() as cursor:
            for name, content in self._state.tables.items():
                with cursor.copy(sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(name))) as into:
                    into.write(content)
            for name, value, is_called in self._state.counters:
                cursor.execute("SELECT setval(%s, %s, %s)", [name, value, is_called])
        return self._last


@dataclass(frozen=True, slots=True)
class _State:
    """All that is in a database: a copy of PostgreSQL's own would cost three hundred files for each step."""

    tables: dict[str, bytes]
    counters: list[tuple[str, int, bool]]


def _state(server: PostgreSQL, url: str) -> _State:
    tables, counters = {}, []
    with server.connect(url) as connection, connection.cursor() as cursor:
        for table in metadata.sorted_tables:
            with cursor.copy(sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(table.name))) as out:
                tables[table.name] = b"".join(map(bytes, out))
        for (name,) in cursor.execute("SELECT sequencename FROM pg_sequences").fetchall():
            cursor.execute(sql.SQL("SELECT last_value, is_called FROM {}").format(sql.Identifier(name)))
            counters.append((name, *(cursor.fetchone() or ())))
    return _State(tables, counters)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mortals]:
    with mortals(tmp_path_factory.mktemp("dying")) as running:
        yield running


# a change must be whole on both; the steps before it are the same for both, and copies cost time
only_sqlite = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request):
    return request.param


@pytest.fixture
def fresh_database(kind, request):
    """A function that gives the URL of a database with every table."""
    if kind == "sqlite":
        return f"sqlite:///{request.getfixturevalue('tmp_path') / 'original.sqlite'}", None
    server = request.getfixturevalue("postgresql")
    return server.fresh(), server


def keys_of(keyring):
    return [[name, keyring._keys[name].material.hex()] for name in keyring.names]


class Scene:
    """A recovery brought to a step, or somebody signed in, to be carried on again and again from there."""

    def __init__(self, portal, browser, url, server, store_url, directory, keyring):
        self.person_id = None
        self.pin = self.code = self.other = ""
        self.now = portal.base.clock.now()
        self.seeds = dict(portal.seeds)
        self.cookies = {name: held.value for (_, _, name), held in browser.client._cookies.items()}
        self.token = browser.token()
        self.key = behind.flow_key(self.cookies[RECOVERY]) if RECOVERY in self.cookies else ""
        self.raw = portal.base.ephemeral.get(self.key) if self.key else b""
        self.store_url, self.keyring = store_url, keyring
        if server is None:
            with portal.base.database.read() as looking:  # all of it into the one file that is copied
                looking.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        portal.base.database.close()
        self.copies = Copies(url, directory, server)

    def browser(self, portal):
        """The visitor's browser, back at a portal that was started anew."""
        browser = portal.browser()
        for name, value in self.cookies.items():
            browser.client.set_cookie(name, value)
        return browser

    def order(self, database_url, path, fields, **settings):
        """The request as the visitor sends it, on a fresh copy of everything."""
        store = Ephemeral(self.store_url)
        store._redis.flushall()
        if self.key:
            store.put(self.key, self.raw, 3_600)
        store.close()
        return {
            "settings": {"database_url": database_url, **settings},
            "store_url": self.store_url,
            "keys": keys_of(self.keyring),
            "now": self.now,
            "cookies": self.cookies,
            "posts": [[path, {"csrf_token": self.token, **fields}]] if path else [],
        }


@pytest.fixture
def scene(fresh_database, sqlite_template, valkey_url, clock, keyring, tmp_path):
    """A function that brings a recovery of Jane, who is locked out, to a step."""
    url, server = fresh_database
    if server is None:
        shutil.copyfile(sqlite_template, url.removeprefix("sqlite:///"))

    def bring(to):
        database = Database(url)
        with opened(database, valkey_url, clock, keyring) as portal:
            person = portal.add("jane", phone=PHONE, email=EMAIL)
            assert behind.signs_in(portal, "jane", PASSWORD)  # her password is in the history from then on
            portal.lock(person)
            browser = portal.browser()
            {
                TOKEN: lambda: browser.recover_to_token("jane"),
                PIN: lambda: browser.recover_to_pin(portal, "jane"),
                NEW: lambda: browser.recover_to_password(portal, "jane", PHONE),
            }[to]()
            portal.deliver()
            made = Scene(portal, browser, url, server, valkey_url, tmp_path, keyring)
            made.person_id = person.id
            made.pin = behind.pins_by_sms(portal, PHONE)[-1] if to == PIN else ""
        database.close()
        return made

    return bring


def rows(url):
    """Every row of every table of a database that nobody else has open."""
    database = sharing(Database(url))

    class Only:
        class base:  # noqa: N801
            pass

    Only.base.database = database  # type: ignore[attr-defined]
    try:
        return behind.tables(Only)  # type: ignore[arg-type]
    finally:
        database.close()


def changes_of(before, after, person_id):
    """Which consequences of a finished recovery are there (architecture.md, rule 4)."""
    new_events = [row for row in after["audit_events"] if row not in before["audit_events"]]
    new_messages = [row for row in after["outbox"] if row not in before["outbox"]]
    locked = json.loads(next(r for r in after["attempts"] if r[0] == str(person_id) and r[1] == "password")[2])
    return {
        "hash": before["passwords"] != after["passwords"],
        "history": before["password_history"] != after["password_history"],
        "stamp": before["people"] != after["people"],
        "grant": before["recovery_grants"] != after["recovery_grants"],
        "audit": any("authn_password_change" in row or "authn_login_unlock" in row for row in new_events),
        "notices": len(new_messages) == 2,
        "unlocked": "consecutive" not in locked,
    }


ALL_OF_A_PASSWORD = {"hash", "history", "stamp", "grant", "audit", "notices", "unlocked"}
ALL_OF_AN_UNLOCKING = {"grant", "audit", "notices", "unlocked"}


@pytest.mark.parametrize(
    ("path", "fields", "all_of_it"),
    [
        (NEW, {"new_password": NEW_PASSWORD, "confirm_password": NEW_PASSWORD}, ALL_OF_A_PASSWORD),
        (UNLOCK, {}, ALL_OF_AN_UNLOCKING),
    ],
    ids=["password", "unlock"],
)
def test_killed_while_finishing_everything_of_the_change_is_there_or_nothing(
    house, scene, kind, path, fields, all_of_it, clock, keyring, valkey_url
):
    at = scene(NEW)
    before = rows(at.copies.fresh())
    nothing = everything = 0
    for step in range(1, NEVER):
        url = at.copies.fresh()
        death = house.run(at.order(url, path, fields), die_at=step)
        after = rows(url)
        there = {name for name, done in changes_of(before, after, at.person_id).items() if done}
        assert there in (set(), all_of_it), f"killed before step {step}: only {there}"
        if not death.killed:
            assert [(told["status"], told["location"]) for told in death.ledger] == [(303, "/recovery/done")]
            assert there == all_of_it
            break
        assert death.ledger == []  # nobody was told of anything that is not there
        first_of_either = (nothing == 0 and not there) or (everything == 0 and bool(there))
        nothing, everything = nothing + (not there), everything + bool(there)
        if first_of_either:
            restart(at, url, path, fields, there, clock, keyring, valkey_url)
    assert nothing > 5
    assert everything >= 1  # killed after the commit and before the answer


def restart(at, url, path, fields, there, clock, keyring, valkey_url):
    """The process comes back: the visitor tries once more, and the worker sends what is owed."""
    database = Database(url)
    with opened(database, valkey_url, clock, keyring) as portal:
        browser = at.browser(portal)
        answer = browser.client.post(path, data={"csrf_token": at.token, **fields})
        assert answer.status_code == (409 if there else 303)
        assert behind.signs_in(portal, "jane", NEW_PASSWORD if path == NEW else PASSWORD)
        portal.deliver()
        assert len(portal.phone.to(PHONE)) == 1
        assert len(portal.mailbox.to(EMAIL)) == 1
        changed = behind.happened(portal, at.person_id, "authn_password_change")
        assert changed + behind.happened(portal, at.person_id, "authn_login_unlock") == 1
        assert behind.lands_on(browser, NEW) == ("/sign-in" if there else "/recovery/done")
    database.close()


# ---- changes by somebody signed in

HOME, CHANGE, ADD = "/authenticators", "/authenticators/password", "/authenticators/app/new"
SESSION = "keyturn-session"
STAMP = list(people.c).index(people.c.stamp)
TYPED = {
    "current_password": PASSWORD,
    "new_password": NEW_PASSWORD,
    "confirm_password": NEW_PASSWORD,
    "everywhere": "yes",
}
ALL_OF_A_CHANGE = {"hash", "history", "stamp", "sessions", "audit", "notices"}
ALL_OF_AN_APP = {"app", "audit", "notices"}


@pytest.fixture
def signed_in(fresh_database, sqlite_template, valkey_url, clock, keyring, tmp_path):
    """A function that signs Jane in twice and takes one of the browsers to a page of a change."""
    url, server = fresh_database
    if server is None:
        shutil.copyfile(sqlite_template, url.removeprefix("sqlite:///"))

    def bring(page):
        database = Database(url)
        with opened(database, valkey_url, clock, keyring) as portal:
            person = portal.add("jane", phone=PHONE, email=EMAIL)
            other, browser = portal.browser(), portal.browser()
            other.sign_in(portal, "jane")
            clock.advance(30)
            browser.sign_in(portal, "jane")
            shown = browser.get(page).text
            made = Scene(portal, browser, url, server, valkey_url, tmp_path, keyring)
            made.person_id = person.id
            made.other = other.cookie(SESSION) or ""
            key = re.search(r'data-totp-key="([A-Z2-7 ]+)"', shown)
            made.code = hotp(from_base32(key[1]), step_at(made.now)) if key else ""
        database.close()
        return made

    return bring


def changed_between(before, after):
    """Which consequences of a change by somebody signed in are there."""
    new_events = [row for row in after["audit_events"] if row not in before["audit_events"]]
    new_messages = [row for row in after["outbox"] if row not in before["outbox"]]
    [person] = after["people"]
    told = {
        "hash": before["passwords"] != after["passwords"],
        "history": before["password_history"] != after["password_history"],
        "stamp": before["people"] != after["people"],
        "sessions": before["sessions"] != after["sessions"],
        "app": before["totp_apps"] != after["totp_apps"],
        "audit": any("authn_password_change" in row or "authn_app_add" in row for row in new_events),
        "notices": len(new_messages) == 2,
    }
    assert all(person[STAMP] in row for row in after["sessions"]), "a session of an earlier password is kept"
    return {name for name, done in told.items() if done}


@pytest.mark.parametrize(
    ("page", "fields", "all_of_it"),
    [
        (CHANGE, TYPED, ALL_OF_A_CHANGE),
        (ADD, {"label": "New phone"}, ALL_OF_AN_APP),
    ],
    ids=["password", "app"],
)
def test_killed_while_somebody_signed_in_changes_something_all_of_it_is_there_or_nothing(
    house, signed_in, kind, page, fields, all_of_it, clock, keyring, valkey_url
):
    at = signed_in(page)
    if page == ADD:
        fields = {**fields, "code": at.code}
    before = rows(at.copies.fresh())
    assert len(before["sessions"]) == 2
    nothing = everything = 0
    for step in range(1, NEVER):
        url = at.copies.fresh()
        death = house.run(at.order(url, page, fields), die_at=step)
        after = rows(url)
        there = changed_between(before, after)
        assert there in (set(), all_of_it), f"killed before step {step}: only {there}"
        assert len(after["sessions"]) == (1 if there and page == CHANGE else 2)
        if not death.killed:
            assert [told["status"] for told in death.ledger] == [303]
            assert there == all_of_it
            break
        assert death.ledger == []  # nobody was told of anything that is not there
        first_of_either = (nothing == 0 and not there) or (everything == 0 and bool(there))
        nothing, everything = nothing + (not there), everything + bool(there)
        if first_of_either:
            come_back(at, url, page, fields, there, clock, keyring, valkey_url)
    assert nothing > 5
    assert everything >= 1  # killed after the commit and before the answer


def come_back(at, url, page, fields, there, clock, keyring, valkey_url):
    """The process comes back: who is signed in, what a second press does, and what the worker sends."""
    database = Database(url)
    with opened(database, valkey_url, clock, keyring) as portal:
        browser, other = at.browser(portal), portal.browser()
        other.client.set_cookie(SESSION, at.other)
        assert browser.get(HOME).status_code == 200
        assert other.get(HOME).status_code == (303 if there and page == CHANGE else 200)
        answer = browser.client.post(page, data={"csrf_token": at.token, **fields})
        late = 422 if page == CHANGE else 409  # the password is another by now; the key is bound
        assert answer.status_code == (late if there else 303), answer.text
        assert browser.get(HOME).status_code == 200
        assert other.get(HOME).status_code == (303 if page == CHANGE else 200)
        assert behind.signs_in(portal, "jane", NEW_PASSWORD if page == CHANGE else PASSWORD)
        portal.deliver()
        assert len(portal.phone.to(PHONE)) == 1
        assert len(portal.mailbox.to(EMAIL)) == 1
        assert len(behind.tables(portal)["totp_apps"]) == (2 if page == ADD else 1)
        changed = behind.happened(portal, at.person_id, "authn_password_change")
        assert changed + behind.happened(portal, at.person_id, "authn_app_add") == 1
    database.close()


# ---- proofs


def known_by_now(tables, person_id, raw):
    """What is left of a killed request: what SQL says, and where the flow stands."""
    flow = json.loads(raw)
    successes = [row for row in tables["audit_events"] if "authn_token_success" in row]
    tries = [row[1:] for row in tables["attempts"] if row[0] == str(person_id)]
    return {
        "accepted": len(successes),
        "pins": len(tables["outbox"]),
        "grants": len(tables["recovery_grants"]),
        "moved": bool(flow.get("moved")),
        "pin_tries": flow.get("notes", {}).get("pin_tries", 0),
        "counted": repr(sorted(tries)),
    }


@only_sqlite
def test_killed_while_a_pin_is_judged_the_try_stays_counted_and_the_same_pin_leads_on(
    house, scene, clock, keyring, valkey_url, kind
):
    at = scene(PIN)
    seen = set()
    for step in range(1, NEVER):
        url = at.copies.fresh()
        death = house.run(at.order(url, PIN, {"pin": at.pin}), die_at=step)
        store = Ephemeral(valkey_url)
        left = known_by_now(rows(url), at.person_id, store.get(at.key))
        store.close()
        assert not left["moved"] or left["grants"] == 1  # the flow never goes on without its grant
        assert left["moved"] or left["pin_tries"] == 1  # counted before anything was looked at
        if not death.killed:
            assert death.ledger[0]["location"] == NEW
            assert left["moved"]
            break
        assert death.ledger == []
        if repr(left) in seen or left["moved"]:
            continue
        seen.add(repr(left))
        database = Database(url)
        with opened(database, valkey_url, clock, keyring) as portal:
            answer = at.browser(portal).client.post(PIN, data={"csrf_token": at.token, "pin": at.pin})
            assert answer.location == NEW
            assert len(behind.tables(portal)["recovery_grants"]) == 1
        database.close()
    assert len(seen) >= 3  # before the try was counted in SQL, after it, and after the grant


@only_sqlite
def test_killed_while_a_code_is_judged_it_is_never_good_twice_and_the_next_one_is(
    house, scene, clock, keyring, valkey_url, kind
):
    at = scene(TOKEN)
    code, following = (hotp(at.seeds["jane"], step_at(at.now) + offset) for offset in (0, 1))
    seen = set()
    for step in range(1, NEVER):
        url = at.copies.fresh()
        death = house.run(at.order(url, TOKEN, {"code": code}), die_at=step)
        store = Ephemeral(valkey_url)
        left = known_by_now(rows(url), at.person_id, store.get(at.key))
        store.close()
        assert left["pins"] == left["accepted"]  # the PIN is queued with the proof, or neither is there
        assert not left["moved"] or left["accepted"] == 1
        if not death.killed:
            assert death.ledger[0]["location"] == PIN
            break
        assert death.ledger == []
        if repr(left) in seen or left["moved"]:
            continue
        seen.add(repr(left))
        database = Database(url)
        with opened(database, valkey_url, clock, keyring) as portal:
            browser = at.browser(portal)
            again = browser.client.post(TOKEN, data={"csrf_token": at.token, "code": code})
            assert again.status_code == (422 if left["accepted"] else 303)
            if left["accepted"]:
                answer = browser.client.post(TOKEN, data={"csrf_token": at.token, "code": following})
                assert answer.location == PIN
        database.close()
    assert len(seen) >= 3  # before the try was counted, after it, and after the code was accepted


@only_sqlite
def test_killed_while_sending_no_notice_is_lost_and_no_text_is_sent_twice(
    house, scene, clock, keyring, valkey_url, kind
):
    """Security rule 17: e-mail at least once with the same Message-ID, SMS at most once."""
    at = scene(NEW)
    finished = at.copies.fresh()
    death = house.run(at.order(finished, NEW, {"new_password": NEW_PASSWORD, "confirm_password": NEW_PASSWORD}))
    assert death.ledger[0]["status"] == 303
    database = Database(finished)
    with database.read() as looking:
        looking.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    directory = Path(finished.removeprefix("sqlite:///")).with_suffix(".notices")
    directory.mkdir()
    notices = Copies(finished, directory, None)
    twice = once = 0
    for step in range(1, NEVER):
        url = notices.fresh()
        database = Database(url)
        with opened(database, valkey_url, clock, keyring) as portal:
            order = at.order(url, "", {}, smtp_url=portal.mailbox.url, twilio_api_base=portal.phone.base)
            death = house.run(order, die_at=step)
            before = len(portal.mailbox.to(EMAIL)), len(portal.phone.to(PHONE))
            now = clock.now()
            clock.advance(LEASE)
            portal.deliver()
            letters, texts = portal.mailbox.to(EMAIL), portal.phone.to(PHONE)
            assert len(letters) >= 1, f"killed before step {step}: the letter is lost"
            assert len({letter.message["Message-ID"] for letter in letters}) == 1
            assert len(texts) <= 1, f"killed before step {step}: the text was sent twice"
            states = {row["channel"]: row["state"] for row in behind.queued(portal, "notice_password_changed")}
            assert states["email"] == "sent"
            # what may have been posted is never posted again, and never said to be queued
            assert (states["sms"], len(texts)) in {("sent", 1), ("unknown", 1), ("unknown", 0)}
            twice, once = twice + (len(letters) > 1), once + (before != (0, 0))
            clock._elapsed -= clock.now() - now
        database.close()
        if not death.killed:
            break
    assert once > 3  # it was killed with something sent as well
    assert twice >= 1  # and between a letter and the note that it was sent
