"""What the pages of contacts show."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shown:
    """One contact, masked. ``state`` is active, waiting or pending; ``days`` are those that it still waits."""

    id: str
    channel: str
    destination: str
    state: str
    days: int
    first: bool  # of its kind: the one that is used unless another is asked for


@dataclass(frozen=True, slots=True)
class NewPage:
    """Where a contact is added: those of its kind that are there, and whether another fits."""

    channel: str
    contacts: tuple[Shown, ...]
    full: bool


@dataclass(frozen=True, slots=True)
class ChangePage:
    """One contact and what would follow: ``loss`` is "last" (refused), "usable" (nothing usable is left) or empty."""

    contact: Shown
    loss: str
    instead: str = ""  # masked: what is the default now
