"""What happened, in the words of OWASP's logging vocabulary where it has one."""

from dataclasses import dataclass, field
from enum import StrEnum


class Event(StrEnum):
    """Names of events (OWASP Logging Vocabulary; requirements H-07)."""

    SIGN_IN_PASSWORD_OK = "authn_password_success"  # noqa: S105 - a name, not a secret
    SIGN_IN_FAIL = "authn_login_fail"
    SIGN_IN_OK = "authn_login_success"
    SIGNED_OUT = "authn_logout"
    STEPPED_UP = "authn_step_up"
    SESSION_ENDED = "session_ended"
    BROWSER_FORGOTTEN = "browser_forgotten"
    SIGN_IN_LOCK = "authn_login_lock"
    REHEARSED = "recovery_rehearsed"
    UNLOCKED = "authn_login_unlock"
    APP_OK = "authn_token_success"
    APP_FAIL = "authn_token_fail"
    APP_REUSE = "authn_token_reuse"
    CODE_OK = "authn_recovery_code_success"
    CODE_FAIL = "authn_recovery_code_fail"
    CODE_REUSE = "authn_recovery_code_reuse"
    CODES_MADE = "recovery_codes_created"
    ACCESS_CODE_OK = "authn_access_code_success"
    ACCESS_CODE_FAIL = "authn_access_code_fail"
    ANSWER_OK = "authn_security_answer_success"
    ANSWER_FAIL = "authn_security_answer_fail"
    ANSWER_SET = "security_question_set"
    LINK_SENT = "authn_lane_link_sent"
    LINK_OPENED = "authn_lane_link_opened"
    RESET_SENT = "authn_reset_link_sent"
    RESET_LETTER = "authn_reset_letter_sent"  # instead of a link: which way is theirs
    TEMPORARY_MADE = "authn_temporary_password_created"
    PIN_SENT = "authn_pin_sent"
    PIN_NOT_SENT = "authn_pin_not_sent"
    PIN_OK = "authn_pin_success"
    PIN_FAIL = "authn_pin_fail"
    PASSWORD_CHANGED = "authn_password_change"  # noqa: S105
    PASSWORD_REFUSED = "authn_password_change_fail"  # noqa: S105
    POLICIES_STRAND = "policies_leave_no_recovery"  # of several organizations, so that the home organization's holds
    THROTTLED = "excess_rate_limit_exceeded"
    OUT_OF_SEQUENCE = "sequence_fail"
    CSRF = "malicious_csrf"
    APP_ADDED = "authn_app_add"
    APP_RENAMED = "authn_app_rename"
    APP_DISABLED = "authn_app_disable"
    APP_ENABLED = "authn_app_enable"
    APP_SYNCHRONIZED = "authn_app_synchronize"
    APP_REMOVED = "authn_app_remove"
    LOOKED_AT = "sensitive_read"
    USER_CREATED = "user_created"
    INVITED = "user_invited"
    ACTIVATION_REFUSED = "user_activation_fail"
    ACTIVATED = "user_activated"
    USER_UPDATED = "user_updated"
    USER_FROZEN = "user_frozen"
    USER_UNFROZEN = "user_unfrozen"
    ROLLED_BACK = "user_rolled_back"
    LEFT_TO_SUPPORT = "user_left_to_support"
    NOTICE_SENT = "notice_sent"
    LOG_EXPORTED = "audit_log_exported"
    CONTACT_ADDED = "contact_added"
    CONTACT_REMOVED = "contact_removed"
    CONTACTS_FILED = "contacts_filed"
    CONTACT_DEFAULT = "contact_made_default"
    ORGANIZATION_CREATED = "organization_created"
    POLICY_CHANGED = "policy_changed"
    POLICY_EXPORTED = "policy_preview_exported"
    USER_DEACTIVATED = "user_deactivated"
    STAFF_LOST = "organization_staff_deactivated"
    USER_REACTIVATED = "user_reactivated"
    ROLE_CHANGED = "privilege_permissions_changed"
    MEMBERSHIP_PROPOSED = "membership_proposed"
    MEMBERSHIP_ACCEPTED = "membership_accepted"
    MEMBERSHIP_DECLINED = "membership_declined"
    MEMBERSHIP_ENDED = "membership_ended"
    PEOPLE_EXPORTED = "people_exported"
    TEST_SENT = "test_message_sent"
    SUPPORT_ASKED = "support_asked"
    SUPPORT_CODE_FAIL = "support_approval_code_fail"
    SUPPORT_APPROVED = "support_approved"
    SUPPORT_CONFIRMED = "support_confirmed"
    SUPPORT_REFUSED = "support_refused"
    SUPPORT_CANCELLED = "support_cancelled"
    SUPPORT_WITHDRAWN = "support_withdrawn"
    SUPPORT_DONE = "support_done"
    API_CLIENT_CREATED = "api_client_created"
    API_CLIENT_ROTATED = "api_client_secret_changed"
    API_CLIENT_REVOKED = "api_client_revoked"
    SUPPORT_EXPIRED = "support_expired"
    TOKEN_ISSUED = "authn_api_token_created"  # noqa: S105 - a name
    TOKEN_REFUSED = "authn_api_token_fail"  # noqa: S105
    TOKEN_ENDED = "authn_api_token_revoked"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Record:
    """One event: who did what to whom, from where, how it ended and why. Never a secret in ``details``.

    ``organization_id``: whose administrators may read it. Where it is None the home organization that the person has
    at this moment is written; an event without a person names it, or belongs to the operator alone.
    """

    event: Event
    at: int
    person_id: int | None
    actor: str  # "self", "operator", or a User ID
    outcome: str  # "success", "failure"
    reason: str = ""
    address: str = ""
    details: dict[str, object] = field(default_factory=dict)
    organization_id: str | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """An event as its row stands, for those who check or hand on the log; ``details`` is JSON."""

    id: int
    event: str
    at: int
    person_id: int | None
    organization_id: str | None
    actor: str
    outcome: str
    reason: str
    address: str
    details: str


