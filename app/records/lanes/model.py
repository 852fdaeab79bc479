"""Lanes: reserves of tries that strangers cannot spend (security rule 1). Never a proof."""

from dataclasses import dataclass

KNOWN_LIFE = 180 * 86_400  # seconds that a browser stays known after its last full sign-in
LINK_LIFE = 3_600  # seconds that a mailed link opens a lane


@dataclass(frozen=True, slots=True)
class KnownBrowser:
    """A browser in which somebody signed in with two factors. ``id`` is the fingerprint of its cookie."""

    id: str
    person_id: int
    browser: str
    address: str
    created_at: int
    seen_at: int


@dataclass(frozen=True, slots=True)
class LaneLink:
    """A single-use link that was mailed on request. ``stamp`` is the person's when it was asked for."""

    id: str
    person_id: int
    stamp: str
    expires_at: int
