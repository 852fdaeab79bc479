"""Two accounts, an owner's and a thief's, and the portal held against the model of them (``account.py``) at each step.

Whatever the portal lets through must be right by the model; and after each step sessions, apps, contacts, codes,
events and notices in the database are those of the model. What the two of them do is in ``test_stateful.py``.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
)
from sqlalchemy import text
from werkzeug.test import TestResponse

from app.foundation.secretbox import fingerprint
from app.records.people import store as people
from app.records.people.model import Channel
from app.records.people.model import Contact as PersonsContact
from tests.journeys.account import (
    DAY,
    FLOW,
    KEY,
    STEP,
    WEEK,
    Account,
    App,
    Codes,
    Contact,
    Flow,
    Pending,
    Pin,
    Session,
)
from tests.journeys.account import shows as code_of
from tests.portal import PASSWORD, Portal

HOME = "/authenticators"
NEW_APP, CODES, CHANGE = f"{HOME}/app/new", f"{HOME}/recovery-codes", f"{HOME}/password"
SESSION, SIGN_IN, RECOVERY = "keyturn-session", "keyturn-sign-in", "keyturn-recovery"
TASK, ENROLL = "keyturn-task", "keyturn-enroll"
COOKIES = (SESSION, SIGN_IN, RECOVERY, TASK, ENROLL)
NO_CODE = "0000-0000-0000-0000"
KINDS = {"sms": "phone", "email": "email"}

OWNER, THIEF = "owner", "thief"
OWNERS, THIEFS = ("owner 1", "owner 2"), ("thief 1", "thief 2")
BROWSERS = (*OWNERS, *THIEFS)
# what of the owner's the thief has: with none of the first five anything of the account may ever be theirs
WEAK = ("nothing", "password", "app", "phone", "mailbox")
STRONG = ("password and mailbox", "password and app", "app and mailbox", "session")
# the events of changes, each with the notice that every usable contact gets
NOTICES = {
    "authn_password_change": "notice_password_changed",
    "authn_app_add": "notice_app_added",
    "authn_app_disable": "notice_app_disabled",
    "authn_app_enable": "notice_app_enabled",
    "authn_app_remove": "notice_app_removed",
    "authn_recovery_code_success": "notice_code_used",
    "recovery_codes_created": "notice_codes_made",
    "contact_added": "notice_contact_added",
    "contact_removed": "notice_contact_removed",
    "contact_made_default": "notice_contact_default",
}
WRITTEN_DOWN = {
    *NOTICES,
    "authn_login_success",
    "authn_step_up",
    "session_ended",
    "authn_app_rename",
    "authn_app_synchronize",
}
YOURS = "notice_your_contact"

_NEWS = text("SELECT id, event, person_id, reason FROM audit_events WHERE person_id IN (:one, :other) AND id > :seen")
_OUT = text(
    "SELECT id, template, contact_id, person_id, payload, expires_at FROM outbox WHERE person_id IN (:one, :other)"
)
_CONTACT = text("SELECT address, channel FROM contacts WHERE id = :id")
SESSIONS = text(
    "SELECT s.id, s.name, s.proofs, s.created_at, s.seen_at, s.stamp, p.stamp AS present FROM sessions s "
    "JOIN people p ON p.id = s.person_id WHERE s.person_id = :person"
)
_NAME = text("SELECT name FROM sessions WHERE id = :id")
APPS = text("SELECT id, state, last_step, drift, usable_from FROM totp_apps WHERE person_id = :person")
_WAITS = text("UPDATE contacts SET usable_from = :from WHERE id = :id")
_PUT_AWAY = text("UPDATE totp_apps SET state = :state WHERE id = :id")
CONTACTS = text(
    "SELECT id, channel, address, usable_from FROM contacts "
    "WHERE person_id = :person AND removed_at IS NULL AND confirmed_at IS NOT NULL"
)
_CODES = text(
    "SELECT s.id, count(*) - count(c.used_at) AS unused FROM recovery_code_sets s "
    "JOIN recovery_codes c ON c.set_id = s.id WHERE s.person_id = :person GROUP BY s.id"
)
LINKS = text(
    "SELECT o.id, o.payload, c.address FROM outbox o JOIN contacts c ON c.id = o.contact_id "
    "WHERE o.person_id = :person AND o.template = 'lane_link'"
)
ADDRESS = text("SELECT c.address FROM outbox o JOIN contacts c ON c.id = o.contact_id WHERE o.id = :id")
_HASH = text("SELECT hash FROM passwords WHERE person_id = :person")


@dataclass
class Theft:
    """The thief's first change of the owner's account: when, what there was before, and the notices that told of it."""

    at: int
    apps: dict[str, App]
    contacts: set[str]
    notices: list[tuple[str, str]]  # rows of the outbox: id and payload

    @property
    def deciding(self) -> list[App]:
        """The owner's apps that counted just before."""
        return [
            app for app in self.apps.values() if app.by == OWNER and app.state == "active" and not app.waits(self.at)
        ]


