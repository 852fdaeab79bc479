"""A store that is away, full, silent or wiped: a clear 503, and never a limit that is weaker for it.

PyPI's limiter lets everything through on any RedisError; Vaultwarden (CVE-2026-27801) forgot what it had counted.
"""

import sqlite3
import threading
import time

import psycopg
import pytest
import redis
from psycopg import sql

from app.foundation.refusals import StoreAway
from tests import services
from tests.conftest import found
from tests.journeys import behind
from tests.portal import NEW_PASSWORD, PASSWORD, opened

PHONE = "+491700000001"
EMAIL = "jane@example.org"
TOKEN, PIN, SEND, NEW, UNLOCK = (
    "/recovery/token",
    "/recovery/pin",
    "/recovery/pin/send",
    "/recovery/password",
    "/recovery/unlock",
)


@pytest.fixture(scope="module", params=["valkey", "redis"])
def store(request):
    """A store of this module's own, to be killed."""
    server = services.RedisServer(found({"valkey": services.find_valkey, "redis": services.find_redis}[request.param]))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def portal(store, sqlite_database, clock, keyring):
    store.flush()
    with opened(sqlite_database, store.url, clock, keyring) as portal:
        portal.lock(portal.add("jane", phone=PHONE, email=EMAIL))
        yield portal


@pytest.fixture
def visitors(portal):
    """A browser in each step, and the form that is due there with everything right."""
    return in_each_step(portal)


def in_each_step(portal):
    clock = portal.base.clock
    clock.advance(30)  # the lock's wait is over
    signing, token, pin, new, unlock = (portal.browser(REMOTE_ADDR=f"192.0.2.{n}") for n in range(5))
    new.recover_to_password(portal, "jane", PHONE)
    clock.advance(30)
    unlock.recover_to_password(portal, "jane", PHONE)
    clock.advance(30)
    pin.recover_to_pin(portal, "jane")
    portal.deliver()
    clock.advance(30)
    token.recover_to_token("jane")
    signing.get("/sign-in")
    signing.post("/sign-in", user_id="jane")
    signing.get("/sign-in/password")
    return {
        "/sign-in/password": (signing, {"password": PASSWORD}),
        TOKEN: (token, {"code": portal.code("jane")}),
        PIN: (pin, {"pin": behind.pins_by_sms(portal, PHONE)[-1]}),
        SEND: (pin, {"channel": "email"}),
        NEW: (new, {"new_password": NEW_PASSWORD, "confirm_password": NEW_PASSWORD}),
        UNLOCK: (unlock, {}),
    }


def post(visitors, path):
    browser, fields = visitors[path]
    held = browser.page
    answer = browser.post(path, **fields)
    browser.page = held
    return answer


def is_clear(answer):
    """503, when to come again, and a page that says so."""
    assert answer.status_code == 503, answer.text
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert answer.headers["Cache-Control"] == "no-store"
    if answer.mimetype == "text/html":
        assert "We are back in a moment" in answer.text
        assert "Traceback" not in answer.text
    return True


def everything_says_503(portal, visitors, pages=(PIN, SEND, NEW, UNLOCK, TOKEN, "/sign-in/password")):
    nobody = portal.browser()
    assert is_clear(nobody.post("/recovery", user_id="jane"))
    assert is_clear(nobody.post("/sign-in", user_id="jane"))
    for path, (browser, _) in visitors.items():
        assert is_clear(post(visitors, path)), path
        if path in pages:
            held = browser.page
            assert is_clear(browser.get(path)), path
            browser.page = held
    answer = visitors[PIN][0].get("/recovery/pin/status")
    assert is_clear(answer)
    assert answer.mimetype == "application/json"


def what_needs_no_store_is_there(portal):
    browser = portal.browser(REMOTE_ADDR="127.0.0.1")
    for path in ("/", "/healthz", "/sign-in", "/recovery", "/recovery/other-ways"):
        took = []
        for _ in range(3):  # a look for the store takes its second each time, another's work on this machine does not
            begun = time.monotonic()
            assert browser.get(path).status_code in {200, 303}, path
            took.append(time.monotonic() - begun)
            if took[-1] < 0.5:
                break
        assert min(took) < 0.5, path
    ready = browser.get("/readyz")
    assert (ready.status_code, ready.headers["Retry-After"]) == (503, "5")
    return ready.json["away"]


