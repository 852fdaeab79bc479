"""Before a proof nothing tells one person from another, or from nobody: answers, work and time (security rule 14).

R-09, A-12, C-18. Three proofs of one thing: every byte and header of every step compared; every SQL statement,
call to the store and slow hash counted, which no noise can hide; and the time taken, as a stranger would measure it.
"""

import random
import re
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import event
from werkzeug.test import TestResponse

from app.factors.password.store import passwords
from app.factors.totp import rules as totp
from app.foundation.sql import Database
from app.records.attempts import service as attempts
from app.records.attempts import store
from app.records.attempts.model import Factor
from app.records.organizations.model import DEFAULT, PRESETS, Profile
from app.records.people import store as people
from app.records.people.model import Channel, Contact, Status
from tests.hands import HandClock
from tests.journeys import behind
from tests.portal import PASSWORD, Browser, Portal, opened

PHONE = "+491700000001"
EMAIL = "jane@example.org"
# all of one length, so that nothing but what they are can make a difference
UNKNOWN = "nobody01"
FREE = (
    "known001",
    "inactive",
    "appless1",
    "lonely01",
    "several1",
    "changeit",
    "nohash01",
    "coded001",
    "waiting1",
    "frozen01",
)
LOCKED = "locked01"  # by failed sign-ins
LOCKED_UNKNOWN = "ghost001"  # by as many


CRYPTOGRAPHY = {"hmac_digest", "hmac_new", "compare_digest", "decrypt", "encrypt", "pbkdf2_hmac", "normalize"}


@dataclass
class Ledger:
    """The work that is done for a request, told by those who do it."""

    computed: Counter[str] = field(default_factory=Counter)
    statements: list[str] = field(default_factory=list)
    log: Path | None = None  # SQLite's write-ahead log
    sizes: list[int] = field(default_factory=list)  # of that log, whenever a transaction begins

    def watch(self, database: Database) -> None:
        engine = database.engine
        if database.is_sqlite:
            self.log = Path(f"{database.url.database}-wal")

        def statement(_connection: Any, _cursor: Any, text: str, *_: Any) -> None:
            # the end of a savepoint is one step whichever way it goes
            text = re.sub(r"^(RELEASE|ROLLBACK TO) SAVEPOINT \S+$", "END OF SAVEPOINT", text)
            self.statements.append(re.sub(r"\s+", " ", text))

        def step(name: str) -> Callable[..., None]:
            def note(*_: Any) -> None:
                self.statements.append(f"<{name}>")
                if name == "begin":
                    self.weigh()

            return note

        event.listen(engine, "before_cursor_execute", statement)
        for name in ("begin", "commit", "rollback"):
            event.listen(engine, name, step(name))

    def begin(self) -> None:
        self.computed.clear()
        self.statements.clear()
        self.sizes.clear()
        sys.setprofile(self._compute)

    def _compute(self, _frame: Any, happened: str, function: Any) -> None:
        if happened == "c_call" and function.__name__ in CRYPTOGRAPHY:
            self.computed[function.__name__] += 1

    def end(self) -> None:
        sys.setprofile(None)
        self.weigh()

    def weigh(self) -> None:
        if self.log is not None and self.log.exists():
            self.sizes.append(self.log.stat().st_size)

    def written(self) -> tuple[bool, ...]:
        """Which transactions had something to write to the disk: one that had not is faster by an fsync."""
        return tuple(after > before for before, after in zip(self.sizes, self.sizes[1:], strict=False))


@dataclass(frozen=True, slots=True)
class Seen:
    """What one request was answered, with whatever differs by chance taken out, and what it took."""

    step: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: str
    statements: tuple[str, ...]
    written: tuple[bool, ...]
    calls: tuple[tuple[str, int], ...]
    computed: tuple[tuple[str, int], ...]
    hashes: int


