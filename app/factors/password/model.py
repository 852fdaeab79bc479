"""Passwords as the house keeps them, and what is said about new ones. Whatever could help to guess has no repr."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from app.records.organizations.model import PasswordPolicy

DAY = 86_400
HOUR = 3_600
TEMPORARY_LIFE = DAY  # seconds that a temporary password from a mailed link is good
OPENED = 0  # in place of the end of one that lapsed: staff let another link be asked for


class Form(StrEnum):
    """How the typed text became the bytes that were hashed (requirement C-06)."""

    NFC1 = "nfc1"  # rules.normalise
    TYPED = "typed"  # as it came, which is what a directory hashed whose hash was imported


@dataclass(frozen=True, slots=True)
class PasswordRecord:
    """One row of passwords.

    ``pepper`` names the key of the keyring, empty for an imported hash. ``history_salt`` is empty while no
    digest of this very password is in the history, because only its imported hash was ever seen. ``good_until`` is the
    end of a temporary password that a mailed link made; None: it does not lapse.
    """

    hash: str = field(repr=False)
    pepper: str
    form: Form
    changed_at: int
    must_change: bool
    compromised: bool
    history_salt: str = field(repr=False)
    good_until: int | None = None

    @property
    def given(self) -> bool:
        """Whether it was handed over to be changed, and says nothing of an account that is in use."""
        return self.must_change and self.good_until is None

    def lapsed(self, now: int) -> bool:
        """Whether it is a temporary one that was not replaced in its time: it opens nothing any more."""
        return self.good_until is not None and self.good_until <= now

    def shut(self, now: int) -> bool:
        """Whether that locks the password, until a recovery or until staff let another link be asked for."""
        return self.lapsed(now) and self.good_until != OPENED

    @property
    def change_owed(self) -> bool:
        """Whether a new one has to be set before anything else (NIST SP 800-63B-4 sec. 3.1.1.2)."""
        return self.must_change or self.compromised

    def expires_at(self, policy: PasswordPolicy) -> int | None:
        """When it has to be changed, where an organization wants that after some days (C-02); None: never."""
        return self.changed_at + policy.max_age_days * DAY if policy.max_age_days else None

    def owed(self, policy: PasswordPolicy, now: int) -> "Owed | None":
        """Why a new one has to be set before anything else; None: nothing is owed."""
        if self.lapsed(now):
            return Owed.LAPSED
        if self.must_change and not self.given:
            return Owed.RESET  # before all else: what may stand beside it is less (security rule 11)
        if self.compromised:
            return Owed.COMPROMISED
        if self.must_change:
            return Owed.TEMPORARY
        expires_at = self.expires_at(policy)
        return Owed.EXPIRED if expires_at is not None and expires_at <= now else None

    def settles_at(self, policy: PasswordPolicy, now: int) -> int:
        """From when on it may be changed without need, where an organization wants it kept for some hours (C-02)."""
        return 0 if self.owed(policy, now) else self.changed_at + policy.min_age_hours * HOUR


class Owed(StrEnum):
    """Why a new password is owed: templates have a sentence for each."""

    TEMPORARY = "temporary"  # given by an administrator
    RESET = "reset"  # temporary, made by a mailed link
    LAPSED = "lapsed"  # such a one, after its time: not even the right one opens anything
    COMPROMISED = "compromised"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Remembered:
    """One former password, or the present one: a digest that serves for no sign-in, and the name of its key."""

    key: str
    digest: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class NewHash:
    """All that is stored of a new password. ``remembered`` is None where its digest is not known yet."""

    hash: str = field(repr=False)
    pepper: str
    form: Form
    history_salt: str = field(default="", repr=False)
    remembered: Remembered | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A new password that was judged and hashed, ready to be set while the person's stamp still is ``stamp``."""

    person_id: int
    stamp: str = field(repr=False)
    new: NewHash
    history: int  # how many passwords before the present one stay refused


class RuleKey(StrEnum):
    """The rules by name: templates have a sentence for each."""

    MIN_LENGTH = "min_length"
    MAX_LENGTH = "max_length"
    CLASSES = "classes"
    COMMON = "common"
    CONTEXT = "context"
    STRENGTH = "strength"
    CURRENT = "current"
    HISTORY = "history"
    CONFIRM = "confirm"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as the page lists it. ``live``: a browser can judge it while one types; only the server decides."""

    key: RuleKey
    params: Mapping[str, int] = field(default_factory=dict, hash=False)
    live: bool = False


@dataclass(frozen=True, slots=True)
class Broken:
    """A rule that a candidate broke, with the figures for its sentence."""

    rule: RuleKey
    params: Mapping[str, int] = field(default_factory=dict, hash=False)


class Advice(StrEnum):
    """How to make a password harder to guess: zxcvbn's warnings, then its suggestions."""

    KEYBOARD_ROW = "keyboard_row"
    KEYBOARD_PATTERN = "keyboard_pattern"
    REPEATED_CHARACTER = "repeated_character"
    REPEATED_WORD = "repeated_word"
    VERY_COMMON = "very_common"
    SIMILAR_TO_COMMON = "similar_to_common"
    SEQUENCE = "sequence"
    RECENT_YEAR = "recent_year"
    SINGLE_WORD = "single_word"
    DATE = "date"
    SINGLE_NAME = "single_name"
    COMMON_NAME = "common_name"
    USE_SEVERAL_WORDS = "use_several_words"
    NO_NEED_FOR_SYMBOLS = "no_need_for_symbols"
    ADD_WORDS = "add_words"
    CAPITALS_HELP_LITTLE = "capitals_help_little"
    ALL_CAPITALS_HELP_LITTLE = "all_capitals_help_little"
    REVERSING_HELPS_LITTLE = "reversing_helps_little"
    SUBSTITUTIONS_HELP_LITTLE = "substitutions_help_little"
    LONGER_KEYBOARD_PATTERN = "longer_keyboard_pattern"
    AVOID_REPEATS = "avoid_repeats"
    AVOID_SEQUENCES = "avoid_sequences"
    AVOID_RECENT_YEARS = "avoid_recent_years"
    AVOID_OWN_YEARS = "avoid_own_years"
    AVOID_OWN_DATES = "avoid_own_dates"


@dataclass(frozen=True, slots=True)
class Strength:
    """An estimate, as advice only: ``score`` from 0 (guessed at once) to 4 (very hard to guess)."""

    score: int
    advice: tuple[Advice, ...]
