"""Authenticator apps of somebody signed in: a new one, and what is done to those there are.

What is pending is kept nowhere on the server: the key of a new app follows from the session and from a value in a
sealed cookie, so that looking at the page writes nothing, and another session can make nothing of the cookie.
"""

from dataclasses import dataclass

from app.factors.totp import rules as totp
from app.factors.totp import store as rows
from app.factors.totp.model import MOST_APPS, SEED, App, AppState, Finding, Match, Outcome
from app.factors.totp.rules import typed_code
from app.factors.totp.service import AuthenticatorApps, BoundBefore, codes_at_once, provisioning_uri, to_base32
from app.foundation.chance import Chance
from app.foundation.clock import Clock
from app.foundation.ephemeral import Ephemeral, Limit
from app.foundation.refusals import Code, OutOfOrder, Wrong
from app.foundation.secretbox import Keyring, same
from app.foundation.sql import Database, Transaction
from app.foundation.visit import Visit
from app.journeys.enrollment.model import AppPage, Confirmed, NewAppPage, NoSuchAppError, Pending
from app.journeys.enrollment.rules import KEY_LIFE, TRIES, WAIT, grouped, label_of
from app.records.attempts.model import Door, Factor, Spent
from app.records.attempts.service import AddressLimits, Tries
from app.records.audit import store as audit
from app.records.audit.model import Event, Record
from app.steps.app_code import wrong_code
from app.steps.change import Changes
from app.steps.claim import Claims, subject_of
from app.steps.lane import door_of
from app.steps.presence import Presence, Present

HOME = "/authenticators"
_SHOWN = "enroll"  # the key's purpose that seals the cookie
_SEED = "pending-app"  # the one that seeds are made with
_LABELS = {"missing": Code.MISSING, "too_long": Code.TOO_LONG, "bad_characters": Code.BAD_CHARACTERS}
_NOTICES = {
    Event.APP_DISABLED: "notice_app_disabled",
    Event.APP_ENABLED: "notice_app_enabled",
    Event.APP_REMOVED: "notice_app_removed",
}
_THERE = (AppState.ACTIVE, AppState.DISABLED, AppState.LOCKED)


@dataclass(frozen=True, slots=True)
class EnrollmentMeans:
    """What the journey stands on."""

    database: Database
    ephemeral: Ephemeral
    keyring: Keyring
    chance: Chance
    clock: Clock
    apps: AuthenticatorApps
    tries: Tries
    limits: AddressLimits
    claims: Claims
    presence: Presence
    changes: Changes
    issuer: str