def plain(answer: TestResponse, user_id: str) -> tuple[tuple[tuple[str, str], ...], str]:
    """Headers and body with placeholders for tokens, numbers of requests, cookies' values and the typed User ID."""
    body = re.sub(r'(name="csrf_token" value=")[A-Za-z0-9._-]{60,200}"', r'\1TOKEN"', answer.text)
    body = body.replace(answer.headers["X-Request-Id"], "N" * 32).replace(user_id, "USER-ID.")
    # tokens are compressed, so the length of a page differs by chance
    assert answer.headers.get("Content-Length", str(len(answer.data))) == str(len(answer.data))
    by_chance: dict[str, Callable[[str], str]] = {
        "X-Request-Id": lambda value: re.sub(r"^[0-9a-f]{32}$", "N" * 32, value),
        "Set-Cookie": lambda value: re.sub(r"=[^;]*", lambda found: f"=({len(found[0])} characters)", value, count=1),
        "Content-Length": lambda _: "the body's",
    }
    return tuple((name, by_chance.get(name, str)(value)) for name, value in answer.headers.items()), body


class Walk:
    """The same steps by everybody, side by side at the same moment."""

    def __init__(self, portal: Portal, store_url: str, people: Sequence[str]) -> None:
        self.portal = portal
        self.people = people
        self.seen: dict[str, list[Seen]] = {user_id: [] for user_id in people}
        self._browsers: dict[str, Browser] = {}
        self._ledger = Ledger()
        self._ledger.watch(portal.base.database)
        self._client = redis.Redis.from_url(store_url)
        self._quiet = {"info", "config", "client", "hello", "select", "script"}
        self.wrong = self._wrong_code()

    def _wrong_code(self) -> str:
        """A code that is nobody's for the next three days."""
        now = totp.step_at(self.portal.base.clock.now())
        near = {totp.hotp(seed, now + step) for seed in self.portal.seeds.values() for step in range(-30, 8_700)}
        return next(code for code in (f"{n:06d}" for n in range(1_000_000)) if code not in near)

    def _calls(self) -> dict[str, int]:
        stats = self._client.info("commandstats")
        names = {name.removeprefix("cmdstat_"): counts["calls"] for name, counts in stats.items()}
        return {name: calls for name, calls in names.items() if name.partition("|")[0] not in self._quiet}

    def begin(self) -> None:
        """A new browser for each, of a network of its own."""
        if self.portal.base.database.is_sqlite:
            # else it would be done in the middle, and the log would begin anew without growing
            with self.portal.base.database.read() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        self._browsers = {
            user_id: self.portal.browser(REMOTE_ADDR=f"192.0.2.{100 + place}")
            for place, user_id in enumerate(self.people)
        }

    def step(self, name: str, act: Callable[[Browser, str], TestResponse], *, expected: int) -> None:
        """One request of each; nobody's status may be another."""
        # what holds for the installation is looked up now and then, for whoever comes first
        self.portal.browser(REMOTE_ADDR="198.51.100.2").get("/sign-in")
        for user_id, browser in self._browsers.items():
            before, hashes = self._calls(), self.portal.base.hasher.done
            self._ledger.begin()
            answer = act(browser, user_id)
            self._ledger.end()
            statements, written = tuple(self._ledger.statements), self._ledger.written()
            computed = tuple(sorted(self._ledger.computed.items()))
            calls = {key: value - before.get(key, 0) for key, value in self._calls().items()}
            made = tuple(sorted((key, value) for key, value in calls.items() if value))
            assert answer.status_code == expected, (name, user_id, answer.text)
            headers, body = plain(answer, user_id)
            hashed = self.portal.base.hasher.done - hashes
            self.seen[user_id].append(Seen(name, expected, headers, body, statements, written, made, computed, hashed))

    def get(self, path: str, *, expected: int = 200) -> None:
        self.step(f"GET {path}", lambda browser, user_id: browser.get(path.format(user_id=user_id)), expected=expected)

    def post(self, path: str, *, expected: int, **fields: Any) -> None:
        def act(browser: Browser, user_id: str) -> TestResponse:
            return browser.post(path, **{name: value.format(user_id=user_id) for name, value in fields.items()})

        self.step(f"POST {path} {expected}", act, expected=expected)

    def right_code(self, *, expected: int) -> None:
        """The code that the person's app shows now, where they have one."""
        codes = {user_id: self.portal.code(user_id) for user_id in self.people if user_id in self.portal.seeds}

        def act(browser: Browser, user_id: str) -> TestResponse:
            return browser.post("/recovery/token", code=codes.get(user_id, self.wrong))

        self.step(f"POST /recovery/token with the right code {expected}", act, expected=expected)

    def compare(self, one: str, other: str) -> None:
        """Nothing may differ."""
        assert len(self.seen[one]) == len(self.seen[other]) > 0
        for mine, theirs in zip(self.seen[one], self.seen[other], strict=True):
            assert mine == theirs, f"{one} and {other} differ at {mine.step}"

    def close(self) -> None:
        self._client.close()


