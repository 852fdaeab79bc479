"""A one-time PIN: six digits by SMS, eight by e-mail. Never called a password."""

from dataclasses import dataclass, field
from typing import Any

CHANNELS = frozenset({"sms", "email"})
RESEND_AFTER = (30, 60, 120)  # seconds after the first, second, and each later sending


@dataclass(frozen=True, slots=True)
class Pin:
    """The living PIN of a flow, as the flow keeps it: a keyed hash, never the digits (requirements T-20)."""

    channel: str
    contact_id: str
    destination: str  # masked
    digest: str = field(repr=False)
    outbox_id: str = ""
    sent_at: int = 0
    expires_at: int = 0
    digits: int = 0

    def to_notes(self) -> dict[str, Any]:
        """As JSON for the flow's notes."""
        return {
            "channel": self.channel,
            "contact_id": self.contact_id,
            "destination": self.destination,
            "digest": self.digest,
            "outbox_id": self.outbox_id,
            "sent_at": self.sent_at,
            "expires_at": self.expires_at,
            "digits": self.digits,
        }

    @classmethod
    def from_notes(cls, notes: dict[str, Any]) -> "Pin":
        """The inverse of ``to_notes``."""
        return cls(**notes)


@dataclass(frozen=True, slots=True)
class Way:
    """A channel and its masked destination."""

    channel: str
    destination: str


@dataclass(frozen=True, slots=True)
class PinPage:
    """The PIN that tells the truth (product.md 7.1). Times in seconds from now."""

    channel: str
    destination: str
    state: str
    resend_in: int
    expires_in: int
    tries_left: int
    digits: int
    earlier_void: bool
    alternatives: tuple[Way, ...]
    can_resend: bool
    refused: str = ""  # the code of why nothing could be sent
    retry_after: int = 0

    def status(self) -> dict[str, object]:
        """What the status path answers (product.md section 2)."""
        return {
            "channel": self.channel,
            "destination": self.destination,
            "state": self.state,
            "resend_in": self.resend_in,
            "expires_in": self.expires_in,
            "tries_left": self.tries_left,
        }
