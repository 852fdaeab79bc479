"""The demo's phone and mailbox: messages are put into an inbox that a page shows."""

from typing import Protocol

from app.foundation.clock import Clock
from app.records.delivery.model import Accepted, Channel, Failure, Fate, Message, Outcome, State


class Inbox(Protocol):
    """Where the demo's messages lie, and whether the visitor asked for a failure."""

    def append(self, message: dict[str, object]) -> None:
        """Keep one message: ``channel``, ``to``, ``subject``, ``text``, ``at`` (seconds since the epoch)."""

    def trouble(self, channel: str) -> str:
        """How the next message of this channel shall fail: a value of Outcome; empty where it shall arrive."""


class DemoSender:
    """Delivers to the inbox, or fails as it is told, so that people can see on the page what happens then."""

    def __init__(self, channel: Channel, inbox: Inbox, clock: Clock) -> None:
        self._channel = channel
        self._inbox = inbox
        self._clock = clock

    def send(self, message: Message) -> Accepted:
        trouble = self._inbox.trouble(self._channel.value)
        if trouble:
            raise Failure(Outcome(trouble), "demo")
        self._inbox.append(
            {
                "channel": self._channel.value,
                "to": message.address,
                "subject": message.subject,
                "text": message.text,
                "at": self._clock.now(),
            }
        )
        # a phone reports that the SMS arrived, a mailbox does not
        return Accepted("demo" if self._channel is Channel.SMS else "")

    def fate(self, provider_sid: str) -> Fate:  # noqa: ARG002 - the shape of Sender
        return Fate(State.DELIVERED)