@dataclass(frozen=True, slots=True)
class Seal:
    """One row of audit_seals: it signs a batch of events, and by ``previous`` all the seals before it.

    ``upto`` is the highest number that was sealed so far. ``body`` holds the numbers and digests; None once the events
    were forgotten, ``body_digest`` stays.
    """

    number: int
    previous: str
    first_id: int
    last_id: int
    upto: int
    events: int
    last_at: int  # of its events
    at: int
    key: str
    body_digest: str
    body: str | None = field(repr=False)
    chain: str = ""


@dataclass(frozen=True, slots=True)
class SealLetter:
    """The newest seal at a moment, to be mailed to an operator. There is one at a time, and it is never altered."""

    number: int
    chain: str
    upto: int
    sealed_at: int
    made_at: int
    next_at: int  # not to be sent before
    tries: int
    sent_at: int | None


class Tampering(StrEnum):
    """What was done to the log."""

    EDITED = "edited"
    REMOVED = "removed"
    INSERTED = "inserted"
    REORDERED = "reordered"
    SEAL = "seal"  # a seal was altered, removed or inserted
    CUT = "cut"  # a seal that is known outside is not there


@dataclass(frozen=True, slots=True)
class Fault:
    """The first thing that is wrong: the number of an event, or of a seal."""

    kind: Tampering
    number: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What checking the log found. ``waiting``: events that are not sealed yet. ``head``: the newest seal."""

    seals: int
    events: int
    waiting: int
    head: Seal | None
    fault: Fault | None


@dataclass(frozen=True, slots=True)
class Checked:
    """How the last check of the whole log ended. ``fault``: what was wrong first, and where."""

    at: int
    events: int
    fault: Fault | None
