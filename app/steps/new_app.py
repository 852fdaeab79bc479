"""The step of a new app: its key is shown and kept nowhere, and the app is bound once a code of it was confirmed.

The key follows from whoever may confirm it and from a value in a sealed cookie, so that looking at the page writes
nothing, and another session or flow can make nothing of the cookie.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from app.factors.totp import rules as totp
from app.factors.totp import store as rows
from app.factors.totp.model import MOST_APPS, SEED, App, Finding, Match, Outcome
from app.factors.totp.rules import KEY_LIFE, MOST_A_DAY, WAIT, grouped, label_of, typed_code
from app.factors.totp.service import AuthenticatorApps, BoundBefore, provisioning_uri, to_base32
from app.foundation.chance import Chance
from app.foundation.ephemeral import Ephemeral, Limit
from app.foundation.refusals import Code, OutOfOrder, Throttled, Wrong
from app.foundation.secretbox import Keyring, same
from app.foundation.sql import Database, Transaction
from app.foundation.visit import Visit
from app.records.attempts.model import Factor
from app.records.attempts.service import AddressLimits, Tries
from app.records.audit import store as audit
from app.records.audit.model import Event, Record
from app.records.people.model import Person
from app.steps.app_code import wrong_code
from app.steps.change import Changes

_DAY = 86_400  # seconds
_TRIES = 5  # wrong codes for one key
_SHOWN = "enroll"  # the key's purpose that seals the cookie
_SEED = "pending-app"  # the one that seeds are made with
_LABELS = {"missing": Code.MISSING, "too_long": Code.TOO_LONG, "bad_characters": Code.BAD_CHARACTERS}


@dataclass(frozen=True, slots=True)
class Enrollee:
    """Who adds an app. ``reader`` names the one session or flow that may confirm what it was shown.

    ``due`` is the page to which a refusal leads.
    """

    person: Person
    reader: str
    now: int
    due: str


@dataclass(frozen=True, slots=True)
class NewKey:
    """The key in its three shapes: as a link, which is also the QR code's content, and as text."""

    cookie: str
    uri: str = field(repr=False)
    key: str = field(repr=False)  # groups of four


@dataclass(frozen=True, slots=True)
class Pending:
    """A key that was shown and not yet confirmed. ``cookie`` says when, sealed; the key itself is kept nowhere."""

    cookie: str
    begun: int
    seed: bytes = field(repr=False)
    mark: str


@dataclass(frozen=True, slots=True)
class NewAppMeans:
    """What the step stands on."""

    database: Database
    ephemeral: Ephemeral
    keyring: Keyring
    chance: Chance
    apps: AuthenticatorApps
    tries: Tries
    limits: AddressLimits
    changes: Changes
    issuer: str


