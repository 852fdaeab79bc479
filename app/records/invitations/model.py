"""Invitations: the mailed link with which somebody activates their account for the first time (security rule 13)."""

from dataclasses import dataclass, field

LIFE = 72 * 3_600  # seconds
CODE_TRIES = 10  # wrong activation codes, after which a new invitation is needed


@dataclass(frozen=True, slots=True)
class Invitation:
    """One row. ``id`` is the fingerprint of the link's token; one is alive for each person.

    The link alone binds nothing. Before anything else comes a PIN to the filed phone or, where none is filed, the
    activation code that was handed over, of which ``code_digest`` is a keyed hash. ``reached`` is the step that is
    due once that and the password are proved again on another device; empty before the password was set.
    """

    id: str
    person_id: int
    contact_id: str  # the mailbox that the link went to
    code_digest: str = field(repr=False)
    reached: str
    expires_at: int
