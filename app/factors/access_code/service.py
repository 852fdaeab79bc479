"""Making and spending temporary access codes. A try costs one slow hash, as one of a saved code (security rule 14)."""

import structlog

from app.factors.access_code import rules, store
from app.factors.access_code.model import LIFE, OCTETS, AccessCode, NewCode
from app.foundation.chance import Chance
from app.foundation.secretbox import Keyring
from app.foundation.slowhash import SlowHasher
from app.foundation.sql import Transaction

_PURPOSE = "access-code"
log = structlog.get_logger()


class AccessCodes:
    """What the steps need of access codes."""

    def __init__(self, hasher: SlowHasher, keyring: Keyring, chance: Chance) -> None:
        self._hasher = hasher
        self._keyring = keyring
        self._chance = chance
        self._spare = AccessCode("", 0, "", hasher.salt(), keyring.active, "", "", 0, 0)

    def draw(self) -> NewCode:
        """A new code and its digest: one slow hash, with no transaction open. Raises Unavailable."""
        code = rules.written(self._chance.octets(OCTETS))
        salt, key = self._hasher.salt(), self._keyring.active
        digest = self._keyring.mac_hex(_PURPOSE, self._hasher.raw(code.encode(), salt), key=key)
        return NewCode(rules.shown(code), salt, key, digest)

    def give(
        self, transaction: Transaction, *, person_id: int, stamp: str, new: NewCode, not_to: str, now: int
    ) -> AccessCode:
        """Give somebody a code, good for a day; it voids their earlier ones."""
        made = AccessCode(self._chance.name(), person_id, stamp, new.salt, new.key, new.digest, not_to, now, now + LIFE)
        store.add(transaction, made)
        return made

    def living(self, transaction: Transaction, person_id: int | None, stamp: str, now: int) -> AccessCode | None:
        """The code that counts. Somebody unknown (None) has none, and is looked up all the same."""
        return store.living(transaction, person_id or 0, stamp, now)

    def digest(self, counting: AccessCode | None, code: str) -> str:
        """What a code would be kept as: one slow hash, also where there is none. Raises Unavailable."""
        kept = counting or self._spare
        raw = self._hasher.raw(code.encode(), kept.salt)
        return self._keyring.mac_kept(_PURPOSE, raw, key=kept.key)

    def settle(self, transaction: Transaction, counting: AccessCode | None, digest: str, now: int) -> bool:
        """Spend the code of a digest, if it is the one that counts; once."""
        return store.spend(transaction, (counting or self._spare).id, digest, now)