# ---- the ephemeral store


def test_while_the_ephemeral_store_is_dead_every_step_says_503_and_nothing_is_done(store, portal, visitors):
    before, hashed = behind.tables(portal), portal.base.hasher.done
    store.kill()
    try:
        everything_says_503(portal, visitors)
        assert what_needs_no_store_is_there(portal) == ["ephemeral store"]
        assert behind.tables(portal) == before
        assert portal.base.hasher.done == hashed
    finally:
        store.start()
    # it comes back empty: flows are lost and say so, and nobody has to restart the portal
    for path in visitors:
        answer = post(visitors, path)
        assert answer.status_code == 409, path
        assert 'href="/recovery"' in answer.text or 'href="/sign-in"' in answer.text
    portal.base.clock.advance(30)
    browser = portal.browser()
    browser.recover_to_token("jane")
    assert browser.post(TOKEN, code=portal.code("jane")).status_code == 303


def test_a_full_store_refuses_and_lets_nobody_through_uncounted(store, portal, visitors):
    """With ``noeviction`` a full store reads and does not write: no flow may go on without being counted."""
    before = behind.tables(portal)
    with redis.Redis.from_url(store.url) as client:
        client.config_set("maxmemory", "1")
        try:
            assert is_clear(portal.browser().post("/recovery", user_id="jane"))
            for path in visitors:
                assert is_clear(post(visitors, path)), path
            assert visitors[PIN][0].get(PIN).status_code == 200
            assert behind.tables(portal) == before
        finally:
            client.config_set("maxmemory", "0")
    for path in (TOKEN, PIN, NEW):
        assert post(visitors, path).status_code == 303, path


def test_a_store_that_no_longer_answers_costs_a_second_and_not_more(store, portal, visitors):
    store.pause()
    try:
        begun = time.monotonic()
        assert is_clear(post(visitors, TOKEN))
        assert time.monotonic() - begun < 10  # without a limit it would be for ever
        assert portal.browser(REMOTE_ADDR="127.0.0.1").get("/healthz").status_code == 200
    finally:
        store.resume()
    assert post(visitors, PIN).status_code == 303


@pytest.mark.parametrize("how", ["flushed", "killed"])
def test_a_wiped_store_gives_nobody_a_try_back(store, portal, how):
    """The counters are in SQL (security rule 3, requirement R-12)."""

    def wipe():
        if how == "flushed":
            store.flush()
        else:
            store.kill()
            store.start()

    def at(path, number):
        browser = portal.browser(REMOTE_ADDR=f"203.0.113.{number}")
        if path == TOKEN:
            browser.recover_to_token("jane")
        else:
            browser.post("/sign-in", user_id="jane")
        return browser

    portal.base.clock.advance(30)
    for number in range(5):
        wipe()
        assert at(TOKEN, number).post(TOKEN, code=portal.wrong_code("jane")).status_code == 422
    wipe()
    answer = at(TOKEN, 9).post(TOKEN, code=portal.code("jane"))
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "30")
    # jane's five failed sign-ins are behind her; the sixth is judged, and the next has to wait longer
    assert at("/sign-in", 10).post("/sign-in/password", password="a wrong guess").status_code == 422
    wipe()
    answer = at("/sign-in", 11).post("/sign-in/password", password=PASSWORD)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "60")


def test_a_wiped_store_gives_no_pin_another_try_and_a_flow_put_back_with_fresh_tries_neither(store, portal):
    portal.base.clock.advance(30)
    browser = portal.browser()
    browser.recover_to_pin(portal, "jane")
    portal.deliver()
    pin = behind.pins_by_sms(portal, PHONE)[-1]
    key = behind.flow_key(browser.cookie(behind.RECOVERY))
    raw = portal.base.ephemeral.get(key)
    for _ in range(5):
        assert browser.post(PIN, pin="000000").status_code in {422, 409}
    store.flush()
    portal.base.ephemeral.put(key, raw, 1_800)
    answer = browser.post(PIN, pin=pin)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "30")


