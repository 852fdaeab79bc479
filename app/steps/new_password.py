"""The step of a new password: its rules before anything is typed, and the judgement of a candidate."""

from collections.abc import Callable
from dataclasses import dataclass

from app.factors.password import rules
from app.factors.password.model import Owed, PasswordRecord, Prepared, Rule
from app.factors.password.service import Passwords
from app.foundation.clock import Clock
from app.foundation.refusals import Code, OutOfOrder, Throttled, Unavailable, Wrong
from app.foundation.sql import Database, Transaction
from app.foundation.visit import Visit
from app.records.audit import store as audit
from app.records.audit.model import Event
from app.records.flows.model import Course, Flow, Held
from app.records.flows.service import Flows
from app.records.organizations import store as organizations
from app.records.organizations.model import PasswordPolicy
from app.records.people import store as people
from app.records.people.model import Channel, Person
from app.steps.claim import own_record

MOST_CANDIDATES = 20  # new passwords that one flow may propose (security rule 8)


@dataclass(frozen=True, slots=True)
class Printed:
    """The rules as a page prints them, and as password managers read them (the attribute ``passwordrules``)."""

    rules: tuple[Rule, ...]
    attribute: str


class NewPassword:
    """What every page with a new password needs, whichever journey it belongs to."""

    def __init__(self, *, database: Database, flows: Flows, passwords: Passwords, clock: Clock, brand: str) -> None:
        self._database = database
        self._flows = flows
        self._passwords = passwords
        self._clock = clock
        self._brand = brand

    def policy(self, transaction: Transaction, person: Person) -> PasswordPolicy:
        """What somebody's organizations ask of a new password at this moment."""
        return organizations.policy_of_person(transaction, person.id, self._clock.now()).password

    def printed(self, transaction: Transaction, person: Person) -> Printed:
        """The rules before anything is typed."""
        policy = self.policy(transaction, person)
        return Printed(rules.explain(policy, self._words(transaction, person, policy)), rules.passwordrules(policy))

    def owed(self, transaction: Transaction, person: Person) -> Owed | None:
        """Why somebody owes a new password at this moment; None: they do not."""
        record = self._passwords.find(transaction, person.id)
        return record.owed(self.policy(transaction, person), self._clock.now()) if record else None

    def must_be_settled(self, transaction: Transaction, person: Person, record: PasswordRecord | None) -> None:
        """Raises Throttled while a password may not be changed yet without need (C-02)."""
        now = self._clock.now()
        wait = record.settles_at(self.policy(transaction, person), now) - now if record else 0
        if wait > 0:
            raise Throttled(Code.PASSWORD_YOUNG, field="new_password", retry_after=wait)

    def prepare(self, visit: Visit, flow: Flow, person: Person, candidate: str, confirm: str) -> Prepared:
        """Judge a candidate by all the rules and hash it, with no transaction open. Raises Wrong, Unavailable.

        Which rules it broke is written down, and nothing else of it.
        """
        with self._database.read() as looking:
            policy = self.policy(looking, person)
            words = self._words(looking, person, policy)
            record = self._passwords.find(looking, person.id)
            history = self._passwords.history(looking, person.id)
        try:
            return self._passwords.prepare(
                policy, person, candidate=candidate, confirm=confirm, words=words, record=record, history=history
            )
        except Wrong as wrong:
            broken = wrong.details.get("broken", ())
            named: dict[str, object] = {"rules": [str(one.rule) for one in broken]}  # type: ignore[attr-defined]
            with self._database.begin() as transaction:
                now, reason = self._clock.now(), wrong.code.value
                refused = own_record(
                    Event.PASSWORD_REFUSED, flow, visit, now, right=False, reason=reason, details=named
                )
                audit.add(transaction, refused)
            raise

    def draw(self, person: Person) -> tuple[str, Prepared]:
        """A temporary password that keeps all the rules, hashed with no transaction open. Raises Unavailable."""
        with self._database.read() as looking:
            policy = self.policy(looking, person)
            words = self._words(looking, person, policy)
            record = self._passwords.find(looking, person.id)
        return self._passwords.draw(policy, person, words=words, record=record)

    def judge_alone(self, person: Person, candidate: str, confirm: str) -> None:
        """Judge a candidate by the rules that tell nothing of former passwords. Raises Wrong."""
        with self._database.read() as looking:
            policy = self.policy(looking, person)
            words = self._words(looking, person, policy)
        self._passwords.judge_alone(policy, candidate=candidate, confirm=confirm, words=words)

    def bounded(self, held: Held, course: Course) -> Held:
        """A flow that may propose another candidate. Raises OutOfOrder."""
        if held.flow.notes["candidates"] >= MOST_CANDIDATES:
            raise OutOfOrder(Code.TOO_MANY_CANDIDATES, due=course.start)
        return held

    def count(self, load: Callable[[], Held], course: Course) -> Held:
        """Count a candidate against the flow's twenty, before it is judged."""
        while True:
            held = self.bounded(load(), course)
            counted = self._flows.change(held, candidates=held.flow.notes["candidates"] + 1)
            if counted is not None:
                return counted

    def prepare_counted(self, visit: Visit, held: Held, person: Person, candidate: str, confirm: str) -> Prepared:
        """``prepare`` for a candidate that was counted; not judging it gives it back."""
        try:
            return self.prepare(visit, held.flow, person, candidate, confirm)
        except Unavailable:
            # nothing was judged, so nothing was proposed: a flood must not use up what this flow may propose
            self._flows.retry(
                held, lambda latest: self._flows.change(latest, candidates=latest.flow.notes["candidates"] - 1)
            )
            raise

    def _words(self, transaction: Transaction, person: Person, policy: PasswordPolicy) -> tuple[str, ...]:
        """What a guesser who knows the person would try first (requirements P-09)."""
        emails = [c.address for c in people.contacts_of(transaction, person.id) if c.channel is Channel.EMAIL]
        joined = [one.organization.name for one in organizations.memberships_of(transaction, person.id)]
        return rules.context_words(
            user_id=person.user_id,
            names=[person.first_name, person.last_name],
            emails=emails,
            services=[self._brand, *joined, *policy.context_words],
        )