class NewApps:
    """Shows keys and binds apps, for every journey."""

    def __init__(self, means: NewAppMeans) -> None:
        self._means = means

    def key(self, who: Enrollee, cookie: str | None) -> NewKey:
        """The key: the same for ten minutes, unless it was bound or guessed at too often; then another.

        Raises OutOfOrder where the person has as many apps as there can be.
        """
        means = self._means
        pending = self._pending(who, cookie)
        with means.database.read() as looking:
            _room(looking, who)
            bound = pending is not None and rows.is_marked(looking, pending.mark)
        if pending is None or bound or means.ephemeral.hit([_tries(pending)], who.now, count=False):
            pending = self._derive(who, who.now, means.chance.name())
        uri = provisioning_uri(pending.seed, who.person.user_id, means.issuer)
        return NewKey(cookie=pending.cookie, uri=uri, key=grouped(to_base32(pending.seed)))

    def confirm(
        self,
        visit: Visit,
        who: Enrollee,
        cookie: str | None,
        label: str,
        typed: str,
        hold: Callable[[Transaction], object],
        *,
        first: bool = False,
    ) -> tuple[App, tuple[App, ...]]:
        """Judge a code of the key that was shown; if right, the app is bound. Returns it and those that there were.

        ``hold`` runs in the transaction before anything is written, and refuses by raising. ``first``: at activation
        there is no waiting time, unless there are other apps. Raises Wrong, OutOfOrder, Throttled.
        """
        means = self._means
        label, code = label_typed(label), code_typed(typed, "code")
        means.limits.attempt(visit)
        pending = self._pending(who, cookie)
        if pending is None:
            raise Wrong(Code.KEY_EXPIRED, field="code")
        with means.database.read() as looking:
            if rows.is_marked(looking, pending.mark):
                raise OutOfOrder(Code.APP_BOUND, due=who.due)
            _room(looking, who)
        if means.ephemeral.hit([_tries(pending)], who.now):
            raise Wrong(Code.KEY_SPENT, field="code")
        match = means.apps.try_out(pending.seed, code, who.now)
        if match is None or not totp.acceptable(match.offset):
            self._note_refused(visit, who, match)
            finding = Finding.WRONG if match is None else Finding.CLOCK_OFF
            raise wrong_code(Outcome(finding, offset=match.offset if match else 0))
        with means.database.begin() as transaction:
            hold(transaction)
            return self._bind(transaction, visit, who, pending, label, match, first=first)

    def _bind(
        self,
        transaction: Transaction,
        visit: Visit,
        who: Enrollee,
        pending: Pending,
        label: str,
        match: Match,
        *,
        first: bool,
    ) -> tuple[App, tuple[App, ...]]:
        means, person, now = self._means, who.person, who.now
        others = _room(transaction, who)
        if rows.bound_since(transaction, person.id, now - _DAY) >= MOST_A_DAY:
            raise Throttled(Code.TOO_MANY_MESSAGES, retry_after=_DAY)
        try:
            app = means.apps.bind(
                transaction,
                person_id=person.id,
                seed=pending.seed,
                label=label,
                now=now,
                usable_from=now if first and not others else now + WAIT,
                last_step=match.step,
            )
        except BoundBefore:
            raise OutOfOrder(Code.APP_BOUND, due=who.due) from None
        details: dict[str, object] = {"app": app.id}
        if means.tries.standing(transaction, person.id, Factor.APP).disabled:
            # a hundred failures in a row: the earlier ones have had their day (requirements T-08)
            details["locked"] = rows.lock_all(transaction, person.id, app.id, now)
            means.tries.clear(transaction, person.id, Factor.APP)
        means.changes.announce(
            transaction,
            visit=visit,
            person=person,
            event=Event.APP_ADDED,
            template="notice_app_added",
            variables={},
            now=now,
            details=details,
        )
        return app, others

    def _note_refused(self, visit: Visit, who: Enrollee, match: Match | None) -> None:
        details: dict[str, object] = {"journey": "enrollment"}
        if match is not None:
            details["offset_seconds"] = match.offset * 30
        reason = Finding.WRONG if match is None else Finding.CLOCK_OFF
        with self._means.database.begin() as transaction:
            audit.add(
                transaction,
                Record(Event.APP_FAIL, who.now, who.person.id, "self", "failure", reason, visit.address, details),
            )

    def _pending(self, who: Enrollee, cookie: str | None) -> Pending | None:
        """What a cookie says was shown to this very reader less than ten minutes ago."""
        begun, _, rest = (cookie or "").partition(".")
        nonce, _, _ = rest.partition(".")
        if not (begun.isascii() and begun.isdigit() and len(begun) < 16):
            return None
        pending = self._derive(who, int(begun), nonce)
        if not same(pending.cookie, cookie or "") or not 0 <= who.now - pending.begun < KEY_LIFE:
            return None
        return pending

    def _derive(self, who: Enrollee, begun: int, nonce: str) -> Pending:
        keyring, person_id = self._means.keyring, who.person.id
        seed = keyring.mac(_SEED, who.reader, person_id, begun, nonce)[:SEED]
        return Pending(
            cookie=f"{begun}.{nonce}.{keyring.mac_hex(_SHOWN, who.reader, person_id, begun, nonce)}",
            begun=begun,
            seed=seed,
            mark=self._means.apps.mark(person_id, seed),
        )


def label_typed(typed: str) -> str:
    """A label as it is kept. Raises Wrong at the field ``label``."""
    label, wrong = label_of(typed)
    if wrong:
        raise Wrong(_LABELS[wrong], field="label")
    return label


def code_typed(typed: str, field: str) -> str:
    """Six digits. Raises Wrong where it is no code at all, which is no try."""
    code = typed_code(typed)
    if code is None:
        raise Wrong(Code.NOT_A_CODE if typed.strip() else Code.MISSING, field=field)
    return code


def _room(transaction: Transaction, who: Enrollee) -> tuple[App, ...]:
    """The apps that there are, while there is room for another."""
    apps = rows.of_person(transaction, who.person.id)
    if len(apps) >= MOST_APPS:
        raise OutOfOrder(Code.MOST_APPS, due=who.due)
    return apps


def _tries(pending: Pending) -> Limit:
    return Limit(f"enroll:{pending.mark}", _TRIES, KEY_LIFE)
