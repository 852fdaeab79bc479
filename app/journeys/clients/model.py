"""What the page of API clients shows."""

from dataclasses import dataclass, field

from app.records.clients.model import ApiClient
from app.records.organizations.model import Organization

PAGE = "/admin/api-clients"
SHOWN = 600  # seconds that a new secret can be read, by whoever made it


class NotDone(Exception):
    """What an operator asked for cannot be done. One line, without secrets."""


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A secret that was just drawn, for the one time that it is seen."""

    client: ApiClient
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Shown:
    """One client on the page. ``former_until`` 0: no earlier secret is good any more."""

    client: ApiClient
    organization: str
    former_until: int


@dataclass(frozen=True, slots=True)
class ClientsPage:
    """All clients of the administrator's organizations, and a new secret while it may be read."""

    clients: tuple[Shown, ...]
    organizations: tuple[Organization, ...]
    fresh: NewSecret | None