@dataclass
class Act:
    """A form that was accepted: who sent what from where, with the cookies of before and after."""

    actor: str
    path: str
    fields: dict[str, str]
    before: dict[str, str]
    after: dict[str, str]
    answer: TestResponse


class Life(RuleBasedStateMachine):
    """All that the two of them may do to two accounts."""

    number = 0
    seen: ClassVar[Counter[str]] = Counter()

    def __init__(self, portal: Portal) -> None:
        super().__init__()
        self.portal = portal
        clock: Any = portal.base.clock
        self.clock = clock
        # each play begins at the same time of its own day, and nothing of the one before is left in any window
        self.clock.advance(2 * DAY - self.clock.now() % DAY)
        Life.number += 1
        self.reads: dict[str, set[str]] = {}  # addresses whose messages each of them reads
        self.words: dict[str, set[str]] = {OWNER: {PASSWORD}, THIEF: {PASSWORD + " of mine"}}
        self.accounts = {name: self._account(name, place) for place, name in enumerate((OWNER, THIEF))}
        self.browsers: dict[str, Any] = {
            name: portal.browser(REMOTE_ADDR="192.0.2.10" if name in OWNERS else "198.51.100.7") for name in BROWSERS
        }
        self.tokens = {name: browser.token() for name, browser in self.browsers.items()}
        self.sessions: dict[str, Session] = {}  # by the one living cookie
        self.ended: dict[str, str] = {}  # cookies that were good once: by whom they were held
        self.flows: dict[str, Flow] = {}
        self.keys: dict[str, Pending] = {}
        self.spent: set[tuple[bytes, int]] = set()  # time-steps accepted or burned, over all doors
        self.shoulder: list[str] = []  # the owner's codes and PINs that were accepted where the thief could see them
        self.last: dict[str, tuple[str, dict[str, str], dict[str, str]]] = {}
        self.hold, self.besieged = "nothing", False
        self.made = 0
        self.typed = ""
        self.news = 0
        self.letters: set[str] = set()
        self.expected: Counter[tuple[str, int]] = Counter()
        self.told: Counter[tuple[str, str]] = Counter()
        self.sent: list[Any] = []
        self.posted = True
        self.theft: Theft | None = None
        self.touched_at = -1  # when anybody changed something of the owner's last
        self.fresh_notices: list[tuple[str, str]] = []
        self._look()
        self.hashes = {name: self._hash(name) for name in self.accounts}
        self.epochs = dict.fromkeys(self.accounts, 0)

    def _account(self, name: str, place: int) -> Account:
        user_id = f"{name}{Life.number}"
        phone, email = f"+4915{place}{Life.number:07d}", f"{user_id}@example.org"
        word = PASSWORD if name == OWNER else PASSWORD + " of mine"
        person = self.portal.add(user_id, phone=phone, email=email, password=word)
        self.reads[name] = {phone, email}
        account = Account(user_id, person.id, [word])
        with self.portal.base.database.read() as looking:
            (app,) = looking.execute(APPS, {"person": person.id})
            for row in looking.execute(CONTACTS, {"person": person.id}):
                account.contacts.append(Contact(row.id, row.channel, row.address, 0))
        account.apps.append(App(app.id, self.portal.seeds[user_id], name, app.usable_from))
        return account

    @initialize(
        hold=st.sampled_from((*WEAK, *STRONG, *STRONG)),
        another=st.sampled_from(["none", "active", "waiting", "disabled", "removed"]),
        codes=st.booleans(),
        contacts=st.sampled_from(["as usual", "two phones", "a new phone", "a new mailbox"]),
        besieged=st.sampled_from([False, False, False, True]),
    )
    def begin(self, hold: str, another: str, codes: bool, contacts: str, besieged: bool) -> None:
        """What the thief has, and what the owner has beside a phone with an app and a mailbox.

        ``besieged``: in the end strangers will have spent all that strangers may on the owner's recovery.
        """
        owner = self.accounts[OWNER]
        self.besieged = besieged
        now = self._now
        self.hold = hold
        phone, email = (one.address for one in sorted(owner.contacts, key=lambda one: one.channel)[::-1])
        self.reads[THIEF] |= {address for address, what in ((phone, "phone"), (email, "mailbox")) if what in hold}
        if "password" in hold:
            self.words[THIEF].add(PASSWORD)
        chance, apps = self.portal.base.chance, self.portal.means.apps
        with self.portal.base.database.begin() as transaction:
            if another != "none":
                seed = chance.octets(20)
                state, since = ("active", now + DAY) if another == "waiting" else (another, now - DAY)
                made = apps.bind(transaction, person_id=owner.id, seed=seed, label="Old", now=now, usable_from=since)
                transaction.execute(_PUT_AWAY, {"id": made.id, "state": state})
                owner.apps.append(App(made.id, seed, OWNER, since, state=state))
            if contacts == "two phones":
                address = f"+4917{Life.number:07d}"
                other = PersonsContact(chance.name(), owner.id, Channel.SMS, address, 1, now, now, None)
                people.add_contact(transaction, other, now)
                owner.contacts.append(Contact(other.id, "sms", address, now))
                self.reads[OWNER].add(address)
            for one in owner.contacts:
                if contacts == {"sms": "a new phone", "email": "a new mailbox"}[one.channel]:
                    one.usable_from = now + WEEK
                    transaction.execute(_WAITS, {"id": one.id, "from": now + WEEK})
        if codes:
            with self.portal.base.database.read() as looking:
                person = people.get(looking, owner.id)
            assert person is not None
            drawn = self.portal.add_codes(person)
            with self.portal.base.database.read() as looking:
                name = looking.execute(_CODES, {"person": owner.id}).one().id
            owner.sets.append(Codes(OWNER, list(drawn), now, name))

    # ---- what each of them knows

    def _knows(self, actor: str, user: str, app: App) -> bool:
        stolen = actor == THIEF and user == OWNER and "app" in self.hold and app is self.accounts[OWNER].apps[0]
        return app.by == actor or stolen

    def _word(self, actor: str, user: str, kind: str) -> str:
        account = self.accounts[user]
        if kind == "right" and account.password in self.words[actor]:
            return account.password
        if kind == "former" and len(account.passwords) > 1:
            return account.passwords[-2]
        self.made += 1
        return f"a guess that is wrong {self.made % 3}"

    def _good_code(self, actor: str, user: str, *, waiting: bool = True) -> str:
        """A code that is right and unused, of an app that the actor has, after waiting for one; else a wrong one."""
        for app in self.accounts[user].apps:
            if app.state != "active" or not self._knows(actor, user, app) or (app.waits(self._now) and not waiting):
                continue
            for _ in range(3):
                middle = self._now // STEP + app.drift
                for step in (middle - 1, middle, middle + 1):
                    if step > app.last_step and (app.seed, step) not in self.spent:
                        return code_of(app.seed, step)
                self.clock.advance(STEP)
        return self._wrong_code(user)

    def _some_code(self, actor: str, user: str, which: int, offset: int) -> tuple[str, str]:
        """A code that the actor can type, right or not, and what it is a code of."""
        now = self._now
        found: dict[str, bytes | None] = {"none": None}
        for app in self.accounts[user].apps:
            if self._knows(actor, user, app):
                found["waiting" if app.state == "active" and app.waits(now) else app.state] = app.seed
        for key in self.keys.values():
            if key.by == actor and key.user == user:
                found["pending"] = key.seed
        kinds = [*sorted(found), *(["seen"] if self.shoulder else [])]
        kind = kinds[which % len(kinds)]
        if kind == "seen":
            return self.shoulder[-1], kind
        seed = found[kind]
        return (self._wrong_code(user) if seed is None else code_of(seed, now // STEP + offset)), kind

    def _wrong_code(self, user: str) -> str:
        seeds = [app.seed for app in self.accounts[user].apps] + [key.seed for key in self.keys.values()]
        middle = self._now // STEP
        near = {code_of(seed, middle + offset) for seed in seeds for offset in range(-25, 26)}
        return next(code for code in (f"{n:06d}" for n in range(1_000_000)) if code not in near)

    def _saved_code(self, actor: str, user: str, which: str) -> str:
        """A saved code that the actor holds: unused, used, or of a set that was replaced; else a wrong one."""
        held = [one for one in self.accounts[user].sets if one.by == actor]
        found = {
            "unused": [code for one in held[-1:] for code in one.unused],
            "used": [code for one in held for code in one.used],
            "replaced": [code for one in held[:-1] for code in one.unused],
        }[which]
        return found[0] if found else NO_CODE

    def _digits(self, actor: str, pin: Pin | None) -> str:
        return pin.digits if pin and pin.address in self.reads[actor] else "000000"

    # ---- posting, and holding the answer against the model

    @property
    def _now(self) -> int:
        return int(self.clock.now())

    def _jar(self, name: str) -> dict[str, str]:
        return {cookie: value for cookie in COOKIES if (value := self.browsers[name].cookie(cookie))}

    def _put(self, name: str, jar: dict[str, str], cookies: Iterable[str] = COOKIES) -> None:
        for cookie in cookies:
            self.browsers[name].client.delete_cookie(cookie)
            if cookie in jar:
                self.browsers[name].client.set_cookie(cookie, jar[cookie])

    def _session(self, name: str) -> Session | None:
        found = self.sessions.get(self._jar(name).get(SESSION, ""))
        return found if found and found.living(self._now) else None

    def _post(self, name: str, path: str, /, **fields: str) -> TestResponse:
        before, actor = self._jar(name), name.split(maxsplit=1)[0]
        self.last[name] = (path, fields, before)
        self.posted, self.typed = True, fields.get("code", "")
        session = self._session(name)
        owner = self.accounts[OWNER]
        before_it = {app.id: replace(app) for app in owner.apps}, {one.id for one in owner.contacts}
        changed_before, self.fresh_notices = self.touched_at, []
        answer: TestResponse = self.browsers[name].post(path, csrf_token=self.tokens[name], **fields)
        assert answer.status_code in {303, 404, 409, 422, 429}, (path, answer.status_code, answer.text)
        door = re.sub(r"[0-9a-f]{32}", "*", path)
        self.seen[f"{door} {answer.status_code}"] += 1
        if session is not None and path.startswith((HOME, "/step-up", "/sessions")):
            session.used(self._now)
        self._look()
        if answer.status_code == 303:
            self._accepted(door)(Act(actor, path, fields, before, self._jar(name), answer))
        if actor == THIEF and self.theft is None and self.touched_at == self._now != changed_before:
            self.theft = Theft(self._now, *before_it, list(self.fresh_notices))
        assert not self.sent, f"{path}: a PIN was sent that nobody was to get"
        assert not any(self.expected.values()), f"{path}: done and not written down, or the reverse: {self.expected}"
        assert not any(self.told.values()), f"{path}: notices that went elsewhere than to each contact: {self.told}"
        return answer

    def _look(self) -> None:
        """Take what the last request wrote: events and notices, to be balanced, and PINs, to be explained."""
        both = {"one": self.accounts[OWNER].id, "other": self.accounts[THIEF].id}
        with self.portal.base.database.read() as looking:
            for row in looking.execute(_NEWS, {**both, "seen": self.news}).all():
                self.news = max(self.news, row.id)
                if row.event in WRITTEN_DOWN:
                    self.expected[row.event, row.person_id] -= 1
                if row.event == "authn_token_fail" and row.reason == "clock_off":
                    self._burned(row.person_id)
            for row in looking.execute(_OUT, both).all():
                if row.id in self.letters:
                    continue
                self.letters.add(row.id)
                if row.template == "pin":
                    self.sent.append(row)
                elif row.template in {*NOTICES.values(), YOURS}:
                    self.fresh_notices.append((row.id, row.payload))
                    self.told[row.template, row.contact_id] -= 1

    def _burned(self, person_id: int) -> None:
        """The code of another time that was just recognised is never good again."""
        account = next(one for one in self.accounts.values() if one.id == person_id)
        typed = self.typed
        for app in account.apps:
            middle = self._now // STEP + app.drift
            off = [step for step in range(middle - 20, middle + 21) if code_of(app.seed, step) == typed]
            if app.state == "active" and off and abs(off[0] - middle) > 1:
                self.spent.add((app.seed, off[0]))

    def _accepted(self, door: str) -> Callable[[Act], None]:
        doors: dict[str, Callable[[Act], None]] = {
            "/sign-in": self._began,
            "/sign-in/password": self._password_right,
            "/sign-in/verify": self._signed_in_by_app,
            "/sign-in/code": self._signed_in_by_code,
            "/sign-in/alternative": self._sign_in_pin_sent,
            "/sign-in/pin": self._signed_in_by_pin,
            "/sign-out": self._signed_out,
            "/step-up": self._stepped_up_by_app,
            "/step-up/code": self._stepped_up_by_code,
            "/step-up/alternative": self._step_up_pin_sent,
            "/step-up/pin": self._stepped_up_by_pin,
            "/sessions": self._sessions_ended,
            CHANGE: self._password_changed,
            NEW_APP: self._app_added,
            CODES: self._codes_made,
            "/recovery": self._began,
            "/recovery/token": self._first_by_app,
            "/recovery/code": self._first_by_code,
            "/recovery/pin": self._second_by_pin,
            "/recovery/pin/send": self._recovery_pin_sent,
            "/recovery/password": self._recovered,
            **{f"{HOME}/app/*/{deed}": self._app_moved for deed in ("disable", "enable", "remove")},
            f"{HOME}/app/*/rename": self._app_renamed,
            f"{HOME}/app/*/synchronize": self._app_synchronized,
        }
        for kind in KINDS.values():
            doors[f"{HOME}/{kind}/new"] = self._contact_begun
            doors[f"{HOME}/{kind}/new/confirm"] = self._contact_added
            doors[f"{HOME}/{kind}/*/remove"] = self._contact_removed
            doors[f"{HOME}/{kind}/*/default"] = self._contact_first
        return doors[door]

    def _wrote(self, actor: str, user: str, event: str, told: list[Contact] | None = None) -> None:
        """The event that must have been written, and the notices that must have been queued with it."""
        account = self.accounts[user]
        self.expected[event, account.id] += 1
        for contact in (account.usable(self._now) if told is None else told) if event in NOTICES else ():
            self.told[NOTICES[event], contact.id] += 1
        self.seen[f"{event} of the {user} by the {actor}"] += 1
        if user == OWNER and event in NOTICES:
            self.touched_at = self._now
        if actor == THIEF and user == OWNER:
            assert self.hold in STRONG, f"the thief, who has {self.hold}, got as far as {event}"

    def _pin(self, user: str, purpose: str, address: str = "") -> Pin | None:
        """The PIN that was just sent, opened with the house's key. It went where one may go for that purpose."""
        if not self.sent:
            return None
        row, account = self.sent.pop(), self.accounts[user]
        assert row.person_id == account.id, "a PIN went to somebody else"
        plain = self.portal.base.keyring.open("outbox", row.payload, f"outbox:{row.id}")
        with self.portal.base.database.read() as looking:
            contact = looking.execute(_CONTACT, {"id": row.contact_id}).one()
        if purpose == "contact":
            assert contact.address == address, "the PIN of a new contact went to another"
        else:
            usable = [one.id for one in account.usable(self._now)]
            assert row.contact_id in usable, f"a PIN for {purpose} went to a contact that waits, or is gone"
            assert purpose == "recovery" or not account.just_recovered(self._now)
            assert purpose != "step_up" or contact.channel == "sms"
        return Pin(str(json.loads(plain)["pin"]), int(row.expires_at), contact.channel, contact.address)

    # ---- proofs

    def _app_proved(self, act: Act, user: str, *, waiting: bool) -> str:
        """An app code was accepted: it must have been good, and is from now on good nowhere. The proof's name."""
        now, typed = self._now, act.fields["code"]
        found = []
        for app in self.accounts[user].apps:
            middle = now // STEP + app.drift
            found += [(app, step) for step in (middle - 1, middle, middle + 1) if code_of(app.seed, step) == typed]
        assert found, "a code of no app of the account was accepted"
        assert all(app.state == "active" for app, _ in found), "an app that is put away proved something"
        assert waiting or not all(app.waits(now) for app, _ in found), "a new app served recovery"
        app, step = found[0]
        assert (app.seed, step) not in self.spent, "a code was accepted twice"
        assert step > app.last_step, "a code earlier than an accepted one was accepted"
        self.spent.add((app.seed, step))
        app.last_step = step
        if act.actor == OWNER:
            self.shoulder.append(typed)
        return "new_app" if app.waits(now) else "app"

    def _code_proved(self, act: Act, user: str, use: str) -> str:
        account, typed = self.accounts[user], act.fields["code"]
        good = account.set_for(use, self._now)
        assert good is not None, "a saved code proved something where no set counts"
        assert typed in good.unused, "a saved code was accepted that is used, replaced or none"
        good.unused.remove(typed)
        good.used.append(typed)
        self._wrote(act.actor, user, "authn_recovery_code_success")
        return "new_recovery_code" if good.usable_from > self._now else "recovery_code"

    def _pin_proved(self, act: Act, flow: Flow) -> str:
        assert flow.pin is not None
        assert act.fields["pin"] == flow.pin.digits, "a PIN of something else was accepted"
        assert self._now < flow.pin.expires_at
        channel, flow.pin = flow.pin.channel, None
        return channel

    def _living(self, flow: Flow, *, first: bool) -> None:
        now = self._now
        assert now - flow.created < FLOW
        assert flow.epoch == self.accounts[flow.user].epoch, "a flow from before the last password went on"
        assert not flow.finished
        assert not first or flow.proved_first(now), "a second proof without a first"

    # ---- signing in and out

    def _began(self, act: Act) -> None:
        user = next(name for name, one in self.accounts.items() if one.user_id == act.fields["user_id"])
        cookie = act.after[SIGN_IN if act.path == "/sign-in" else RECOVERY]
        self.flows[cookie] = Flow(user, self._now, self.accounts[user].epoch)

    def _password_right(self, act: Act) -> None:
        flow = self.flows.pop(act.before[SIGN_IN])
        self._living(flow, first=False)
        assert flow.first is None
        assert act.fields["password"] == self.accounts[flow.user].password
        flow.first = ("password", self._now)
        self.flows[act.after[SIGN_IN]] = flow
        if act.actor == THIEF and flow.user == OWNER:
            assert "password" in self.hold or self.hold in STRONG

    def _enter(self, act: Act, flow: Flow, proof: str) -> None:
        assert flow.first is not None
        now, user = self._now, flow.user
        flow.finished = True
        cookie = act.after[SESSION]
        assert cookie not in self.sessions
        assert cookie not in self.ended, "the cookie of a session was given twice"
        with self.portal.base.database.read() as looking:
            name = looking.execute(_NAME, {"id": fingerprint(cookie)}).scalar_one()
        self.sessions[cookie] = Session(user, act.actor, name, now, now, {flow.first[0]: flow.first[1], proof: now})
        self._wrote(act.actor, user, "authn_login_success")
        self.seen[f"signed in by {proof}"] += 1

    def _signed_in_by_app(self, act: Act) -> None:
        flow = self.flows.pop(act.before[SIGN_IN])
        self._living(flow, first=True)
        self._enter(act, flow, self._app_proved(act, flow.user, waiting=True))

    def _signed_in_by_code(self, act: Act) -> None:
        flow = self.flows.pop(act.before[SIGN_IN])
        self._living(flow, first=True)
        self._enter(act, flow, self._code_proved(act, flow.user, "sign_in"))

    def _sign_in_pin_sent(self, act: Act) -> None:
        flow = self.flows[act.before[SIGN_IN]]
        self._living(flow, first=True)
        flow.pin = self._pin(flow.user, "sign_in")

    def _signed_in_by_pin(self, act: Act) -> None:
        flow = self.flows.pop(act.before[SIGN_IN])
        self._living(flow, first=True)
        self._enter(act, flow, self._pin_proved(act, flow))

    def _end(self, cookies: Iterable[str]) -> None:
        for cookie in list(cookies):
            self.ended[cookie] = self.sessions.pop(cookie).by

    def _signed_out(self, act: Act) -> None:
        self._end({act.before.get(SESSION, "")} & set(self.sessions))
        assert SESSION not in act.after

    def _present(self, act: Act) -> Session:
        """The session that a signed-in page was used with: it must live."""
        session = self.sessions.get(act.before.get(SESSION, ""))
        assert session is not None, "a page of somebody signed in was open to somebody who is not"
        assert session.living(self._now), "a session outlived its time"
        return session

    def _full(self, act: Act) -> Session:
        session = self._present(act)
        assert session.full, "a mailed PIN opened what takes two factors"
        return session

    def _fresh(self, act: Act, *, settled: bool = True) -> Session:
        session = self._full(act)
        assert self.accounts[session.user].fresh(session, self._now, settled=settled), (
            "something changed without a fresh proof"
        )
        return session

    def _sessions_ended(self, act: Act) -> None:
        session = self._full(act)
        mine = {cookie for cookie, one in self.sessions.items() if one.user == session.user}
        if "name" in act.fields:
            gone = {cookie for cookie in mine if self.sessions[cookie].name == act.fields["name"]}
        else:
            gone = mine - {act.before[SESSION]}
        self._wrote(act.actor, session.user, "session_ended")
        self._end(gone)

    # ---- a fresh proof

    def _raise(self, act: Act, proof: str) -> None:
        session = self.sessions.pop(act.before[SESSION])
        assert act.after[SESSION] != act.before[SESSION], "rights rose under an old cookie"
        self.ended[act.before[SESSION]] = session.by
        self.sessions[act.after[SESSION]] = session
        session.proofs[proof] = session.seen = self._now
        self._wrote(act.actor, session.user, "authn_step_up")
        self.seen[f"stepped up by {proof}"] += 1

    def _stepped_up_by_app(self, act: Act) -> None:
        self._raise(act, self._app_proved(act, self._present(act).user, waiting=True))

    def _stepped_up_by_code(self, act: Act) -> None:
        proof = self._code_proved(act, self._present(act).user, "step_up")
        assert proof == "recovery_code", "a new set stepped up"
        self._raise(act, proof)

    def _step_up_pin_sent(self, act: Act) -> None:
        session, now = self._present(act), self._now
        flow = Flow(session.user, now, self.accounts[session.user].epoch, kind="step_up", session=act.before[SESSION])
        if act.after[TASK] == act.before.get(TASK):
            flow.created = self.flows[act.after[TASK]].created
        flow.pin = self._pin(session.user, "step_up")
        self.flows[act.after[TASK]] = flow

    def _stepped_up_by_pin(self, act: Act) -> None:
        self._present(act)
        flow = self.flows.pop(act.before[TASK])
        self._living(flow, first=False)
        assert (flow.kind, flow.session) == ("step_up", act.before[SESSION]), "a PIN of another session was accepted"
        self._raise(act, self._pin_proved(act, flow))

    # ---- the password

    def _password_changed(self, act: Act) -> None:
        session = self._present(act)
        account = self.accounts[session.user]
        assert act.fields["current_password"] == account.password, "changed without the present password"
        self._wrote(act.actor, session.user, "authn_password_change")
        self._new_password(act, account, act.fields["new_password"])
        if "everywhere" in act.fields:
            others = {cookie for cookie, one in self.sessions.items() if one.user == session.user}
            self._end(others - {act.before[SESSION]})
        self.seen[f"changed, and {'' if 'everywhere' in act.fields else 'not '}signed out elsewhere"] += 1

    def _new_password(self, act: Act, account: Account, word: str) -> None:
        assert word not in account.passwords
        account.passwords.append(word)
        account.epoch += 1
        self.words[act.actor].add(word)

    # ---- apps

    def _app_added(self, act: Act) -> None:
        session = self._fresh(act, settled=False)
        account, now = self.accounts[session.user], self._now
        key = self.keys.pop(act.before[ENROLL])
        assert key.session is session, "a key that another session was shown was confirmed"
        assert now - key.shown < KEY, "a key was confirmed after its ten minutes"
        right = [
            step for step in range(now // STEP - 1, now // STEP + 2) if code_of(key.seed, step) == act.fields["code"]
        ]
        assert right, "an app was bound by a wrong code"
        assert len(account.there()) < 5
        with self.portal.base.database.read() as looking:
            known = {app.id for app in account.apps}
            (made,) = [row.id for row in looking.execute(APPS, {"person": account.id}) if row.id not in known]
        self._wrote(act.actor, session.user, "authn_app_add")
        account.apps.append(App(made, key.seed, act.actor, now + DAY, right[0]))
        self.spent.add((key.seed, right[0]))

    def _app_of(self, act: Act) -> tuple[Session, App]:
        """The app of a path: it is the session's own, and a new app's proof changed no older one."""
        session = self._fresh(act, settled=False)
        app = next((one for one in self.accounts[session.user].apps if one.id == act.path.split("/")[3]), None)
        assert app is not None, "an app of somebody else was changed"
        assert app.state != "removed"
        if not app.waits(self._now):
            self._fresh(act)
        return session, app

    def _app_moved(self, act: Act) -> None:
        session, app = self._app_of(act)
        deed = act.path.rpartition("/")[2]
        before, after = {
            "disable": ({"active"}, "disabled"),
            "enable": ({"disabled"}, "active"),
            "remove": ({"active", "disabled"}, "removed"),
        }[deed]
        assert app.state in before
        app.state = after
        self._wrote(act.actor, session.user, f"authn_app_{deed}")

    def _app_renamed(self, act: Act) -> None:
        session, _ = self._app_of(act)
        self._wrote(act.actor, session.user, "authn_app_rename")

    def _app_synchronized(self, act: Act) -> None:
        session, app = self._app_of(act)
        middle, one, two = self._now // STEP, act.fields["code_1"], act.fields["code_2"]
        near = range(middle - 19, middle + 21)
        (step,) = [at for at in near if (code_of(app.seed, at - 1), code_of(app.seed, at)) == (one, two)]
        assert not self.spent & {(app.seed, step - 1), (app.seed, step)}, "a code was accepted twice"
        assert step - 1 > app.last_step
        assert app.state == "active"
        self.spent |= {(app.seed, step - 1), (app.seed, step)}
        app.last_step, app.drift = step, step - middle
        self._wrote(act.actor, session.user, "authn_app_synchronize")

    # ---- recovery codes

    def _codes_made(self, act: Act) -> None:
        session, now = self._fresh(act), self._now
        account = self.accounts[session.user]
        with self.portal.base.database.read() as looking:
            known = {one.id for one in account.sets}
            (made,) = [row.id for row in looking.execute(_CODES, {"person": account.id}) if row.id not in known]
        self._wrote(act.actor, session.user, "recovery_codes_created")
        account.made(Codes(act.actor, [], now + DAY, made), now, stolen="stolen" in act.fields)

    # ---- contacts

    def _contact_begun(self, act: Act) -> None:
        session = self._fresh(act)
        account, channel = self.accounts[session.user], "sms" if "phone" in act.fields else "email"
        address = act.fields.get("phone") or act.fields["email"]
        flow = Flow(session.user, self._now, account.epoch, kind=channel, session=act.before[SESSION], address=address)
        flow.pin = self._pin(session.user, "contact", address)
        assert flow.pin is not None
        self.flows[act.after[TASK]] = account.confirming[channel] = flow

    def _contact_added(self, act: Act) -> None:
        session, now = self._full(act), self._now
        flow, account = self.flows.pop(act.before[TASK]), self.accounts[session.user]
        self._living(flow, first=False)
        assert flow.session == act.before[SESSION], "a PIN of another session was accepted"
        assert account.confirming.pop(flow.kind) is flow, "a contact was confirmed in place of a later one"
        self._pin_proved(act, flow)
        assert sum(one.channel == flow.kind for one in account.contacts) < 2
        before = account.usable(now)
        with self.portal.base.database.read() as looking:
            known = {one.id for one in account.contacts}
            (made,) = [row.id for row in looking.execute(CONTACTS, {"person": account.id}) if row.id not in known]
        account.contacts.append(Contact(made, flow.kind, flow.address, now + WEEK))
        self._wrote(act.actor, session.user, "contact_added", before)
        self.told[YOURS, made] += 1

    def _contact_of(self, act: Act) -> tuple[Session, Contact]:
        session = self._fresh(act)
        found = [one for one in self.accounts[session.user].contacts if one.id == act.path.split("/")[3]]
        assert found, "a contact of somebody else was changed"
        return session, found[0]

    def _contact_removed(self, act: Act) -> None:
        session, contact = self._contact_of(act)
        account = self.accounts[session.user]
        assert len(account.contacts) > 1, "the last contact was removed"
        self._wrote(act.actor, session.user, "contact_removed")
        account.contacts.remove(contact)
        if contact.usable_from > self._now:
            self.told[YOURS, contact.id] += 1

    def _contact_first(self, act: Act) -> None:
        session, _ = self._contact_of(act)
        self._wrote(act.actor, session.user, "contact_made_default")

    # ---- recovery

    def _first_by_app(self, act: Act) -> None:
        flow = self.flows.pop(act.before[RECOVERY])
        self._living(flow, first=False)
        assert flow.first is None
        flow.first = (self._app_proved(act, flow.user, waiting=False), self._now)
        flow.pin = self._pin(flow.user, "recovery")
        self.flows[act.after[RECOVERY]] = flow

    def _first_by_code(self, act: Act) -> None:
        flow = self.flows.pop(act.before[RECOVERY])
        self._living(flow, first=False)
        assert flow.first is None
        if act.actor == THIEF and flow.user == OWNER:
            assert self.hold in STRONG
        flow.first = (self._code_proved(act, flow.user, "recovery"), self._now)
        flow.pin = self._pin(flow.user, "recovery")
        self.flows[act.after[RECOVERY]] = flow

    def _recovery_pin_sent(self, act: Act) -> None:
        flow = self.flows[act.before[RECOVERY]]
        self._living(flow, first=True)
        flow.pin = self._pin(flow.user, "recovery")
        assert flow.pin is not None

    def _second_by_pin(self, act: Act) -> None:
        flow = self.flows.pop(act.before[RECOVERY])
        self._living(flow, first=True)
        assert flow.second_at is None
        self._pin_proved(act, flow)
        flow.second_at = self._now
        self.flows[act.after[RECOVERY]] = flow

    def _recovered(self, act: Act) -> None:
        flow = self.flows.pop(act.before[RECOVERY])
        self._living(flow, first=True)
        assert flow.second_at is not None, "a password was set without a second proof"
        assert self._now - flow.second_at < 600
        account = self.accounts[flow.user]
        flow.finished = True
        self._wrote(act.actor, flow.user, "authn_password_change")
        self._new_password(act, account, act.fields["new_password"])
        account.recovered_at = self._now
        self._end(cookie for cookie, one in self.sessions.items() if one.user == flow.user)
        self.seen[f"recovered: the {flow.user} by the {act.actor}"] += 1

    # ---- what the stores say

    def _hash(self, user: str) -> str:
        with self.portal.base.database.read() as looking:
            return str(looking.execute(_HASH, {"person": self.accounts[user].id}).scalar_one())

    @precondition(lambda self: self.posted)
    @invariant()
    def the_database_says_what_the_model_says(self) -> None:
        self.posted = False
        for user, account in self.accounts.items():
            person = {"person": account.id}
            with self.portal.base.database.read() as looking:
                sessions = looking.execute(SESSIONS, person).all()
                apps = looking.execute(APPS, person).all()
                contacts = looking.execute(CONTACTS, person).all()
                codes = looking.execute(_CODES, person).all()
            assert all(row.stamp == row.present for row in sessions), "a session of an earlier password is kept"
            assert {row.id: (dict(json.loads(row.proofs)), row.created_at, row.seen_at) for row in sessions} == {
                fingerprint(cookie): (one.proofs, one.created, one.seen)
                for cookie, one in self.sessions.items()
                if one.user == user
            }
            assert all(len(json.loads(row.proofs)) > 1 for row in sessions), "a session by one proof"
            assert {row.id: (row.state, row.last_step, row.drift, row.usable_from) for row in apps} == {
                app.id: (app.state, app.last_step, app.drift, app.usable_from) for app in account.apps
            }
            assert {(row.id, row.address) for row in contacts} == {(one.id, one.address) for one in account.contacts}
            assert {row.id: row.unused for row in codes} == {
                one.id: len(one.unused) if one.unused or one.used else 10 for one in account.sets
            }
            changed = self._hash(user)
            assert (changed != self.hashes[user]) == (account.epoch != self.epochs[user]), (
                "a password changed by itself"
            )
            self.hashes[user], self.epochs[user] = changed, account.epoch
        if self.hold in WEAK:
            for one in self.sessions.values():
                assert one.user != OWNER or one.by == OWNER, f"the thief, who has {self.hold}, is signed in"
