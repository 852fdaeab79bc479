"""Lanes: reserves of tries that strangers cannot spend (security rule 1). Never a proof."""

from dataclasses import dataclass

KNOWN_LIFE = 180 * 86_400  # seconds that a browser stays known after its last full sign-in
# Seconds that a mailed link opens a lane. A day, as long as the ten that may be mailed are counted: whoever has used
# them up has filled the owner's mailbox with links that work, and shut nobody out.
LINK_LIFE = 86_400


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
