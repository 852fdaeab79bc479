"""The step of the password: counted, hashed once, judged, written down. Sign-in and every other door use this one."""

from collections.abc import Callable
from typing import TypeVar

from app.factors.password.model import Owed
from app.factors.password.rules import RAW_MAX
from app.factors.password.service import Passwords
from app.foundation.clock import Clock
from app.foundation.refusals import Code, Unavailable, Wrong
from app.foundation.sql import Database, Transaction
from app.foundation.visit import Visit
from app.records.attempts.model import FOREVER, Door, Factor, Lockout, Spent
from app.records.attempts.service import Tries
from app.records.audit import store as audit
from app.records.audit.model import Event
from app.records.flows.model import Flow
from app.records.organizations import store as organizations
from app.records.organizations.model import LockoutPolicy, OnFailures, Policy
from app.records.people.model import Person
from app.steps.claim import Claims, own_record, subject_of
from app.steps.lane import door_of

PASSWORD = "password"  # noqa: S105 - the name of this proof
LOCKED = "locked"  # the reason of a try that no lock let be judged
LAPSED = "lapsed"  # the reason of one that was right, and a temporary password after its time
_T = TypeVar("_T")


class PasswordStep:
    """Judges passwords for every journey. Unknown, inactive and known people cost and get the same."""

    def __init__(self, *, database: Database, passwords: Passwords, tries: Tries, claims: Claims, clock: Clock) -> None:
        self._database = database
        self._passwords = passwords
        self._tries = tries
        self._claims = claims
        self._clock = clock

    def shape(self, typed: str, field: str = "password") -> None:
        """Raise Wrong where nothing, or more than anybody's password, was typed; that is no try."""
        if not typed:
            raise Wrong(Code.MISSING, field=field)
        if len(typed) > RAW_MAX:
            raise Wrong(Code.TOO_LONG, field=field)

    def prove(
        self,
        visit: Visit,
        flow: Flow,
        typed: str,
        then: Callable[[Transaction, Person, int], _T],
        *,
        field: str = "password",
        admits: Callable[[Policy], bool] = lambda _: True,
        dormant: Person | None = None,
    ) -> tuple[_T, Owed | None]:
        """Judge a password for a flow. Returns what ``then`` made of it in the same transaction, and what is owed.

        Whoever's policy is not what ``admits`` asks for is judged like somebody unknown. ``dormant`` is who a flow of
        nobody would belong to if they were active: it is Wrong(NOT_ACTIVE) where the password is theirs.

        Raises Throttled, Wrong(WRONG_PASSWORD), Wrong(NOT_ACTIVE), Wrong(PASSWORD_LAPSED), Unavailable.
        """
        with self._database.read() as looking:
            person = self._claims.person(looking, flow)
            whose = person or dormant
            record = self._passwords.find(looking, whose.id if whose else 0)
            policy = organizations.policy_of_person(looking, whose.id if whose else 0, self._clock.now())
            if not admits(policy):
                record = None
            door = door_of(looking, visit, flow, Door.SIGN_IN, self._clock.now())
        subject = subject_of(flow)
        again = self._tries.seen_wrong(subject, typed, flow.stamp, visit.block)
        with self._claims.noting(visit, flow, Factor.PASSWORD, self._clock.now()):
            spent = self._tries.spend(subject, Factor.PASSWORD, door, again=again, lockout=_lockout(policy.lockout))
        try:
            fits = self._passwords.check(record if whose else None, typed) and spent.judged
            right = fits and person is not None
        except Unavailable:
            # nothing was judged, so nothing was tried: a flood must not lock the owner out
            self._tries.take_back(spent)
            raise
        now = self._clock.now()
        with self._database.begin() as transaction:
            # a new password, a freezing or a deactivation may have come while it was hashed
            right = right and self._claims.person(transaction, flow) is not None
            lapsed = right and record is not None and record.lapsed(now)
            event, reason = _found(spent, right=right, lapsed=lapsed)
            if right or not again:  # counted once, written down once: strangers must not bury what the owner looks for
                audit.add_if_known(
                    transaction, own_record(event, flow, visit, now, right=right and not lapsed, reason=reason)
                )
            if right and person is not None and record is not None:
                self._tries.succeed(transaction, spent)
                if not lapsed:
                    result = then(transaction, person, now)
            elif person is not None and spent.closed_to_strangers:
                self._claims.warn_owner(transaction, visit, person, now)
            if person is not None and not right and spent.locked_until:
                self._lock(transaction, visit, flow, person, spent, now)
        if not right or person is None or record is None:
            self._tries.remember_wrong(subject, typed, flow.stamp, visit.block)
            raise Wrong(Code.NOT_ACTIVE if fits and person is None else Code.WRONG_PASSWORD, field=field)
        if lapsed:
            raise Wrong(Code.PASSWORD_LAPSED, field=field, details={"shut": record.shut(now)})
        self._passwords.strengthen(person.id, record, typed)
        return result, record.owed(policy.password, now)

    def _lock(self, transaction: Transaction, visit: Visit, flow: Flow, person: Person, spent: Spent, now: int) -> None:
        """Write down that a lock began, and tell the owner on every channel, once."""
        until = 0 if spent.locked_until == FOREVER else spent.locked_until
        details: dict[str, object] = {"until": until, "door": spent.door.value}
        audit.add(
            transaction, own_record(Event.SIGN_IN_LOCK, flow, visit, now, right=False, reason=LOCKED, details=details)
        )
        if spent.lock_is_news:
            self._claims.tell_owner(transaction, visit, person, now, template="notice_locked", until=until)


def _found(spent: Spent, *, right: bool, lapsed: bool) -> tuple[Event, str]:
    """What is written down of a try, and why it was refused."""
    if not spent.judged:
        return Event.SIGN_IN_FAIL, LOCKED  # right or wrong: nobody looked
    if lapsed:
        return Event.SIGN_IN_FAIL, LAPSED
    return (Event.SIGN_IN_PASSWORD_OK, "") if right else (Event.SIGN_IN_FAIL, "wrong_password")


def _lockout(policy: LockoutPolicy) -> Lockout | None:
    if policy.on_failures is OnFailures.RETRY:
        return None
    return Lockout(policy.after, 60 * policy.minutes, each=policy.on_failures is OnFailures.DELAY)
