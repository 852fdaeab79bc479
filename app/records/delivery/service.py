"""Status callbacks of Twilio, believed only when signed, and only forward; and the guard over what SMS cost."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import structlog

from app.foundation.clock import Clock
from app.foundation.refusals import Code, Refusal, Throttled, Wrong
from app.foundation.secretbox import Keyring
from app.foundation.sql import Database, Transaction
from app.records.delivery import rules, store
from app.records.delivery.channels import STATUS_PATH, sms_twilio
from app.records.delivery.model import Caps, Destination, Entry, Fare, Held, Purpose, State, Tally


class Callbacks:
    """What POST /webhooks/twilio/status does.

    The signature has neither time nor nonce, so callbacks can be replayed and come in any order: each only moves
    a message forward, and nothing is proved by one (requirement M-06).
    """

    def __init__(self, database: Database, auth_token: str, public_url: str, clock: Clock) -> None:
        self._database = database
        self._auth_token = auth_token
        self._url = public_url.rstrip("/") + STATUS_PATH
        self._clock = clock
        self._log = structlog.get_logger()

    def verify(self, parameters: Mapping[str, str], signature: str | None) -> bool:
        """Whether Twilio signed exactly these form fields for our public URL. False without an auth token."""
        return sms_twilio.signed(self._auth_token, self._url, parameters, signature)

    def apply(self, parameters: Mapping[str, str]) -> bool:
        """Move the message forward; False where it is unknown, further on already, or nothing is decided yet."""
        fate = sms_twilio.fate_of(parameters.get("MessageStatus", ""), sms_twilio.whole(parameters.get("ErrorCode")))
        sid = parameters.get("MessageSid", "")
        if fate.state is State.SENT:
            return False
        with self._database.begin() as transaction:
            moved = store.learn(transaction, provider_sid=sid, to=fate.state, reason=fate.reason, now=self._clock.now())
        if moved:
            self._log.info(
                f"message_{fate.state.value}", channel="sms", reason=fate.reason, provider_code=fate.provider_code
            )
        return moved

    def receive(self, parameters: Mapping[str, str], signature: str | None) -> bool:
        """Verify and apply. False means 403; true means 204, whether or not anything moved.

        The caller has refused a form that holds a name twice: it would be signed otherwise than it is read.
        """
        if not self.verify(parameters, signature):
            self._log.warning("callback_refused")
            return False
        self.apply(parameters)
        return True


Home = Callable[[Transaction, int], str | None]
"""The home organization of a person, by their row; given by wiring, because people are kept in another room."""

Countries = Callable[[Transaction, int, int], Collection[str] | None]
"""Where the policy of a person, by their row, lets SMS go now; None where it leaves that to the settings."""

COUNTRY = "country"  # why an SMS is refused, in the log and as a reason; the other reasons name a budget or a share
NO_SMS = frozenset({Code.SMS_COUNTRY, Code.SMS_RESTS})
"""What the guard says: no SMS, and the other channel does as well as ever."""


@dataclass(frozen=True, slots=True)
class Prices:
    """What an SMS is expected to cost, in millionths of a currency."""

    currency: str
    usual: int
    by_country: Mapping[str, int]

    def to(self, country: str) -> int:
        """The price of one SMS to a country."""
        return self.by_country.get(country, self.usual)

    def shown(self, millionths: int) -> str:
        """An amount as the log writes it."""
        return f"{millionths / 1_000_000:.2f} {self.currency}"


@dataclass(frozen=True, slots=True)
class SmsGuardMeans:
    """What the guard stands on. ``hold`` keeps all others from counting messages until the transaction ends."""

    keyring: Keyring
    countries: Collection[str] | None  # None: everywhere
    caps: Caps
    prices: Prices
    hold: Callable[[Transaction], None]
    home: Home
    countries_of: Countries


class SmsGuard:
    """Lets an SMS be queued or leave, and counts it, in one transaction (product.md 7.10, requirement M-10).

    Counted are the rows of the outbox themselves, in SQL, over a day that slides; while one counts nobody else does,
    so that many at once use no budget beyond its end. PINs and notices have budgets of their own.
    """

    def __init__(self, means: SmsGuardMeans) -> None:
        self._means = means
        self._log = structlog.get_logger()

    def spend(self, transaction: Transaction, person_id: int, number: str, now: int) -> Fare:
        """Count a PIN by SMS, which the caller queues with it. Raises Wrong (country), Throttled (budgets, shares)."""
        self._means.hold(transaction)
        fare, reason = self._judge(transaction, Purpose.PIN, person_id, number, now)
        if fare is None:
            raise self._refusal(reason)
        return fare

    def may_go_to(self, transaction: Transaction, person_id: int, number: str, now: int) -> bool:
        """Whether an SMS may go to the country of a number, by the settings and by the person's policy."""
        return self._is_open(transaction, person_id, rules.country_of(number), now)

    def gate(self, transaction: Transaction, entry: Entry, destination: Destination, now: int) -> Held | None:
        """Count a message that was queued uncounted, as notices are; or say why it may not leave, and until when.

        A notice waits for room, because what it tells is owed; by e-mail it has left meanwhile.
        """
        self._means.hold(transaction)
        fare, reason = self._judge(transaction, entry.purpose, entry.person_id, destination.address, now)
        if fare is None:
            return Held(f"sms_{reason}", 0 if reason == COUNTRY else now + rules.ROOM_AFTER)
        store.count(transaction, entry.id, fare, now)
        return None

    def _judge(
        self, transaction: Transaction, purpose: Purpose, person_id: int, number: str, now: int
    ) -> tuple[Fare | None, str]:
        """What a message counts as, or None and why it may not go."""
        means = self._means
        country = rules.country_of(number)
        if not self._is_open(transaction, person_id, country, now):
            self._log.warning("sms_refused", reason=COUNTRY, country=country, purpose=purpose.value)
            return None, COUNTRY
        home = means.home(transaction, person_id)
        fare = Fare(country, self._prefix(number), home, means.prices.to(country))
        since, ripe_at = now - rules.DAY, now - rules.RIPE_AFTER
        tally = store.tally(transaction, fare, purpose, since=since, ripe_at=ripe_at)
        reason = rules.spent_budget(tally, purpose, means.caps)
        if not reason and purpose is Purpose.PIN and (share := rules.unverified(tally, means.caps)):
            reason = f"{share}_unverified"
        if reason:
            figures = {"country": country, "organization": home, "purpose": purpose.value}
            self._log.warning("sms_refused", reason=reason, **figures)
            return None, reason
        self._warn(tally, purpose, fare)
        return fare, ""

    def _is_open(self, transaction: Transaction, person_id: int, country: str, now: int) -> bool:
        everywhere = self._means.countries
        if not country or (everywhere is not None and country not in everywhere):
            return False
        own = self._means.countries_of(transaction, person_id, now)
        return own is None or country in own

    def _warn(self, tally: Tally, purpose: Purpose, fare: Fare) -> None:
        """Tell the operator of a budget that this very message brings to a mark."""
        for name, used, most in rules.budgets(tally, purpose, self._means.caps):
            mark = rules.mark_passed(used + 1, most)
            if mark:
                tell = self._log.error if mark == 100 else self._log.warning
                tell(
                    "sms_budget_used_up" if mark == 100 else "sms_budget_nearly_used_up",
                    budget=name,
                    purpose=purpose.value,
                    percent=mark,
                    used=used + 1,
                    most=most,
                    cost_of_day=self._means.prices.shown(tally.cost + fare.price),
                    country=fare.country,
                    organization=fare.organization_id,
                    operator_must_act=mark == 100,
                )

    def _prefix(self, number: str) -> str:
        # by the oldest key: a new one would begin the day anew
        keyring = self._means.keyring
        return keyring.mac_hex("number-prefix", rules.prefix_of(number), key=keyring.oldest)[:32]

    @staticmethod
    def _refusal(reason: str) -> Refusal:
        if reason == COUNTRY:
            return Wrong(Code.SMS_COUNTRY, field="channel")
        return Throttled(Code.SMS_RESTS, field="channel", retry_after=rules.ROOM_AFTER)