@pytest.fixture
def crowd(database, valkey_url, clock, keyring) -> Iterator[Portal]:
    """Everybody whom a stranger might ask for, on each kind of database in turn."""
    with opened(database, valkey_url, clock, keyring) as portal:
        both: dict[str, Any] = {"phone": PHONE, "email": EMAIL}
        portal.add("known001", **both)
        portal.add("inactive", **both, status=Status.INACTIVE)
        portal.add("frozen01", **both, status=Status.FROZEN)
        portal.add("appless1", **both, app=False)
        portal.add("lonely01")
        several = portal.add("several1", **both)
        portal.add("changeit", **both, must_change=True)
        portal.add("nohash01", **both, password="")
        portal.add(LOCKED, **both)
        portal.add_codes(portal.add("coded001", **both))
        portal.add_codes(portal.add("waiting1", **both), usable_in=86_400)
        with portal.base.database.begin() as transaction:
            for _ in range(4):
                portal.means.apps.bind(
                    transaction,
                    person_id=several.id,
                    seed=portal.base.chance.octets(20),
                    label="Phone",
                    now=clock.now(),
                    usable_from=clock.now(),
                )
        yield portal


def walk_recovery(walk: Walk, clock: HandClock) -> None:
    """As far as one comes without a proof, and well into being blocked."""
    walk.begin()
    walk.get("/recovery?user_id={user_id}")
    walk.post("/recovery", user_id="{user_id}", expected=303)
    walk.get("/recovery/token")
    for early in ("pin", "pin/send", "password", "unlock", "done"):
        walk.get(f"/recovery/{early}", expected=303)
    walk.get("/recovery/pin/status", expected=409)
    walk.get("/recovery/other-ways")
    for path, fields in (
        ("/recovery/pin", {"pin": "123456"}),
        ("/recovery/pin/send", {"channel": "sms"}),
        ("/recovery/password", {"new_password": "x" * 20, "confirm_password": "x" * 20}),
        ("/recovery/unlock", {}),
    ):
        walk.post(path, expected=409, **fields)
    walk.get("/recovery/token")
    walk.post("/recovery/token", code="", expected=422)
    walk.post("/recovery/token", code="12345", expected=422)
    for _ in range(5):
        walk.post("/recovery/token", code=walk.wrong, expected=422)
    # blocked: right and wrong get one answer, and it says how long
    for _ in range(2):
        walk.post("/recovery/token", code=walk.wrong, expected=429)
        walk.right_code(expected=429)
    walk.get("/recovery/token")
    clock.advance(30)
    walk.post("/recovery/token", code=walk.wrong, expected=422)
    clock.advance(120)
    # the day's share of strangers is used up
    walk.post("/recovery/token", code=walk.wrong, expected=429)
    walk.right_code(expected=429)
    # a new flow gives nothing back
    walk.get("/recovery?user_id=")
    walk.post("/recovery", user_id=" {user_id} ", expected=303)
    walk.get("/recovery/token")
    walk.post("/recovery/token", code=walk.wrong, expected=429)
    clock.advance(900)
    walk.get("/recovery/token", expected=303)
    walk.post("/recovery/token", code=walk.wrong, expected=409)


def walk_saved_code(walk: Walk, clock: HandClock) -> None:
    """The page of the saved code, until blocked."""
    walk.begin()
    walk.post("/recovery", user_id="{user_id}", expected=303)
    walk.get("/recovery/code")
    for nothing in ("", "12345", "U" * 16):
        walk.post("/recovery/code", code=nothing, expected=422)
    for _ in range(5):
        walk.post("/recovery/code", code="0000-0000-0000-0000", expected=422)
    walk.post("/recovery/code", code="0" * 16, expected=429)
    walk.post("/recovery/token", code=walk.wrong, expected=429)
    clock.advance(30)
    walk.post("/recovery/code", code="0" * 16, expected=422)
    clock.advance(120)
    walk.post("/recovery/code", code="0" * 16, expected=429)