def test_a_wiped_store_lets_no_code_in_twice(store, portal):
    portal.base.clock.advance(30)
    code = portal.code("jane")
    for expected in (303, 422):
        browser = portal.browser()
        browser.recover_to_token("jane")
        assert browser.post(TOKEN, code=code).status_code == expected
        store.flush()


def test_a_new_password_stands_although_the_store_died_before_the_last_page(store, portal, visitors):
    """What counts is committed; only the page that tells of it is lost."""
    browser, fields = visitors[NEW]
    answers = []
    writer = threading.Event()

    def once_it_is_hashed():
        # the hasher works with neither a transaction nor the store: the moment to pull the plug
        while portal.base.hasher.done == hashed:
            time.sleep(0.0005)
        store.kill()
        writer.set()

    hashed = portal.base.hasher.done
    thread = threading.Thread(target=once_it_is_hashed)
    thread.start()
    try:
        answers.append(browser.post(NEW, **fields))
        thread.join()
        assert writer.is_set()
    finally:
        store.start()
    assert answers[0].status_code in {303, 503}
    assert behind.signs_in(portal, "jane", NEW_PASSWORD)
    portal.deliver()
    assert len(portal.mailbox.to(EMAIL)) == 1


# ---- the database


def test_while_the_database_is_locked_what_writes_says_503_and_what_looks_goes_on(one_portal):
    one_portal.lock(one_portal.add("jane", phone=PHONE, email=EMAIL))
    visitors = in_each_step(one_portal)
    before = behind.tables(one_portal)
    writer = sqlite3.connect(one_portal.base.database.url.database or "", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    answers = {}

    def ask(path):
        answers[path] = post(visitors, path)

    try:
        waiting = [path for path in visitors if path != SEND]
        threads = [threading.Thread(target=ask, args=(path,)) for path in waiting]
        begun = time.monotonic()
        for thread in threads:
            thread.start()
        # readers are not held up by a writer
        browser = one_portal.browser(REMOTE_ADDR="127.0.0.1")
        for path in ("/healthz", "/readyz", "/sign-in", "/recovery"):
            assert browser.get(path).status_code == 200, path
        assert visitors[PIN][0].client.get(PIN).status_code == 200
        for thread in threads:
            thread.join()
        assert time.monotonic() - begun < 40
    finally:
        writer.execute("ROLLBACK")
        writer.close()
    assert len(answers) == len(waiting)
    assert all(is_clear(answer) for answer in answers.values())
    assert behind.tables(one_portal) == before
    for path in (TOKEN, PIN, NEW):
        assert post(visitors, path).status_code == 303, path


@pytest.fixture
def on_postgresql(postgresql_database, valkey_url, clock, keyring):
    with opened(postgresql_database, valkey_url, clock, keyring) as portal:
        portal.lock(portal.add("jane", phone=PHONE, email=EMAIL))
        yield portal


def test_while_the_database_is_away_every_step_says_503_and_afterwards_all_goes_on(on_postgresql, postgresql):
    portal = on_postgresql
    visitors = in_each_step(portal)
    before = behind.tables(portal)
    name = portal.base.database.url.database

    def admit(yes):
        with psycopg.connect(host=str(postgresql._dir), user="app", dbname="postgres", autocommit=True) as admin:
            words = sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS {}")
            admin.execute(words.format(sql.Identifier(name), sql.SQL("true" if yes else "false")))
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])

    admit(False)
    try:
        everything_says_503(portal, visitors, pages=(PIN, NEW))
        assert what_needs_no_store_is_there(portal) == ["database"]
        with pytest.raises(StoreAway):
            portal.deliver()
    finally:
        admit(True)
    assert behind.tables(portal) == before
    # flows are where they were, and no try was counted: whoever comes back goes on
    for path in (TOKEN, PIN, NEW):
        assert post(visitors, path).status_code == 303, path
    assert behind.signs_in(portal, "jane", NEW_PASSWORD)
    portal.deliver()
    assert len(portal.mailbox.to(EMAIL)) == 1