class Enrollment:
    """Binds a new app once a code of it was confirmed."""

    def __init__(self, means: EnrollmentMeans) -> None:
        self._means = means

    def page(self, present: Present, cookie: str | None, *, replacing: bool) -> NewAppPage:
        """The key: the same for ten minutes, unless it was bound or guessed at too often; then another.

        Raises OutOfOrder where the person has as many apps as there can be.
        """
        means = self._means
        pending = self._pending(present, cookie)
        with means.database.read() as looking:
            self._room(looking, present)
            bound = pending is not None and rows.is_marked(looking, pending.mark)
        if pending is None or bound or means.ephemeral.hit([_tries(pending)], present.now, count=False):
            pending = self._derive(present, present.now, means.chance.name())
        return NewAppPage(
            cookie=pending.cookie,
            uri=provisioning_uri(pending.seed, present.user_id, means.issuer),
            key=grouped(to_base32(pending.seed)),
            replacing=replacing,
            waits=WAIT,
        )

    def confirm(
        self, visit: Visit, present: Present, cookie: str | None, label: str, typed: str, *, replacing: bool
    ) -> Confirmed:
        """Judge a code of the key that was shown; if right, the app is bound. Raises Wrong, OutOfOrder, Throttled."""
        means = self._means
        label = _label(label)
        code = _code(typed, "code")
        means.limits.attempt(visit)
        pending = self._pending(present, cookie)
        if pending is None:
            raise Wrong(Code.KEY_EXPIRED, field="code")
        with means.database.read() as looking:
            if rows.is_marked(looking, pending.mark):
                raise OutOfOrder(Code.APP_BOUND, due=HOME)
            self._room(looking, present)
        if means.ephemeral.hit([_tries(pending)], present.now):
            raise Wrong(Code.KEY_SPENT, field="code")
        match = means.apps.try_out(pending.seed, code, present.now)
        if match is None or not totp.acceptable(match.offset):
            self._note_refused(visit, present, match)
            finding = Finding.WRONG if match is None else Finding.CLOCK_OFF
            raise wrong_code(Outcome(finding, offset=match.offset if match else 0))
        with means.database.begin() as transaction:
            app, others = self._bind(transaction, visit, present, pending, label, match)
        return Confirmed(app, _after(others) if replacing else HOME)

    def _bind(
        self, transaction: Transaction, visit: Visit, present: Present, pending: Pending, label: str, match: Match
    ) -> tuple[App, tuple[App, ...]]:
        """The new app, and those that there were."""
        means, person, now = self._means, present.person, present.now
        means.presence.hold(transaction, present)
        others = self._room(transaction, present)
        try:
            app = means.apps.bind(
                transaction,
                person_id=person.id,
                seed=pending.seed,
                label=label,
                now=now,
                usable_from=now + WAIT,
                last_step=match.step,
            )
        except BoundBefore:
            raise OutOfOrder(Code.APP_BOUND, due=HOME) from None
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

    def _room(self, transaction: Transaction, present: Present) -> tuple[App, ...]:
        """The apps that there are, while there is room for another."""
        apps = rows.of_person(transaction, present.person.id)
        if len(apps) >= MOST_APPS:
            raise OutOfOrder(Code.MOST_APPS, due=HOME)
        return apps

    def _note_refused(self, visit: Visit, present: Present, match: Match | None) -> None:
        details: dict[str, object] = {"journey": "enrollment"}
        if match is not None:
            details["offset_seconds"] = match.offset * 30
        reason = Finding.WRONG if match is None else Finding.CLOCK_OFF
        with self._means.database.begin() as transaction:
            audit.add(
                transaction,
                Record(
                    Event.APP_FAIL, present.now, present.person.id, "self", "failure", reason, visit.address, details
                ),
            )

    def _pending(self, present: Present, cookie: str | None) -> Pending | None:
        """What a cookie says was shown in this very session less than ten minutes ago."""
        begun, _, rest = (cookie or "").partition(".")
        nonce, _, _ = rest.partition(".")
        if not (begun.isascii() and begun.isdigit() and len(begun) < 16):
            return None
        pending = self._derive(present, int(begun), nonce)
        if not same(pending.cookie, cookie or "") or not 0 <= present.now - pending.begun < KEY_LIFE:
            return None
        return pending

    def _derive(self, present: Present, begun: int, nonce: str) -> Pending:
        keyring, session = self._means.keyring, present.session.name
        seed = keyring.mac(_SEED, session, present.person.id, begun, nonce)[:SEED]
        return Pending(
            cookie=f"{begun}.{nonce}.{keyring.mac_hex(_SHOWN, session, present.person.id, begun, nonce)}",
            begun=begun,
            seed=seed,
            mark=self._means.apps.mark(present.person.id, seed),
        )


