"""The owner and a thief send any requests in any order, and no order gives a password without two proofs.

A model keeps what each flow has proved, from what was typed and what the messages said; the portal's every step
forward is held against it. ``STATEFUL_EXAMPLES=3000`` searches deeper, and elsewhere each time.
"""

import json
import os
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine, event, select, text

from app.factors.totp import rules as totp
from app.foundation.refusals import Throttled
from app.records.attempts.model import Door, Factor
from app.records.delivery.store import outbox
from tests.journeys import behind
from tests.journeys.behind import RECOVERY, SIGN_IN
from tests.portal import PASSWORD, Browser, Portal, opened

START, TOKEN, PIN, SEND = "/recovery", "/recovery/token", "/recovery/pin", "/recovery/pin/send"
NEW, UNLOCK, DONE = "/recovery/password", "/recovery/unlock", "/recovery/done"
PAGES = (START, TOKEN, "/recovery/other-ways", PIN, "/recovery/pin/status", SEND, NEW, UNLOCK, DONE, "/sign-in/verify")
DAY, LIFE, PROOF = 86_400, 900, 600

OWNER, THIEF, NOBODY = "owner", "thief", "nobody"
BROWSERS = ("owner 1", "owner 2", "thief 1", "thief 2")
HOLDS = ("nothing", "app", "mailbox", "phone")  # what of the owner's the thief has, one at a time
EXTRA: dict[str, str] = {
    "state": "password",
    "person_id": "1",
    "pin_tries": "0",
    "proofs": "app,pin",
    "channel": "email",
}

deep = int(os.environ.get("STATEFUL_EXAMPLES", "0"))
SETTINGS = settings(
    max_examples=deep or 140,
    stateful_step_count=80 if deep else 40,
    derandomize=not deep,
    deadline=None,
    database=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)


@dataclass
class Run:
    """One flow as the model knows it."""

    user: str
    created: int
    epoch: int  # how many passwords its person had been given when it began
    app_at: int | None = None
    pin_at: int | None = None
    pin: tuple[str, int] | None = None  # the living PIN and when it expires
    finished: bool = False

    def fresh(self, at: int | None, now: int) -> bool:
        return at is not None and now - at < PROOF


@dataclass
class Visit:
    """One sign-in as the model knows it."""

    user: str
    created: int
    epoch: int
    passed: bool = False


@dataclass
class Somebody:
    """One person of the play."""

    user_id: str
    phone: str
    email: str
    id: int
    password: str = PASSWORD
    epoch: int = 0
    used_steps: set[int] = field(default_factory=set)
    typed_codes: list[str] = field(default_factory=list)
    typed_pins: list[str] = field(default_factory=list)


_KEPT = text(
    "SELECT p.hash, a.history FROM passwords p LEFT JOIN attempts a ON a.subject = :subject AND a.factor = 'password' "
    "WHERE p.person_id = :person"
)
_JUDGED = text(
    "SELECT event, count(*) AS times FROM audit_events WHERE person_id = :person AND at > :since GROUP BY event"
)
_PINS = text("SELECT id FROM outbox WHERE template = 'pin' AND person_id IN (:one, :other)")


