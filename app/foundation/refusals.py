"""The catalogue of expected refusals. Codes only: their sentences live in templates, translated."""

from enum import StrEnum


class Code(StrEnum):
    """Why something was refused. Stable names: templates, logs and tests go by them."""

    # the shape of input: 422, beside the field
    MISSING = "missing"
    TOO_LONG = "too_long"
    TOO_SHORT = "too_short"
    BAD_CHARACTERS = "bad_characters"
    NOT_A_CODE = "not_a_code"
    NOT_A_CHANNEL = "not_a_channel"
    NOT_A_SAVED_CODE = "not_a_saved_code"
    NOT_A_PHONE = "not_a_phone"
    NOT_AN_EMAIL = "not_an_email"
    NOT_A_DATE = "not_a_date"
    NOT_A_CHOICE = "not_a_choice"
    DATES_CROSSED = "dates_crossed"
    # a judgement: 422, beside the field
    WRONG_PASSWORD = "wrong_password"  # noqa: S105 - a code, not a secret
    PASSWORD_LAPSED = "password_lapsed"  # noqa: S105 - the right one, temporary and too old
    WRONG_CODE = "wrong_code"
    CODE_USED = "code_used"
    CLOCK_OFF = "clock_off"
    WRONG_SAVED_CODE = "wrong_saved_code"
    SAVED_CODE_USED = "saved_code_used"
    WRONG_ACTIVATION_CODE = "wrong_activation_code"
    WRONG_ANSWER = "wrong_answer"
    ANSWER_GIVEN_AWAY = "answer_given_away"
    WRONG_PIN = "wrong_pin"
    PIN_EXPIRED = "pin_expired"
    PIN_SPENT = "pin_spent"
    KEY_EXPIRED = "key_expired"
    KEY_SPENT = "key_spent"
    NOT_IN_A_ROW = "not_in_a_row"
    PASSWORD_RULES = "password_rules"  # noqa: S105
    CONTACT_THERE = "contact_there"
    TOO_MANY_CONTACTS = "too_many_contacts"
    LAST_CONTACT = "last_contact"
    SMS_COUNTRY = "sms_country"
    USER_ID_TAKEN = "user_id_taken"
    NO_MAILBOX = "no_mailbox"
    NEEDS_APP = "needs_app"
    NOT_ACTIVE = "not_active"
    LAST_ADMINISTRATOR = "last_administrator"
    AT_HOME = "at_home"
    NOT_AN_ORGANIZATION = "not_an_organization"
    NOT_A_CONTACT = "not_a_contact"
    FILE_TOO_LARGE = "file_too_large"
    TOO_MANY_ROWS = "too_many_rows"
    NOT_AN_IMPORT = "not_an_import"
    POLICY_RULE = "policy_rule"
    POLICY_STRANDS = "policy_strands"
    POLICY_SAME = "policy_same"
    # not theirs: 403
    NOT_STAFF = "not_staff"
    ON_YOURSELF = "on_yourself"
    NOT_AT_HOME = "not_at_home"
    NOT_A_REASON = "not_a_reason"
    NOT_AN_APPROVAL_CODE = "not_an_approval_code"
    WRONG_APPROVAL_CODE = "wrong_approval_code"
    REQUEST_OPEN = "request_open"
    NOT_REACHABLE = "not_reachable"
    NO_OTHER_CONTACT = "no_other_contact"
    NO_SUCH_APP = "no_such_app"
    NOTHING_LOCKED = "nothing_locked"
    HARD_CAPPED = "hard_capped"
    UNLOCK_NOT_ENOUGH = "unlock_not_enough"
    NOT_ACTIVATING = "not_activating"
    NEEDS_ADMINISTRATOR = "needs_administrator"
    PERSON_NOT_ACTIVE = "person_not_active"
    RECOVERED_LATELY = "recovered_lately"
    NOT_TO_ACT_ON = "not_to_act_on"
    OWN_REQUEST = "own_request"
    # out of order: 409, with the step that is due
    OUT_OF_ORDER = "out_of_order"
    CARRIED_OUT = "carried_out"  # it came twice, and the first one did what it asks
    FLOW_EXPIRED = "flow_expired"
    FLOW_LOST = "flow_lost"
    DECIDED = "decided"
    NOT_LOCKED = "not_locked"
    CHANGE_OWED = "change_owed"
    PASSWORD_EXPIRED = "password_expired"  # noqa: S105
    LINK_DEAD = "link_dead"
    SIGNED_OUT = "signed_out"
    LOWER_LEVEL = "lower_level"
    PROOF_OLD = "proof_old"
    HELD_BACK = "held_back"
    NOTHING_TO_END = "nothing_to_end"
    LINK_OVER = "link_over"
    NOTHING_SHOWN = "nothing_shown"
    NOT_AS_IT_WAS = "not_as_it_was"
    IN_USE = "in_use"
    NOTHING_TO_IMPORT = "nothing_to_import"
    PROOF_NEW = "proof_new"  # by an app that is less than a day old
    REQUEST_MOVED = "request_moved"
    APP_BOUND = "app_bound"
    APP_CHANGED = "app_changed"
    MOST_APPS = "most_apps"
    POLICY_MOVED = "policy_moved"
    # throttled: 429 with Retry-After
    TOO_MANY_TRIES = "too_many_tries"
    TOO_MANY_STARTS = "too_many_starts"
    TOO_SOON = "too_soon"
    TOO_MANY_MESSAGES = "too_many_messages"
    PASSWORD_YOUNG = "password_young"  # noqa: S105 - an organization wants it kept for some hours
    NO_CHANNEL = "no_channel"
    SMS_RESTS = "sms_rests"  # a budget is used up, or too few of the PINs that were sent are typed
    TOO_MANY_CANDIDATES = "too_many_candidates"
    SPRAYING = "spraying"
    # away or busy: 503 with Retry-After
    STORE_AWAY = "store_away"
    HASHER_BUSY = "hasher_busy"


class Refusal(Exception):
    """An expected refusal with what its page needs.

    ``retry_after`` is in seconds; ``due`` is the path of the step that is due; ``field`` is the name of the
    form field that the refusal belongs to; ``details`` holds figures for the sentence, never secrets;
    ``also`` are refusals of other fields of the same form.
    """

    status = 422

    def __init__(
        self,
        code: Code,
        *,
        field: str = "",
        retry_after: int = 0,
        due: str = "",
        details: dict[str, object] | None = None,
        also: tuple["Refusal", ...] = (),
    ) -> None:
        super().__init__(code.value)
        self.code = code
        self.field = field
        self.retry_after = retry_after
        self.due = due
        self.details = details or {}
        self.also = also


class Wrong(Refusal):
    """422: the input is wrong, and the same page says so beside its field."""


class OutOfOrder(Refusal):
    """409: too late, twice, or not this step's turn."""

    status = 409


class Forbidden(Refusal):
    """403: somebody is signed in, and this is not theirs (RFC 9110 sec. 15.5.4)."""

    status = 403


class Throttled(Refusal):
    """429 with Retry-After (RFC 6585 sec. 4, RFC 9110 sec. 10.2.3)."""

    status = 429


class Unavailable(Refusal):
    """503 with Retry-After: a store or the hasher is away. Nothing is weakened meanwhile (ASVS 16.5.2)."""

    status = 503


class StoreAway(Unavailable):
    """A store does not answer."""

    def __init__(self, what: str) -> None:
        super().__init__(Code.STORE_AWAY, retry_after=5)
        self.what = what
