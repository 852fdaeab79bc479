"""The step of a program that asks whether somebody's password is good: judged as at sign-in, and what is told of it.

Whatever the faces of it are, SOAP or JSON, they say what this says (product.md section 4).
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum

from app.factors.password.model import Owed
from app.factors.password.service import Passwords
from app.foundation.chance import Chance
from app.foundation.clock import Clock
from app.foundation.refusals import Code, Throttled, Wrong
from app.foundation.secretbox import fingerprint
from app.foundation.sql import Database, Transaction
from app.foundation.visit import Visit
from app.records.attempts.service import AddressLimits, Tries
from app.records.audit import store as audit
from app.records.audit.model import Event
from app.records.flows.model import Flow
from app.records.organizations import store as organizations
from app.records.organizations.model import SOLE_FACTOR
from app.records.organizations.rules import reachable
from app.records.people import store as people
from app.records.people.model import Person, Status
from app.records.sessions import store as sessions
from app.records.sessions.model import TOKEN_LIFE, ApiToken
from app.steps.claim import own_record, spelled
from app.steps.handoff import Handoffs, Stop
from app.steps.password import PasswordStep
from app.steps.security_answer import SecurityAnswerStep

PURPOSE = "authenticate_user"


class Cause(StrEnum):
    """Why somebody was not authenticated. All but the first two are told after the right password alone."""

    INVALID = "invalid"
    LOCKED = "locked"
    INACTIVE = "inactive"
    EXPIRED = "expired"
    CHANGE_REQUIRED = "change_required"
    QUESTION_REQUIRED = "question_required"


SENTENCES = {
    Cause.INVALID: "The user name or password is not right, or the account is locked.",
    Cause.LOCKED: "The account is locked for a while after too many failed attempts.",
    Cause.INACTIVE: "The account is inactive.",
    Cause.EXPIRED: "The password has expired. It has to be changed in the web portal.",
    Cause.CHANGE_REQUIRED: "The password has to be changed in the web portal before it is used anywhere else.",
    Cause.QUESTION_REQUIRED: "A security question has to be set in the web portal before anything else.",
}
"""What programs read. In English, because programs compare it and operators search logs for it."""


@dataclass(frozen=True, slots=True)
class Urls:
    """Where the person may be sent, each an absolute address; empty: not for this person, or not now."""

    expired_password: str = ""
    change_password: str = ""
    update_security_question: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """One organization of a person. ``context_identifier`` is its UUID."""

    name: str
    context_identifier: str
    is_primary: bool


@dataclass(frozen=True, slots=True)
class Authenticated:
    """The password was right, and nothing stands in the way. ``expires_in`` is in seconds."""

    token: str = field(repr=False)
    expires_in: int
    user_name: str
    first_name: str
    last_name: str
    accounts: tuple[Account, ...]
    urls: Urls


@dataclass(frozen=True, slots=True)
class NotAuthenticated:
    """Why not. ``retry_after`` is in seconds, where the wait ends by itself; ``user_name`` is what was asked for."""

    cause: Cause
    user_name: str
    retry_after: int = 0
    urls: Urls = Urls()


@dataclass(frozen=True, slots=True)
class CredentialsMeans:
    """What the step stands on."""

    database: Database
    passwords: Passwords
    password: PasswordStep
    tries: Tries
    limits: AddressLimits
    security_answers: SecurityAnswerStep
    handoffs: Handoffs
    chance: Chance
    clock: Clock


class Credentials:
    """AuthenticateUser, whoever translates it."""

    def __init__(self, means: CredentialsMeans) -> None:
        self._means = means

    def authenticate(
        self, visit: Visit, user_name: str, password: str, *, client: str = ""
    ) -> Authenticated | NotAuthenticated:
        """Judge a password for a program. ``client`` names an API client whose own limit was asked already.

        What nobody can have typed is wrong like anything else. Raises Throttled where the address asks too often,
        Unavailable.
        """
        means = self._means
        if not client:
            means.limits.start(visit, PURPOSE)
            means.limits.attempt(visit)
        try:
            means.password.shape(password)
            canonical = spelled(user_name)
        except Wrong:
            return NotAuthenticated(Cause.INVALID, user_name.strip())
        now = means.clock.now()
        with means.database.read() as looking:
            found = people.find(looking, canonical)
        person = found if found is not None and found.status is Status.ACTIVE else None
        flow = self._flow(canonical, user_name, person, now)
        try:
            return means.password.prove(
                visit,
                flow,
                password,
                lambda transaction, whose, at: self._settle(transaction, visit, flow, whose, password, at, client),
                admits=lambda policy: reachable(policy, visit.address),
                dormant=None if person else found,
            )[0]
        except Throttled as refusal:
            return NotAuthenticated(Cause.LOCKED, flow.user_id, refusal.retry_after)
        except Wrong as refusal:
            if refusal.code is Code.PASSWORD_LAPSED:  # the portal tells what opens it
                urls = Urls(expired_password=means.handoffs.url(flow.user_id, Stop.HOME, now))
                return NotAuthenticated(Cause.EXPIRED, flow.user_id, urls=urls)
            cause = Cause.INACTIVE if refusal.code is Code.NOT_ACTIVE else Cause.INVALID
            return NotAuthenticated(cause, flow.user_id)

    def _flow(self, canonical: str, user_name: str, person: Person | None, now: int) -> Flow:
        """A flow of one step, kept nowhere. Nobody's tries are counted as those of somebody inactive are at sign-in."""
        subject = self._means.tries.subject(canonical, person.id if person else None)
        return Flow(
            txn=self._means.chance.name(),
            purpose=PURPOSE,
            state="",
            version=1,
            subject=subject.key,
            person_id=subject.person_id,
            user_id=user_name.strip(),
            stamp=person.stamp if person else subject.key[:32],
            created_at=now,
        )

    def _settle(
        self, transaction: Transaction, visit: Visit, flow: Flow, person: Person, password: str, now: int, client: str
    ) -> Authenticated | NotAuthenticated:
        """After the right password: a token, or what the person owes first."""
        means = self._means
        policy = organizations.policy_of_person(transaction, person.id, now)
        record = means.passwords.find(transaction, person.id)
        owed = record.owed(policy.password, now) if record else None
        urls = Urls(change_password=means.handoffs.url(person.user_id, Stop.PASSWORD, now))
        if owed is Owed.EXPIRED:
            expired = means.handoffs.url(person.user_id, Stop.HOME, now)
            return self._refuse(transaction, visit, flow, now, Cause.EXPIRED, Urls(expired_password=expired))
        if owed is not None or len(password) < SOLE_FACTOR:
            return self._refuse(transaction, visit, flow, now, Cause.CHANGE_REQUIRED, urls)
        if means.security_answers.applies(transaction, person, policy):
            question = means.handoffs.url(person.user_id, Stop.SECURITY_QUESTION, now)
            if means.security_answers.owed(transaction, person, policy):
                refusal = Urls(update_security_question=question)
                return self._refuse(transaction, visit, flow, now, Cause.QUESTION_REQUIRED, refusal)
            urls = replace(urls, update_security_question=question)
        token = means.chance.token()
        sessions.add_token(transaction, ApiToken(fingerprint(token), person.id, person.stamp, now, now + TOKEN_LIFE))
        details: dict[str, object] = {"client": client} if client else {}
        audit.add(transaction, own_record(Event.TOKEN_ISSUED, flow, visit, now, right=True, details=details))
        joined = organizations.memberships_of(transaction, person.id)
        accounts = tuple(
            Account(one.organization.name, one.organization.id, one.is_primary)
            for one in joined
            if one.proposed_at is None
        )
        return Authenticated(token, TOKEN_LIFE, person.user_id, person.first_name, person.last_name, accounts, urls)

    def _refuse(
        self, transaction: Transaction, visit: Visit, flow: Flow, now: int, cause: Cause, urls: Urls
    ) -> NotAuthenticated:
        audit.add(transaction, own_record(Event.TOKEN_REFUSED, flow, visit, now, right=False, reason=cause.value))
        return NotAuthenticated(cause, flow.user_id, urls=urls)