def walk_link(walk: Walk) -> None:
    """Asking for the mailed link, beyond what is mailed."""
    walk.begin()
    walk.get("/recovery/link")
    walk.post("/recovery/link", user_id="", expected=422)
    for _ in range(5):
        walk.post("/recovery/link", user_id=" {user_id} ", expected=303)
        walk.get("/recovery/link?news=asked")


def walk_sign_in(walk: Walk, clock: HandClock) -> None:
    """Wrong passwords until blocked and beyond, then on to the recovery that the sign-in page leads to."""
    walk.begin()
    walk.get("/sign-in")
    walk.post("/sign-in", user_id="{user_id}", expected=303)
    walk.get("/sign-in/password")
    # the second step before the first: nobody is told which ways there are, and nothing is sent
    for early in ("verify", "code", "alternative", "pin", "new-password"):
        walk.get(f"/sign-in/{early}", expected=303)
    walk.get("/sign-in/pin/status", expected=409)
    for path, fields in (
        ("/sign-in/verify", {"code": walk.wrong}),
        ("/sign-in/code", {"code": "0" * 16}),
        ("/sign-in/alternative", {"channel": "sms"}),
        ("/sign-in/alternative", {"channel": "email"}),
        ("/sign-in/pin", {"pin": "123456"}),
        ("/sign-in/new-password", {"new_password": "x" * 20, "confirm_password": "x" * 20}),
    ):
        walk.post(path, expected=409, **fields)
    walk.get("/sign-in/password")
    walk.post("/sign-in/password", password="", expected=422)
    for number in range(5):
        walk.post("/sign-in/password", password=f"wrong {number}", expected=422)
        if number == 2:  # the same again is not counted
            walk.post("/sign-in/password", password="wrong 2", expected=422)
    walk.post("/sign-in/password", password="wrong 6", expected=429)
    walk.post("/sign-in/password", password=PASSWORD, expected=429)
    walk.post("/sign-in/password", password="wrong 2", expected=429)
    walk.get("/sign-in/password")
    clock.advance(30)
    walk.post("/sign-in/password", password="wrong 7", expected=422)
    walk.post("/sign-in/password", password="wrong 8", expected=429)
    walk.get("/recovery", expected=303)
    walk.get("/recovery/token")
    walk.post("/recovery/token", code="", expected=422)


def walk_forgot(walk: Walk) -> None:
    """Three links in a quarter of an hour, and what is beyond, which nobody is told."""
    walk.begin()
    walk.get("/sign-in")
    walk.post("/sign-in", user_id="{user_id}", expected=303)
    walk.get("/sign-in/password")
    walk.get("/forgot")
    for _ in range(5):
        walk.post("/forgot", user_id="{user_id}", expected=303)
        walk.get("/forgot?news=asked")
    walk.post("/forgot", user_id="", expected=422)


def walk_second_step(walk: Walk) -> None:
    """Wrong codes of both kinds after the right password: until then the ways are the person's own, the work is not."""
    walk.begin()
    walk.post("/sign-in", user_id="{user_id}", expected=303)
    walk.post("/sign-in/password", password=PASSWORD, expected=303)
    for _ in range(2):
        walk.post("/sign-in/verify", code=walk.wrong, expected=422)
        walk.post("/sign-in/code", code="0000-0000-0000-0000", expected=422)


def walk_locked(walk: Walk) -> None:
    """What those meet whom others have locked out."""
    walk.begin()
    walk.get("/sign-in")
    walk.post("/sign-in", user_id="{user_id}", expected=303)
    walk.get("/sign-in/password")
    walk.post("/sign-in/password", password="wrong", expected=429)
    walk.post("/sign-in/password", password=PASSWORD, expected=429)


