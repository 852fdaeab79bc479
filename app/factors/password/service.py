"""The one place where a password becomes a hash, and where its consequences are listed (architecture.md, rule 4)."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import structlog

from app.factors.password import rules, store
from app.factors.password.blocklist import Blocklist
from app.factors.password.model import (
    Advice,
    Broken,
    Form,
    NewHash,
    PasswordRecord,
    Prepared,
    Remembered,
    RuleKey,
    Strength,
)
from app.foundation.chance import Chance
from app.foundation.clock import Clock
from app.foundation.refusals import Code, OutOfOrder, Unavailable, Wrong
from app.foundation.secretbox import Keyring, Unreadable, same
from app.foundation.slowhash import SlowHasher, acceptable
from app.foundation.sql import Database, Transaction
from app.records.attempts.model import Factor
from app.records.attempts.service import Tries
from app.records.audit import store as audit
from app.records.audit.model import Event, Record
from app.records.cases.model import Kind
from app.records.cases.service import UndoLinks
from app.records.delivery.outbox import Outbox
from app.records.lanes import store as lanes
from app.records.organizations.model import PasswordPolicy
from app.records.people import store as people
from app.records.people.model import Contact, Person
from app.records.sessions import store as sessions

NOTICE = "notice_password_changed"
NOTICE_TEMPORARY = "notice_temporary_password"

_PEPPER = "password-pepper"
_HISTORY = "password-history"
_ALL_CLASSES = 4
_SEEN = 32  # code points of which the strength is estimated: the work grows with the square
_SEEN_SUBSTITUTED = 16  # where many are signs that stand for letters: it grows with their combinations
_SUBSTITUTES = frozenset("0123456789@({[<|!$+%")


@dataclass(frozen=True, slots=True)
class Changed:
    """What a new password brought about."""

    told: tuple[Contact, ...]
    stamp: str = field(repr=False)
    sessions_ended: int = 0


class Passwords:
    """Checks, judges, prepares and sets passwords. Slow hashes are computed with no transaction open."""

    def __init__(
        self,
        database: Database,
        hasher: SlowHasher,
        keyring: Keyring,
        *,
        clock: Clock,
        chance: Chance,
        blocklist: Blocklist,
        tries: Tries,
        outbox: Outbox,
        undo: UndoLinks,
    ) -> None:
        self._database = database
        self._hasher = hasher
        self._keyring = keyring
        self._clock = clock
        self._chance = chance
        self._blocklist = blocklist
        self._tries = tries
        self._outbox = outbox
        self._undo = undo

    # ---- looking

    def find(self, transaction: Transaction, person_id: int) -> PasswordRecord | None:
        """A person's password, None where they have none yet."""
        return store.find(transaction, person_id)

    def history(self, transaction: Transaction, person_id: int) -> tuple[Remembered, ...]:
        """What ``prepare`` compares a candidate with."""
        return store.remembered(transaction, person_id)

    # ---- signing in

    def check(self, record: PasswordRecord | None, typed: str) -> bool:
        """Whether the typed password is right. Exactly one slow hash, whoever is asked for and whatever is typed.

        The try has been counted, and no transaction is open. Raises Unavailable where the hasher is busy.
        """
        secret = rules.octets(record.form if record else Form.NFC1, typed)
        peppered = self._peppered(secret or b"", record.pepper if record else "")
        if record is None:
            self._hasher.dummy(peppered)
            return False
        given = peppered if record.pepper else secret or b""
        return self._hasher.verify(record.hash, given) and secret is not None

    def strengthen(self, person_id: int, record: PasswordRecord, typed: str) -> bool:
        """After a right password: hash it anew where parameters, pepper or an import call for it.

        Fills in the history digest of an imported password as well. True where something was written; a busy
        hasher or a faster sign-in leave all as it was, for the next time.
        """
        current = (
            record.pepper == self._keyring.active
            and record.form is Form.NFC1
            and not self._hasher.needs_rehash(record.hash)
        )
        secret = rules.octets(Form.NFC1, typed)
        if secret is None or (current and record.history_salt):
            return False
        new = NewHash(record.hash, record.pepper, record.form, record.history_salt)
        try:
            if not current:
                new = replace(self._hashed(secret), history_salt=record.history_salt)
            if not record.history_salt:
                salt = self._hasher.salt()
                new = replace(new, history_salt=salt, remembered=self._digest(self._hasher.raw(secret, salt)))
        except Unavailable:
            return False
        with self._database.begin() as transaction:
            return store.strengthen(transaction, person_id, record.hash, new, now=self._clock.now())

    # ---- setting a new one

    def judge_alone(self, policy: PasswordPolicy, *, candidate: str, confirm: str, words: Sequence[str]) -> None:
        """The rules that need no former password, and no slow hash. Raises Wrong as ``prepare`` does."""
        try:
            broken = rules.judge(
                policy,
                candidate,
                confirm,
                words,
                self._blocklist.blocked,
                lambda wanted: strength(wanted, words).score,
            )
        except rules.Unfit as unfit:
            raise Wrong(Code(unfit.code), field="new_password") from None
        if broken:
            raise self._refused(policy, broken, candidate, words)

    def prepare(
        self,
        policy: PasswordPolicy,
        person: Person,
        *,
        candidate: str,
        confirm: str,
        words: Sequence[str],
        record: PasswordRecord | None,
        history: Sequence[Remembered],
    ) -> Prepared:
        """Judge a candidate and hash it, with no transaction open.

        At most two slow hashes, and none for what a rule about the candidate alone refuses. ``words`` come from
        ``rules.context_words``; ``record`` and ``history`` were read together with the person. Raises
        Wrong(PASSWORD_RULES) with ``details``: ``broken``, all the Broken rules (those about former passwords
        only once no other is broken), and ``strength``; Wrong(BAD_CHARACTERS); Unavailable.
        """
        self.judge_alone(policy, candidate=candidate, confirm=confirm, words=words)
        secret = rules.normalise(candidate).encode()
        salt, remembered = "", None
        if record is not None and not record.history_salt:
            # Imported, and nobody signed in since: only the hash can be asked. The new digest has to wait for
            # the next sign-in, or there would be three slow hashes.
            broken: tuple[Broken, ...] = (Broken(RuleKey.CURRENT),) if self.check(record, candidate) else ()
        else:
            salt = record.history_salt if record else self._hasher.salt()
            raw = self._hasher.raw(secret, salt)
            remembered = self._digest(raw)
            # after a reset at least the one that was forgotten as well
            seen = max(policy.history, int(record is not None and record.good_until is not None))
            broken = self._repeated(raw, history[: seen + 1], policy)
        if broken:
            raise self._refused(policy, broken, candidate, words)
        new = replace(self._hashed(secret), history_salt=salt, remembered=remembered)
        return Prepared(person.id, person.stamp, new, policy.history)

    def draw(
        self, policy: PasswordPolicy, person: Person, *, words: Sequence[str], record: PasswordRecord | None
    ) -> tuple[str, Prepared]:
        """A temporary password that keeps the policy, and its hash, with no transaction open: two slow hashes.

        ``words`` and ``record`` as for ``prepare``. Its digest is in the history from the start, and the one before it
        stays there, so that neither can be the next. Raises Unavailable.
        """
        while True:
            text = rules.temporary(self._chance.octets(rules.temporary_size(policy)))
            broken = rules.judge(
                policy, text, text, words, self._blocklist.blocked, lambda wanted: strength(wanted, words).score
            )
            if not broken and rules.classes(text) == _ALL_CLASSES:
                break
        secret = rules.normalise(text).encode()
        salt = (record.history_salt if record else "") or self._hasher.salt()
        remembered = self._digest(self._hasher.raw(secret, salt))
        new = replace(self._hashed(secret), history_salt=salt, remembered=remembered)
        return text, Prepared(person.id, person.stamp, new, max(policy.history, 1))

    def set_new(
        self,
        transaction: Transaction,
        *,
        person: Person,
        prepared: Prepared,
        actor: str,
        address: str,
        language: str,
        reason: str,
        now: int,
        keep_session: str = "",
        keep_all: bool = False,
        journey: Mapping[str, str] | None = None,
        good_until: int | None = None,
    ) -> Changed:
        """Everything that follows from a new password, in the caller's transaction. Returns who is told.

        All sessions end and no browser stays known, but for the session of the id ``keep_session``, or where
        ``keep_all`` says so (a voluntary change: architecture rule 5). ``journey`` names what it belongs to in the
        audit log. ``good_until``: it is a temporary one, good until then and for one change.

        The stamp ends all sessions, tokens, links and flows that carry the older one. Raises
        OutOfOrder(FLOW_EXPIRED) where the stamp or the status changed since ``prepare``: nothing was set then.
        """
        if prepared.person_id != person.id:
            raise ValueError("prepared for somebody else")
        stamp = self._chance.name()
        if not people.restamp(transaction, person.id, prepared.stamp, stamp):
            raise OutOfOrder(Code.FLOW_EXPIRED)
        if keep_all or keep_session:
            sessions.restamp(transaction, person.id, prepared.stamp, stamp, "" if keep_all else keep_session)
        else:
            lanes.revoke(transaction, person.id, now)
        ended = 0 if keep_all else sessions.end_all(transaction, person.id, but=keep_session)
        store.put(transaction, person.id, prepared.new, keep=prepared.history + 1, now=now, good_until=good_until)
        self._tries.clear(transaction, person.id, Factor.PASSWORD)
        told = self._outbox.notify(
            transaction,
            contacts=people.contacts_of(transaction, person.id),
            template=NOTICE if good_until is None else NOTICE_TEMPORARY,
            variables={
                "at": now,
                "address": address,
                "undo": self._undo.issue(transaction, person.id, Kind.PASSWORD, now),
                **({"until": good_until} if good_until is not None else {}),
            },
            language=language,
            now=now,
        )
        audit.add(
            transaction,
            Record(
                event=Event.PASSWORD_CHANGED if good_until is None else Event.TEMPORARY_MADE,
                at=now,
                person_id=person.id,
                actor=actor,
                outcome="success",
                reason=reason,
                address=address,
                details={"told": [contact.id for contact in told], **(journey or {})},
            ),
        )
        return Changed(told, stamp, ended)

    # ---- taking one away

    def unusable(self) -> NewHash:
        """A hash that no password fits, made with no transaction open: one slow hash. Raises Unavailable."""
        return self._hashed(self._chance.token().encode())

    def revoke(self, transaction: Transaction, person_id: int, unusable: NewHash, now: int) -> None:
        """Make a person's password useless, whatever it is; a new one is owed, and none of the former may be it."""
        store.revoke(transaction, person_id, unusable, now=now)

    def reopen(self, transaction: Transaction, person_id: int, now: int) -> bool:
        """After a temporary password lapsed another link may be asked for; True where one had."""
        return store.reopen(transaction, person_id, now)

    def reminded(self, transaction: Transaction, person_id: int, changed_at: int, days: int) -> bool:
        """Note that somebody is told so many days before that the password of a moment expires; False: not again."""
        return store.reminded(transaction, person_id, changed_at, days)

    # ---- people who are made or imported

    def first(self, typed: str) -> NewHash:
        """Hash a first, temporary password, with no transaction open: one slow hash.

        Raises rules.Unfit with ``code``; Unavailable.
        """
        wanted = rules.normalise(typed)
        if len(wanted) < rules.LEAST:
            raise rules.Unfit("too_short")
        return self._hashed(wanted.encode())

    def imported(self, phc: str) -> NewHash:
        """Take over a hash that was made elsewhere. Raises ValueError where its scheme or cost is not allowed."""
        if not acceptable(phc):
            raise ValueError("not a hash of an allowed scheme and cost")
        return NewHash(phc, pepper="", form=Form.TYPED)

    def first_password(
        self, transaction: Transaction, person_id: int, new: NewHash, *, must_change: bool, now: int
    ) -> None:
        """Give somebody who has none the password of ``first`` or ``imported``. Tells nobody: they are new."""
        store.add(transaction, person_id, new, must_change=must_change, now=now)

    # ---- inside

    def _peppered(self, secret: bytes, key: str) -> bytes:
        try:
            mac = self._keyring.mac(_PEPPER, secret, key=key or self._keyring.active)
        except Unreadable:
            # the hash will not fit; that is answered like any wrong password, after the same work
            structlog.get_logger().error("pepper_key_missing", key=key)
            mac = self._keyring.mac(_PEPPER, secret)
        return base64.b64encode(mac)

    def _hashed(self, secret: bytes) -> NewHash:
        key = self._keyring.active
        return NewHash(self._hasher.hash(self._peppered(secret, key)), pepper=key, form=Form.NFC1)

    def _digest(self, raw: bytes, key: str = "") -> Remembered:
        key = key or self._keyring.active
        return Remembered(key, self._keyring.mac_hex(_HISTORY, raw, key=key))

    def _repeated(self, raw: bytes, history: Sequence[Remembered], policy: PasswordPolicy) -> tuple[Broken, ...]:
        for place, former in enumerate(history):
            if former.key in self._keyring.names and same(self._digest(raw, former.key).digest, former.digest):
                if place == 0:
                    return (Broken(RuleKey.CURRENT),)
                return (Broken(RuleKey.HISTORY, {"count": policy.history}),)
        return ()

    def _refused(
        self, policy: PasswordPolicy, broken: tuple[Broken, ...], candidate: str, words: Sequence[str]
    ) -> Wrong:
        only_confirm = {one.rule for one in broken} == {RuleKey.CONFIRM}
        found = strength(candidate, words)
        if policy.classes > 1:  # what a rule asks for is needed, whatever zxcvbn thinks
            found = replace(found, advice=tuple(one for one in found.advice if one is not Advice.NO_NEED_FOR_SYMBOLS))
        return Wrong(
            Code.PASSWORD_RULES,
            field="confirm_password" if only_confirm else "new_password",
            details={"broken": broken, "strength": found},
        )


