"""What somebody signed in sees of their authenticators, history and sessions, and does with their password."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from app.factors.password.service import Passwords
from app.factors.totp import store as apps
from app.factors.totp.model import App, AppState
from app.foundation.chance import is_name
from app.foundation.clock import Clock
from app.foundation.ephemeral import Ephemeral
from app.foundation.refusals import Code, OutOfOrder, Throttled, Unavailable, Wrong
from app.foundation.secretbox import fingerprint
from app.foundation.sql import Database, Transaction
from app.foundation.visit import Visit
from app.journeys.authenticators import rules
from app.journeys.authenticators.model import (
    Action,
    Activity,
    Happening,
    Known,
    Membership,
    Overview,
    PasswordPage,
    Pending,
    Profile,
    Row,
    SavedCodes,
    SessionsPage,
    SignedIn,
)
from app.records.attempts.model import FOREVER, Door, Factor
from app.records.attempts.service import AddressLimits, Tries
from app.records.audit import store as audit
from app.records.audit.model import Event, Record
from app.records.cases import store as cases
from app.records.cases.model import RequestState
from app.records.lanes import store as lanes
from app.records.organizations import store as organizations
from app.records.organizations.model import Policy
from app.records.organizations.store import PROPOSAL_LIFE
from app.records.people import store as people
from app.records.people.model import Channel, Contact
from app.records.sessions import store as sessions
from app.records.sessions.model import LONGEST, Session
from app.steps.claim import named
from app.steps.moments import Moment, browser_name, moment
from app.steps.new_password import MOST_CANDIDATES, NewPassword
from app.steps.password import PasswordStep
from app.steps.presence import Presence, Present, held_back
from app.steps.readiness import Facts, facts, readiness
from app.steps.security_answer import SecurityAnswerStep

HOME = "/authenticators"
CHANGE_PASSWORD = "change_password"  # noqa: S105 - the purpose of a proof
PAGE = 50  # events on one page of the history
_LOOKED_THROUGH = 200  # newest proofs in which the last use of a factor is looked for
_MOST_KNOWN = 50  # known browsers that the list shows
_QUESTION_PAGE = f"{HOME}/security-question"
_SHORT = 16  # hexadecimal digits that name a known browser among a person's own
_THINGS = {"app": "app", "recovery_codes": "recovery_codes", "sms": "phone", "email": "email"}  # by the kind of a row
# of an event's details what its sentence needs; the rest is for support
_TOLD = ("journey", "channel", "level", "proofs", "factor", "sessions", "organization", "action", "why")

SavedCodesOf = Callable[[Transaction, int], SavedCodes | None]


@dataclass(frozen=True, slots=True)
class AuthenticatorsMeans:
    """What the journey stands on. ``saved_codes`` is where the recovery codes plug in; None: there are none yet."""

    database: Database
    ephemeral: Ephemeral
    passwords: Passwords
    tries: Tries
    limits: AddressLimits
    clock: Clock
    password: PasswordStep
    new_password: NewPassword
    presence: Presence
    security_answers: SecurityAnswerStep
    saved_codes: SavedCodesOf | None = None


class Authenticators:
    """The tabs PROFILE, AUTHENTICATORS and ACTIVITY, and the change of the password."""

    def __init__(self, means: AuthenticatorsMeans) -> None:
        self._means = means

    # ---- AUTHENTICATORS

    def overview(self, present: Present) -> Overview:
        """Every authenticator, the password first."""
        person, now = present.person, present.now
        with self._means.database.read() as looking:
            bound = apps.of_person(looking, person.id)
            contacts = people.contacts_of(looking, person.id)
            proofs = audit.of_person(looking, person.id, _LOOKED_THROUGH, only=rules.PROVING)
            used = rules.last_used(proofs)
            codes = self._codes(looking, present)
            policies = organizations.policies_of_person(looking, person.id, now)
            rows = (
                self._password(looking, present, used.get("password")),
                *(_app(app, now) for app in bound),
                *_contacts(contacts, used, now),
                *self._codes_row(codes, now),
                *self._question_row(looking, present),
            )
        held = held_back(person, now)
        today = _today(bound, contacts, codes, now, policies)
        return Overview(
            tuple(replace(row, barred=_THINGS.get(row.kind, "") in today.barred) for row in rows),
            present.session.level,
            readiness(today),
            answered=present.session.answered,
            held_back=moment(now + held, now) if held else None,
        )

    def _password(self, transaction: Transaction, present: Present, used: int | None) -> Row:
        record = self._means.passwords.find(transaction, present.person.id)
        if record is None:
            return Row("password", "none")
        now, policy = present.now, self._means.new_password.policy(transaction, present.person)
        standing = self._means.tries.standing(transaction, present.person.id, Factor.PASSWORD)
        state = "expired" if record.owed(policy, now) else "locked" if standing.locked(now) else "active"
        return Row(
            "password",
            state,
            bound=_moment(record.changed_at, now),
            last_used=_moment(used, now),
            endless=standing.locked_until >= FOREVER,
            expires=_moment(record.expires_at(policy), now),
            actions=(Action("change_password", f"{HOME}/password"),),
        )

    def _codes(self, transaction: Transaction, present: Present) -> SavedCodes | None:
        return self._means.saved_codes(transaction, present.person.id) if self._means.saved_codes else None

    def _codes_row(self, codes: SavedCodes | None, now: int) -> tuple[Row, ...]:
        """The recovery codes, where this portal has them: the set, or that there is none."""
        if self._means.saved_codes is None:
            return ()
        actions = (Action("recovery_codes" if codes else "make_recovery_codes", f"{HOME}/recovery-codes"),)
        if codes is None:
            return (Row("recovery_codes", "none", actions=actions),)
        waits = codes.usable_from > now
        state = "pending" if waits else "active" if codes.left else "none"
        return (
            Row(
                "recovery_codes",
                state,
                bound=_moment(codes.bound_at, now),
                last_used=_moment(codes.last_used_at, now),
                usable_from=_moment(codes.usable_from, now) if waits else None,
                left=codes.left,
                actions=actions,
            ),
        )

    def _question_row(self, looking: Transaction, present: Present) -> tuple[Row, ...]:
        """The security question, of people to whom it is something."""
        now, step = present.now, self._means.security_answers
        if not step.applies(looking, present.person, present.policy):
            return ()
        found = step.standing(looking, present.person, present.policy)
        if found is None:
            return (Row("security_question", "none", actions=(Action("set_security_question", _QUESTION_PAGE),)),)
        waits = not found.usable(now)
        return (
            Row(
                "security_question",
                "pending" if waits else "active",
                bound=_moment(found.set_at, now),
                usable_from=_moment(found.usable_from, now) if waits else None,
                actions=(Action("security_question", _QUESTION_PAGE),),
            ),
        )

    # ---- Change Password

    def password_page(self, present: Present) -> PasswordPage:
        """The rules as the page prints them."""
        with self._means.database.read() as looking:
            printed = self._means.new_password.printed(looking, present.person)
            policy = self._means.new_password.policy(looking, present.person)
            record = self._means.passwords.find(looking, present.person.id)
        settles_at = record.settles_at(policy, present.now) if record else 0
        settles = moment(settles_at, present.now) if settles_at > present.now else None
        return PasswordPage(printed.rules, printed.attribute, settles)

    def change_password(
        self, visit: Visit, present: Present, *, current: str, candidate: str, confirm: str, everywhere: bool
    ) -> None:
        """Set a new password for whoever knows the present one, however fresh the session is.

        ``everywhere``: all other sessions end. The new one is judged after the present one was right, or this page
        would tell a thief of the session what the former passwords were (security rule 8). Raises Wrong, Throttled,
        OutOfOrder, Unavailable.
        """
        means = self._means
        self._shape(present, current, candidate, confirm)
        means.limits.attempt(visit)
        with means.database.read() as looking:
            record = means.passwords.find(looking, present.person.id)
            means.new_password.must_be_settled(looking, present.person, record)
        self._candidates(present.session)
        flow = means.presence.passing_flow(present, CHANGE_PASSWORD)
        means.password.prove(visit, flow, current, lambda *_: None, field="current_password")
        counted = self._count_candidate(present.session)
        person = present.person
        try:
            prepared = means.new_password.prepare(visit, flow, person, candidate, confirm)
        except Unavailable:
            # nothing was judged, so nothing was proposed
            self._give_back(present.session, counted)
            raise
        try:
            with means.database.begin() as transaction:
                # each is told to every contact, as messages to one destination are counted (requirements M-10)
                means.tries.spend_send(transaction, f"passwords of {person.id}", Door.SIGN_IN)
                means.passwords.set_new(
                    transaction,
                    person=person,
                    prepared=prepared,
                    actor="self",
                    reason="changed",
                    journey=named(flow),
                    address=visit.address,
                    language=person.language or visit.language,
                    now=means.clock.now(),
                    keep_session=present.session.id if everywhere else "",
                    keep_all=not everywhere,
                )
        except Throttled as throttled:
            raise Throttled(throttled.code, field="new_password", retry_after=throttled.retry_after) from None
        except OutOfOrder:
            # a password was set in between, here or elsewhere
            raise OutOfOrder(Code.OUT_OF_ORDER, due=HOME) from None

    def _shape(self, present: Present, current: str, candidate: str, confirm: str) -> None:
        """Refuse a present password that can be none, with what the new one alone lacks. No try, and no candidate."""
        try:
            self._means.password.shape(current, "current_password")
        except Wrong as wrong:
            try:
                self._means.new_password.judge_alone(present.person, candidate, confirm)
            except Wrong as other:
                raise Wrong(wrong.code, field=wrong.field, also=(other,)) from None
            raise

    def _candidates(self, session: Session) -> tuple[int, bytes | None]:
        """How many new passwords a session has proposed. Raises Throttled where it may propose no other."""
        held = self._means.ephemeral.get(_candidates_key(session))
        count = int(held) if held else 0
        if count >= MOST_CANDIDATES:
            left = max(1, session.expires_at - self._means.clock.now())
            raise Throttled(Code.TOO_MANY_CANDIDATES, field="new_password", retry_after=left)
        return count, held

    def _count_candidate(self, session: Session) -> int:
        """Count a candidate against the session's twenty before it is judged, by compare-and-set."""
        while True:
            count, held = self._candidates(session)
            if self._means.ephemeral.swap(_candidates_key(session), held, str(count + 1).encode(), LONGEST):
                return count + 1

    def _give_back(self, session: Session, counted: int) -> None:
        self._means.ephemeral.swap(_candidates_key(session), str(counted).encode(), str(counted - 1).encode(), LONGEST)

    # ---- PROFILE and ACTIVITY

    def profile(self, present: Present) -> Profile:
        """Who somebody is here."""
        person, now = present.person, present.now
        with self._means.database.read() as looking:
            joined = organizations.memberships_of(looking, person.id)
            record = self._means.passwords.find(looking, person.id)
            bound = apps.of_person(looking, person.id)
            contacts = people.contacts_of(looking, person.id)
            codes = self._codes(looking, present)
            policies = organizations.policies_of_person(looking, person.id, now)
        return Profile(
            person.name,
            person.user_id,
            tuple(
                Membership(
                    one.organization.name,
                    one.role.value,
                    one.is_primary,
                    one.organization.id,
                    proposed=one.proposed_at is not None,
                )
                for one in joined
                if one.proposed_at is None or one.proposed_at > now - PROPOSAL_LIFE
            ),
            person.language,
            _moment(record.changed_at, now) if record else None,
            readiness(_today(bound, contacts, codes, now, policies)),
        )

    def activity(self, present: Present, page: int) -> Activity:
        """A page of somebody's own history, from 1. Beyond its end it is empty."""
        with self._means.database.read() as looking:
            found = audit.of_person(looking, present.person.id, PAGE + 1, skip=(page - 1) * PAGE)
            asked = cases.living_requests(looking, present.person.id, present.now) if page == 1 else ()
        by_words = (RequestState.ASKED, RequestState.CONFIRMING)
        pending = tuple(Pending(one.action.value, one.state in by_words) for one in asked)
        return Activity(tuple(_happening(one, present) for one in found[:PAGE]), page, len(found) > PAGE, pending)