class OwnApps:
    """What is done to apps that are bound: rename, disable, enable, synchronize, remove.

    An app that is past its waiting time is changed by a proof that is past its own alone (security rule 6): else a
    new app could get rid of an older one, or bring one back that was put away because it was stolen.
    """

    def __init__(self, means: EnrollmentMeans) -> None:
        self._means = means

    def page(self, present: Present, app_id: str, *states: AppState) -> AppPage:
        """An app in one of some states (any of them where none is named). Raises NoSuchAppError, OutOfOrder."""
        with self._means.database.read() as looking:
            app = self._own(looking, present, app_id, states or _THERE)
            others = [one for one in rows.of_person(looking, present.person.id) if one.id != app.id]
        active = [one for one in others if one.state is AppState.ACTIVE]
        counts = app.state is AppState.ACTIVE and not app.waiting(present.now)
        left = any(not one.waiting(present.now) for one in active)
        return AppPage(
            id=app.id,
            label=app.label,
            state=app.state.value,
            waits_until=app.usable_from if app.waiting(present.now) else None,
            last_way=counts and not left,
            next_way_at=min((one.usable_from for one in active), default=None) if not left else None,
        )

    def _own(self, transaction: Transaction, present: Present, app_id: str, states: tuple[AppState, ...]) -> App:
        app = rows.find(transaction, present.person.id, app_id)
        if app is None:
            raise NoSuchAppError
        if app.state not in states:
            raise OutOfOrder(Code.APP_CHANGED, due=HOME)
        if not app.waiting(present.now):
            present.must_be_settled()
        return app

    def rename(self, visit: Visit, present: Present, app_id: str, typed: str) -> None:
        """Give an app another label."""
        label = _label(typed)
        with self._means.database.begin() as transaction:
            self._means.presence.hold(transaction, present)
            app = self._own(transaction, present, app_id, _THERE)
            if not rows.rename(transaction, app.id, label):
                raise OutOfOrder(Code.APP_CHANGED, due=HOME)
            self._note(transaction, visit, present, Event.APP_RENAMED, app)

    def disable(self, visit: Visit, present: Present, app_id: str) -> None:
        """Its codes count nowhere until it is enabled again."""
        self._move(visit, present, app_id, (AppState.ACTIVE,), AppState.DISABLED, Event.APP_DISABLED)

    def enable(self, visit: Visit, present: Present, app_id: str) -> None:
        """Its codes count again. The waiting time is what it was: putting an app away and back shortens nothing."""
        self._move(visit, present, app_id, (AppState.DISABLED,), AppState.ACTIVE, Event.APP_ENABLED)

    def remove(self, visit: Visit, present: Present, app_id: str) -> None:
        """Its codes count nowhere any more; the row stays for an undo."""
        self._move(visit, present, app_id, _THERE, AppState.REMOVED, Event.APP_REMOVED)

    def _move(
        self,
        visit: Visit,
        present: Present,
        app_id: str,
        before: tuple[AppState, ...],
        after: AppState,
        event: Event,
    ) -> None:
        means = self._means
        with means.database.begin() as transaction:
            means.presence.hold(transaction, present)
            app = self._own(transaction, present, app_id, before)
            if not rows.change_state(transaction, app.id, before, after, present.now):
                raise OutOfOrder(Code.APP_CHANGED, due=HOME)
            means.changes.announce(
                transaction,
                visit=visit,
                person=present.person,
                event=event,
                template=_NOTICES[event],
                variables={},
                now=present.now,
                details={"app": app.id, "was": app.state.value},
            )

    # ---- two codes in a row

    def synchronize(self, visit: Visit, present: Present, app_id: str, first: str, second: str) -> None:
        """Shift the app's window by two consecutive codes (requirements T-06, security rule 7). Counted as a try.

        Raises Wrong where they are not that, or where one of them was used; Throttled.
        """
        means, now = self._means, present.now
        codes = _code(first, "code_1"), _code(second, "code_2")
        means.limits.attempt(visit)
        means.limits.may_guess(visit)
        flow = means.presence.passing_flow(present, "synchronize")
        with means.database.read() as looking:
            app = self._own(looking, present, app_id, (AppState.ACTIVE,))
            usable = means.apps.usable(looking, present.person.id, now, waiting=True)
            door = door_of(looking, visit, flow, Door.SIGN_IN, now)
        spent = means.tries.spend(subject_of(flow), Factor.APP, door, codes_at_once=codes_at_once(usable))
        step = means.apps.in_a_row(app, *codes, now) if spent.judged else None
        with means.database.begin() as transaction:
            means.presence.hold(transaction, present)
            shifted = step is not None and self._shift(transaction, app, step, now)
            if shifted:
                means.tries.succeed(transaction, spent)
                self._note(transaction, visit, present, Event.APP_SYNCHRONIZED, app)
            else:
                self._note_not(transaction, visit, present, spent, used=step is not None)
        if not shifted:
            means.limits.guessed_wrong(visit)
            raise Wrong(Code.NOT_IN_A_ROW if step is None else Code.CODE_USED, field="code_1")

    def _shift(self, transaction: Transaction, app: App, step: int, now: int) -> bool:
        return rows.synchronize(transaction, app.id, step, step - totp.step_at(now), now)

    def _note_not(self, transaction: Transaction, visit: Visit, present: Present, spent: Spent, *, used: bool) -> None:
        details: dict[str, object] = {"journey": "synchronize"}
        event, reason = (Event.APP_REUSE, "used") if used else (Event.APP_FAIL, "wrong")
        person_id, address = present.person.id, visit.address
        audit.add(transaction, Record(event, present.now, person_id, "self", "failure", reason, address, details))
        if spent.closed_to_strangers:
            self._means.claims.warn_owner(transaction, visit, present.person, present.now)

    def _note(self, transaction: Transaction, visit: Visit, present: Present, event: Event, app: App) -> None:
        details: dict[str, object] = {"app": app.id}
        person_id, address = present.person.id, visit.address
        audit.add(transaction, Record(event, present.now, person_id, "self", "success", "", address, details))


def _after(others: tuple[App, ...]) -> str:
    """Where somebody with a new phone goes: to the page that removes the old app, where it is clear which one."""
    return f"{HOME}/app/{others[0].id}/remove?replaced=1" if len(others) == 1 else HOME


def _tries(pending: Pending) -> Limit:
    return Limit(f"enroll:{pending.mark}", TRIES, KEY_LIFE)


def _label(typed: str) -> str:
    label, wrong = label_of(typed)
    if wrong:
        raise Wrong(_LABELS[wrong], field="label")
    return label


def _code(typed: str, field: str) -> str:
    code = typed_code(typed)
    if code is None:
        raise Wrong(Code.NOT_A_CODE if typed.strip() else Code.MISSING, field=field)
    return code