class Interleaving(RuleBasedStateMachine):
    """Everything that a browser may send, by either of them, with time and the worker in between."""

    number = 0
    seen: ClassVar[Counter[str]] = Counter()

    def __init__(self, portal: Portal) -> None:
        super().__init__()
        self.portal = portal
        clock: Any = portal.base.clock
        self.clock = clock
        # each play begins at the same time of its own day, and nothing of the one before is left in any window
        self.clock.advance(2 * DAY - self.clock.now() % DAY)
        Interleaving.number += 1
        self.people = {name: self._somebody(name, place) for place, name in enumerate((OWNER, THIEF))}
        self.browsers: dict[str, Any] = {name: portal.browser() for name in BROWSERS}
        token = self.browsers[BROWSERS[0]].token()
        assert token
        for browser in self.browsers.values():
            browser.token()
        self.runs: dict[str, Run] = {}  # by the one living cookie
        self.visits: dict[str, Visit] = {}
        self.given: dict[str, list[str]] = {OWNER: [], THIEF: []}  # every cookie, by who got it
        self.planted: set[str] = set()
        self.last: dict[str, tuple[str, dict[str, str], dict[str, str]]] = {}
        self.hold = "nothing"
        self.leaky = False
        self.candidates = 0
        self.kept = self._look()
        self.posted = False
        self.excused: set[str] = set()  # those who proved something that ends their run of failures
        self.given_new: set[str] = set()

    def _somebody(self, name: str, place: int) -> Somebody:
        number = Interleaving.number
        user_id = f"{name}{number}"
        phone, email = f"+4915{place}{number:07d}", f"{user_id}@example.org"
        person = self.portal.add(user_id, phone=phone, email=email)
        return Somebody(user_id, phone, email, person.id)

    @initialize(hold=st.sampled_from(HOLDS), leaky=st.sampled_from([False, False, False, True]), locked=st.booleans())
    def begin(self, hold: str, leaky: bool, locked: bool) -> None:
        """``leaky``: the thief reads even the owner's living cookies; then only the two proofs are at stake."""
        self.hold, self.leaky = hold, leaky
        if locked:
            tries, owner = self.portal.means.tries, self.people[OWNER]
            for _ in range(14):  # the next wait is an hour
                while True:
                    try:
                        tries.spend(tries.subject(owner.user_id, owner.id), Factor.PASSWORD, Door.SIGN_IN)
                        break
                    except Throttled as throttled:
                        self.clock.advance(throttled.retry_after)
            self.kept = self._look()

    # ---- what the two of them know

    def _code(self, actor: str, user: str, kind: str) -> str:
        """A code as this actor could type it."""
        if user == NOBODY:
            return "123456"
        knows = actor == user or (actor == THIEF and self.hold == "app")
        offsets = {"now": 0, "before": -1, "next": 1, "slow": -3, "fast": 4}
        typed = self.people[user].typed_codes
        if knows and kind in offsets:
            return self.portal.code(self.people[user].user_id, offsets[kind])
        if kind == "seen" and typed:  # over somebody's shoulder
            return typed[-1]
        if actor == THIEF and kind == "own":
            return self.portal.code(self.people[THIEF].user_id)
        return self.portal.wrong_code(self.people[user].user_id)

    def _readable(self, actor: str) -> list[str]:
        """PINs that reached what this actor can read, and those that were typed where it could see them."""
        them = [self.people[actor]]
        owner = self.people[OWNER]
        found = []
        for one in them:
            found += behind.pins_by_sms(self.portal, one.phone) + behind.pins_by_email(self.portal, one.email)
        if actor == THIEF:
            found += owner.typed_pins
            if self.hold == "phone":
                found += behind.pins_by_sms(self.portal, owner.phone)
            if self.hold == "mailbox":
                found += behind.pins_by_email(self.portal, owner.email)
        return found

    def _known_cookies(self, actor: str) -> list[str]:
        """Every cookie this actor ever held; the thief also knows those of the owner's that are outdated, or all."""
        known = list(self.given[actor])
        if actor == THIEF:
            for value in self.given[OWNER]:
                living = value in self.runs or value in self.visits
                if self.leaky or not living or value in self.planted:
                    known.append(value)
        return known

    # ---- posting, and holding the answer against the model

    def _jar(self, browser: Browser) -> dict[str, str]:
        return {name: value for name in (RECOVERY, SIGN_IN) if (value := browser.cookie(name))}

    def _put(self, browser: Browser, jar: dict[str, str]) -> None:
        for name in (RECOVERY, SIGN_IN):
            browser.client.delete_cookie(name)
            if name in jar:
                browser.client.set_cookie(name, jar[name])

    def _post(self, name: str, path: str, fields: dict[str, str], *, lose: bool = False) -> Any:
        browser, actor = self.browsers[name], name.split(maxsplit=1)[0]
        jar = self._jar(browser)
        self.last[name] = (path, fields, jar)
        sent_before = self._pins_sent() if path in {TOKEN, SEND} else set()
        self.posted = True
        answer = browser.post(path, **fields)
        assert answer.status_code in {303, 409, 422, 429}, (answer.status_code, answer.text)
        self.seen[f"{path} {answer.status_code}"] += 1
        if path == TOKEN and actor == OWNER:
            self.people[OWNER].typed_codes.append(fields["code"])
        if path == PIN and actor == OWNER:
            self.people[OWNER].typed_pins.append(fields["pin"])
        if answer.status_code == 303:
            after = self._jar(browser)
            for kind in (RECOVERY, SIGN_IN):
                if after.get(kind) != jar.get(kind) and kind in after:
                    assert not any(after[kind] in given for given in self.given.values()), "a cookie was given twice"
                    self.given[actor].append(after[kind])
            {
                START: self._started,
                "/sign-in": self._sign_in_started,
                "/sign-in/password": self._signed_in,
                TOKEN: self._app_proved,
                SEND: self._pin_sent,
                PIN: self._pin_proved,
                NEW: self._finished,
                UNLOCK: self._finished,
            }[path](actor, path, fields, jar, after, sent_before)
        else:
            assert self._jar(browser).get(RECOVERY) == jar.get(RECOVERY), "a cookie was changed by a refusal"
        if lose:
            self._put(browser, jar)
        return answer

    def _user_of(self, typed: str) -> str:
        canonical = typed.strip().lower()
        return next((name for name, one in self.people.items() if one.user_id == canonical), NOBODY)

    def _epoch(self, user: str) -> int:
        return self.people[user].epoch if user in self.people else 0

    def _started(self, actor: str, path: str, fields: dict[str, str], jar: Any, after: Any, _sent: Any) -> None:
        user = self._user_of(fields["user_id"])
        self.runs[after[RECOVERY]] = Run(user, self.clock.now(), self._epoch(user))

    def _sign_in_started(self, actor: str, path: str, fields: dict[str, str], jar: Any, after: Any, _sent: Any) -> None:
        user = self._user_of(fields["user_id"])
        self.visits[after[SIGN_IN]] = Visit(user, self.clock.now(), self._epoch(user))

    def _signed_in(self, actor: str, path: str, fields: dict[str, str], jar: Any, after: Any, _sent: Any) -> None:
        visit = self.visits.pop(jar[SIGN_IN])
        assert not visit.passed
        assert self.clock.now() - visit.created < LIFE
        assert visit.user in self.people
        assert fields["password"] == self.people[visit.user].password
        assert visit.epoch == self._epoch(visit.user)
        visit.passed = True
        self.visits[after[SIGN_IN]] = visit
        self.excused.add(visit.user)

    def _app_proved(self, actor: str, path: str, fields: dict[str, str], jar: Any, after: Any, sent: set[str]) -> None:
        now = self.clock.now()
        run = self.runs.get(jar.get(RECOVERY, ""))
        visit = self.visits.get(jar.get(SIGN_IN, ""))
        living = run is not None and now - run.created < LIFE
        if visit and now - visit.created < LIFE and not (living and run and run.created >= visit.created):
            run = Run(visit.user, now, self._epoch(visit.user))  # the User ID that the sign-in carried
        else:
            assert run is not None, "a first proof in no living flow"
            del self.runs[jar[RECOVERY]]
        assert run.app_at is None, "a first proof twice"
        assert now - run.created < LIFE
        assert run.user in self.people, "somebody unknown proved something"
        assert run.epoch == self._epoch(run.user)
        one = self.people[run.user]
        step = totp.step_at(now)
        code = fields["code"].replace(" ", "")
        seed = self.portal.seeds[one.user_id]
        right = [s for s in (step - 1, step, step + 1) if totp.hotp(seed, s) == code]
        assert right, "a wrong code was accepted"
        assert not one.used_steps.intersection(right), "a code was accepted twice"
        assert not one.used_steps or max(right) > max(one.used_steps), (
            "a code earlier than an accepted one was accepted"
        )
        one.used_steps.update(right)
        run.app_at = now
        run.pin = self._newest_pin(run.user, sent)
        self.runs[after[RECOVERY]] = run

    def _pin_sent(self, actor: str, path: str, fields: dict[str, str], jar: Any, after: Any, sent: set[str]) -> None:
        run = self.runs[jar[RECOVERY]]
        assert run.fresh(run.app_at, self.clock.now())
        assert run.pin_at is None
        assert self.clock.now() - run.created < LIFE
        run.pin = self._newest_pin(run.user, sent)
        assert run.pin is not None

    def _pin_proved(self, actor: str, path: str, fields: dict[str, str], jar: Any, after: Any, _sent: Any) -> None:
        now = self.clock.now()
        run = self.runs.pop(jar[RECOVERY])
        assert run.fresh(run.app_at, now), "a second proof without a first"
        assert run.pin_at is None
        assert now - run.created < LIFE
        assert run.epoch == self._epoch(run.user)
        assert run.pin is not None
        digits, expires_at = run.pin
        assert fields["pin"].replace(" ", "") == digits, "a PIN of something else was accepted"
        assert now < expires_at
        run.pin_at, run.pin = now, None
        self.runs[after[RECOVERY]] = run

    def _finished(self, actor: str, path: str, fields: dict[str, str], jar: Any, after: Any, _sent: Any) -> None:
        now = self.clock.now()
        run = self.runs.pop(jar[RECOVERY])
        assert run.fresh(run.app_at, now), "finished without a first proof"
        assert run.fresh(run.pin_at, now), "finished without a second proof"
        assert now - run.created < LIFE
        assert not run.finished
        assert run.epoch == self._epoch(run.user), "finished by a flow from before the last password"
        if not self.leaky and run.user == OWNER:
            assert actor == OWNER, "the thief finished the owner's recovery"
        one = self.people[run.user]
        run.finished = True
        self.runs[after[RECOVERY]] = run
        self.excused.add(run.user)
        self.seen[f"{path} of {run.user} by {actor}"] += 1
        if path == NEW:
            one.password = fields["new_password"]
            one.epoch += 1
            self.given_new.add(run.user)

    # ---- what the stores say

    def _pins_sent(self) -> set[str]:
        one, other = (one.id for one in self.people.values())
        with self.portal.base.database.read() as looking:
            return set(looking.execute(_PINS, {"one": one, "other": other}).scalars())

    def _newest_pin(self, user: str, before: set[str]) -> tuple[str, int] | None:
        """What was queued by the last request, opened with the house's key. It must be the right person's."""
        new = self._pins_sent() - before
        if not new:
            return None
        (name,) = new
        with self.portal.base.database.read() as looking:
            row = looking.execute(select(outbox).where(outbox.c.id == name)).one()
        assert row.person_id == self.people[user].id, "a PIN went to somebody else"
        plain = self.portal.base.keyring.open("outbox", row.payload, f"outbox:{name}")
        return str(json.loads(plain)["pin"]), int(row.expires_at)

    def _look(self) -> dict[str, tuple[str, int]]:
        """Of each of the two the password's hash and the failures in a row."""
        found = {}
        with self.portal.base.database.read() as looking:
            for name, one in self.people.items():
                row = looking.execute(_KEPT, {"person": one.id, "subject": str(one.id)}).one()
                found[name] = (row.hash, json.loads(row.history or "{}").get("consecutive", 0))
        return found

    @precondition(lambda self: self.posted)
    @invariant()
    def no_password_changes_and_no_lock_opens_without_two_proofs(self) -> None:
        now = self._look()
        for name, (before, failures) in self.kept.items():
            if name not in self.given_new:
                assert now[name][0] == before, (
                    f"the password of the {name} was changed by a request that did not finish"
                )
            if name not in self.excused:
                assert now[name][1] >= failures, f"the {name}'s failures in a row were forgotten"
        self.kept = now
        self.excused.clear()
        self.given_new.clear()
        with self.portal.base.database.read() as looking:
            owner = {"person": self.people[OWNER].id, "since": self.clock.now() - DAY}
            judged = {row.event: row.times for row in looking.execute(_JUDGED, owner)}
        for event_name, most in (("authn_token_fail", 6), ("authn_token_reuse", 6), ("authn_pin_fail", 15)):
            assert judged.get(event_name, 0) <= most, judged
        self.posted = False

    # ---- the requests

    @rule(
        name=st.sampled_from(BROWSERS),
        user=st.sampled_from([OWNER, OWNER, THIEF, NOBODY]),
        spelling=st.sampled_from(["as it is", "upper", "blanks"]),
        door=st.sampled_from([START, START, "/sign-in"]),
        lose=st.sampled_from([False, False, False, True]),
    )
    def start(self, name: str, user: str, spelling: str, door: str, lose: bool) -> None:
        user_id = self.people[user].user_id if user in self.people else f"nobody{Interleaving.number}"
        typed = {"upper": user_id.upper(), "blanks": f"  {user_id} "}.get(spelling, user_id)
        self._post(name, door, {"user_id": typed}, lose=lose)

    def _standing(self, name: str) -> str:
        """The path that is due in a browser, as the model sees it."""
        run = self.runs.get(self._jar(self.browsers[name]).get(RECOVERY, ""))
        if run is None or self.clock.now() - run.created >= LIFE:
            return START
        return DONE if run.finished else NEW if run.pin_at else PIN if run.app_at else TOKEN

    def _aim(self, name: str, due: str, aimed: bool) -> str:
        """Another browser of the same actor where that one stands where the form belongs."""
        pair = BROWSERS[:2] if name in BROWSERS[:2] else BROWSERS[2:]
        return next((one for one in pair if aimed and self._standing(one) == due), name)

    @rule(name=st.sampled_from(BROWSERS), user=st.sampled_from([OWNER, THIEF, ""]), right=st.booleans())
    def sign_in(self, name: str, user: str, right: bool) -> None:
        """With a User ID first, or by the flow that is there."""
        actor = name.split(maxsplit=1)[0]
        if user:
            self._post(name, "/sign-in", {"user_id": self.people[user].user_id})
        word = self.people[actor].password if right else "a guess that is wrong"
        self._post(name, "/sign-in/password", {"password": word})

    @rule(
        name=st.sampled_from(BROWSERS),
        aimed=st.booleans(),
        kind=st.sampled_from(["now", "now", "before", "next", "slow", "fast", "seen", "own", "wrong"]),
        extra=st.booleans(),
        lose=st.sampled_from([False, False, False, True]),
    )
    def code(self, name: str, aimed: bool, kind: str, extra: bool, lose: bool) -> None:
        name = self._aim(name, TOKEN, aimed)
        actor = name.split(maxsplit=1)[0]
        jar = self._jar(self.browsers[name])
        run = self.runs.get(jar.get(RECOVERY, ""))
        user = run.user if run else actor
        fields = {"code": self._code(actor, user, kind), **(EXTRA if extra else {})}
        self._post(name, TOKEN, fields, lose=lose)

    @rule(
        name=st.sampled_from(BROWSERS),
        aimed=st.booleans(),
        back=st.integers(0, 6),
        extra=st.booleans(),
        lose=st.sampled_from([False, False, False, True]),
    )
    def pin(self, name: str, aimed: bool, back: int, extra: bool, lose: bool) -> None:
        name = self._aim(name, PIN, aimed)
        readable = self._readable(name.split(maxsplit=1)[0])
        digits = readable[-1 - back] if back < len(readable) else "000000"
        self._post(name, PIN, {"pin": digits, **(EXTRA if extra else {})}, lose=lose)

    @rule(
        name=st.sampled_from(BROWSERS),
        aimed=st.booleans(),
        channel=st.sampled_from(["sms", "email"]),
        extra=st.booleans(),
    )
    def send(self, name: str, aimed: bool, channel: str, extra: bool) -> None:
        name = self._aim(name, PIN, aimed)
        self._post(name, SEND, {**(EXTRA if extra else {}), "channel": channel})

    @rule(
        name=st.sampled_from(BROWSERS),
        aimed=st.booleans(),
        kind=st.sampled_from(["new", "short", "present", "different"]),
        lose=st.sampled_from([False, False, False, True]),
    )
    def new_password(self, name: str, aimed: bool, kind: str, lose: bool) -> None:
        name = self._aim(name, NEW, aimed)
        self.candidates += 1
        word = {"short": "short", "present": self.people[name.split(maxsplit=1)[0]].password}.get(
            kind, f"a new long passphrase {Interleaving.number} {self.candidates}"
        )
        again = word + "!" if kind == "different" else word
        self._post(name, NEW, {"new_password": word, "confirm_password": again}, lose=lose)

    @rule(name=st.sampled_from(BROWSERS), aimed=st.booleans())
    def unlock(self, name: str, aimed: bool) -> None:
        name = self._aim(name, NEW, aimed)
        self._post(name, UNLOCK, {})

    @rule(name=st.sampled_from(BROWSERS), page=st.sampled_from(PAGES))
    def look(self, name: str, page: str) -> None:
        browser = self.browsers[name]
        jar = self._jar(browser)
        held = browser.page
        answer = browser.get(page)
        browser.page = held  # the form of an earlier page is still open in another tab
        assert answer.status_code in {200, 303, 409}
        assert self._jar(browser) == jar

    @rule(
        name=st.sampled_from(BROWSERS),
        steps=st.integers(1, 5),
        of_owner=st.booleans(),
        by_email=st.booleans(),
        only_unlock=st.booleans(),
    )
    def go_on(self, name: str, steps: int, of_owner: bool, by_email: bool, only_unlock: bool) -> None:
        """What somebody who knows what they want would do next, so that plays get far."""
        actor = name.split(maxsplit=1)[0]
        user = OWNER if of_owner else actor
        for _ in range(steps):
            run = self.runs.get(self._jar(self.browsers[name]).get(RECOVERY, ""))
            if run is None or run.finished or self.clock.now() - run.created >= LIFE or run.user == NOBODY:
                self._put(self.browsers[name], {})
                self._post(name, START, {"user_id": self.people[user].user_id})
            elif run.app_at is None:
                if totp.step_at(self.clock.now()) in self.people[run.user].used_steps:
                    self.clock.advance(30)
                self._post(name, TOKEN, {"code": self._code(actor, run.user, "now")})
            elif run.pin_at is None:
                if by_email:
                    self._post(name, SEND, {"channel": "email"})
                self._deliver()
                readable = self._readable(actor)
                right = run.pin[0] if run.pin and run.pin[0] in readable else ""
                self._post(name, PIN, {"pin": right or (readable[-1] if readable else "000000")})
            elif only_unlock:
                self._post(name, UNLOCK, {})
            else:
                self.new_password(name, False, "new", lose=False)

    # ---- cookies and forms that are not one's own, or not of now

    @rule(name=st.sampled_from(BROWSERS), place=st.integers(0, 30), other=st.integers(0, 30), swap=st.booleans())
    def use_known_cookies(self, name: str, place: int, other: int, swap: bool) -> None:
        """Any cookies one knows, also of one journey for the other."""
        known = self._known_cookies(name.split(maxsplit=1)[0])
        jar = {}
        if place < len(known):
            jar[RECOVERY] = known[-1 - place]
        if other < len(known):
            jar[SIGN_IN] = known[-1 - other]
        if not swap:
            jar = {
                kind: value
                for kind, value in jar.items()
                if value not in (self.visits if kind == RECOVERY else self.runs)
            }
        self._put(self.browsers[name], jar)

    @rule(source=st.sampled_from(BROWSERS[2:]), victim=st.sampled_from(BROWSERS[:2]))
    def plant(self, source: str, victim: str) -> None:
        """The thief makes the owner's browser carry on with the thief's own flow (fixation)."""
        jar = self._jar(self.browsers[source])
        self.planted.update(jar.values())
        self._put(self.browsers[victim], jar)

    @rule(name=st.sampled_from(BROWSERS))
    def lose_cookies(self, name: str) -> None:
        self._put(self.browsers[name], {})

    @precondition(lambda self: self.last)
    @rule(name=st.sampled_from(BROWSERS))
    def send_the_last_form_again(self, name: str) -> None:
        """A double click, or the back button: the same form with the cookies of then."""
        if name in self.last:
            path, fields, jar = self.last[name]
            present = self._jar(self.browsers[name])
            self._put(self.browsers[name], jar)
            if self._post(name, path, fields).status_code != 303:
                self._put(self.browsers[name], present)

    @rule(
        name=st.sampled_from(BROWSERS), whose=st.sampled_from(BROWSERS), path=st.sampled_from([START, NEW, UNLOCK, PIN])
    )
    def send_a_form_of_another_browser(self, name: str, whose: str, path: str) -> None:
        if name == whose:
            return
        browser = self.browsers[name]
        fields = {
            "user_id": self.people[OWNER].user_id,
            "new_password": "x" * 20,
            "confirm_password": "x" * 20,
            "pin": "1",
        }
        held = browser.page
        answer = browser.post(path, csrf_token=self.browsers[whose].token(), **fields)
        browser.page = held
        assert answer.status_code == 400

    # ---- the world goes on

    @rule(seconds=st.sampled_from([1, 29, 30, 31, 61, 121, 290, 301, 601, 901, 3_601]))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule()
    def deliver(self) -> None:
        self._deliver()

    def _deliver(self) -> None:
        before = len(self.portal.phone.texts)
        self.portal.deliver()
        for sent in self.portal.phone.texts[before:]:
            self.portal.phone.tell(sent.sid, "delivered")  # asked for once, and then no more

    def teardown(self) -> None:
        """Whatever happened: after a day the owner, with both factors, gets through."""
        owner = self.people[OWNER]
        with self.portal.base.database.read() as looking:
            standing = self.portal.means.tries.standing(looking, owner.id, Factor.APP)
        if standing.closed_to_strangers:
            return  # fifty failures in a row: then a reserved lane is needed (security rule 1)
        self.clock.advance(DAY + 3_600)
        self._deliver()
        browser = self.portal.browser()
        assert browser.post(START, user_id=owner.user_id).location == TOKEN
        answer = browser.post(TOKEN, code=self.portal.code(owner.user_id))
        assert answer.location == PIN, answer.text
        self._deliver()
        answer = browser.post(PIN, pin=behind.pins_by_sms(self.portal, owner.phone)[-1])
        assert answer.location == NEW, answer.text
        word = f"the last long passphrase {Interleaving.number}"
        answer = browser.post(NEW, new_password=word, confirm_password=word)
        assert answer.location == DONE, answer.text
        self._deliver()


