"""Authenticator apps of somebody signed in: a new one, and what is done to those there are."""

from dataclasses import dataclass

from app.factors.totp import rules as totp
from app.factors.totp import store as rows
from app.factors.totp.model import App, AppState
from app.factors.totp.rules import WAIT
from app.factors.totp.service import AuthenticatorApps, codes_at_once
from app.foundation.chance import is_name
from app.foundation.refusals import Code, OutOfOrder, Wrong
from app.foundation.sql import Database, Transaction
from app.foundation.visit import Visit
from app.journeys.enrollment.model import AppPage, Boxes, Confirmed, NewAppPage, NoSuchAppError
from app.records.attempts.model import Door, Factor, Spent
from app.records.attempts.service import AddressLimits, Tries
from app.records.audit import store as audit
from app.records.audit.model import Event, Record
from app.records.sessions import store as sessions
from app.steps.change import Changes
from app.steps.claim import Claims, subject_of
from app.steps.lane import door_of
from app.steps.new_app import Enrollee, NewApps, code_typed, label_typed
from app.steps.presence import Presence, Present

HOME = "/authenticators"
_NOTICES = {
    Event.APP_DISABLED: "notice_app_disabled",
    Event.APP_ENABLED: "notice_app_enabled",
    Event.APP_REMOVED: "notice_app_removed",
}
_NO_BOX = Boxes()
_THERE = (AppState.ACTIVE, AppState.DISABLED, AppState.LOCKED)


@dataclass(frozen=True, slots=True)
class OwnAppsMeans:
    """What changing an app stands on."""

    database: Database
    apps: AuthenticatorApps
    tries: Tries
    limits: AddressLimits
    claims: Claims
    presence: Presence
    changes: Changes


class Enrollment:
    """Binds a new app of somebody signed in."""

    def __init__(self, new_apps: NewApps, presence: Presence) -> None:
        self._new_apps = new_apps
        self._presence = presence

    def page(self, present: Present, cookie: str | None, *, replacing: bool) -> NewAppPage:
        """The key. Raises OutOfOrder where the person has as many apps as there can be."""
        shown = self._new_apps.key(_enrollee(present), cookie)
        return NewAppPage(cookie=shown.cookie, uri=shown.uri, key=shown.key, replacing=replacing, waits=WAIT)

    def confirm(
        self, visit: Visit, present: Present, cookie: str | None, label: str, typed: str, *, replacing: bool
    ) -> Confirmed:
        """Judge a code of the key that was shown; if right, the app is bound. Raises Wrong, OutOfOrder, Throttled."""

        def hold(transaction: Transaction) -> None:
            self._presence.hold(transaction, present)

        app, others = self._new_apps.confirm(visit, _enrollee(present), cookie, label, typed, hold)
        return Confirmed(app, _after(others) if replacing else HOME)


def _enrollee(present: Present) -> Enrollee:
    return Enrollee(present.person, present.session.name, present.now, HOME)


class OwnApps:
    """What is done to apps that are bound: rename, disable, enable, synchronize, remove.

    An app that is past its waiting time is changed by a proof that is past its own alone (security rule 6): else a
    new app could get rid of an older one, or bring one back that was put away because it was stolen.
    """

    def __init__(self, means: OwnAppsMeans) -> None:
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
        app = rows.find(transaction, present.person.id, app_id) if is_name(app_id) else None
        if app is None:
            raise NoSuchAppError
        if app.state not in states:
            raise OutOfOrder(Code.APP_CHANGED, due=HOME)
        if not app.waiting(present.now):
            present.must_be_settled()
        return app

    def rename(self, visit: Visit, present: Present, app_id: str, typed: str) -> None:
        """Give an app another label."""
        label = label_typed(typed)
        with self._means.database.begin() as transaction:
            self._means.presence.hold(transaction, present)
            app = self._own(transaction, present, app_id, _THERE)
            if not rows.rename(transaction, app.id, label):
                raise OutOfOrder(Code.APP_CHANGED, due=HOME)
            self._note(transaction, visit, present, Event.APP_RENAMED, app)

    def disable(self, visit: Visit, present: Present, app_id: str, boxes: Boxes = _NO_BOX) -> None:
        """Its codes count nowhere until it is enabled again."""
        self._move(visit, present, app_id, (AppState.ACTIVE,), AppState.DISABLED, Event.APP_DISABLED, boxes)

    def enable(self, visit: Visit, present: Present, app_id: str, boxes: Boxes = _NO_BOX) -> None:
        """Its codes count again. The waiting time is what it was: putting an app away and back shortens nothing."""
        self._move(visit, present, app_id, (AppState.DISABLED,), AppState.ACTIVE, Event.APP_ENABLED, boxes)

    def remove(self, visit: Visit, present: Present, app_id: str, boxes: Boxes = _NO_BOX) -> None:
        """Its codes count nowhere any more; the row stays for an undo."""
        self._move(visit, present, app_id, _THERE, AppState.REMOVED, Event.APP_REMOVED, boxes)

    def _move(
        self,
        visit: Visit,
        present: Present,
        app_id: str,
        before: tuple[AppState, ...],
        after: AppState,
        event: Event,
        boxes: Boxes,
    ) -> None:
        means = self._means
        with means.database.begin() as transaction:
            means.presence.hold(transaction, present)
            app = self._own(transaction, present, app_id, before)
            if after is AppState.ACTIVE:
                # each is told to every contact, so it is counted as messages to one destination are (requirements
                # M-10); what puts an app away is never held back
                means.tries.spend_send(transaction, f"apps of {present.person.id}", Door.SIGN_IN)
            if not rows.change_state(transaction, app.id, before, after, present.now, stolen=boxes.stolen):
                raise OutOfOrder(Code.APP_CHANGED, due=HOME)
            if boxes.everywhere:
                sessions.end_all(transaction, present.person.id, but=present.session.id)
            means.changes.announce(
                transaction,
                visit=visit,
                person=present.person,
                event=event,
                template=_NOTICES[event],
                variables={},
                now=present.now,
                details={"app": app.id, "was": app.state.value, "stolen": boxes.stolen},
            )

    # ---- two codes in a row

    def synchronize(self, visit: Visit, present: Present, app_id: str, first: str, second: str) -> None:
        """Shift the app's window by two consecutive codes (requirements T-06, security rule 7). Counted as a try.

        Raises Wrong where they are not that, or where one of them was used; Throttled.
        """
        means, now = self._means, present.now
        codes = code_typed(first, "code_1"), code_typed(second, "code_2")
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
