"""Counting tries, for people who exist in SQL and for those who do not in the ephemeral store, by one rule.

Both kinds make the same calls in the same order, so that neither time nor answer tells them apart
(security rules 3 and 14). Somebody unknown leaves no row behind: their write goes to one of a fixed number of
spare rows whose content is never read.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

import structlog

from app.foundation.clock import Clock
from app.foundation.ephemeral import Ephemeral, Limit
from app.foundation.refusals import Code, StoreAway, Throttled
from app.foundation.secretbox import Keyring
from app.foundation.sql import Database, Transaction
from app.foundation.visit import Visit
from app.records.attempts import rules, store
from app.records.attempts.model import Door, Factor, History, Lockout, Spent, Standing, Subject, Verdict

_SPARE_ROWS = 64
# Counters in the ephemeral store have a fixed number of places with a few holders each, so that made-up User IDs
# cannot fill it. Where a place is full, the holder with the fewest failures leaves: a flood of User IDs that are
# tried once displaces others that were tried once.
_PLACES = 1 << 15
_HOLDERS = 4
_DECOY_LIFE = 40 * rules.DAY  # 100 failures in a row take weeks; a decoy's counters outlast them
_INSTALLATION = "installation"
_STRANGERS = "strangers"
_MESSAGES = "messages"
_ANYTHING = "anything"
_NEWS = 300  # seconds
_SAME_WRONG = 5  # digests of wrong passwords that are remembered of one person
_SAME_WRONG_PER_BLOCK = 40  # and of all those who were tried from one address block
_SAME_WRONG_LIFE = 3_600
_GUESSES_PER_BLOCK = 60  # wrong app codes in a day
_GUESSES_PER_NETWORK = 200

_T = TypeVar("_T")
log = structlog.get_logger()


class _OvertakenError(Exception):
    """Somebody else wrote to the place in between."""


class Tries:
    """The one place where a try is counted."""

    def __init__(
        self,
        database: Database,
        ephemeral: Ephemeral,
        keyring: Keyring,
        clock: Clock,
        *,
        stranger_failures_per_day: int,
    ) -> None:
        self._database = database
        self._ephemeral = ephemeral
        self._keyring = keyring
        self._clock = clock
        self._strangers_per_day = stranger_failures_per_day

    def subject(self, canonical_id: str, person_id: int | None) -> Subject:
        """Whom tries under a canonical User ID are counted for."""
        # by the oldest key of the ring, or a new key would set the counters of unknown people alone to nothing
        return Subject(self._keyring.mac_hex("subject", canonical_id, key=self._keyring.oldest), person_id)

    def spend(
        self,
        subject: Subject,
        factor: Factor,
        door: Door,
        *,
        codes_at_once: int = rules.APP_WINDOW_CODES,
        again: bool = False,
        lockout: Lockout | None = None,
    ) -> Spent:
        """Count one try, in a write of its own, before it is judged. Raises Throttled where it may not be judged.

        ``again``: it was tried and counted before, so it is judged without being counted (security rule 3). ``lockout``
        is the organization's; what it does not let be judged is told apart by nothing (rule 14).
        """
        now = self._clock.now()

        def count(transaction: Transaction, history: History) -> tuple[History, Verdict]:
            verdict = rules.spend(history, factor, door, now, codes_at_once=codes_at_once, lockout=lockout)
            if verdict.allowed and factor is Factor.APP and door is not Door.LANE:
                self._count_stranger(transaction, door, now)
            return (history if again else verdict.history), verdict

        verdict = self._rewrite(subject, factor, count)
        if not verdict.allowed:
            raise Throttled(Code.TOO_MANY_TRIES, retry_after=verdict.retry_after)
        closed = verdict.closed_to_strangers and not again
        return Spent(
            subject,
            factor,
            door,
            now,
            counted=not again,
            judged=verdict.judged,
            closed_to_strangers=closed,
            locked_until=0 if again else verdict.locked_until,
            lock_is_news=verdict.lock_is_news and not again,
        )

    def _rewrite(
        self, subject: Subject, factor: Factor, change: Callable[[Transaction, History], tuple[History, _T]]
    ) -> _T:
        """Read, change and write a subject's counters while its row is held: one pass for known and unknown alike.

        The row of somebody unknown is a spare one, the same for all who share a place in the ephemeral store, so
        the compare-and-set there is overtaken only by somebody known who shares it too.
        """
        known = subject.person_id is not None
        place, row = _place(subject, factor), _row(subject)
        while True:
            with suppress(_OvertakenError), self._database.begin() as transaction:
                kept = store.lock(transaction, row, factor)
                held = self._ephemeral.get(place)
                history, result = change(transaction, kept if known else _twin(subject, held))
                text = store.to_json(history)
                store.write_text(transaction, row, factor.value, text)
                # written also where nothing was counted: a refusal keeps the counters of the unknown alive
                fits = self._ephemeral.swap(place, held, _kept_by(subject, text, held), _DECOY_LIFE)
                if not fits and not known:
                    raise _OvertakenError
                return result

    def _count_stranger(self, transaction: Transaction, door: Door, now: int) -> None:
        # each door by itself: failed recoveries, for which a User ID suffices, never close sign-in (security rule 1)
        hours = _hours(store.lock_text(transaction, _at(door), _STRANGERS))
        if rules.total_of_day(hours, now) >= self._strangers_per_day:
            # somebody tries codes all over the installation: for the operator, not only for a log to be read later
            log.error("stranger_failures_at_their_cap", most=self._strangers_per_day, door=door.value)
            raise Throttled(Code.SPRAYING, retry_after=rules.until_less(hours, now))
        store.write_text(transaction, _at(door), _STRANGERS, json.dumps(rules.count_hour(hours, now)))

    def succeed(self, transaction: Transaction, spent: Spent) -> None:
        """The try was right: take it back and end the run of failures, in the caller's transaction."""
        row = _row(spent.subject)
        history = store.lock(transaction, row, spent.factor)
        store.write(
            transaction,
            row,
            spent.factor,
            rules.succeed(history, spent.door, spent.at if spent.counted else 0, self._clock.now()),
        )
        self._uncount_stranger(transaction, spent)

    def _uncount_stranger(self, transaction: Transaction, spent: Spent) -> None:
        if spent.factor is Factor.APP and spent.door is not Door.LANE:
            hours = _hours(store.lock_text(transaction, _at(spent.door), _STRANGERS))
            hour = spent.at // 3_600
            if hours.get(hour):
                hours[hour] -= 1
            store.write_text(transaction, _at(spent.door), _STRANGERS, json.dumps(hours))

    def take_back(self, spent: Spent) -> None:
        """The try could not be judged after all, through no fault of its own."""

        def undo(transaction: Transaction, history: History) -> tuple[History, None]:
            self._uncount_stranger(transaction, spent)
            return rules.take_back(history, spent.door, spent.at, spent.locked_until), None

        if spent.counted:
            self._rewrite(spent.subject, spent.factor, undo)

    def clear(self, transaction: Transaction, person_id: int, factor: Factor) -> None:
        """End a person's run of failures and the wait; what the day has counted stays, but of a password."""
        row = str(person_id)
        store.write(transaction, row, factor, rules.clear(store.lock(transaction, row, factor), factor))

    def forgive(self, transaction: Transaction, person_id: int, factor: Factor) -> None:
        """An operator's unlock: beside what ``clear`` does, each door's share of the day begins anew."""
        row = str(person_id)
        store.write(transaction, row, factor, rules.forgive(store.lock(transaction, row, factor)))

    def standing(self, transaction: Transaction, person_id: int, factor: Factor) -> Standing:
        """A person's counters as support and the unlock page may know them."""
        return rules.standing(store.look(transaction, str(person_id), factor), factor, self._clock.now())

    def waits(self, transaction: Transaction, person_id: int, factor: Factor) -> dict[Door, int]:
        """Until when each door waits for a person, and 0 where strangers closed it; for support."""
        history = store.look(transaction, str(person_id), factor)
        closed = dict.fromkeys(rules.closed_doors(history, factor), 0)
        return {**closed, **rules.waits(history, factor, self._clock.now())}

    def is_news(self, subject: Subject, what: str) -> bool:
        """Whether a refusal that is not counted anywhere is the first of its kind in five minutes: what is written down
        of them must not bury the rest. Known and unknown people share a fixed number of places."""
        place = int(subject.key[:8], 16) % _PLACES
        return not self._ephemeral.hit([Limit(f"news:{what}:{place}", 1, _NEWS)], self._clock.now())

    def failures_today(self, transaction: Transaction, person_id: int, factor: Factor) -> int:
        """The failures of a person's last 24 hours, over all doors."""
        return rules.failures_today(store.look(transaction, str(person_id), factor), self._clock.now())

    def write_in_any_case(self, transaction: Transaction, place: int) -> None:
        """Write to a spare row: where a try may be of nothing that is counted, it is no quicker than one that is."""
        store.lock_text(transaction, f"spare:{place % _SPARE_ROWS}", _ANYTHING)

    # ---- sending: the same counters, keyed by the destination

    def spend_send(self, transaction: Transaction, destination: str, door: Door) -> None:
        """Count one message to a destination, with the transaction that enqueues it. Raises Throttled.

        In whatever letters it is written: one mailbox is one destination (security rule 3).
        """
        digest = self._keyring.mac_hex("destination", destination.lower(), key=self._keyring.oldest)
        row = f"to:{digest[:48]}"
        verdict = rules.spend(store.lock(transaction, row, Factor.SEND), Factor.SEND, door, self._clock.now())
        if not verdict.allowed:
            raise Throttled(Code.TOO_MANY_MESSAGES, retry_after=verdict.retry_after)
        store.write(transaction, row, Factor.SEND, verdict.history)

    def hold_messages(self, transaction: Transaction) -> None:
        """Let nobody else count messages until the transaction ends, or many at once would all find room."""
        store.lock_text(transaction, _INSTALLATION, _MESSAGES)

    # ---- the same wrong password again counts once (security rule 3)

    def seen_wrong(self, subject: Subject, password: str, stamp: str, block: str) -> bool:
        """Whether this very password was wrong from this address block within the hour."""
        return self._wrong_digest(subject, password, stamp) in self._wrong(block)

    def remember_wrong(self, subject: Subject, password: str, stamp: str, block: str) -> None:
        """Remember a wrong password, as a keyed digest bound to the person's stamp; at most five of one person."""
        digest = self._wrong_digest(subject, password, stamp)
        others = [other for other in self._wrong(block) if other != digest]
        own = [other for other in others if other[:16] == digest[:16]]
        kept = [other for other in others if other not in own[_SAME_WRONG - 1 :]][: _SAME_WRONG_PER_BLOCK - 1]
        self._ephemeral.put(_wrong_key(block), json.dumps([digest, *kept]).encode(), _SAME_WRONG_LIFE)

    def _wrong(self, block: str) -> list[str]:
        held = self._ephemeral.get(_wrong_key(block))
        return list(json.loads(held)) if held else []

    def _wrong_digest(self, subject: Subject, password: str, stamp: str) -> str:
        return subject.key[:16] + self._keyring.mac_hex("same-wrong", subject.key, stamp, password)[:32]