def _careless(engine: Engine) -> None:
    """A test's database need not outlive the machine: thousands of commits without waiting for the disk."""

    def prepare(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA synchronous=OFF")

    event.listen(engine, "connect", prepare)


def test_no_order_of_requests_sets_or_unlocks_a_password_without_both_proofs_in_one_living_flow(
    sqlite_database, valkey_url, clock, keyring
):
    unlimited: dict[str, Any] = {
        "limit_starts_per_address": 10**9,
        "limit_tries_per_address": 10**9,
        "limit_messages_per_hour": 10**9,
        "limit_sms_per_day": 10**9,
        "limit_sms_per_organization": 10**9,
        "limit_sms_per_prefix": 10**9,
        "limit_sms_notices_per_day": 10**9,
        "sms_verified_floor": 0,
        "limit_stranger_failures_per_day": 10**9,
    }
    Interleaving.seen.clear()
    with opened(sqlite_database, valkey_url, clock, keyring, **unlimited) as portal:
        _careless(portal.base.database.engine)

        class Play(Interleaving):
            def __init__(self) -> None:
                super().__init__(portal)

        run_state_machine_as_test(Play, settings=SETTINGS)
    # the plays got somewhere, or they would have proved nothing
    seen = Interleaving.seen
    for what in (
        f"{NEW} of {OWNER} by {OWNER}",
        f"{NEW} of {THIEF} by {THIEF}",
        f"{UNLOCK} of {OWNER} by {OWNER}",
        *(f"{path} {status}" for path in (TOKEN, PIN, NEW) for status in (303, 409, 422)),
        f"{SEND} 303",
        f"{SEND} 429",
        "/sign-in/password 303",
    ):
        assert seen[what], (what, dict(seen))
