"""An owner and a thief sign in, change things and end sessions in any order, and no order gives more than was proved.

``STATEFUL_EXAMPLES=3000`` searches deeper, and elsewhere each time.
"""

import json
import os
import random
import re
from typing import Any

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test
from werkzeug.test import TestResponse

from app.factors.totp.service import from_base32
from app.foundation.refusals import Throttled
from app.records.attempts.model import Door, Factor
from tests.journeys.account import DAY, FLOW, IDLE, KEY, LONGEST, SEEN_EVERY, STEP, WEEK, App, Flow, Pending
from tests.journeys.account import shows as code_of
from tests.journeys.life import (
    ADDRESS,
    APPS,
    BROWSERS,
    CHANGE,
    CODES,
    CONTACTS,
    ENROLL,
    HOME,
    KINDS,
    LINKS,
    NEW_APP,
    NO_CODE,
    OWNER,
    RECOVERY,
    SESSION,
    SESSIONS,
    SIGN_IN,
    TASK,
    THIEF,
    THIEFS,
    WRITTEN_DOWN,
    Life,
    Theft,
)
from tests.journeys.recovery.test_stateful import _careless
from tests.portal import opened

deep = int(os.environ.get("STATEFUL_EXAMPLES", "0"))
# Ten plays a seed: after ten hypothesis goes on with copies of what it has, which come to less.
PLAYS = 10
SEEDS = [random.randrange(2**32) for _ in range(-(-deep // PLAYS))] if deep else range(8)
SETTINGS = settings(
    max_examples=PLAYS,
    stateful_step_count=60 if deep else 30,
    deadline=None,
    database=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)


def _other(name: str) -> str:
    """The other browser of the same hand."""
    return name[:-1] + {"1": "2", "2": "1"}[name[-1]]


class Play(Life):
    """All that the two of them may do."""

    # ---- signing in and out

    def _user(self, name: str, of_owner: bool) -> str:
        return OWNER if of_owner else name.split(maxsplit=1)[0]

    def _ways(self, actor: str, user: str) -> list[str]:
        """How this actor could get by the second step now, the usual way first."""
        account = self.accounts[user]
        apps = [one for one in account.apps if one.state == "active" and self._knows(actor, user, one)]
        codes = account.set_for("sign_in", self._now)
        read = {one.channel for one in account.usable(self._now) if one.address in self.reads[actor]}
        held = codes is not None and codes.by == actor and codes.unused
        return [*(["app"] if apps else []), *(["code"] if held else []), *sorted(read, reverse=True), "app"]

    def _second(self, name: str, user: str, way: str, door: str) -> None:
        """The second proof at ``/sign-in`` or ``/step-up`` as somebody gives it who wants to get on."""
        actor = name.split(maxsplit=1)[0]
        if way == "app":
            self._post(name, "/sign-in/verify" if door == "/sign-in" else door, code=self._good_code(actor, user))
        elif way == "code":
            self._post(name, f"{door}/code", code=self._saved_code(actor, user, "unused"))
        else:
            if self._post(name, f"{door}/alternative", channel=way).status_code != 303:
                return
            flow = self.flows.get(self._jar(name).get(SIGN_IN if door == "/sign-in" else TASK, ""))
            self._post(name, f"{door}/pin", pin=self._digits(actor, flow.pin if flow else None))

    def _sign_in(self, name: str, user: str, way: str, word: str = "right") -> None:
        actor = name.split(maxsplit=1)[0]
        self._post(name, "/sign-in", user_id=self.accounts[user].user_id)
        answer = self._post(name, "/sign-in/password", password=self._word(actor, user, word))
        if answer.status_code == 303 and way != "none":
            self._second(name, user, way, "/sign-in")

    def _ready(self, name: str, user: str) -> None:
        """Come as near to a session with a fresh proof as this actor can."""
        actor, account = name.split(maxsplit=1)[0], self.accounts[user]
        session = self._session(name)
        if session is None or session.user != user or not session.full:
            self._sign_in(name, user, self._ways(actor, user)[0])
            session = self._session(name)
        if session is not None and session.user == user and not account.fresh(session, self._now):
            self._second(name, user, self._ways(actor, user)[0], "/step-up")

    @rule(
        name=st.sampled_from(BROWSERS),
        of_owner=st.booleans(),
        way=st.sampled_from(["usual", "usual", "app", "code", "sms", "email", "none"]),
        word=st.sampled_from(["right", "right", "right", "wrong", "former"]),
    )
    def sign_in(self, name: str, of_owner: bool, way: str, word: str) -> None:
        user = self._user(name, of_owner)
        usual = self._ways(name.split(maxsplit=1)[0], user)[0]
        self._sign_in(name, user, usual if way == "usual" else way, word)

    @precondition(lambda self: self.sessions)
    @rule(name=st.sampled_from(BROWSERS), way=st.sampled_from(["usual", "app", "code", "sms", "email"]))
    def step_up(self, name: str, way: str) -> None:
        name = self._signed_in(name)
        session = self._session(name)
        user = session.user if session else OWNER
        usual = self._ways(name.split(maxsplit=1)[0], user)[0]
        self._second(name, user, usual if way == "usual" else way, "/step-up")

    @rule(
        name=st.sampled_from(BROWSERS),
        of_owner=st.booleans(),
        door=st.sampled_from(["/sign-in/verify", "/step-up", "/recovery/token"]),
        which=st.integers(0, 9),
        offset=st.sampled_from([-1, 0, 0, 0, 1, -5, 7]),
    )
    def type_an_app_code(self, name: str, of_owner: bool, door: str, which: int, offset: int) -> None:
        user, actor = self._user(name, of_owner), name.split(maxsplit=1)[0]
        self._stand_at(name, user, door)
        code, kind = self._some_code(actor, user, which, offset)
        answer = self._post(name, door, code=code)
        self.seen[f"at {door} a code of an app that is {kind}: {answer.status_code}"] += 1

    @rule(
        name=st.sampled_from(BROWSERS),
        of_owner=st.booleans(),
        door=st.sampled_from(["/sign-in/code", "/step-up/code", "/recovery/code"]),
        which=st.sampled_from(["unused", "used", "replaced"]),
    )
    def type_a_saved_code(self, name: str, of_owner: bool, door: str, which: str) -> None:
        user, actor = self._user(name, of_owner), name.split(maxsplit=1)[0]
        self._stand_at(name, user, door)
        code = self._saved_code(actor, user, which)
        answer = self._post(name, door, code=code)
        if code != NO_CODE:
            self.seen[f"at {door} a saved code that is {which}: {answer.status_code}"] += 1

    def _stand_at(self, name: str, user: str, door: str) -> None:
        """Come to a door where a code is asked for."""
        if door.startswith("/sign-in"):
            self._sign_in(name, user, "none")
        elif door.startswith("/step-up") and self._session(name) is None:
            self._ready(name, user)
        elif door.startswith("/recovery"):
            self._post(name, "/recovery", user_id=self.accounts[user].user_id)

    @rule(
        name=st.sampled_from(THIEFS),
        door=st.sampled_from(["/sign-in/password", "/sign-in/verify", "/recovery/token", "/recovery/code", "/step-up"]),
        times=st.integers(1, 7),
    )
    def guess(self, name: str, door: str, times: int) -> None:
        """The thief tries his luck with the owner's account."""
        if door == "/sign-in/password":
            self._post(name, "/sign-in", user_id=self.accounts[OWNER].user_id)
        self._stand_at(name, OWNER, door if door != "/sign-in/password" else "")
        for number in range(times):
            guess = {"password": f"guess {number}"} if door == "/sign-in/password" else {"code": f"{number:06d}"}
            if door == "/recovery/code":
                guess = {"code": f"0000-0000-0000-{number:04d}"}
            elif door != "/sign-in/password":
                guess = {"code": self._wrong_code(OWNER)}
            assert self._post(name, door, **guess).status_code in {409, 422, 429}

    def _signed_in(self, name: str) -> str:
        """This browser, or the other of the same hand where only that one is signed in."""
        other = _other(name)
        return other if self._session(name) is None and self._session(other) is not None else name

    @precondition(lambda self: self.sessions)
    @rule(name=st.sampled_from(BROWSERS))
    def sign_out(self, name: str) -> None:
        self._post(self._signed_in(name), "/sign-out")

    @rule(
        name=st.sampled_from(BROWSERS), page=st.sampled_from([HOME, HOME, "/profile", "/activity", "/sessions", CHANGE])
    )
    def visit(self, name: str, page: str) -> None:
        self._visit(name, page)

    @precondition(lambda self: self.sessions)
    @rule(name=st.sampled_from(BROWSERS), until=st.sampled_from(["idle", "idle", "the end"]))
    def stay(self, name: str, until: str) -> None:
        """Leave a page open until the session ends: with nothing done, or busy to the last."""
        name = self._signed_in(name)
        session = self._session(name)
        if session is None:
            return
        left, idle = session.created + LONGEST - self._now, session.seen + IDLE - self._now
        while until == "the end" and left > IDLE:
            self.clock.advance(idle - 1)
            answer = self.browsers[name].post("/sessions/extend", csrf_token=self.tokens[name])
            session.used(self._now)
            left, idle = session.created + LONGEST - self._now, session.seen + IDLE - self._now
            assert answer.json == {"idle_in": min(left, idle)}
        self.clock.advance(min(left, idle) - 1)
        assert self._session(name) is session
        held = session.seen
        session.seen = held if self._now - held < SEEN_EVERY else self._now
        assert self.browsers[name].get("/profile").status_code == 200
        self.posted = True
        self.clock.advance(IDLE if until == "idle" else 1)
        self._visit(name, HOME)
        self.seen[f"a session reached the end, {until}"] += 1

    def _visit(self, name: str, page: str) -> None:
        session, jar = self._session(name), self._jar(name)
        answer = self.browsers[name].get(page)
        if session is None:
            assert answer.location == "/sign-in", "a page was shown to somebody who is not signed in"
            if jar.get(SESSION) in self.ended:
                self.seen["an ended session opened nothing"] += 1
            return
        assert answer.status_code == 200, "somebody signed in was shown nothing"
        session.used(self._now)
        self.posted = True

    @rule(
        name=st.sampled_from(BROWSERS),
        which=st.sampled_from(["one", "one", "this", "all", "all", "of the other"]),
        ready=st.sampled_from([True, True, False]),
    )
    def end_sessions(self, name: str, which: str, ready: bool) -> None:
        actor = name.split(maxsplit=1)[0]
        if ready:
            self._ready(name, actor)
        session, cookie = self._session(name), self._jar(name).get(SESSION, "")
        others = [one for held, one in self.sessions.items() if session and held != cookie]
        own = [one for one in others if session and one.user == session.user]
        if which == "all":
            answer = self._post(name, "/sessions", all="yes")
            right = any(one.living(self._now) for one in own)
        else:
            named = own if which == "one" else [one for one in others if one not in own]
            named = [session] if which == "this" and session else named
            answer = self._post(name, "/sessions", name=named[-1].name if named else "0" * 32)
            right = bool(named) and which != "of the other"
        assert answer.status_code == (303 if session and session.full and right else 409)

    # ---- the password

    @rule(
        name=st.sampled_from(BROWSERS),
        of_owner=st.booleans(),
        current=st.sampled_from(["right", "right", "right", "wrong", "former"]),
        new=st.sampled_from(["new", "new", "new", "short", "present", "different"]),
        everywhere=st.booleans(),
        ready=st.sampled_from([True, True, True, False]),
    )
    def change_password(self, name: str, of_owner: bool, current: str, new: str, everywhere: bool, ready: bool) -> None:
        actor, user = name.split(maxsplit=1)[0], self._user(name, of_owner)
        session = self._session(name)
        if ready and (session is None or session.user != user):
            self._sign_in(name, user, self._ways(actor, user)[0])
        session = self._session(name)
        account = self.accounts[session.user if session else user]
        self.made += 1
        word = {"short": "short", "present": account.password}.get(
            new, f"a fine new passphrase {Life.number} {self.made}"
        )
        fields = {
            "current_password": self._word(actor, session.user if session else user, current),
            "new_password": word,
            "confirm_password": word + "!" if new == "different" else word,
            **({"everywhere": "yes"} if everywhere else {}),
        }
        right = fields["current_password"] == account.password
        answer = self._post(name, CHANGE, **fields)
        if session and right and new == "new":
            assert answer.status_code in {303, 429}, answer.text
        else:
            assert answer.status_code != 303

    # ---- apps

    def _show_key(self, name: str) -> None:
        session = self._session(name)
        answer = self.browsers[name].get(NEW_APP)
        account = self.accounts[session.user] if session else None
        if session is None or account is None:
            assert answer.status_code == 303
            return
        session.used(self._now)
        self.posted = True
        may = account.fresh(session, self._now, settled=False) and len(account.there()) < 5
        assert answer.status_code == (200 if may else 303)
        if may:
            found = re.search(r'data-totp-key="([A-Z2-7 ]+)"', answer.text)
            assert found
            cookie, seed = self._jar(name)[ENROLL], from_base32(found[1])
            actor = name.split(maxsplit=1)[0]
            key = self.keys.setdefault(cookie, Pending(session.user, actor, session, seed, self._now))
            assert key.seed == seed, "another key was shown under the same cookie"

    @rule(
        name=st.sampled_from(BROWSERS),
        of_owner=st.booleans(),
        wait=st.sampled_from([0, 0, 0, 60, 599, 600]),
        kind=st.sampled_from(["now", "now", "before", "next", "wrong", "elsewhere", "other browser", "none"]),
        ready=st.sampled_from([True, True, True, False]),
    )
    def enroll(self, name: str, of_owner: bool, wait: int, kind: str, ready: bool) -> None:
        """A new app: its key, and after some time a code of it, or none."""
        user = self._user(name, of_owner)
        if ready:
            self._ready(name, user)
        self._show_key(name)
        key = self.keys.get(self._jar(name).get(ENROLL, ""))
        if kind == "none" or (kind in {"elsewhere", "other browser"} and key is None):
            return
        if kind == "elsewhere" and key is not None:
            for door in ("/step-up", "/sign-in/verify", "/recovery/token"):
                self._stand_at(name, user, door)
                answer = self._post(name, door, code=code_of(key.seed, self._now // STEP))
                assert answer.status_code != 303
                self.seen[f"at {door} a code of an app that is pending: {answer.status_code}"] += 1
            return
        if kind == "other browser" and key is not None:
            jar, name = self._jar(name), _other(name)
            self._ready(name, user)
            if self._session(name) is key.session:  # one session in both browsers
                return
            self._put(name, jar, [ENROLL])
            answer = self._post(name, NEW_APP, label="Phone", code=code_of(key.seed, self._now // STEP))
            assert answer.status_code != 303
            self.seen[f"a key of another session: {answer.status_code}"] += 1
            return
        begun = self._now
        while self._now < begun + wait:  # work goes on meanwhile
            self.clock.advance(min(250, begun + wait - self._now))
            if ready and (session := self._session(name)) and not self.accounts[user].fresh(session, self._now):
                late = begun + wait - self._now
                if late == 0:  # the last proof must not take longer than there is
                    self._second(name, user, self._ways(name.split(maxsplit=1)[0], user)[0], "/step-up")
        key = self.keys.get(self._jar(name).get(ENROLL, ""))
        code = self._wrong_code(user)
        if key is not None and kind != "wrong":
            code = code_of(key.seed, self._now // STEP + {"now": 0, "before": -1, "next": 1}[kind])
        session = self._session(name)
        late = key is None or self._now - key.shown >= KEY
        answer = self._post(name, NEW_APP, label="Phone", code=code)
        if answer.status_code == 303:
            self.seen[f"bound after {wait} seconds"] += 1
        elif (
            key is not None
            and session
            and late
            and self.accounts[session.user].fresh(session, self._now, settled=False)
        ):
            self.seen["a key died after ten minutes"] += 1

    @rule(
        name=st.sampled_from(BROWSERS),
        of_owner=st.booleans(),
        deed=st.sampled_from(["disable", "disable", "enable", "enable", "remove", "rename"]),
        place=st.integers(0, 3),
        ready=st.sampled_from([True, True, True, False]),
    )
    def change_an_app(self, name: str, of_owner: bool, deed: str, place: int, ready: bool) -> None:
        user = self._user(name, of_owner)
        if ready:
            self._ready(name, user)
        account, session = self.accounts[user], self._session(name)
        good = {"disable": ["active"], "enable": ["disabled"]}.get(deed, ["active", "disabled"])
        apps = [one for one in account.apps if one.state in good or place == 3] or account.apps
        app, now = apps[-1 - place % len(apps)], self._now
        if session is None or not self.accounts[session.user].fresh(session, now, settled=False):
            right = 409
        elif session.user != user:
            right = 404
        elif app.state not in good or not (app.waits(now) or account.fresh(session, now)):
            right = 409
        else:
            right = 303
        fields = {"label": "Phone 2"} if deed == "rename" else {}
        assert self._post(name, f"{HOME}/app/{app.id}/{deed}", **fields).status_code == right

    @rule(name=st.sampled_from(BROWSERS), of_owner=st.booleans(), offset=st.integers(-6, 6), ready=st.booleans())
    def synchronize_an_app(self, name: str, of_owner: bool, offset: int, ready: bool) -> None:
        user, actor = self._user(name, of_owner), name.split(maxsplit=1)[0]
        if ready:
            self._ready(name, user)
        known = [app for app in self.accounts[user].apps if self._knows(actor, user, app)]
        if known:
            step = self._now // STEP + offset
            one, two = code_of(known[-1].seed, step - 1), code_of(known[-1].seed, step)
            self._post(name, f"{HOME}/app/{known[-1].id}/synchronize", code_1=one, code_2=two)

    # ---- recovery codes

    @rule(
        name=st.sampled_from(BROWSERS),
        of_owner=st.booleans(),
        stolen=st.booleans(),
        ready=st.sampled_from([True, True, True, False]),
    )
    def make_codes(self, name: str, of_owner: bool, stolen: bool, ready: bool) -> None:
        user = self._user(name, of_owner)
        if ready:
            self._ready(name, user)
        session = self._session(name)
        may = session is not None and self.accounts[session.user].fresh(session, self._now)
        answer = self._post(name, CODES, **({"stolen": "yes"} if stolen else {}))
        assert answer.status_code in ({303, 429} if may else {409})  # every contact is told, so not over and over
        if session is not None and answer.status_code == 303:
            found = re.findall(r'data-recovery-code="([^"]+)"', self.browsers[name].get(CODES).text)
            assert len(found) == 10
            self.accounts[session.user].sets[-1].unused = found

    # ---- contacts

    @rule(
        name=st.sampled_from(BROWSERS),
        of_owner=st.booleans(),
        channel=st.sampled_from(["sms", "email"]),
        between=st.sampled_from(["nothing", "nothing", "nothing", "step up", "another", "too long"]),
        ready=st.sampled_from([True, True, True, False]),
    )
    def add_a_contact(self, name: str, of_owner: bool, channel: str, between: str, ready: bool) -> None:
        user, actor = self._user(name, of_owner), name.split(maxsplit=1)[0]
        if ready:
            self._ready(name, user)
        self.made += 1
        number = f"+4916{BROWSERS.index(name)}{Life.number % 10_000:04d}{self.made % 1_000:03d}"
        address = number if channel == "sms" else f"{actor}{Life.number}.{self.made}@example.net"
        kind = KINDS[channel]
        if self._post(name, f"{HOME}/{kind}/new", **{kind: address}).status_code != 303:
            return
        self.reads[actor].add(address)
        if between == "step up":
            self._second(name, user, "app", "/step-up")
        elif between == "another":
            jar = self._jar(name)
            self._post(name, f"{HOME}/{kind}/new", **{kind: address[:-1] + "9" if channel == "sms" else f"x{address}"})
            self._put(name, {**self._jar(name), TASK: jar[TASK]}, [TASK])
        elif between == "too long":
            self.clock.advance(601 if channel == "email" else 301)
        flow = self.flows.get(self._jar(name).get(TASK, ""))
        session = self._session(name)
        answer = self._post(name, f"{HOME}/{kind}/new/confirm", pin=self._digits(actor, flow.pin if flow else None))
        if between == "nothing" and session and session.full:
            assert answer.status_code in {303, 429}, answer.text

    @rule(
        name=st.sampled_from(BROWSERS),
        of_owner=st.booleans(),
        deed=st.sampled_from(["remove", "remove", "default"]),
        place=st.integers(0, 3),
        ready=st.sampled_from([True, True, False]),
    )
    def change_a_contact(self, name: str, of_owner: bool, deed: str, place: int, ready: bool) -> None:
        user = self._user(name, of_owner)
        if ready:
            self._ready(name, user)
        contacts = self.accounts[user].contacts
        if deed == "default":  # another than the first of its kind
            contacts = [one for one in contacts if one.channel == "sms"][1:] or contacts
        contact = contacts[-1 - place % len(contacts)]
        self._post(name, f"{HOME}/{KINDS[contact.channel]}/{contact.id}/{deed}")

    # ---- recovery

    @rule(
        name=st.sampled_from(BROWSERS),
        of_owner=st.booleans(),
        by_code=st.booleans(),
        channel=st.sampled_from(["", "", "sms", "email"]),
        steps=st.sampled_from([1, 2, 3, 4, 4]),
    )
    def recover(self, name: str, of_owner: bool, by_code: bool, channel: str, steps: int) -> None:
        """Go on with the recovery in this browser, or begin one, for so many steps; the PIN by another channel."""
        user = self._user(name, of_owner)
        for _ in range(steps):
            flow = self.flows.get(self._jar(name).get(RECOVERY, ""))
            if channel and flow and flow.first and not flow.second_at:
                self._post(name, "/recovery/pin/send", channel=channel)
            if self._recover_on(name, user, by_code=by_code).status_code != 303:
                return

    def _recover_on(self, name: str, user: str, *, by_code: bool) -> TestResponse:
        actor, now = name.split(maxsplit=1)[0], self._now
        flow = self.flows.get(self._jar(name).get(RECOVERY, ""))
        self._put(name, {}, [SIGN_IN])  # or the User ID of a sign-in would be carried here
        if flow is None or flow.finished or now - flow.created >= FLOW:
            return self._post(name, "/recovery", user_id=self.accounts[user].user_id)
        if flow.first is None and by_code:
            return self._post(name, "/recovery/code", code=self._saved_code(actor, flow.user, "unused"))
        if flow.first is None:
            code = self._good_code(actor, flow.user, waiting=False)
            return self._post(name, "/recovery/token", code=code)
        if flow.second_at is None:
            return self._post(name, "/recovery/pin", pin=self._digits(actor, flow.pin))
        self.made += 1
        word = f"a recovered passphrase {Life.number} {self.made}"
        return self._post(name, "/recovery/password", new_password=word, confirm_password=word)

    # ---- cookies and forms that are not one's own, or not of now

    @precondition(lambda self: self.sessions or self.ended)
    @rule(name=st.sampled_from(BROWSERS), place=st.integers(0, 5), living=st.booleans(), owners=st.booleans())
    def use_a_known_session(self, name: str, place: int, living: bool, owners: bool) -> None:
        """A cookie of a session that has ended, or a living one: one's own, or what the thief read."""
        actor = name.split(maxsplit=1)[0]
        mine = {actor, OWNER} if actor == THIEF and (self.hold == "session" or not living) else {actor}
        held = [cookie for cookie, one in self.sessions.items() if one.by in mine] if living else []
        known = held or [cookie for cookie, by in self.ended.items() if by in mine]
        if living and owners and self.hold == "session":
            known = [cookie for cookie in held if self.sessions[cookie].user == OWNER] or known
        if known:
            self._put(name, {SESSION: known[-1 - place % len(known)]}, [SESSION])
            self._visit(name, HOME)

    @rule(name=st.sampled_from(BROWSERS), cookie=st.sampled_from([TASK, ENROLL, SIGN_IN]))
    def swap_a_cookie(self, name: str, cookie: str) -> None:
        """What one browser was given for a page, in the other browser of the same hand."""
        other = _other(name)
        if cookie in self._jar(other):
            self._put(name, self._jar(other), [cookie])

    @rule(name=st.sampled_from(BROWSERS), of_owner=st.booleans(), contact=st.booleans())
    def type_a_pin_in_another_session(self, name: str, of_owner: bool, contact: bool) -> None:
        """A PIN that was sent for a fresh proof, or a new contact, of one session is good in no other."""
        user, other = self._user(name, of_owner), _other(name)
        for browser in (other, name):
            self._ready(browser, user)
        door, fields = ("/step-up/pin", {"channel": "sms"})
        path = "/step-up/alternative"
        if contact:
            door, path = f"{HOME}/email/new/confirm", f"{HOME}/email/new"
            self.made += 1
            fields = {"email": f"{user}{self.number}.{self.made}@example.com"}
            self.reads[name.split(maxsplit=1)[0]].add(fields["email"])
        session = self._session(other)
        if self._post(name, path, **fields).status_code != 303 or session is None or session is self._session(name):
            return
        jar = self._jar(name)
        pin = self._digits(name.split(maxsplit=1)[0], self.flows[jar[TASK]].pin)
        self._put(other, jar, [TASK])
        answer = self._post(other, door, pin=pin)
        assert answer.status_code != 303
        self.seen[f"at {door} a PIN of another session: {answer.status_code}"] += 1

    @precondition(lambda self: self.last)
    @rule(name=st.sampled_from(BROWSERS))
    def send_the_last_form_again(self, name: str) -> None:
        """A double click, or the back button: the same form with the cookies of then."""
        if name in self.last and self.last[name][0] not in {"/sign-in", "/sign-out", "/recovery"}:
            path, fields, jar = self.last[name]
            present = self._jar(name)
            self._put(name, jar)
            if self._post(name, path, **fields).status_code != 303:
                self._put(name, present)

    # ---- the world goes on

    @rule(seconds=st.sampled_from([1, 29, 30, 31, 61, 121, 290, 301, 599, 601, 869, 901, 3_601, DAY + 1, WEEK + 1]))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)

    def teardown(self) -> None:
        """Whatever strangers did: after a day the owner gets through with what is left, and nobody else is in then."""
        owner, name = self.accounts[OWNER], "owner 1"
        if self.theft is not None and self._undo(self.theft):
            return
        if self.besieged:
            self._besiege()
        self.clock.advance(DAY + 3_600)
        if not any(one.by == OWNER for one in owner.apps if one.state == "active" and not one.waits(self._now)):
            self.seen["the owner's apps were put away"] += 1
            return
        if not any(one.address in self.reads[OWNER] for one in owner.usable(self._now)):
            self.seen["the owner's contacts were taken off"] += 1
            return
        for browser in BROWSERS:
            self._put(browser, {**self._jar(browser)} if browser in THIEFS else {})
        with self.portal.base.database.read() as looking:
            standing = self.portal.means.tries.standing(looking, owner.id, Factor.APP)
        if standing.closed_to_strangers and not self._open_lane(name):
            self.seen["closed to strangers, and no mailbox"] += 1
            return
        for _ in range(3 if standing.closed_to_strangers else 4):
            answer = self._recover_on(name, OWNER, by_code=False)
            assert answer.status_code == 303, f"the owner was shut out: {answer.text}"
        assert not any(one.user == OWNER for one in self.sessions.values())
        self.the_database_says_what_the_model_says()
        for browser in THIEFS:
            self._visit(browser, HOME)

    def _undo(self, theft: Theft) -> bool:
        """The owner presses the link in the notice of the thief's first change, and rolls back by an older app.

        False where the link is too old, the owner reads no contact that got it, or has no app from before. A model
        of what comes after it there is none: the play ends here, with what must be so.
        """
        owner, portal = self.accounts[OWNER], self.portal
        link = self._read_link(theft)
        app = next((one for one in theft.deciding if one.id in {app.id for app in owner.apps}), None)
        if link is None or app is None or self._now >= theft.at + WEEK:
            self.seen["nothing to undo with"] += 1
            return False
        self.clock.advance(3_600)  # past every wait, and every step that was used
        browser = portal.browser(REMOTE_ADDR="192.0.2.10")
        browser.get(link)
        assert browser.post(link).location == "/undo/choose"
        for thief in THIEFS:
            assert self.browsers[thief].get(HOME).status_code == 303, "the thief is still signed in to a frozen account"
        if browser.post("/undo/choose", code=code_of(app.seed, self._now // STEP + app.drift)).status_code != 303:
            self.seen["the owner's tries of today were used up"] += 1
            return True
        assert browser.post("/undo/decide", decision="roll_back").location == "/undo/done"
        self.seen["the owner took back what the thief did"] += 1
        with portal.base.database.read() as looking:
            person = {"person": owner.id}
            assert looking.execute(SESSIONS, person).all() == []
            apps = {row.id: row.state for row in looking.execute(APPS, person)}
            contacts = {row.id for row in looking.execute(CONTACTS, person)}
        assert contacts == theft.contacts
        for one in owner.apps:
            before = theft.apps.get(one.id)
            if before is None:
                assert apps[one.id] == "removed", "an app that came with the thief, or after, is kept"
            elif before.state == "active":
                assert apps[one.id] == "active", "an app of before is gone"
            else:
                assert apps[one.id] != "active", "an app that was put away came back"
        for word in {*self.words[THIEF], *owner.passwords}:
            self.clock.advance(3_600)
            assert not self._opens(owner.user_id, word), "a password of before the undo is good"
        return True

    def _opens(self, user_id: str, word: str) -> bool:
        browser = self.portal.browser(REMOTE_ADDR="198.51.100.7")
        browser.get("/sign-in")
        browser.post("/sign-in", user_id=user_id)
        return browser.post("/sign-in/password", password=word).status_code == 303

    def _read_link(self, theft: Theft) -> str | None:
        """The path of the link in a notice that the owner can read."""
        for row, payload in theft.notices:
            with self.portal.base.database.read() as looking:
                address = looking.execute(ADDRESS, {"id": row}).scalar_one()
            plain = json.loads(self.portal.base.keyring.open("outbox", payload, f"outbox:{row}"))
            if address in self.reads[OWNER] and "undo" in plain:
                return "/undo/" + str(plain["undo"]).rpartition("/undo/")[2]
        return None

    def _besiege(self) -> None:
        """Strangers try codes at the owner's recovery until theirs are used up, days later."""
        tries, owner, closed = self.portal.means.tries, self.accounts[OWNER], False
        while not closed:
            try:
                closed = tries.spend(
                    tries.subject(owner.user_id, owner.id), Factor.APP, Door.RECOVERY
                ).closed_to_strangers
            except Throttled as throttled:
                if throttled.retry_after >= DAY:
                    return  # they were used up before
                self.clock.advance(throttled.retry_after)

    def _open_lane(self, name: str) -> bool:
        """By a link in a mailbox of the owner's, if there is one."""
        owner, browser = self.accounts[OWNER], self.browsers[name]
        with self.portal.base.database.read() as looking:
            before = {row.id for row in looking.execute(LINKS, {"person": owner.id})}
        answer = browser.post("/recovery/link", csrf_token=self.tokens[name], user_id=owner.user_id)
        assert answer.status_code == 303
        with self.portal.base.database.read() as looking:
            links = [row for row in looking.execute(LINKS, {"person": owner.id}) if row.id not in before]
        if not any(row.address in self.reads[OWNER] for row in links):
            return False
        plain = self.portal.base.keyring.open("outbox", links[0].payload, f"outbox:{links[0].id}")
        answer = browser.post(f"/recovery/link/{json.loads(plain)['token']}", csrf_token=self.tokens[name])
        assert answer.location == "/recovery/token"
        self.flows[self._jar(name)[RECOVERY]] = Flow(OWNER, self._now, owner.epoch)
        self.seen["the owner came in by a lane"] += 1
        return True


UNLIMITED: dict[str, Any] = {
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
# what the plays must have come to, or they would have proved nothing
REACHED = (
    *(f"signed in by {proof}" for proof in ("app", "sms", "email", "recovery_code")),
    *(f"stepped up by {proof}" for proof in ("app", "sms", "recovery_code")),
    *(f"{event} of the {OWNER} by the {who}" for event in ("authn_login_success",) for who in (OWNER, THIEF)),
    *(f"{event} of the {OWNER} by the {OWNER}" for event in WRITTEN_DOWN),
    *(f"{CHANGE} {status}" for status in (303, 409, 422)),
    *(f"{NEW_APP} {status}" for status in (303, 409, 422)),
    *(f"{HOME}/phone/new/confirm {status}" for status in (303, 409, 422)),
    "/sign-in/password 422",
    "/sign-in/verify 422",
    "/step-up 422",
    "/recovery/token 303",
    "/recovery/token 422",
    "/recovery/token 429",
    "/recovery/code 303",
    "/recovery/code 422",
    "a key died after ten minutes",
    "a session reached the end, idle",
    "a session reached the end, the end",
    "an ended session opened nothing",
    "changed, and signed out elsewhere",
    "changed, and not signed out elsewhere",
    f"recovered: the {OWNER} by the {OWNER}",
    "the owner came in by a lane",
    "the owner took back what the thief did",
)


def test_no_order_of_requests_gives_a_session_or_a_change_without_its_proofs(
    sqlite_database, valkey_url, clock, keyring
):
    Life.seen.clear()
    with opened(sqlite_database, valkey_url, clock, keyring, **UNLIMITED) as portal:
        _careless(portal.base.database.engine)

        for number in SEEDS:

            class Here(Play):
                def __init__(self) -> None:
                    super().__init__(portal)

            run_state_machine_as_test(seed(number)(Here), settings=SETTINGS)
    missed = [what for what in REACHED if not Life.seen[what]]
    assert not missed, (missed, dict(Life.seen))


def test_what_is_new_put_away_pending_or_used_proves_nothing_at_any_door(sqlite_database, valkey_url, clock, keyring):
    """One play that chance would seldom come to, held against the model like every other."""
    with opened(sqlite_database, valkey_url, clock, keyring, **UNLIMITED) as portal:
        _careless(portal.base.database.engine)
        play = Play(portal)
        play.begin(hold="password and app", another="waiting", codes=True, contacts="two phones", besieged=True)
        owner, name = play.accounts[OWNER], "owner 1"
        first, waiting = owner.apps

        def typed(code: str, *doors: str) -> list[int]:
            """What a code is answered at each door; the owner signs in again before each, by the first app."""
            answers = []
            for door in doors:
                clock.advance(STEP)
                play._ready(name, OWNER)
                play._stand_at(name, OWNER, door)
                answers.append(play._post(name, door, code=code).status_code)
            return answers

        def shown_by(app: App) -> str:
            return code_of(app.seed, clock.now() // STEP + 1)

        everywhere = ("/sign-in/verify", "/step-up", "/recovery/token")
        assert typed(shown_by(waiting), "/recovery/token") == [422]  # security rule 6
        assert typed(shown_by(waiting), "/sign-in/verify") == [303]
        clock.advance(DAY)
        assert typed(shown_by(waiting), "/recovery/token") == [303]
        clock.advance(DAY)
        play._ready(name, OWNER)
        for deed in ("disable", "enable", "disable"):
            assert play._post(name, f"{HOME}/app/{waiting.id}/{deed}").status_code == 303
        for door in everywhere:
            assert typed(shown_by(waiting), door) == [422]
        clock.advance(DAY)
        play._ready(name, OWNER)
        assert play._post(name, f"{HOME}/app/{waiting.id}/remove").status_code == 303
        for door in everywhere:
            assert typed(shown_by(waiting), door) == [422]
        clock.advance(DAY)
        play.enroll(name, of_owner=True, wait=0, kind="elsewhere", ready=True)
        clock.advance(DAY)
        play.enroll(name, of_owner=True, wait=0, kind="other browser", ready=True)

        # one code, once over all doors
        for held in everywhere:
            clock.advance(DAY)
            play._ready(name, OWNER)
            play._stand_at(name, OWNER, held)
            code = play._good_code(OWNER, OWNER)
            assert play._post(name, held, code=code).status_code == 303
            play._visit(name, HOME)
            for door in everywhere:
                play._stand_at("owner 2", OWNER, door)
                if play._session("owner 2") or door != "/step-up":
                    assert play._post("owner 2", door, code=code).status_code != 303

        # one saved code, once over all doors; and none of a set that was replaced, but in recovery for a day
        clock.advance(DAY)
        (codes,) = owner.sets
        used = codes.unused[0]
        doors = ("/sign-in/code", "/step-up/code", "/recovery/code")
        assert typed(used, *doors) == [303, 422, 422]
        clock.advance(DAY)
        play.make_codes(name, of_owner=True, stolen=False, ready=True)
        old, new = codes.unused[0], owner.sets[-1].unused[0]
        assert typed(old, *doors) == [422, 422, 303]
        clock.advance(DAY - 3_600)
        assert typed(new, "/step-up/code", "/recovery/code", "/sign-in/code") == [422, 422, 303]
        clock.advance(DAY)
        assert typed(owner.sets[-1].unused[0], "/recovery/code") == [303]
        assert typed(codes.unused[0], *doors) == [422, 422, 422]

        for contact in (False, True):
            clock.advance(DAY)
            play.type_a_pin_in_another_session(name, of_owner=True, contact=contact)

        # a contact in its waiting time gets a PIN of its own, and no other; not even as the only one of its kind
        play.change_a_contact(name, of_owner=True, deed="remove", place=0, ready=True)
        play.change_a_contact(name, of_owner=True, deed="remove", place=0, ready=True)
        assert [one.channel for one in owner.contacts] == ["sms"]
        play.add_a_contact(name, of_owner=True, channel="email", between="nothing", ready=True)
        assert [one.channel for one in owner.contacts] == ["sms", "email"]
        clock.advance(DAY)
        for waits in (True, False):
            play._sign_in(name, OWNER, "none")
            assert play._post(name, "/sign-in/alternative", channel="email").status_code in {303, 422}
            assert (play.flows[play._jar(name)[SIGN_IN]].pin is None) == waits
            play.recover(name, of_owner=True, by_code=False, channel="", steps=2)
            sent = play._post(name, "/recovery/pin/send", channel="email")
            assert sent.status_code == (422 if waits else 303)
            clock.advance(WEEK)
        play.change_password(name, of_owner=True, current="right", new="new", everywhere=True, ready=True)
        assert [one.by for one in play.sessions.values()] == [OWNER]
        assert first.state == "active"
        play.the_database_says_what_the_model_says()
        play.teardown()
    assert Life.seen["a key of another session: 422"]
    assert Life.seen["at /step-up/pin a PIN of another session: 409"]
    assert Life.seen[f"at {HOME}/email/new/confirm a PIN of another session: 409"]
    assert Life.seen["the owner came in by a lane"]
