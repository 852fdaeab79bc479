"""Disputes of changes with the links that open them (security rule 5), and requests of support (security rule 4)."""

from dataclasses import dataclass, field
from enum import StrEnum

LINK_LIFE = 7 * 86_400  # seconds that a link is good
AGAIN = 7 * 86_400  # seconds after a dispute was resolved in which the next one goes to support


class Kind(StrEnum):
    """What was changed."""

    PASSWORD = "password"  # noqa: S105 - a name, not a secret
    APP = "app"
    CONTACT = "contact"
    RECOVERY_CODES = "recovery_codes"
    SECURITY_ANSWER = "security_answer"
    ACCOUNT = "account"  # frozen, or no longer frozen


@dataclass(frozen=True, slots=True)
class UndoLink:
    """A link in a notice. It carries no stamp: nothing that happens after the change disarms it."""

    id: str  # SHA-256 of its token
    person_id: int
    kind: Kind
    changed_at: int
    expires_at: int


class DisputeState(StrEnum):
    """Where a dispute is. While it is OPEN or SUPPORT the person is frozen."""

    OPEN = "open"  # an older factor may decide
    SUPPORT = "support"  # support alone decides
    KEPT = "kept"
    ROLLED_BACK = "rolled_back"
    LIFTED = "lifted"  # an operator ended it


LIVING = (DisputeState.OPEN, DisputeState.SUPPORT)


@dataclass(frozen=True, slots=True)
class Dispute:
    """One freezing. ``changed_at`` is the earliest change that is disputed: what was there before it decides."""

    id: str
    person_id: int
    kind: Kind
    changed_at: int
    state: DisputeState
    opened_at: int
    resolved_at: int | None = None


# ---- requests of support

WORDS = 6  # of an approval code: two find the request, four are the secret; eight bits each
TRIES = 5  # of a request's code
APPROVAL_LIFE = 86_400  # seconds in which the person may approve
REQUEST_LIFE = 3 * 86_400  # seconds from the question to the last moment at which it is carried out
WAITING = 86_400  # seconds of notices before what weakens an account is done


class Action(StrEnum):
    """What an agent may ask for; the last part of its page's path."""

    UNLOCK = "unlock"
    RESEND_ACTIVATION = "resend-activation"
    ACCESS_CODE = "access-code"
    REMOVE_APP = "remove-app"
    CONTACT = "contact"  # a new phone number or e-mail address, filed by support
    FREEZE = "freeze"


class RequestState(StrEnum):
    """Where a request is. ``rules.MOVES`` says how it goes on."""

    ASKED = "asked"  # the person's approval is due
    SECOND = "second"  # another agent's word is due
    GRANTED = "granted"  # everybody said yes; carried out from ``ready_at``
    CONFIRMING = "confirming"  # a contact was filed; a code that went there is due
    DONE = "done"
    CANCELLED = "cancelled"  # by the person
    WITHDRAWN = "withdrawn"  # by an agent who saw that it is not needed
    REFUSED = "refused"  # by the second agent
    EXPIRED = "expired"


class Move(StrEnum):
    """What moves a request."""

    APPROVE = "approve"
    CONFIRM = "confirm"
    REFUSE = "refuse"
    CARRY_OUT = "carry_out"
    CANCEL = "cancel"
    WITHDRAW = "withdraw"
    EXPIRE = "expire"


@dataclass(frozen=True, slots=True)
class Needs:
    """What has to happen before an action is carried out (security rule 4)."""

    approval: bool  # by the person, at a confirmed contact
    second: bool  # by another agent, or by the operator's command
    waiting: int = 0  # seconds of notices with a cancel link, after that


@dataclass(frozen=True, slots=True)
class Request:
    """One row of support_requests. Times in seconds since the epoch, None where it has not come to that.

    ``target`` is the id of an app, or of the filed contact. ``contact_id`` is where the approval code went, empty
    where the person can reach none. ``expires_at`` is the end of the present state.
    """

    id: str
    person_id: int
    organization_id: str
    action: Action
    target: str
    reason: str
    state: RequestState
    needs: Needs
    asked_by: int
    asked_at: int
    expires_at: int
    contact_id: str = ""
    finder: str = ""  # keyed hash of the first words of the code
    digest: str = field(default="", repr=False)  # keyed hash of the others, bound to this request
    tries: int = 0
    approved_at: int | None = None
    second_by: int | None = None  # None with ``confirmed_at``: by the operator's command
    confirmed_at: int | None = None
    ready_at: int | None = None
    ended_at: int | None = None

    @property
    def living(self) -> bool:
        """Whether it may still come to something; ``rules.due`` looks at the clock as well."""
        return self.state in LIVING_REQUEST


LIVING_REQUEST = (RequestState.ASKED, RequestState.SECOND, RequestState.GRANTED, RequestState.CONFIRMING)
