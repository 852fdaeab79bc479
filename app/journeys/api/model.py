"""What the API takes and gives."""

from dataclasses import dataclass

from app.records.organizations.model import Organization

PREFIX = "/api/v1/"
INTROSPECT = f"{PREFIX}tokens/introspect"
WINDOW = 60  # seconds of the limits of a client


@dataclass(frozen=True, slots=True)
class Quota:
    """How a client stands against a limit (draft-ietf-httpapi-ratelimit-headers-10). ``left`` -1: it is used up."""

    policy: str
    most: int
    left: int
    resets_in: int


@dataclass(frozen=True, slots=True)
class Caller:
    """An API client that gave its secret."""

    id: str
    organization_id: str


@dataclass(frozen=True, slots=True)
class Looked:
    """A token that is good, as a client of one of its person's organizations may see it (RFC 7662 sec. 2.2)."""

    user_name: str
    first_name: str
    last_name: str
    issued_at: int
    expires_at: int
    organization: Organization
    is_primary: bool


class NotAClient(Exception):
    """The credentials are no client's."""


class OverQuota(Exception):
    """The client asked too often."""

    def __init__(self, quota: Quota) -> None:
        super().__init__(quota.policy)
        self.quota = quota
