"""Seals over the audit log, and the check that nothing under them was touched (requirements V16.4.2).

Writers of events wait for nobody: whoever seals comes after them, takes what has no seal yet, and adds one row to a
chain. What is newer than the newest seal is not protected yet; the worker seals every few seconds.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from app.foundation.clock import Clock
from app.foundation.secretbox import Keyring, Unreadable, same
from app.foundation.sql import Database, Transaction
from app.records.audit import rules, store
from app.records.audit.model import Fault, Seal, Stored, Tampering, Verdict

BATCH = 1_000  # events of one seal
# seconds in which an event may still appear below the highest number that was sealed: transactions take numbers when
# they write and show them when they end, which is after 10 s at most for one statement
LATE = 300
_EVENT, _SEAL = "audit-event", "audit-seal"  # purposes of keys
_PAGE = 5_000
_LOWEST = -(2**62)
_SEALS_AT_ONCE = 100


class Seals:
    """Seals, checks and thins out the log."""

    def __init__(self, database: Database, keyring: Keyring, clock: Clock, *, batch: int = BATCH) -> None:
        """``batch``: how many events one seal takes."""
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._batch = batch

    # ---- sealing

    def seal(self) -> Seal | None:
        """Seal all that is not sealed yet. Returns the newest seal of the chain where one was added, else None."""
        newest = None
        # what comes late is looked for once: it may wait for the next time, and a long log is gone through only once
        while (added := self._add(also_late=newest is None)) is not None:
            newest = added
        return newest

    def _add(self, *, also_late: bool) -> Seal | None:
        now = self._clock.now()
        with self._database.read() as looking:
            before = store.newest_seal(looking)
            found = store.stored(looking, self._unsealed(looking, before, now, also_late=also_late))
        if not found:
            return None
        key = self._keyring.active
        body = rules.written({one.id: self._digest(one, key) for one in found})
        last = max(one.id for one in found)
        seal = Seal(
            number=before.number + 1 if before else 1,
            previous=before.chain if before else "",
            first_id=min(one.id for one in found),
            last_id=last,
            upto=max(last, before.upto if before else 0),
            events=len(found),
            last_at=max(one.at for one in found),
            at=now,
            key=key,
            body_digest=rules.body_digest(body),
            body=body,
        )
        seal = replace(seal, chain=self._chain(seal))
        # all that is looked at stays as it is, and only this is written, so that nobody waits for it
        with self._database.begin() as transaction:
            # another worker may have been faster: then it has sealed these
            return seal if store.add_seal(transaction, seal) else None

    def _unsealed(self, looking: Transaction, newest: Seal | None, now: int, *, also_late: bool) -> list[int]:
        """The lowest numbers of events that may still be sealed, and are not: as many as one seal takes."""
        sealed: set[int] = set()
        low = newest.upto + 1 if newest else 0
        if also_late:
            recent = store.seals_since(looking, now - LATE)
            low = _lowest_open(recent, newest)
            for seal in recent:
                sealed |= rules.read(seal.body or "").keys()
        there = store.numbers_after(looking, low - 1, len(sealed) + self._batch)
        return [number for number in there if number not in sealed][: self._batch]

    def _digest(self, stored: Stored, key: str) -> bytes:
        return self._keyring.mac(_EVENT, *rules.said_by(stored), key=key)[: rules.DIGEST]

    def _chain(self, seal: Seal) -> str:
        """What signs a seal and all before it."""
        return self._keyring.mac_hex(_SEAL, *rules.signed_by(seal), key=seal.key)

    # ---- checking

    def verify(self, known: Iterable[tuple[int, str]] = (), *, kept_since: int = 0) -> Verdict:
        """Check the chain and every event. ``known``: numbers and chains of seals that were kept outside.

        ``kept_since``: the events of seals that are older may have been forgotten.
        The first fault is named: of the chain, if it is broken, else the event with the lowest number.
        """
        with self._database.read() as looking:
            count, head, fault = self._check_chain(looking, dict(known), kept_since)
            if fault is not None:
                return Verdict(count, 0, 0, head, fault)
            events, waiting, fault = self._check_events(looking, head)
        return Verdict(count, events, waiting, head, fault)

    def _check_chain(
        self, looking: Transaction, known: dict[int, str], kept_since: int
    ) -> tuple[int, Seal | None, Fault | None]:
        before: Seal | None = None
        count, kept = 0, False
        for page in store.seal_pages(looking, _SEALS_AT_ONCE):
            for seal in page:
                number = before.number + 1 if before else 1
                thinned = seal.body is None and (kept or seal.last_at >= kept_since)  # only the oldest lose theirs
                if thinned or not self._fits(seal, before):
                    return count, before, Fault(Tampering.SEAL, number)
                if known.pop(seal.number, seal.chain) != seal.chain:
                    return count, before, Fault(Tampering.CUT, seal.number)
                kept = kept or seal.body is not None
                count, before = count + 1, seal
        return count, before, Fault(Tampering.CUT, min(known)) if known else None

    def _fits(self, seal: Seal, before: Seal | None) -> bool:
        """Whether a seal is whole and follows the one before."""
        number, previous = (before.number + 1, before.chain) if before else (1, "")
        try:
            signed = same(self._chain(seal), seal.chain)
        except Unreadable:
            return False
        whole = seal.body is None or rules.body_digest(seal.body) == seal.body_digest
        return signed and whole and (seal.number, seal.previous) == (number, previous)

    def _check_events(self, looking: Transaction, head: Seal | None) -> tuple[int, int, Fault | None]:
        recent = store.seals_since(looking, self._clock.now() - LATE)
        low = _lowest_open(recent, head)
        events = waiting = 0
        for page, sealed, keys in self._side_by_side(looking, head):
            fault = self._first_fault(page, sealed, keys, low)
            if fault is not None:
                return events, waiting, fault
            events += len(sealed)
            waiting += len(page) - len(sealed)
        return events, waiting, None

    def _side_by_side(
        self, looking: Transaction, head: Seal | None
    ) -> Iterator[tuple[dict[int, Stored], dict[int, bytes], dict[int, str]]]:
        """Page by page what there is, and what the seals say there was."""
        first = _LOWEST
        for rows in store.pages(looking, first - 1, _PAGE):
            yield _complete(looking, {one.id: one for one in rows}, first, rows[-1].id)
            first = rows[-1].id + 1
        if head is not None and head.upto >= first:
            yield _complete(looking, {}, first, head.upto)

    def _first_fault(
        self, page: dict[int, Stored], sealed: dict[int, bytes], keys: dict[int, str], low: int
    ) -> Fault | None:
        for number in sorted(page.keys() | sealed.keys()):
            one, digest = page.get(number), sealed.get(number)
            if digest is None:
                if number < low:
                    return Fault(Tampering.INSERTED, number)
            elif one is None:
                return Fault(Tampering.REMOVED, number)
            else:
                found = self._digest(one, keys[number])
                if found != digest:
                    moved = found in sealed.values()
                    return Fault(Tampering.REORDERED if moved else Tampering.EDITED, number)
        return None

    # ---- thinning out

    def forget(self, before: int) -> int:
        """Delete the events of seals that are older than a moment as a whole; the seals stay, so the chain holds."""
        with self._database.begin() as transaction:
            gone = 0
            for seal in store.oldest_kept(transaction, before, _SEALS_AT_ONCE):
                gone += store.forget(transaction, seal, list(rules.read(seal.body or "")))
            return gone


def _lowest_open(recent: tuple[Seal, ...], newest: Seal | None) -> int:
    """From which number on an event may be without a seal: it may have come late."""
    if recent:
        return min(seal.first_id for seal in recent)
    return newest.upto + 1 if newest else 0


def _complete(
    looking: Transaction, page: dict[int, Stored], first: int, last: int
) -> tuple[dict[int, Stored], dict[int, bytes], dict[int, str]]:
    """A page with what the seals say of it. The log lives on meanwhile: what seems to be gone is asked for again."""
    sealed, keys = _sealed(looking, first, last)
    missing = sealed.keys() - page.keys()
    if missing:
        page |= {one.id: one for span in rules.spans(missing, BATCH) for one in store.stored(looking, span)}
        still, _ = _sealed(looking, first, last)
        sealed = {number: digest for number, digest in sealed.items() if number in still}
    return page, sealed, keys


def _sealed(looking: Transaction, first: int, last: int) -> tuple[dict[int, bytes], dict[int, str]]:
    """What the seals say of the numbers from first to last: digests, and with which keys they were made."""
    digests: dict[int, bytes] = {}
    keys: dict[int, str] = {}
    for seal in store.seals_over(looking, first, last):
        for number, digest in rules.read(seal.body or "").items():
            if first <= number <= last:
                digests[number], keys[number] = digest, seal.key
    return digests, keys
