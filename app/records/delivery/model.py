"""What is sent, by which way, and how it ends."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class Channel(StrEnum):
    """How a message reaches a person. The same words as the ``channel`` of a contact and of the pages."""

    SMS = "sms"
    EMAIL = "email"


class Purpose(StrEnum):
    """Why a message is sent: a PIN is worthless once it expires, a notice is owed for days."""

    PIN = "pin"
    NOTICE = "notice"


# templates of what the portal tells by itself to everybody whom it concerns, however many: not counted among the
# messages of an hour, or one organization's letters would close PINs and links for all others (security rule 1)
BY_ITSELF = ("notice_password_expires", "notice_policy")


class State(StrEnum):
    """Where a message is. Only forward (rules.MOVES)."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    UNKNOWN = "unknown"

    @property
    def shown(self) -> "State":
        """What a page says: to its reader, a message that is just being sent is still queued."""
        return State.QUEUED if self is State.SENDING else self


class Outcome(StrEnum):
    """How an attempt failed, said once, at the edge."""

    TEMPORARY = "temporary"  # certainly not accepted; may be accepted later
    PERMANENT = "permanent"  # certainly not accepted, and never will be
    UNKNOWN = "unknown"  # perhaps accepted: an SMS must not be posted again


class Failure(Exception):
    """An attempt that was not accepted.

    ``code`` is a stable reason (docs/delivery.md), ``provider_code`` the provider's own number for the log.
    ``operator`` marks what only the operator can mend: hopeless for a PIN, worth waiting for with a notice.
    Neither text nor address nor the provider's sentence is kept in it.
    """

    def __init__(
        self, outcome: Outcome, code: str, *, operator: bool = False, provider_code: int | None = None
    ) -> None:
        super().__init__(code)
        self.outcome = outcome
        self.code = code
        self.operator = operator
        self.provider_code = provider_code


@dataclass(frozen=True, slots=True)
class Message:
    """A message ready to go. Its repr shows neither whom it goes to nor what it says."""

    address: str = field(repr=False)
    text: str = field(repr=False)
    subject: str = field(repr=False)  # empty for SMS
    message_id: str  # RFC 5322 sec. 3.6.4, with its angle brackets; empty for SMS
    validity: int  # seconds for which it is worth delivering, at least 1


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider took the message over. ``provider_sid`` is its name there, where its fate can be asked for."""

    provider_sid: str = ""


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of an accepted message: SENT while nothing is decided, DELIVERED, or FAILED with a reason."""

    state: State
    reason: str = ""
    provider_code: int | None = None
    price: int | None = None  # in millionths of ``currency``, where the provider says what it took
    currency: str = ""


class Sender(Protocol):
    """One way out of the house. May be used by several threads at once."""

    def send(self, message: Message) -> Accepted:
        """Hand the message over. Raises Failure, and nothing else that it expects."""

    def fate(self, provider_sid: str) -> Fate:
        """Ask what became of it. Raises Failure where there is no answer."""


@dataclass(frozen=True, slots=True)
class Destination:
    """A contact as it is at the moment of sending (requirement B-15)."""

    address: str = field(repr=False)
    removed: bool  # the contact was taken off the person
    active: bool  # the person may use the portal


class Contact(Protocol):
    """What the outbox needs to know of a contact; ``app.records.people.model.Contact`` has this shape."""

    @property
    def id(self) -> str: ...
    @property
    def person_id(self) -> int: ...
    @property
    def channel(self) -> str: ...
    @property
    def confirmed_at(self) -> int | None: ...
    @property
    def usable_from(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the outbox, as its claimer sees it."""

    id: str
    channel: Channel
    purpose: Purpose
    person_id: int
    contact_id: str
    template: str
    language: str
    payload: str | None = field(repr=False)
    tries: int  # this one included
    created_at: int
    expires_at: int
    message_id: str
    organization_id: str | None = None  # the person's home
    fare: "Fare | None" = None  # of an SMS that was counted before it was queued
    counted: bool = False  # of a claimed row: it needs no counting any more


@dataclass(frozen=True, slots=True)
class Fare:
    """What an SMS counts as. ``number_prefix`` is a keyed digest of the number without its last digits."""

    country: str  # ISO 3166-1 alpha-2
    number_prefix: str
    organization_id: str | None  # the person's home, whose budget it is
    price: int  # millionths of the currency that the settings name; an estimate until the provider says


@dataclass(frozen=True, slots=True)
class Tally:
    """What was counted in the last 24 hours, of PINs or of notices: in all, and of one message's own kind."""

    day: int
    organization: int
    number_prefix: int
    cost: int  # millionths
    country_ripe: int = 0  # PINs that left and were verified, or had their time to be
    country_verified: int = 0
    prefix_ripe: int = 0
    prefix_verified: int = 0


@dataclass(frozen=True, slots=True)
class Caps:
    """The most in 24 hours, and how many of the PINs sent have to be verified, in percent of at least a sample."""

    per_day: int
    per_organization: int
    per_prefix: int
    notices_per_day: int
    floor: int
    sample: int

    def of_day(self, purpose: Purpose) -> int:
        """PINs and notices each have their own: what PINs spend silences no notice."""
        return self.per_day if purpose is Purpose.PIN else self.notices_per_day


@dataclass(frozen=True, slots=True)
class Held:
    """An SMS may not leave: why, and when to try again; 0 where never."""

    reason: str
    until: int = 0


@dataclass(frozen=True, slots=True)
class Followed:
    """An accepted message whose fate is asked for."""

    id: str
    channel: Channel
    provider_sid: str
    sent_at: int
