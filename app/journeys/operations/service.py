"""What an operator's programs ask: alive, ready, how much of what."""

from collections.abc import Iterable

from app.factors.access_code import store as access_codes
from app.factors.totp import store as totp
from app.foundation.clock import Clock
from app.foundation.ephemeral import Ephemeral
from app.foundation.refusals import StoreAway
from app.foundation.slowhash import SlowHasher
from app.foundation.sql import Database
from app.records.cases import store as cases
from app.records.delivery import store as outbox
from app.records.delivery.outbox import Outbox
from app.records.flows import store as grants
from app.records.invitations import store as invitations
from app.records.lanes import store as lanes
from app.records.people import store as people
from app.records.resets import store as resets
from app.records.sessions import store as sessions

_DAY = 86_400
_KEPT = _DAY  # seconds after which a grant and a burned time-step are of no use to anybody
_MESSAGES_KEPT = 90 * 86_400  # for support, who asks what became of a message; its text was wiped when it left

_AT_ONCE = 1_000  # rows of the first release that get their keys in one transaction
_INVITATIONS_KEPT = 90 * 86_400  # for one that did not come to its end, a new one goes on where it stopped


class Housekeeping:
    """Deletes what has outlived its purpose (ASVS 14.2.7)."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def tidy(self) -> int:
        """Delete what is old, of every kind, and addresses that nobody confirmed; returns how many rows."""
        now = self._clock.now()
        with self._database.begin() as transaction:
            gone = grants.forget(transaction, now - _KEPT) + totp.forget(transaction, now - _KEPT)
            gone += access_codes.forget(transaction, now - _KEPT)
            gone += lanes.forget(transaction, now) + sessions.forget(transaction, now)
            gone += resets.forget(transaction, now)
            gone += invitations.forget(transaction, now - _INVITATIONS_KEPT)
            gone += people.forget_pending(transaction, now) + cases.forget(transaction, now)
            return gone + outbox.forget(transaction, now - _MESSAGES_KEPT)

    def fill_keys(self) -> int:
        """Make everybody from the first release findable by support; returns how many rows that were."""
        filled = 0
        while True:
            with self._database.begin() as transaction:
                count = people.fill_keys(transaction, _AT_ONCE)
            filled += count
            if not count:
                return filled


class Operations:
    """Readiness and figures."""

    def __init__(
        self, *, database: Database, ephemeral: Ephemeral, hasher: SlowHasher, messages: Outbox, clock: Clock
    ) -> None:
        self._database = database
        self._ephemeral = ephemeral
        self._hasher = hasher
        self._messages = messages
        self._clock = clock

    def away(self) -> tuple[str, ...]:
        """The names of the stores that do not answer."""
        missing = []
        for name, ping in (("database", self._database.ping), ("ephemeral store", self._ephemeral.ping)):
            try:
                ping()
            except StoreAway:
                missing.append(name)
        return tuple(missing)

    def figures(self) -> Iterable[tuple[str, str, float]]:
        """(name, description, value) of what this process and the outbox know now."""
        yield "keyturn_hashes_done", "Slow hashes computed by this process", self._hasher.done
        yield "keyturn_hashes_refused", "Slow hashes turned away by this process", self._hasher.refused
        yield "keyturn_hashes_waiting", "Slow hashes that wait for a slot", self._hasher.waiting
        try:
            with self._database.read() as looking:
                now = self._clock.now()
                hour = self._messages.sent_within(looking, 3_600, now)
                pins, typed, cost = self._messages.sms_within(looking, _DAY, now)
        except StoreAway:
            return
        yield "keyturn_messages_last_hour", "Messages of the last hour that LIMIT_MESSAGES_PER_HOUR counts", hour
        yield "keyturn_sms_pins_last_day", "PINs by SMS in the last 24 hours", pins
        yield "keyturn_sms_pins_typed_last_day", "Those of them that were typed", typed
        yield "keyturn_sms_cost_last_day", "What SMS of the last 24 hours cost, in SMS_CURRENCY", cost / 1_000_000
