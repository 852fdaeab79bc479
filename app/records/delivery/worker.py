"""The sender of messages: claims, sends with no transaction open, and writes down how it ended."""

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from app.foundation.chance import Chance
from app.foundation.clock import Clock
from app.foundation.refusals import StoreAway
from app.foundation.secretbox import Keyring, Unreadable
from app.foundation.sql import Database, Transaction
from app.records.delivery import rules, store
from app.records.delivery.channels.letters import Letters
from app.records.delivery.model import (
    Accepted,
    Channel,
    Destination,
    Entry,
    Failure,
    Held,
    Message,
    Outcome,
    Sender,
    State,
)
from app.records.delivery.outbox import PURPOSE_OF_KEY

Lookup = Callable[[Transaction, str], Destination | None]
"""Reads a contact by its id; given by wiring, because people are kept in another room."""

Gate = Callable[[Transaction, Entry, Destination, int], Held | None]
"""Counts an SMS that was queued uncounted, with the transaction that claims it; or says why it may not leave."""

_PAUSE = 0.3  # seconds between two looks into an empty outbox: somebody is waiting for a PIN
_PAUSE_AWAY = 2.0  # seconds, while the database does not answer
_FATES_AT_ONCE = 10
_SETTLE_TRIES = 5


class Worker:
    """Several may run side by side, in threads, processes and machines: the claim decides who sends.

    E-mail goes at least once, always with the same Message-ID; an SMS at most once (security rule 17).
    """

    def __init__(
        self,
        database: Database,
        keyring: Keyring,
        chance: Chance,
        clock: Clock,
        *,
        channels: Mapping[Channel, Sender],
        letters: Letters,
        lookup: Lookup,
        gate: Gate | None = None,
        currency: str = "",
        hands: int = 2,
    ) -> None:
        """``hands`` is how many messages of one channel are sent at the same time.

        ``currency`` is that of the prices: what the provider says in another one is not written down.
        """
        self._database = database
        self._keyring = keyring
        self._chance = chance
        self._clock = clock
        self._channels = channels
        self._letters = letters
        self._lookup = lookup
        self._gate = gate
        self._currency = currency
        self._hands = hands
        self._log = structlog.get_logger()

    def run_once(self) -> int:
        """Tidy up, send at most one message of each channel, ask for fates; return how much there was to do."""
        return self._tidy() + sum(self._send_one(channel) for channel in self._channels) + self._ask_fates()

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop; what is being sent then is finished first (10 s at most, as a rule)."""
        duties: list[tuple[str, Callable[[], int]]] = [
            (f"{channel.value}-{number}", _sending(self, channel))
            for channel in self._channels
            for number in range(self._hands)
        ]
        # a slow mail server holds up neither SMS nor the fates of those that were sent
        duties.append(("fates", lambda: self._tidy() + self._ask_fates()))
        threads = [
            threading.Thread(target=self._keep, args=(duty, stop), name=f"deliver-{name}") for name, duty in duties
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _keep(self, duty: Callable[[], int], stop: threading.Event) -> None:
        while not stop.is_set():
            pause = _PAUSE
            try:
                if duty():
                    continue
            except StoreAway:
                self._log.warning("delivery_store_away")
                pause = _PAUSE_AWAY
            except Exception as error:  # noqa: BLE001 - a defect in one message must not end the sender of all
                # neither text nor trace: they may hold addresses
                self._log.error("delivery_defect", **_where(error))
                pause = _PAUSE_AWAY
            stop.wait(pause)

    def _tidy(self) -> int:
        now = self._clock.now()
        with self._database.read() as looking:
            if not store.is_stale(looking, now):
                return 0
        with self._database.begin() as transaction:
            swept = store.sweep(transaction, now)
        if swept:
            self._log.warning("messages_swept", count=swept)
        return swept

    def _send_one(self, channel: Channel) -> int:
        now = self._clock.now()
        with self._database.read() as looking:
            if not store.is_due(looking, channel, now):
                return 0
        claim = self._chance.name()
        with self._database.begin() as transaction:
            entry = store.claim(transaction, channel, claim_name=claim, now=now)
            destination = self._lookup(transaction, entry.contact_id) if entry else None
            held = self._hold_back(transaction, entry, claim, destination, now) if entry else None
        if entry is None:
            return 0
        # from here to _settle no transaction is open, however long the provider takes
        log = self._log.bind(
            outbox_id=entry.id,
            channel=channel.value,
            purpose=entry.purpose.value,
            template=entry.template,
            tries=entry.tries,
        )
        if held is not None:
            log.warning("message_held_back", reason=held.reason, until=held.until)
            return 1
        try:
            message = self._message(entry, destination)
            accepted = self._channels[channel].send(message)
        except Failure as failure:
            self._settle_failure(entry, claim, failure, log)
        except Exception as error:  # noqa: BLE001
            # nobody knows how far it came; an SMS must not be posted again
            log.error("delivery_defect", **_where(error))  # noqa: TRY400 - a trace may hold addresses
            self._settle_failure(entry, claim, Failure(Outcome.UNKNOWN, "defect"), log)
        else:
            self._settle_accepted(entry, claim, accepted, log)
        return 1

    def _hold_back(
        self, transaction: Transaction, entry: Entry, claim: str, destination: Destination | None, now: int
    ) -> Held | None:
        """Count an SMS that nobody has counted; where there is no room for it, it waits, or fails."""
        if self._gate is None or entry.channel is not Channel.SMS or entry.counted or destination is None:
            return None
        if rules.obstacle(entry.purpose, destination):
            return None
        held = self._gate(transaction, entry, destination, now)
        if held is not None:
            reason, until = held.reason, held.until
            waits = until > 0 and store.put_back(
                transaction, entry.id, claim_name=claim, next_at=until, reason=reason, now=now
            )
            if not waits:
                store.end(transaction, entry.id, claim_name=claim, to=State.FAILED, reason=reason, now=now)
        return held

    def _message(self, entry: Entry, destination: Destination | None) -> Message:
        """Raises Failure where nothing may go, or nothing can be made of it; nothing has left then."""
        hindrance = rules.obstacle(entry.purpose, destination)
        if hindrance or destination is None:
            raise Failure(Outcome.PERMANENT, hindrance)
        validity = entry.expires_at - self._clock.now()
        try:
            variables = json.loads(
                self._keyring.open(PURPOSE_OF_KEY, entry.payload or "", bound_to=f"outbox:{entry.id}")
            )
            # what is left of its life when it leaves, whatever it had when it was made
            variables["minutes"] = max(1, (validity + 30) // 60)
            letter = self._letters.render(entry.template, entry.channel, entry.language, variables)
        except Unreadable:
            raise Failure(Outcome.PERMANENT, "unreadable", operator=True) from None
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing has left yet
            self._log.error("delivery_defect", outbox_id=entry.id, **_where(error))
            raise Failure(Outcome.PERMANENT, "not_rendered", operator=True) from None
        return Message(
            address=destination.address,
            text=letter.text,
            subject=letter.subject,
            message_id=entry.message_id,
            validity=max(1, validity),
        )

    def _settle_accepted(self, entry: Entry, claim: str, accepted: Accepted, log: Any) -> None:
        def write(transaction: Transaction) -> bool:
            return store.accept(
                transaction, entry.id, claim_name=claim, provider_sid=accepted.provider_sid, now=self._clock.now()
            )

        if self._settle(write):
            log.info("message_sent")
        else:
            log.warning("message_sent_late")

    def _settle_failure(self, entry: Entry, claim: str, failure: Failure, log: Any) -> None:
        now = self._clock.now()
        outcome = failure.outcome
        if outcome is Outcome.UNKNOWN and entry.channel is Channel.EMAIL:
            outcome = Outcome.TEMPORARY  # a second copy with the same Message-ID does no harm
        then = rules.after(
            outcome,
            operator=failure.operator,
            purpose=entry.purpose,
            tries=entry.tries,
            now=now,
            expires_at=entry.expires_at,
            fraction=self._chance.fraction(),
        )

        def write(transaction: Transaction) -> bool:
            if isinstance(then, rules.Again) and store.put_back(
                transaction, entry.id, claim_name=claim, next_at=then.at, reason=failure.code, now=now
            ):
                return True
            to = State.FAILED if isinstance(then, rules.Again) else then.state
            store.end(transaction, entry.id, claim_name=claim, to=to, reason=failure.code, now=now)
            return False

        waits = self._settle(write)
        event = "message_delayed" if waits else f"message_{outcome.value if outcome is Outcome.UNKNOWN else 'failed'}"
        level = log.error if failure.operator else log.warning
        level(event, reason=failure.code, provider_code=failure.provider_code, operator_must_act=failure.operator)

    def _settle(self, write: Callable[[Transaction], bool]) -> bool:
        """Write down how it ended, and insist: what is not written is sent again, or never known."""
        for attempt in range(_SETTLE_TRIES):
            try:
                with self._database.begin() as transaction:
                    return write(transaction)
            except StoreAway:
                if attempt == _SETTLE_TRIES - 1:
                    raise
                self._clock.sleep(2**attempt)
        raise AssertionError("unreachable")

    def _ask_fates(self) -> int:
        now = self._clock.now()
        with self._database.read() as looking:
            if not store.fates_due(looking, now):
                return 0
        with self._database.begin() as transaction:
            mine = store.claim_fates(transaction, now, _FATES_AT_ONCE)
        for followed in mine:
            try:
                fate = self._channels[followed.channel].fate(followed.provider_sid)
            except Failure:
                continue  # it is asked for again, or stays "sent"
            if fate.state is State.SENT:
                continue
            with self._database.begin() as transaction:
                learnt = store.learn(
                    transaction,
                    outbox_id=followed.id,
                    to=fate.state,
                    reason=fate.reason,
                    now=self._clock.now(),
                    price=fate.price if fate.currency == self._currency else None,
                )
            if learnt:
                tell = self._log.info if fate.state is State.DELIVERED else self._log.warning
                tell(
                    f"message_{fate.state.value}",
                    outbox_id=followed.id,
                    channel=followed.channel.value,
                    reason=fate.reason,
                    provider_code=fate.provider_code,
                )
        return len(mine)


def _sending(worker: Worker, channel: Channel) -> Callable[[], int]:
    return lambda: worker._send_one(channel)  # noqa: SLF001 - a method of this file, bound to its channel


def _where(error: BaseException) -> dict[str, object]:
    """What may be logged of an unexpected error: its kind and the line, not its text."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}" if trace else ""
    return {"error": type(error).__name__, "at": place}
