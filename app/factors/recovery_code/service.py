"""Making, keeping and spending saved codes. A try costs one slow hash, whoever is asked for (security rules 8, 14)."""

import structlog

from app.factors.recovery_code import rules, store
from app.factors.recovery_code.model import (
    CODES,
    OCTETS,
    REPORTED,
    CodeSet,
    Finding,
    NewSet,
    Outcome,
    Standing,
    Use,
)
from app.foundation.chance import Chance
from app.foundation.secretbox import Keyring
from app.foundation.slowhash import SlowHasher
from app.foundation.sql import Transaction

WAITING = 86_400  # seconds before a new set may serve recovery (security rule 6)
_PURPOSE = "recovery-code"
log = structlog.get_logger()


class RecoveryCodes:
    """What the steps need of saved codes."""

    def __init__(self, hasher: SlowHasher, keyring: Keyring, chance: Chance) -> None:
        self._hasher = hasher
        self._keyring = keyring
        self._chance = chance
        self._spare = CodeSet("", 0, hasher.salt(), keyring.active, 0, 0)

    # ---- a set

    def draw(self) -> NewSet:
        """Ten new codes and their digests: ten slow hashes, with no transaction open. Raises Unavailable."""
        drawn = tuple(rules.written(self._chance.octets(OCTETS)) for _ in range(CODES))
        salt, key = self._hasher.salt(), self._keyring.active
        digests = tuple(
            self._keyring.mac_hex(_PURPOSE, self._hasher.raw(code.encode(), salt), key=key) for code in drawn
        )
        return NewSet(drawn, salt, key, digests)

    def bind(
        self,
        transaction: Transaction,
        *,
        person_id: int,
        new: NewSet,
        now: int,
        usable_from: int,
        replaced_serve: bool = True,
    ) -> CodeSet:
        """Give somebody a set; it voids their earlier ones.

        ``usable_from`` is ``now`` at a first activation and by import, else ``now + WAITING``. Until then the
        replaced set still serves recovery, unless it is reported stolen: ``replaced_serve`` False.
        """
        store.replace(transaction, person_id, now, serves_until=usable_from if replaced_serve else REPORTED)
        made = CodeSet(self._chance.name(), person_id, new.salt, new.key, now, usable_from)
        store.add(transaction, made, new.digests)
        return made

    def standing(self, transaction: Transaction, person_id: int) -> Standing | None:
        """The living set of somebody, None where there is none."""
        living = [one for one in store.of_person(transaction, person_id) if one.voided_at is None]
        if not living:
            return None
        left, last_used_at = store.left(transaction, living[-1].id)
        return Standing(living[-1].id, living[-1].made_at, living[-1].usable_from, left, last_used_at)

    def any_left(self, transaction: Transaction, person_id: int, use: Use, now: int) -> bool:
        """Whether somebody has an unused code that is good for something now."""
        counting = self.counting(transaction, person_id, use, now)
        return counting is not None and store.left(transaction, counting.id)[0] > 0

    def roll_back(self, transaction: Transaction, person_id: int, moment: int, now: int) -> None:
        """Void the sets that were made at a moment or later; the one that lived just before it lives again.

        Not one that was reported lost or seen meanwhile (security rule 5).
        """
        earlier = None
        for one in store.of_person(transaction, person_id):
            if one.made_at >= moment:
                store.void(transaction, person_id, one.id, now)
            elif one.voided_at is None or one.voided_at >= moment:
                earlier = one
        if earlier is not None and earlier.voided_at is not None and earlier.serves_until != REPORTED:
            store.revive(transaction, person_id, earlier.id)

    # ---- a try

    def counting(self, transaction: Transaction, person_id: int | None, use: Use, now: int) -> CodeSet | None:
        """The set whose codes count. Somebody unknown (None) has none, and is looked up all the same."""
        return rules.counting(store.of_person(transaction, person_id or 0), use, now)

    def older(self, transaction: Transaction, person_id: int | None, moment: int) -> CodeSet | None:
        """The set that counted before a moment, whatever became of it since: it may undo what came after."""
        return rules.older(store.of_person(transaction, person_id or 0), moment)

    def digest(self, counting: CodeSet | None, code: str) -> str:
        """What a code would be kept as in a set: one slow hash, also where there is no set. Raises Unavailable."""
        kept = counting or self._spare
        raw = self._hasher.raw(code.encode(), kept.salt)
        return self._keyring.mac_kept(_PURPOSE, raw, key=kept.key)

    def settle(self, transaction: Transaction, counting: CodeSet | None, digest: str, use: Use, now: int) -> Outcome:
        """Spend the code of a digest, if it is one of the set and unused; over all doors and processes once."""
        kept = counting or self._spare
        spent, used_before = store.spend(transaction, kept.id, digest, use, now)
        left, _ = store.left(transaction, kept.id)
        if spent:
            return Outcome(Finding.ACCEPTED, left, waiting=kept.usable_from > now)
        return Outcome(Finding.USED if used_before else Finding.WRONG, left)
