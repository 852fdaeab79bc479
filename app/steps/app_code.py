"""The step of the authenticator app: a code is counted, judged, written down, and spent for good."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from app.factors.totp.model import STEP, App, Finding, Match, Outcome
from app.factors.totp.rules import typed_code
from app.factors.totp.service import AuthenticatorApps, codes_at_once
from app.foundation.clock import Clock
from app.foundation.refusals import Code, Wrong
from app.foundation.sql import Database, Transaction
from app.foundation.visit import Visit
from app.records.attempts.model import Door, Factor, Spent
from app.records.attempts.service import AddressLimits, Tries
from app.records.audit import store as audit
from app.records.audit.model import Event
from app.records.flows.model import Flow
from app.records.people.model import Person, Status
from app.records.sessions.model import APP, NEW_APP
from app.steps.allowed import NOT_ALLOWED, Allowed, always
from app.steps.claim import Claims, own_record, subject_of
from app.steps.lane import door_of

__all__ = ["APP", "NEW_APP", "AppCodes", "wrong_code"]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Counting:
    """Whose apps count, and which: those of somebody of a status; None for the apps that prove somebody today."""

    status: Status = Status.ACTIVE
    apps: Callable[[Transaction, Person | None], tuple[App, ...]] | None = None


_USUAL = Counting()


class AppCodes:
    """Judges app codes for every journey: the same work for people with apps, without, and unknown."""

    def __init__(
        self,
        *,
        database: Database,
        apps: AuthenticatorApps,
        tries: Tries,
        limits: AddressLimits,
        claims: Claims,
        clock: Clock,
    ) -> None:
        self._database = database
        self._apps = apps
        self._tries = tries
        self._limits = limits
        self._claims = claims
        self._clock = clock

    def shape(self, typed: str) -> str:
        """The six digits. Raises Wrong where it is no code at all, which is no try."""
        code = typed_code(typed)
        if code is None:
            raise Wrong(Code.NOT_A_CODE if typed.strip() else Code.MISSING, field="code")
        return code

    def prove(
        self,
        visit: Visit,
        flow: Flow,
        at: Door,
        code: str,
        then: Callable[[Transaction, Person, int], _T],
        counting: Counting = _USUAL,
        taken: Allowed = always,
    ) -> tuple[_T, int]:
        """Judge a code for a flow. Returns what ``then`` made of it in the same transaction, and the time.

        Counted in a write of its own before it is judged. Raises Throttled; Wrong with what the code was, if
        not right: wrong, used before, or of another time (security rule 7). New apps do not count
        (rule 6). ``counting`` says otherwise which apps count; the work, the counters and the answers are the same.
        ``taken`` says whether codes of apps are taken here at all; where they are not, each is answered as a wrong one.
        """
        return self._prove(
            visit,
            flow,
            at,
            code,
            lambda transaction, person, now, _: then(transaction, person, now),
            counting=counting,
            taken=taken,
        )

    def prove_signing_in(
        self, visit: Visit, flow: Flow, at: Door, code: str, then: Callable[[Transaction, Person, int, str], _T]
    ) -> tuple[_T, int]:
        """The same where somebody signs in: an app in its waiting time counts, and is called by another name.

        ``then`` gets the name of the proof as well: APP, or NEW_APP.
        """
        return self._prove(visit, flow, at, code, then, waiting=True)

    def _prove(
        self,
        visit: Visit,
        flow: Flow,
        at: Door,
        code: str,
        then: Callable[[Transaction, Person, int, str], _T],
        *,
        waiting: bool = False,
        counting: Counting = _USUAL,
        taken: Allowed = always,
    ) -> tuple[_T, int]:
        now = self._clock.now()
        with self._database.read() as looking:
            person = self._claims.person(looking, flow, counting.status)
            if counting.apps is None:
                usable = self._apps.usable(looking, person.id if person else None, now, waiting=waiting)
            else:
                usable = counting.apps(looking, person)
            refused = not taken(looking, person, now)
            usable = () if refused else usable
            door = door_of(looking, visit, flow, at, now)
        with self._claims.noting(visit, flow, Factor.APP, now):
            if door is not Door.LANE:  # what one machine may use up of the installation's is nothing to a lane
                self._limits.may_guess(visit)
            spent = self._tries.spend(subject_of(flow), Factor.APP, door, codes_at_once=codes_at_once(usable))
        match = self._apps.recognise(usable, code, now)
        young = {app.id for app in usable if app.waiting(now)}

        def proved(transaction: Transaction, known: Person, at: int) -> _T:
            return then(transaction, known, at, NEW_APP if match is not None and match.app_id in young else APP)

        judged, retired = match if spent.judged else None, counting.apps is not None
        outcome, result = self._settle(
            visit, flow, person, spent, judged, now, proved, retired=retired, reason=NOT_ALLOWED if refused else ""
        )
        if outcome.finding is not Finding.ACCEPTED:
            if door is not Door.LANE:
                self._limits.guessed_wrong(visit)
            raise wrong_code(outcome)
        return result[0], now

    def _settle(
        self,
        visit: Visit,
        flow: Flow,
        person: Person | None,
        spent: Spent,
        match: Match | None,
        now: int,
        then: Callable[[Transaction, Person, int], _T],
        *,
        retired: bool,
        reason: str,
    ) -> tuple[Outcome, list[_T]]:
        with self._database.begin() as transaction:
            outcome = self._apps.settle(transaction, match, now, retired=retired)
            right = outcome.finding is Finding.ACCEPTED
            event = Event.APP_OK if right else Event.APP_FAIL
            if outcome.finding is Finding.USED:
                event = Event.APP_REUSE
            details: dict[str, object] = {"app": outcome.app_id} if outcome.app_id else {}
            if outcome.offset:
                details["offset_seconds"] = outcome.offset * STEP
            reason = reason or ("" if right else outcome.finding.value)
            audit.add_if_known(
                transaction, own_record(event, flow, visit, now, right=right, reason=reason, details=details)
            )
            if person is None or not right:
                if person is not None and spent.closed_to_strangers:
                    self._claims.warn_owner(transaction, visit, person, now)
                return outcome, []
            self._tries.succeed(transaction, spent)
            return outcome, [then(transaction, person, now)]


def wrong_code(outcome: Outcome) -> Wrong:
    """What a code was that was not accepted, for its field."""
    if outcome.finding is Finding.CLOCK_OFF:
        # a time-step is half a minute (security rule 7)
        details: dict[str, Any] = {
            "half_minutes": abs(outcome.offset),
            "direction": "slow" if outcome.offset < 0 else "fast",
        }
        return Wrong(Code.CLOCK_OFF, field="code", details=details)
    code = Code.CODE_USED if outcome.finding is Finding.USED else Code.WRONG_CODE
    return Wrong(code, field="code")
