"""Tokens and expiry against a model, in any order of calls, waits, changes and ends (A-16, S1-09, C-02)."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from app.records.organizations.model import PasswordPolicy, Policy
from app.records.people import store as people
from app.records.people.model import Person
from app.steps import freezing
from app.steps.credentials import SENTENCES, Cause
from tests.hands import HandClock
from tests.portal import PASSWORD, Portal, opened
from tests.programs import REVOKE, Program, make_client

LIFE, AGE = 1_800, 30 * 86_400
WIDE: dict[str, Any] = {"limit_starts_per_address": 100_000, "limit_tries_per_address": 100_000}
SOAP = (
    '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><AuthenticateUser xmlns="">'
    '<Request UserName="{0}" Password="{1}"/></AuthenticateUser></s:Body></s:Envelope>'
)
faces = st.sampled_from(["json", "soap"])


class Calls(RuleBasedStateMachine):
    """One person, two faces of the same question, and whatever ends a token."""

    portal: Portal
    clock: HandClock

    def __init__(self) -> None:
        super().__init__()
        self.tokens: dict[str, int] = {}  # when each ends
        self.dead: set[str] = set()
        self.failures = 0
        self.passwords = 0

    @initialize()
    def begin(self) -> None:
        self.user_id = f"person-{self.portal.base.chance.name()[:12]}"
        self.person: Person = self.portal.add(self.user_id, email=f"{self.user_id}@example.org")
        self.password, self.changed_at = PASSWORD, self.now
        self.program = Program(self.portal, make_client(self.portal))

    @property
    def now(self) -> int:
        return self.clock.now()

    @property
    def expired(self) -> bool:
        return self.now >= self.changed_at + AGE

    def ask(self, face: str, password: str) -> tuple[str, str]:
        """The token, or the sentence that was said instead."""
        if face == "json":
            answer = self.program.authenticate(self.user_id, password)
            return answer.json.get("authentication_token", ""), answer.json.get("detail", "")
        text = SOAP.format(self.user_id, password).encode()
        said = self.program.call("/soap/users", text, content_type="text/xml").text
        token = said.partition('AuthenticationToken="')[2].partition('"')[0]
        return token, said.partition('Severity="Error">')[2].partition("<")[0]

    def end_all(self) -> None:
        self.dead |= self.tokens.keys()

    # ---- what happens

    @rule(face=faces)
    def authenticate(self, face: str) -> None:
        token, said = self.ask(face, self.password)
        self.failures = 0
        if self.expired:
            assert (token, said) == ("", SENTENCES[Cause.EXPIRED])
        else:
            assert token
            self.tokens[token] = self.now + LIFE

    @precondition(lambda self: self.failures < 4)
    @rule(face=faces)
    def fail(self, face: str) -> None:
        self.failures += 1
        assert self.ask(face, f"not the password {self.failures}") == ("", SENTENCES[Cause.INVALID])

    @rule(seconds=st.sampled_from([60, LIFE - 1, LIFE, 86_400, AGE]))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @precondition(lambda self: bool(self.tokens))
    @rule(data=st.data())
    def revoke(self, data: st.DataObject) -> None:
        token = list(self.tokens)[data.draw(st.integers(0, len(self.tokens) - 1))]  # by age: what they are is chance
        assert self.program.call(REVOKE, {"token": token}).status_code == 200
        self.dead.add(token)

    # each change is told to every contact, and of messages there are ten a day
    @precondition(lambda self: self.passwords == 0 or self.now >= self.changed_at + 3 * 3_600)
    @rule()
    def change_the_password(self) -> None:
        self.clock.advance(60)
        self.passwords += 1
        chosen = f"a fresh long password, number {self.passwords}"
        typed: dict[str, Any] = {"new_password": chosen, "confirm_password": chosen}
        browser, owed = self.portal.browser(), self.expired
        browser.sign_in(self.portal, self.user_id, self.password)
        self.failures = 0
        if not owed:
            browser.get("/authenticators/password")
            answer = browser.post("/authenticators/password", current_password=self.password, **typed)
        else:
            browser.get("/sign-in/new-password")
            answer = browser.post("/sign-in/new-password", **typed)
        assert answer.status_code == 303, answer.text
        self.password, self.changed_at = chosen, self.now
        self.end_all()

    @precondition(lambda self: not self.expired and any(self.lives(token) for token in self.tokens))
    @rule()
    def sign_out_everywhere(self) -> None:
        self.clock.advance(31)
        if self.expired or not any(self.lives(token) for token in self.tokens):
            return
        browser = self.portal.browser()
        browser.sign_in(self.portal, self.user_id, self.password)
        self.failures = 0
        browser.get("/sessions")
        assert browser.post("/sessions", all="yes").status_code == 303
        self.end_all()

    @rule()
    def shut_out_and_let_in_again(self) -> None:
        chance = self.portal.base.chance
        with self.portal.base.database.begin() as transaction:
            assert freezing.deactivate(transaction, self.person.id, chance.name(), self.now) is not None
        token, said = self.ask("json", self.password)
        # nobody's tries are taken back by a password that opens nothing
        assert (token, said) in {("", SENTENCES[Cause.INACTIVE]), ("", SENTENCES[Cause.LOCKED])}
        with self.portal.base.database.begin() as transaction:
            assert people.reactivate(transaction, self.person.id, chance.name())
        self.end_all()

    def lives(self, token: str) -> bool:
        return token not in self.dead and self.now < self.tokens[token]

    @invariant()
    def each_token_is_as_good_as_the_model_says(self) -> None:
        for token in self.tokens:
            assert self.program.is_good(token) is self.lives(token)


@pytest.mark.slow
def test_tokens_and_expiry_hold_in_any_order(sqlite_database, valkey_url, clock, keyring):
    with opened(sqlite_database, valkey_url, clock, keyring, **WIDE) as portal:
        portal.decide(Policy(password=PasswordPolicy(min_length=15, max_age_days=30), authenticate_user=True))

        class Bound(Calls):
            pass

        Bound.portal, Bound.clock = portal, clock
        run_state_machine_as_test(
            Bound, settings=settings(max_examples=40, stateful_step_count=25, deadline=None, derandomize=True)
        )
