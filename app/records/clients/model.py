"""API clients: programs that an organization lets look at tokens."""

from dataclasses import dataclass, field

OVERLAP = 86_400  # seconds that the former secret stays good after a rotation, unless it is ended at once
NAME_MAX = 64


@dataclass(frozen=True, slots=True)
class ApiClient:
    """One row of api_clients. Of the secret, 256 random bits, only the fingerprint is kept.

    It sees the people of its organization alone. ``former`` stays good until ``former_until``, so that a program can
    be given a new secret without a break.
    """

    id: str
    organization_id: str
    name: str
    secret: str = field(repr=False)
    created_at: int
    created_by: str
    former: str = field(default="", repr=False)
    former_until: int = 0
    rotated_at: int | None = None
    revoked_at: int | None = None
