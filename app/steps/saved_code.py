"""The step of a saved code: counted as an app code is, hashed once, judged, spent, and its owner is told."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from app.factors.access_code import rules as temporary
from app.factors.access_code.service import AccessCodes
from app.factors.recovery_code.model import CodeSet, Finding, Outcome, Use
from app.factors.recovery_code.rules import typed_code
from app.factors.recovery_code.service import RecoveryCodes
from app.foundation.clock import Clock
from app.foundation.refusals import Code, Unavailable, Wrong
from app.foundation.sql import Database, Transaction
from app.foundation.visit import Visit
from app.records.attempts.model import Door, Factor, Spent
from app.records.attempts.service import AddressLimits, Tries
from app.records.audit import store as audit
from app.records.audit.model import Event
from app.records.flows.model import Flow
from app.records.people.model import Person, Status
from app.records.sessions.model import NEW_CODE, RECOVERY_CODE
from app.steps.allowed import NOT_ALLOWED, Allowed, always
from app.steps.change import Changes
from app.steps.claim import Claims, own_record, subject_of
from app.steps.lane import door_of

ACCESS_CODE = "access_code"  # the name of the proof by a temporary access code
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class SavedProof:
    """A code that was right: the name of the proof, when, and how many codes are left.

    ``not_to`` is the contact that the PIN after a temporary access code never goes to (security rule 4).
    """

    factor: str
    at: int
    left: int
    not_to: str = ""


@dataclass(frozen=True, slots=True)
class CountingSet:
    """Whose codes count, and which: those of somebody of a status; None for the set that is good for the use today."""

    status: Status = Status.ACTIVE
    of: Callable[[Transaction, Person | None], CodeSet | None] | None = None


_USUAL = CountingSet()


class SavedCodes:
    """Judges saved codes for every journey: the same work for people with a set, without, and unknown.

    In a recovery a temporary access code is typed into the same field. The two are told apart by how they are
    written, so that a try costs one hash.
    """

    def __init__(
        self,
        *,
        database: Database,
        codes: RecoveryCodes,
        access: AccessCodes,
        tries: Tries,
        limits: AddressLimits,
        claims: Claims,
        changes: Changes,
        clock: Clock,
    ) -> None:
        self._database = database
        self._codes = codes
        self._access = access
        self._tries = tries
        self._limits = limits
        self._claims = claims
        self._changes = changes
        self._clock = clock

    def shape(self, typed: str) -> str:
        """The code in its one form. Raises Wrong where it is no code at all, which is no try."""
        code = typed_code(typed)
        if code is None:
            raise Wrong(Code.NOT_A_SAVED_CODE, field="code")
        return code

    def recovery_shape(self, typed: str) -> str:
        """The same where a temporary access code is good as well."""
        return temporary.typed_code(typed) or self.shape(typed)

    def prove_temporary(
        self,
        visit: Visit,
        flow: Flow,
        at: Door,
        code: str,
        then: Callable[[Transaction, Person, SavedProof], _T],
        taken: Allowed,
    ) -> tuple[_T, SavedProof]:
        """``prove`` for a temporary access code: the same tries, the same work, and it is spent with the proof."""
        now = self._clock.now()
        with self._database.read() as looking:
            person = self._claims.person(looking, flow)
            living = self._access.living(looking, person.id if person else None, person.stamp if person else "", now)
            refused = not taken(looking, person, now)
            living = None if refused else living
            door = door_of(looking, visit, flow, at, now)
        spent, digest = self._counted(visit, flow, door, lambda: self._access.digest(living, code), now)
        with self._database.begin() as transaction:
            right = self._access.settle(transaction, living, digest, now)
            if right and person is not None and living is not None:
                self._tries.succeed(transaction, spent)
                proof = SavedProof(ACCESS_CODE, now, 0, living.not_to)
                self._changes.announce(
                    transaction,
                    visit=visit,
                    person=person,
                    event=Event.ACCESS_CODE_OK,
                    template="notice_access_code_used",
                    variables={},
                    now=now,
                    details={"journey": flow.purpose, "flow": flow.txn},
                )
                return then(transaction, person, proof), proof
            reason = NOT_ALLOWED if refused else Finding.WRONG.value
            failed = own_record(Event.ACCESS_CODE_FAIL, flow, visit, now, right=False, reason=reason)
            audit.add_if_known(transaction, failed)
            self._warn(transaction, visit, person, spent, now)
        if door is not Door.LANE:
            self._limits.guessed_wrong(visit)
        raise Wrong(Code.WRONG_SAVED_CODE, field="code")

    def _counted(self, visit: Visit, flow: Flow, door: Door, digest: Callable[[], str], now: int) -> tuple[Spent, str]:
        """Count a try, then compute what the typed code would be kept as: the slow hash."""
        with self._claims.noting(visit, flow, Factor.APP, now):
            if door is not Door.LANE:
                self._limits.may_guess(visit)
            spent = self._tries.spend(subject_of(flow), Factor.APP, door)
        try:
            return spent, digest()
        except Unavailable:
            # nothing was judged, so nothing was tried: a flood must not lock the owner out
            self._tries.take_back(spent)
            raise

    def prove(
        self,
        visit: Visit,
        flow: Flow,
        at: Door,
        use: Use,
        code: str,
        then: Callable[[Transaction, Person, SavedProof], _T],
        whose: CountingSet = _USUAL,
        taken: Allowed = always,
    ) -> tuple[_T, SavedProof]:
        """Judge a code for a flow. Returns what ``then`` made of it in the same transaction, and the proof.

        It spends the tries of app codes, so that it is no second supply of guesses, and is counted before it is
        judged. ``whose`` says otherwise which codes count; all else is the same. ``taken`` says whether saved codes are
        taken here at all; where they are not, each is answered as a wrong one. Raises Throttled, Wrong, Unavailable.
        """
        now = self._clock.now()
        with self._database.read() as looking:
            person = self._claims.person(looking, flow, whose.status)
            if whose.of is None:
                counting = self._codes.counting(looking, person.id if person else None, use, now)
            else:
                counting = whose.of(looking, person)
            refused = not taken(looking, person, now)
            counting = None if refused else counting
            door = door_of(looking, visit, flow, at, now)
        spent, digest = self._counted(visit, flow, door, lambda: self._codes.digest(counting, code), now)
        with self._database.begin() as transaction:
            outcome = self._codes.settle(transaction, counting, digest, use, now)
            self._write_down(transaction, visit, flow, outcome, now, NOT_ALLOWED if refused else outcome.finding.value)
            if person is not None and outcome.finding is Finding.ACCEPTED:
                self._tries.succeed(transaction, spent)
                proof = SavedProof(NEW_CODE if outcome.waiting else RECOVERY_CODE, now, outcome.left)
                self._tell(transaction, visit, flow, person, proof)
                return then(transaction, person, proof), proof
            self._warn(transaction, visit, person, spent, now)
        if door is not Door.LANE:
            self._limits.guessed_wrong(visit)
        used = outcome.finding is Finding.USED
        raise Wrong(Code.SAVED_CODE_USED if used else Code.WRONG_SAVED_CODE, field="code")

    def _write_down(
        self, transaction: Transaction, visit: Visit, flow: Flow, outcome: Outcome, now: int, reason: str
    ) -> None:
        if outcome.finding is Finding.ACCEPTED:
            return  # with the notice
        event = Event.CODE_REUSE if outcome.finding is Finding.USED else Event.CODE_FAIL
        record = own_record(event, flow, visit, now, right=False, reason=reason)
        audit.add_if_known(transaction, record)

    def _tell(self, transaction: Transaction, visit: Visit, flow: Flow, person: Person, proof: SavedProof) -> None:
        self._changes.announce(
            transaction,
            visit=visit,
            person=person,
            event=Event.CODE_OK,
            template="notice_code_used",
            variables={"left": proof.left},
            now=proof.at,
            details={"journey": flow.purpose, "flow": flow.txn, "left": proof.left},
        )

    def _warn(self, transaction: Transaction, visit: Visit, person: Person | None, spent: Spent, now: int) -> None:
        if person is not None and spent.closed_to_strangers:
            self._claims.warn_owner(transaction, visit, person, now)
