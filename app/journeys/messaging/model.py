"""How messages leave, as administrators see it, and a test message to themselves."""

from dataclasses import dataclass

from app.records.delivery.model import Channel

PAGE = "/admin/delivery"
LIFE = 600  # seconds: a test that leaves later tells nothing
FOLLOWED = 900  # seconds for which a page tells what became of it


@dataclass(frozen=True, slots=True)
class Last:
    """The newest message of a channel that came to some end."""

    at: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Way:
    """One channel: whether it is set up, and how it did lately for the administrators' organizations."""

    channel: Channel
    configured: bool
    success: Last | None
    failure: Last | None


@dataclass(frozen=True, slots=True)
class Reach:
    """A contact of the administrator's own."""

    id: str
    channel: Channel
    destination: str  # masked


@dataclass(frozen=True, slots=True)
class Test:
    """What became of the newest test. ``settled``: nothing more will be known."""

    channel: Channel
    destination: str  # masked
    state: str
    reason: str
    settled: bool

    __test__ = False  # for pytest, which takes it for a test otherwise


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """The page of messages."""

    ways: tuple[Way, ...]
    contacts: tuple[Reach, ...]
    test: Test | None
