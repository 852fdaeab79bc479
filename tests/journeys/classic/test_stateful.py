"""An owner and a thief ask, press, sign in, wait and are helped in any order: one channel alone never gets anybody in.

A model says which links live, which word is the password and until when; what the portal does is held against it after
each step. ``STATEFUL_EXAMPLES=3000`` searches deeper, and elsewhere each time.
"""

import os
from collections import Counter
from dataclasses import dataclass
from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import text, update

from app.factors.totp.store import apps
from tests.journeys import behind
from tests.journeys.classic.conftest import CLASSIC, DAY, FORGOT, letters, links, on_page
from tests.journeys.recovery.test_stateful import _careless
from tests.journeys.test_lockout import operator
from tests.portal import PASSWORD, Portal, opened

PASS, VERIFY, NEW, ASK = "/sign-in/password", "/sign-in/verify", "/sign-in/new-password", "/sign-in/security-question"
OWNER, THIEF = "owner", "thief"
ACTORS = st.sampled_from([OWNER, OWNER, THIEF])
HOLDS = ("nothing", "mailbox", "phone", "password")  # what of the owner's the thief has, one at a time

deep = int(os.environ.get("STATEFUL_EXAMPLES", "0"))
SETTINGS = settings(
    max_examples=deep or 80,
    stateful_step_count=60 if deep else 30,
    derandomize=not deep,
    deadline=None,
    database=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
_KEPT = text("SELECT good_until, must_change FROM passwords WHERE person_id = :person")


@dataclass
class Link:
    """A mailed link as the model knows it."""

    path: str
    mailed: int
    epoch: int  # how many passwords there had been


class Lifecycle(RuleBasedStateMachine):
    """Everything that the two of them, the time and an operator may do to one account."""

    number = 0
    seen: ClassVar[Counter[str]] = Counter()

    def __init__(self, portal: Portal) -> None:
        super().__init__()
        self.portal = portal
        clock: Any = portal.base.clock
        self.clock = clock
        self.clock.advance(3 * DAY)
        Lifecycle.number += 1
        self.user_id = f"rosa{Lifecycle.number}"
        self.phone, self.email = f"+49151{Lifecycle.number:08d}", f"{self.user_id}@example.org"
        self.person = portal.add(self.user_id, phone=self.phone, email=self.email, app=False)
        self.links: list[Link] = []
        self.words = [PASSWORD]  # every password that there ever was, the present one last
        self.known: dict[str, set[str]] = {OWNER: {PASSWORD}, THIEF: set()}
        self.until: int | None = None  # of a temporary one; 0: lapsed, and opened by staff
        self.recovered = -(10**9)
        self.app = self.question = False
        self.hold = "nothing"
        self.letters = self.pins = 0

    @initialize(hold=st.sampled_from(HOLDS))
    def begin(self, hold: str) -> None:
        self.hold = hold
        if hold == "password":
            self.known[THIEF].add(PASSWORD)

    # ---- what the model says

    @property
    def _now(self) -> int:
        return int(self.clock.now())

    def _reads(self, actor: str, what: str) -> bool:
        return actor == OWNER or self.hold == what

    @property
    def _lapsed(self) -> bool:
        return self.until is not None and self.until <= self._now

    @property
    def _held_back(self) -> bool:
        return self._now < self.recovered + DAY

    @property
    def _eligible(self) -> bool:
        shut = self._lapsed and self.until != 0
        return not self.app and not shut and not self._held_back  # a phone, or an answer, and no codes

    def _lives(self, link: Link) -> bool:
        return link.epoch == len(self.words) and self._now < link.mailed + DAY and self._eligible

    # ---- what they do

    @rule(actor=ACTORS)
    def ask(self, actor: str) -> None:
        self._ask(actor)

    def _ask(self, actor: str) -> None:
        browser = self.portal.browser(REMOTE_ADDR="192.0.2.10" if actor == OWNER else "198.51.100.7")
        browser.get(FORGOT)
        assert browser.post(FORGOT, user_id=self.user_id).location == f"{FORGOT}?news=asked"
        mailed, living = letters(self.portal, self.email), links(self.portal, self.email)
        new = len(mailed) - self.letters
        self.letters = len(mailed)
        assert new in {0, 1}  # none where the quarter of an hour, or the day, has had its share
        assert len(living) - len(self.links) == (new if self._eligible else 0), "a link for whom none is"
        if len(living) > len(self.links):
            self.links.append(Link(living[-1], self._now, len(self.words)))
        self.seen["a link" if new and self._eligible else "a letter" if new else "nothing"] += 1

    @rule(actor=ACTORS, place=st.sampled_from([0, 0, 0, 1, 2]), looks=st.integers(0, 2), ready=st.booleans())
    def press(self, actor: str, place: int, looks: int, ready: bool) -> None:
        if ready and not any(self._lives(link) for link in self.links):
            self._ask(actor)
        if not self.links or not self._reads(actor, "mailbox"):
            return
        link = self.links[-1 - place % len(self.links)]
        browser = self.portal.browser()
        for _ in range(looks):
            assert (browser.get(link.path).status_code == 200) == self._lives(link)
        browser.token()
        answer = browser.post(link.path)
        assert answer.status_code == (303 if self._lives(link) else 409)
        if answer.status_code == 303:
            word = on_page(browser.get(answer.location).text)
            assert word
            assert on_page(browser.get(answer.location).text) is None
            self.known[actor].add(word)
            self._set(word, self._now + DAY)
            self.seen[f"pressed by the {actor}"] += 1

    def _set(self, word: str, until: int | None) -> None:
        assert word not in self.words
        self.words.append(word)
        self.until = until

    @rule(
        actor=ACTORS,
        present=st.sampled_from([True, True, False]),
        channel=st.sampled_from(["sms", "sms", "email"]),
        keep=st.booleans(),
        ready=st.booleans(),
    )
    def sign_in(self, actor: str, present: bool, channel: str, keep: bool, ready: bool) -> None:
        """With the present password, or with the newest other one that this actor knows; just after a link, or not."""
        if ready and self.until is None:
            self.press(actor, place=0, looks=0, ready=True)
        words = [word for word in self.words if word in self.known[actor] and (word == self.words[-1]) == present]
        if not words:
            return
        right = words[-1] == self.words[-1]
        browser = self.portal.browser()
        browser.get("/sign-in")
        browser.post("/sign-in", user_id=self.user_id)
        browser.get(PASS)
        answer = browser.post(PASS, password=words[-1])
        if answer.status_code != 303:
            told = "was not used in its time" in answer.text
            assert not told or (right and self._lapsed)
            self.seen["told that it lapsed" if told else "refused"] += 1
            return
        assert right, "a former password was right"
        assert not self._lapsed, "a password outlived its time"
        temporary = self.until is not None
        browser.get(VERIFY)
        if browser.post("/sign-in/alternative", channel=channel).status_code != 303:
            return
        assert not (temporary and channel == "email"), "a PIN went to the mailbox that the link went to"
        assert not (temporary and self.app), "a temporary password went around an app"
        browser.get("/sign-in/pin")
        self.portal.deliver()
        pins = behind.pins_by_sms(self.portal, self.phone) if channel == "sms" else []
        pins = pins or behind.pins_by_email(self.portal, self.email)
        if not pins or not self._reads(actor, "phone" if channel == "sms" else "mailbox"):
            return
        answer = browser.post("/sign-in/pin", pin=pins[-1])
        if answer.status_code != 303:
            return
        assert actor == OWNER, f"the thief, who has the {self.hold}, gave two proofs"
        self._inside(browser, answer.location, keep=keep)

    def _inside(self, browser: Any, due: str | None, *, keep: bool) -> None:
        temporary = self.until is not None
        assert (due == NEW) == temporary
        if due == NEW:
            browser.get(NEW)
            former = self.words[-1] if keep else self.words[-2]
            assert browser.post(NEW, new_password=former, confirm_password=former).status_code == 422
            word = f"Another long passphrase {Lifecycle.number} {len(self.words)}"
            answer = browser.post(NEW, new_password=word, confirm_password=word)
            assert answer.status_code == 303, answer.text
            self._set(word, None)
            self.known[OWNER].add(word)
            self.recovered = self._now
            due = answer.location
            self.seen["a new password"] += 1
        assert (due == ASK) == (not self.question and not self.app)
        if due == ASK:
            browser.get(ASK)
            assert browser.post(ASK, question="first_concert", answer="The Beatles").location == "/authenticators"
            self.question = True
        assert browser.get("/authenticators").status_code == 200

    # ---- what happens

    @rule(seconds=st.sampled_from([60, 901, 3_601, DAY // 2, DAY - 1, DAY]))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule()
    def unlock(self) -> None:
        cleared = [factor.value for factor in operator(self.portal).unlock(self.user_id, "a call").cleared]
        if self._lapsed and self.until != 0:
            assert "password" in cleared
            self.until = 0
            self.seen["opened by staff"] += 1

    @rule()
    def bind_an_app(self) -> None:
        if self.app:
            with self.portal.base.database.begin() as transaction:
                own = apps.c.person_id == self.person.id
                transaction.execute(update(apps).where(own).values(state="removed"))
            self.app = False
            return
        now = self._now
        seed = self.portal.base.chance.octets(20)
        with self.portal.base.database.begin() as transaction:
            self.portal.means.apps.bind(
                transaction, person_id=self.person.id, seed=seed, label="Phone", now=now, usable_from=now + DAY
            )
        self.app = True

    @invariant()
    def the_database_says_what_the_model_says(self) -> None:
        with self.portal.base.database.read() as looking:
            row = looking.execute(_KEPT, {"person": self.person.id}).one()
        assert (row.good_until, bool(row.must_change)) == (self.until, self.until is not None)


def test_no_order_of_links_temporary_passwords_and_waits_lets_anybody_in_by_one_channel(
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
    }
    Lifecycle.seen.clear()
    with opened(sqlite_database, valkey_url, clock, keyring, **unlimited) as portal:
        _careless(portal.base.database.engine)
        portal.decide(CLASSIC)

        class Play(Lifecycle):
            def __init__(self) -> None:
                super().__init__(portal)

        run_state_machine_as_test(Play, settings=SETTINGS)
    # the plays got somewhere, or they would have proved nothing
    for what in (
        *("a link", "a letter", "nothing", "a new password", "refused", "told that it lapsed", "opened by staff"),
        *(f"pressed by the {actor}" for actor in (OWNER, THIEF)),
    ):
        assert Lifecycle.seen[what], (what, dict(Lifecycle.seen))