def warm_up(portal: Portal) -> None:
    """Scripts in the store, templates compiled, spare rows made: once, and not for the first who is asked for."""
    with portal.base.database.begin() as transaction:
        for number in range(500):
            row = attempts._row(portal.means.tries.subject(f"warm{number}", None))
            for factor in (Factor.PASSWORD, Factor.APP, Factor.SEND, Factor.RESET):
                store.lock(transaction, row, factor)
    browser = portal.browser(REMOTE_ADDR="198.51.100.1")
    browser.recover_to_token("somebody")
    browser.post("/recovery/token", code="000000")
    browser.post("/recovery/code", code="0" * 16)
    browser.get("/recovery/link")
    browser.post("/recovery/link", user_id="somebody")
    browser.get("/sign-in")
    browser.post("/sign-in", user_id="somebody")
    browser.get("/sign-in/password")
    browser.post("/sign-in/password", password="x")


def test_nobody_differs_from_nobody_in_any_byte_header_or_work(crowd, valkey_url, clock):
    warm_up(crowd)
    for user_id in (LOCKED, LOCKED_UNKNOWN):
        stranger = crowd.browser(REMOTE_ADDR="198.51.100.9")
        stranger.get("/sign-in")
        stranger.post("/sign-in", user_id=user_id)
        stranger.get("/sign-in/password")
        for number in range(5):
            assert stranger.post("/sign-in/password", password=f"{user_id}{number}").status_code == 422
    locked = Walk(crowd, valkey_url, (LOCKED, LOCKED_UNKNOWN))
    walk_locked(locked)
    locked.compare(LOCKED, LOCKED_UNKNOWN)
    locked.close()

    everybody = Walk(crowd, valkey_url, (UNKNOWN, *FREE, LOCKED, LOCKED_UNKNOWN))
    walk_recovery(everybody, clock)
    for user_id in everybody.people:
        everybody.compare(user_id, UNKNOWN)
    everybody.close()

    clock.advance(2 * 86_400)
    free = Walk(crowd, valkey_url, (UNKNOWN, *FREE))
    walk_sign_in(free, clock)
    for user_id in free.people:
        free.compare(user_id, UNKNOWN)
    free.close()

    # the walks went where they should: hashes, statements, refusals and waits were there to be compared
    told = everybody.seen[UNKNOWN] + free.seen[UNKNOWN]
    assert sum(one.hashes for one in told) == 7
    assert max(len(one.statements) for one in told) > 10
    assert max(dict(one.computed).get("hmac_digest", 0) for one in told) > 205  # 5 apps of 41 time-steps
    if crowd.base.database.is_sqlite:
        assert max(sum(one.written) for one in told) == 2  # a try is counted in a write of its own
    assert {one.status for one in told} == {200, 303, 409, 422, 429}
    waits = {dict(one.headers).get("Retry-After") for one in told if one.status == 429}
    assert len(waits) > 2
    assert None not in waits


def test_neither_a_saved_code_nor_a_mailed_link_tells_who_there_is(crowd, valkey_url, clock):
    warm_up(crowd)
    everybody = Walk(crowd, valkey_url, (UNKNOWN, *FREE))
    walk_saved_code(everybody, clock)
    walk_link(everybody)
    for user_id in everybody.people:
        everybody.compare(user_id, UNKNOWN)
    everybody.close()
    told = everybody.seen[UNKNOWN]
    assert [one.hashes for one in told if one.hashes] == [1] * 6  # one for each try that was judged
    mailed = [row["person_id"] for row in behind.queued(crowd, "lane_link")]
    assert len(mailed) == 3 * len(set(mailed)) > 0