class AddressLimits:
    """Limits per address block, in the ephemeral store: a nuisance for floods, never the last line of defence.

    A network (IPv4 /24, IPv6 /48) has ten times what a block has, because whoever has a prefix has all its blocks.
    """

    def __init__(self, ephemeral: Ephemeral, clock: Clock, *, starts: int, tries: int) -> None:
        self._ephemeral = ephemeral
        self._clock = clock
        self._starts = starts
        self._tries = tries

    def start(self, visit: Visit, purpose: str) -> None:
        """Count the start of a flow, each kind by itself. Raises Throttled."""
        self._hit(self._pair(f"start:{purpose}", visit, self._starts, 600), Code.TOO_MANY_STARTS)

    def attempt(self, visit: Visit) -> None:
        """Count a posted proof. Raises Throttled."""
        self._hit(self._pair("try", visit, self._tries, 600), Code.TOO_MANY_TRIES)

    def may_guess(self, visit: Visit) -> None:
        """Whether a block has wrong app codes left today, or one machine could use up the installation's. Throttled."""
        self._hit(_guesses(visit), Code.TOO_MANY_TRIES, count=False)

    def guessed_wrong(self, visit: Visit) -> None:
        """Count a wrong app code against its block and network."""
        self._ephemeral.hit(_guesses(visit), self._clock.now())

    def _pair(self, name: str, visit: Visit, most: int, window: int) -> list[Limit]:
        return [
            Limit(f"limit:{name}:{visit.block}", most, window),
            Limit(f"limit:{name}:{visit.network}", most * 10, window),
        ]

    def _hit(self, limits: Sequence[Limit], code: Code, *, count: bool = True) -> None:
        if wait := self._ephemeral.hit(limits, self._clock.now(), count=count):
            raise Throttled(code, retry_after=wait)