class OwnSessions:
    """The list of somebody's sessions and known browsers."""

    def __init__(self, *, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def page(self, visit: Visit, present: Present) -> SessionsPage:
        """Living sessions, the one used last first; and known browsers."""
        person, now = present.person, present.now
        with self._database.read() as looking:
            living = _living(looking, present)
            known = lanes.of_person(looking, person.id, now, _MOST_KNOWN)
            tokens = sessions.tokens_of(looking, person.id, present.session.stamp, now)
        here = fingerprint(visit.known_browser)
        return SessionsPage(
            tuple(
                SignedIn(
                    one.name,
                    browser_name(one.browser),
                    one.address,
                    moment(one.created_at, now),
                    moment(one.seen_at, now),
                    one.id == present.session.id,
                    one.level,
                    answered=one.answered,
                )
                for one in living
            ),
            tuple(
                Known(
                    one.id[:_SHORT],
                    browser_name(one.browser),
                    one.address,
                    moment(one.created_at, now),
                    moment(one.seen_at, now),
                    one.id == here,
                )
                for one in known
            ),
            present.session.level,
            tokens,
        )

    def end(self, visit: Visit, present: Present, name: str) -> None:
        """End one session of one's own. Raises OutOfOrder where it had ended."""
        with self._database.begin() as transaction:
            if not (is_name(name) and sessions.end_named(transaction, present.person.id, name)):
                raise OutOfOrder(Code.NOTHING_TO_END, due="/sessions")
            audit.add(transaction, _own(Event.SESSION_ENDED, visit, present, {"session": name, "sessions": 1}))

    def end_others(self, visit: Visit, present: Present) -> None:
        """End every session but the present one, and programs' tokens. Raises OutOfOrder where there are none."""
        person = present.person
        with self._database.begin() as transaction:
            living = _living(transaction, present)
            ended = sum(one.id != present.session.id for one in living)
            tokens = sessions.tokens_of(transaction, person.id, present.session.stamp, present.now)
            sessions.end_all(transaction, person.id, but=present.session.id)
            if not ended and not tokens:
                raise OutOfOrder(Code.NOTHING_TO_END, due="/sessions")
            details: dict[str, object] = {"sessions": ended, **({"tokens": tokens} if tokens else {})}
            audit.add(transaction, _own(Event.SESSION_ENDED, visit, present, details))

    def forget(self, visit: Visit, present: Present, name: str) -> None:
        """Forget a known browser. Raises OutOfOrder where it is not known."""
        with self._database.begin() as transaction:
            known = lanes.of_person(transaction, present.person.id, present.now)
            found = next((one for one in known if one.id[:_SHORT] == name), None)
            if found is None or not lanes.forget_one(transaction, present.person.id, found.id):
                raise OutOfOrder(Code.NOTHING_TO_END, due="/sessions")
            audit.add(transaction, _own(Event.BROWSER_FORGOTTEN, visit, present, {}))


def _living(looking: Transaction, present: Present) -> tuple[Session, ...]:
    person, own = present.person, present.session
    return sessions.of_person(looking, person.id, person.stamp, present.now, idle=own.idle, life=own.life)


def _own(event: Event, visit: Visit, present: Present, details: dict[str, object]) -> Record:
    shown = {"by": present.session.name, "browser": visit.browser, **details}
    return Record(event, present.now, present.person.id, "self", "success", "", visit.address, shown)


def _candidates_key(session: Session) -> str:
    # by the name, which stays when a proof gives the session a new id
    return f"candidates:{session.name}"


def _moment(at: int | None, now: int) -> Moment | None:
    return moment(at, now) if at is not None else None


def _app(app: App, now: int) -> Row:
    names = ("rename", "enable" if app.state is AppState.DISABLED else "disable", "synchronize", "remove")
    waits = app.usable_from > now
    return Row(
        "app",
        "pending" if waits and app.state is AppState.ACTIVE else app.state.value,
        app.label,
        bound=moment(app.bound_at, now),
        last_used=_moment(app.last_used_at, now),
        usable_from=moment(app.usable_from, now) if waits else None,
        actions=tuple(Action(name, f"{HOME}/app/{app.id}/{name}") for name in names),
    )


def _contacts(contacts: tuple[Contact, ...], used: dict[str, int], now: int) -> tuple[Row, ...]:
    rows = []
    for contact in contacts:
        usable = contact.usable(now)
        same = [other for other in contacts if other.channel is contact.channel]
        first = next((other for other in same if other.usable(now)), None) == contact
        kind = "phone" if contact.channel is Channel.SMS else "email"
        names = ["default"] if usable and not first else []
        rows.append(
            Row(
                contact.channel.value,
                "active" if usable else "pending",
                contact.masked,
                bound=_moment(contact.confirmed_at, now),
                last_used=_moment(used.get(contact.id), now),
                usable_from=moment(contact.usable_from, now) if contact.usable_from > now else None,
                default=first and len(same) > 1,
                actions=tuple(Action(name, f"{HOME}/{kind}/{contact.id}/{name}") for name in (*names, "remove")),
            )
        )
    return tuple(rows)


def _happening(record: Record, present: Present) -> Happening:
    own = record.actor in {"self", present.person.user_id, present.person.canonical_id}
    return Happening(
        record.event.value,
        moment(record.at, present.now),
        record.outcome,
        record.reason,
        record.address,
        browser_name(str(record.details.get("browser", ""))),
        "" if own else record.actor,
        {name: record.details[name] for name in _TOLD if name in record.details},
    )


def _today(
    bound: tuple[App, ...],
    contacts: tuple[Contact, ...],
    codes: SavedCodes | None,
    now: int,
    policies: tuple[Policy, ...],
) -> Facts:
    left, waits = (codes.left, codes.usable_from > now) if codes else (0, False)
    counting = 0 if waits else left
    return facts(bound, contacts, counting, now, policies=policies, codes_wait=waits and left > 0)