@pytest.mark.parametrize("at_home", [True, False], ids=["their organization", "another one"])
def test_a_reset_link_that_is_asked_for_tells_nothing(crowd, valkey_url, at_home):
    """Whether a link goes out, or a letter, or nothing: by bytes, statements, writes, calls and cryptography."""
    lapsed = crowd.add("lapsed01", phone=PHONE, email=EMAIL, app=False, must_change=True)
    crowd.add("eligible", phone=PHONE, email=EMAIL, app=False)
    two = crowd.add("twoboxes", phone=PHONE, email=EMAIL, app=False)
    with crowd.base.database.begin() as transaction:
        own = passwords.c.person_id == lapsed.id
        transaction.execute(passwords.update().where(own).values(good_until=crowd.base.clock.now() - 5))
        box = Contact("second", two.id, Channel.EMAIL, "second@example.org", 1, 1, 1, None)
        people.add_contact(transaction, box, 1)
    crowd.decide(PRESETS[Profile.CLASSIC], DEFAULT if at_home else "elsewhere")
    warm_up(crowd)
    browser = crowd.browser(REMOTE_ADDR="198.51.100.3")
    browser.get("/forgot")
    assert browser.post("/forgot", user_id="somebody").status_code == 303
    everybody = Walk(crowd, valkey_url, (UNKNOWN, *FREE, "lapsed01", "eligible", "twoboxes"))
    walk_forgot(everybody)
    for user_id in everybody.people:
        everybody.compare(user_id, UNKNOWN)
    everybody.close()
    assert not any(one.hashes for one in everybody.seen[UNKNOWN])
    kept = {row[1] for row in behind.tables(crowd)["reset_links"]}
    assert len(kept) == (3 if at_home else 0)  # whoever has a phone and no app, but for the lapsed one
    mailed = [row["person_id"] for row in behind.queued(crowd, "reset_link")]
    assert len(mailed) > 3 * len(kept)


def test_a_wrong_second_proof_takes_the_same_work_whatever_somebody_has(crowd, valkey_url):
    """Who has the password learns the ways; what each way holds is not to be read from what a try takes."""
    warm_up(crowd)
    everybody = Walk(crowd, valkey_url, ("known001", "appless1", "several1", "coded001", "waiting1"))
    walk_second_step(everybody)
    for user_id in everybody.people:
        for mine, theirs in zip(everybody.seen[user_id], everybody.seen["known001"], strict=True):
            if "verify" in mine.step or "code" in mine.step:
                assert (mine.hashes, mine.written) == (theirs.hashes, theirs.written), (user_id, mine.step)
                computed = [dict(one.computed).get("hmac_digest", 0) for one in (mine, theirs)]
                assert computed[0] == computed[1], (user_id, mine.step)
    everybody.close()
    told = [one for one in everybody.seen["known001"] if one.status == 422]
    assert [one.hashes for one in told] == [0, 1, 0, 1]


# ---- time

ROUNDS = 20
TIMES = 4  # that a round does each step
SPREAD = 0.05  # of a request's time: what a difference of medians may be
CERTAIN = 3  # standard errors

Pairs = dict[str, list[tuple[float, float]]]
# seconds as a stranger sees them, and seconds of the processor, which a busy machine does not stretch
CLOCKS: dict[str, Callable[[], float]] = {"seconds": time.perf_counter, "seconds of the processor": time.process_time}


class Couple:
    """Somebody known and nobody, side by side, each in a browser and a network of their own."""

    def __init__(self, portal: Portal, place: str, times: Pairs) -> None:
        portal.add(f"known{place}", phone=PHONE, email=EMAIL)
        self._people = (f"known{place}", f"noone{place}")
        self._browsers = [portal.browser(REMOTE_ADDR=f"2001:db8:{who}:{place}::1") for who in (1, 2)]
        self._times = times
        self.wrong = portal.wrong_code(f"known{place}")

    def post(self, step: str, path: str, *, expected: int, **fields: Any) -> None:
        def act(browser: Browser, user_id: str) -> TestResponse:
            return browser.post(path, **{name: value.format(user_id=user_id) for name, value in fields.items()})

        self._both(step, act, expected)

    def get(self, step: str, path: str) -> None:
        self._both(step, lambda browser, _: browser.get(path), 200)

    def _both(self, step: str, act: Callable[[Browser, str], TestResponse], expected: int) -> None:
        pairs = zip(self._browsers, self._people, strict=True)
        clocked(self._times, step, [partial(act, browser, user_id) for browser, user_id in pairs], expected)