def _guesses(visit: Visit) -> list[Limit]:
    return [
        Limit(f"limit:guess:{visit.block}", _GUESSES_PER_BLOCK, rules.DAY),
        Limit(f"limit:guess:{visit.network}", _GUESSES_PER_NETWORK, rules.DAY),
    ]


def _wrong_key(block: str) -> str:
    return f"wrong:{block}"


def _place(subject: Subject, factor: Factor) -> str:
    return f"tries:{factor.value}:{int(subject.key[:8], 16) % _PLACES}"


def _holders(held: bytes | None) -> dict[str, str]:
    """Who shares a place, whoever was written last at the end."""
    lines = held.decode().split("\n") if held else []
    return {line[:32]: line[32:] for line in lines}


def _kept_by(subject: Subject, text: str, held: bytes | None) -> bytes:
    holders = _holders(held)
    holders.pop(subject.key[:32], None)
    while len(holders) >= _HOLDERS:
        del holders[min(holders, key=lambda one: store.from_json(holders[one]).consecutive)]
    holders[subject.key[:32]] = text
    return "\n".join(f"{key}{history}" for key, history in holders.items()).encode()


def _twin(subject: Subject, held: bytes | None) -> History:
    """The counters in a place, if this subject is one of its holders."""
    text = _holders(held).get(subject.key[:32])
    return store.from_json(text) if text else History()


def _row(subject: Subject) -> str:
    if subject.person_id is not None:
        return str(subject.person_id)
    return f"spare:{int(subject.key[:8], 16) % _SPARE_ROWS}"


def _at(door: Door) -> str:
    """The row of what the whole installation counts at a door."""
    return _INSTALLATION if door is Door.RECOVERY else f"{_INSTALLATION}:{door.value}"


def _hours(text: str) -> dict[int, int]:
    try:
        return {int(hour): int(count) for hour, count in json.loads(text).items()}
    except ValueError as error:
        raise StoreAway("attempts") from error