def strength(candidate: str, words: Sequence[str]) -> Strength:
    """An estimate by zxcvbn of the first 32 code points: advice beside a refusal, and a rule where a policy says so."""
    import zxcvbn_rs_py  # noqa: PLC0415 - not every process needs its dictionaries, which take 13 ms to unpack

    seen = candidate[:_SEEN].encode("utf-8", "replace").decode()
    if len(_SUBSTITUTES.intersection(seen)) > 8:
        seen = seen[:_SEEN_SUBSTITUTED]
    estimate = zxcvbn_rs_py.zxcvbn(seen, list(words))
    advice: list[Advice] = []
    if estimate.feedback is not None:
        given = [estimate.feedback.warning, *estimate.feedback.suggestions]
        names = [repr(one).rpartition(".")[2] for one in given if one is not None]
        advice = [_ADVICE[name] for name in names if name in _ADVICE]
    return Strength(int(estimate.score), tuple(dict.fromkeys(advice)))


_ADVICE = {
    "StraightRowsOfKeysAreEasyToGuess": Advice.KEYBOARD_ROW,
    "ShortKeyboardPatternsAreEasyToGuess": Advice.KEYBOARD_PATTERN,
    "RepeatsLikeAaaAreEasyToGuess": Advice.REPEATED_CHARACTER,
    "RepeatsLikeAbcAbcAreOnlySlightlyHarderToGuess": Advice.REPEATED_WORD,
    "ThisIsATop10Password": Advice.VERY_COMMON,
    "ThisIsATop100Password": Advice.VERY_COMMON,
    "ThisIsACommonPassword": Advice.VERY_COMMON,
    "ThisIsSimilarToACommonlyUsedPassword": Advice.SIMILAR_TO_COMMON,
    "SequencesLikeAbcAreEasyToGuess": Advice.SEQUENCE,
    "RecentYearsAreEasyToGuess": Advice.RECENT_YEAR,
    "AWordByItselfIsEasyToGuess": Advice.SINGLE_WORD,
    "DatesAreOftenEasyToGuess": Advice.DATE,
    "NamesAndSurnamesByThemselvesAreEasyToGuess": Advice.SINGLE_NAME,
    "CommonNamesAndSurnamesAreEasyToGuess": Advice.COMMON_NAME,
    "UseAFewWordsAvoidCommonPhrases": Advice.USE_SEVERAL_WORDS,
    "NoNeedForSymbolsDigitsOrUppercaseLetters": Advice.NO_NEED_FOR_SYMBOLS,
    "AddAnotherWordOrTwo": Advice.ADD_WORDS,
    "CapitalizationDoesntHelpVeryMuch": Advice.CAPITALS_HELP_LITTLE,
    "AllUppercaseIsAlmostAsEasyToGuessAsAllLowercase": Advice.ALL_CAPITALS_HELP_LITTLE,
    "ReversedWordsArentMuchHarderToGuess": Advice.REVERSING_HELPS_LITTLE,
    "PredictableSubstitutionsDontHelpVeryMuch": Advice.SUBSTITUTIONS_HELP_LITTLE,
    "UseALongerKeyboardPatternWithMoreTurns": Advice.LONGER_KEYBOARD_PATTERN,
    "AvoidRepeatedWordsAndCharacters": Advice.AVOID_REPEATS,
    "AvoidSequences": Advice.AVOID_SEQUENCES,
    "AvoidRecentYears": Advice.AVOID_RECENT_YEARS,
    "AvoidYearsThatAreAssociatedWithYou": Advice.AVOID_OWN_YEARS,
    "AvoidDatesAndYearsThatAreAssociatedWithYou": Advice.AVOID_OWN_DATES,
}