def clocked(times: Pairs, step: str, acts: Sequence[Callable[[], TestResponse]], expected: int) -> None:
    """Do two things that are not to be told apart, and note what each took by each clock."""
    spent: dict[str, list[float]] = {name: [0.0, 0.0] for name in CLOCKS}
    # in turn, because whoever comes first finds the machine's caches as another page left them
    first = len(times[f"{step}, seconds"]) % 2
    for who in (first, 1 - first):
        begin = {name: clock() for name, clock in CLOCKS.items()}
        answer = acts[who]()
        for name, clock in CLOCKS.items():
            spent[name][who] = clock() - begin[name]
        assert answer.status_code == expected
    for name, (one, other) in spent.items():
        times[f"{step}, {name}"].append((one, other))


def measure(portal: Portal, number: int) -> Pairs:
    """What (somebody known, nobody) took at each step, by each clock."""
    times: Pairs = defaultdict(list)
    for turn in range(ROUNDS):
        couple = Couple(portal, f"{number}{turn:03d}", times)
        couple.get("page to begin at", "/sign-in")
        for _ in range(TIMES):
            couple.post("begin a recovery", "/recovery", user_id="{user_id}", expected=303)
            couple.get("page of the code", "/recovery/token")
            couple.post("wrong code", "/recovery/token", code=couple.wrong, expected=422)
        for attempt in range(TIMES):
            couple.post("begin to sign in", "/sign-in", user_id="{user_id}", expected=303)
            couple.get("page of the password", "/sign-in/password")
            couple.post("wrong password", "/sign-in/password", password=f"wrong {attempt}", expected=422)
        couple.post("wrong password", "/sign-in/password", password="the fifth", expected=422)
        for _ in range(TIMES):
            couple.post("wrong password while blocked", "/sign-in/password", password="x", expected=429)
        couple.post("begin a recovery", "/recovery", user_id="{user_id}", expected=303)
        couple.post("wrong code", "/recovery/token", code=couple.wrong, expected=422)
        for _ in range(TIMES):
            couple.post("wrong code while blocked", "/recovery/token", code=couple.wrong, expected=429)
        other = Couple(portal, f"{number}{ROUNDS + turn:03d}", times)
        other.post("begin a recovery", "/recovery", user_id="{user_id}", expected=303)
        for _ in range(TIMES):
            other.get("page of the saved code", "/recovery/code")
            other.post("wrong saved code", "/recovery/code", code="0" * 16, expected=422)
        for _ in range(TIMES):
            other.post("ask for a link", "/recovery/link", user_id="{user_id}", expected=303)
        for _ in range(TIMES):
            other.post("ask for a reset link", "/forgot", user_id="{user_id}", expected=303)
    return times


def telling(pairs: Sequence[tuple[float, float]], spread: float = SPREAD) -> str:
    """How the two can be told apart by time; empty where they cannot."""
    dice = random.Random(1)
    differences = [one - other for one, other in pairs]
    middle = statistics.median(differences)
    usual = statistics.median(min(pair) for pair in pairs)
    error = statistics.stdev(statistics.median(dice.choices(differences, k=len(differences))) for _ in range(200))
    if abs(middle) <= max(spread * usual, CERTAIN * error):
        return ""
    return f"{middle * 1e6:+.0f} µs of {usual * 1e6:.0f} (standard error {error * 1e6:.0f})"


def test_nobody_takes_longer_or_shorter_than_nobody(database, valkey_url, clock, keyring):
    """A step counts as telling if it is so in three measurements one after the other: noise never is."""
    wide: dict[str, Any] = {"limit_starts_per_address": 100_000, "limit_tries_per_address": 100_000}
    # hashing so slow that leaving it out would show, and fast enough to be done some hundred times
    costly: dict[str, Any] = {"argon2_memory_kib": 1_024, "argon2_passes": 1}
    found: dict[str, list[str]] = defaultdict(list)
    with opened(database, valkey_url, clock, keyring, **wide, **costly) as portal:
        portal.decide(PRESETS[Profile.CLASSIC], "elsewhere")  # whose doors show then, to everybody
        warm_up(portal)
        suspects: set[str] | None = None
        for number in range(3):
            clock.advance(86_400)
            for step, pairs in measure(portal, number).items():
                told = telling(pairs)
                if told:
                    found[step].append(told)
            suspects = {step for step, told in found.items() if len(told) == number + 1}
            if not suspects:
                return
    pytest.fail("; ".join(f"{step}: {', '.join(found[step])}" for step in sorted(suspects or ())))
