"""Links that make a temporary password, where an organization is classic (security rule 11)."""

from dataclasses import dataclass

# Seconds that a link is good. A day, as long as the ten that may be mailed are counted, for the reason that lane links
# are: whoever has used them up has filled the owner's mailbox with links that work.
LINK_LIFE = 86_400


@dataclass(frozen=True, slots=True)
class ResetLink:
    """A single-use link. ``stamp`` is the person's when it was asked for, ``contact_id`` the mailbox it went to."""

    id: str  # SHA-256 of its token
    person_id: int
    contact_id: str
    stamp: str
    expires_at: int
