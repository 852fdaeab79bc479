"""The support console: finding people, and seeing why somebody does not get in. It changes nothing.

What is written is that somebody looked (requirement H-05). Nothing here is a secret, or leads to one: contacts are
masked, and of an event only what ``_TOLD`` names is shown.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.factors.password.model import PasswordRecord
from app.factors.password.service import Passwords
from app.factors.recovery_code.model import Standing
from app.factors.recovery_code.service import RecoveryCodes
from app.factors.totp import store as apps
from app.factors.totp.model import App, AppState
from app.foundation.clock import Clock
from app.foundation.refusals import Code, Wrong
from app.foundation.sql import Database, Transaction
from app.foundation.visit import Visit
from app.journeys.support import queries, rules
from app.journeys.support.model import (
    Cause,
    Delivery,
    Facts,
    Hit,
    Line,
    Organized,
    PersonPage,
    Remedy,
    Results,
    Row,
    Underway,
    Wait,
)
from app.journeys.support.queries import Prefixes, Sent
from app.records.attempts.model import Factor
from app.records.attempts.service import Tries
from app.records.audit import store as audit
from app.records.audit.model import Event, Record
from app.records.cases import store as cases
from app.records.cases.model import DisputeState
from app.records.cases.rules import due
from app.records.delivery.model import State
from app.records.invitations import store as invitations
from app.records.invitations.model import Invitation
from app.records.lanes import store as lanes
from app.records.organizations import store as organizations
from app.records.people import store as people
from app.records.people.model import BadUserId, Channel, Contact, Person, canonical_user_id, search_key, to_path
from app.records.sessions import store as sessions
from app.steps.moments import Moment, browser_name, moment
from app.steps.security_answer import SecurityAnswerStep
from app.steps.staff import Staff, Staffing

HOME = "/support"
SEARCH = f"{HOME}/people"
OPERATOR = "operator"
ELSEWHERE = "elsewhere"  # in place of an agent of an organization that these staff do not see
LEAST = 2  # characters of what is looked for
MOST = 50  # people of one search
PAGE = 60  # events on one page of the timeline
LOOKED_EVERY = 900  # seconds in which one agent's looks at one person are one event
_DAY = 86_400
_FACTORS = (Factor.PASSWORD, Factor.APP, Factor.PIN)
_OFFSETS = (Event.APP_OK, Event.APP_FAIL)
_OFFSETS_SEEN = 100  # newest codes in which the clock of each app is looked for
_PROVED = (Event.SIGN_IN_PASSWORD_OK,)
_MOST_BROWSERS = 100
# of an event's details what its sentence needs
_TOLD = (
    "channel",
    "level",
    "proofs",
    "factor",
    "sessions",
    "offset_seconds",
    "rules",
    "tries_left",
    "retry_after",
    "label",
    "left",
    "cleared",
    "action",
)


@dataclass(frozen=True, slots=True)
class SupportMeans:
    """What the journey stands on."""

    database: Database
    staffing: Staffing
    passwords: Passwords
    codes: RecoveryCodes
    security_answers: SecurityAnswerStep
    tries: Tries
    clock: Clock


def page_of(user_id: str) -> str:
    """The path of somebody's page."""
    return f"{SEARCH}/{to_path(user_id)}"


class Support:
    """Search, and the page of a person."""

    def __init__(self, means: SupportMeans) -> None:
        self._means = means
        self._database = means.database
        self._clock = means.clock

    # ---- finding

    def search(self, staff: Staff, typed: str) -> Results:
        """Whose User ID, name or mailbox begins like this, in the organizations of these staff. Raises Wrong."""
        prefixes = _prefixes(typed)
        with self._database.read() as looking:
            found = queries.search(looking, staff.organization_ids, prefixes, MOST + 1)
            boxes = queries.mailboxes(looking, [one.person_id for one in found[:MOST]])
        hits = (
            Hit(
                one.user_id,
                " ".join(part for part in (one.first_name, one.last_name) if part),
                one.status,
                _mailbox(boxes.get(one.person_id, "")),
                page_of(one.user_id),
            )
            for one in found[:MOST]
        )
        return Results(tuple(hits), len(found) > MOST)

    # ---- one person

    def person(self, visit: Visit, staff: Staff, user_id: str, before: str = "") -> PersonPage | None:
        """Everything about somebody but secrets; None where these staff see nobody of that User ID.

        ``before`` is the ``older`` of the page before. Writes down that they looked (requirement H-05).
        """
        with self._database.read() as looking:
            person = self._means.staffing.visible(looking, staff, user_id)
        if person is None:
            return None
        self._write_down(visit, staff, person)
        with self._database.read() as looking:
            return self._page(looking, staff, person, _place(before))

    def _question(self, looking: Transaction, person: Person, now: int) -> tuple[Row, ...]:
        """The security question, of people to whom it is something; which one it is stays theirs."""
        if not self._means.security_answers.applies(looking, person):
            return ()
        found = self._means.security_answers.standing(looking, person)
        if found is None:
            return (Row("security_question", "none"),)
        waits = not found.usable(now)
        return (
            Row(
                "security_question",
                "pending" if waits else "active",
                bound=moment(found.set_at, now),
                usable_from=moment(found.usable_from, now) if waits else None,
            ),
        )

    def _write_down(self, visit: Visit, staff: Staff, person: Person) -> None:
        now, actor = self._clock.now(), staff.person.user_id
        told = (Event.LOOKED_AT, actor, now - LOOKED_EVERY)
        with self._database.read() as looking:
            if audit.told_since(looking, person.id, *told):
                return
        with self._database.begin() as transaction:
            people.hold(transaction, person.id)  # of two looks at once one is written down
            if not audit.told_since(transaction, person.id, *told):
                details: dict[str, object] = {"browser": visit.browser}
                audit.add(
                    transaction,
                    Record(Event.LOOKED_AT, now, person.id, actor, "success", "support", visit.address, details),
                )

    def _page(self, looking: Transaction, staff: Staff, person: Person, before: tuple[int, int] | None) -> PersonPage:
        now = self._clock.now()
        bound = apps.of_person(looking, person.id)
        contacts = people.contacts_of(looking, person.id)
        codes = self._means.codes.standing(looking, person.id)
        record = self._means.passwords.find(looking, person.id)
        invitation = invitations.unfinished(looking, person.id)
        policy = organizations.policy_of_person(looking, person.id, now).password
        expires_at = record.changed_at + policy.max_age_days * _DAY if record and policy.max_age_days else 0
        waits = {factor: self._means.tries.waits(looking, person.id, factor) for factor in _FACTORS}
        standings = {factor: self._means.tries.standing(looking, person.id, factor) for factor in _FACTORS}
        dispute = cases.living(looking, person.id)
        facts = Facts(
            now=now,
            status=person.status.value,
            frozen_for_support=dispute is not None and dispute.state is DisputeState.SUPPORT,
            invited_until=invitation.expires_at if invitation else 0,
            reached=invitation.reached if invitation else "",
            activated=_activated(record, bound, invitation),
            change_owed=_owed(record, expires_at, now),
            lapsed_at=record.good_until or 0 if record and record.shut(now) else 0,
            apps=_count(bound, now),
            phones=sum(one.channel is Channel.SMS and one.usable(now) for one in contacts),
            mailboxes=sum(one.channel is Channel.EMAIL and one.usable(now) for one in contacts),
            contacts_from=min((one.usable_from for one in contacts if one.confirmed_at is not None), default=0),
            codes=codes.left if codes and codes.usable_from <= now else 0,
            waits=tuple(
                (factor.value, door.value, until) for factor, doors in waits.items() for door, until in doors.items()
            ),
            consecutive={factor.value: one.consecutive for factor, one in standings.items()},
            dead=frozenset(factor.value for factor, one in standings.items() if one.disabled),
            recovered_at=person.recovered_at or 0,
        )
        newest = self._lines(looking, staff, person, now, None)
        shown = newest if before is None else self._lines(looking, staff, person, now, before)
        page = rules.cut(shown, PAGE)
        may_act = self._means.staffing.may_act_on(looking, staff, person)
        path = page_of(person.user_id)
        proved = audit.of_person(looking, person.id, 1, only=_PROVED)
        offsets = audit.of_person(looking, person.id, _OFFSETS_SEEN, only=_OFFSETS)
        last = proved[0].at if proved else None
        rows = (
            _password(record, facts, expires_at, last),
            *_apps(bound, offsets, facts),
            *(_contact(one, now) for one in contacts),
            _codes(codes, now),
            *self._question(looking, person, now),
        )
        return PersonPage(
            user_id=person.user_id,
            name=person.name,
            status=person.status.value,
            memberships=tuple(
                Organized(one.organization.name, one.role.value, one.is_primary)
                for one in organizations.memberships_of(looking, person.id)
                if one.organization.id in staff.organization_ids and one.proposed_at is None
            ),
            language=person.language,
            created=moment(person.created_at, now),
            causes=tuple(_explained(cause, path, now, may_act=may_act) for cause in rules.causes(facts, newest)),
            rows=rows,
            waits=tuple(
                Wait(factor, door, moment(until, now) if until else None, facts.consecutive[factor])
                for factor, door, until in facts.waits
            ),
            sessions=len(sessions.of_person(looking, person.id, person.stamp, now)),
            browsers=len(lanes.of_person(looking, person.id, now, _MOST_BROWSERS)),
            invited_until=moment(invitation.expires_at, now) if invitation else None,
            stories=rules.once(
                tuple(
                    replace(one, remedy=_led(one.remedy, path, may_act=may_act))
                    for one in rules.gathered(rules.stories(shown[:page], facts))
                )
            ),
            older=f"{shown[page - 1].at}-{shown[page - 1].id}" if page < len(shown) else "",
            newest=before is None,
            requests=tuple(
                Underway(
                    one.action.value,
                    one.state.value,
                    due(one, now),
                    moment(one.expires_at, now),
                    f"{path}/{one.action.value}" if may_act else "",
                )
                for one in cases.living_requests(looking, person.id, now)
            ),
            activated=facts.activated,
            may_act=may_act,
            path=path,
        )

    def _lines(
        self, looking: Transaction, staff: Staff, person: Person, now: int, before: tuple[int, int] | None
    ) -> tuple[Line, ...]:
        """A page of what happened and one line more, newest first, with what became of each message."""
        rows = queries.timeline(looking, person.id, PAGE + 1, before)
        details = [json.loads(row.details) for row in rows]
        names = {str(one["outbox"]) for one in details if one.get("outbox")}
        letters = queries.sent(looking, names)
        reached = {letter.contact_id for letter in letters.values()}
        masked = {one: _masked(people.contact(looking, one)) for one in reached}
        theirs = frozenset(one.name for one in staff.organizations)
        guest = person.home_organization not in staff.organization_ids
        lines = (
            _line(row, one, person, now, letters.get(str(one.get("outbox", ""))), masked)
            for row, one in zip(rows, details, strict=True)
        )
        return tuple(_own_only(line, one, theirs, guest=guest) for line, one in zip(lines, details, strict=True))


def _own_only(line: Line, details: dict[str, Any], theirs: frozenset[str], *, guest: bool) -> Line:
    """Without what belongs to organizations that these staff do not see: their names, and who works there."""
    if details.get("organization") in theirs:
        line = replace(line, details={**line.details, "organization": details["organization"]})
    return replace(line, actor=ELSEWHERE) if guest and line.actor and line.actor != OPERATOR else line


def _prefixes(typed: str) -> Prefixes:
    """What was typed as each kind of key is written. Raises Wrong."""
    try:
        canonical = canonical_user_id(typed)
    except BadUserId as error:
        code = {"empty": Code.MISSING, "too long": Code.TOO_LONG}.get(str(error), Code.BAD_CHARACTERS)
        raise Wrong(code, field="q") from None
    name = search_key(typed)
    if len(canonical) < LEAST or not name:
        raise Wrong(Code.TOO_SHORT, field="q", details={"least": LEAST})
    return Prefixes(canonical, name, name)


def _place(before: str) -> tuple[int, int] | None:
    """Where a page of the timeline begins; what is no place is its beginning."""
    at, dash, number = before.partition("-")
    good = dash and all(part.isascii() and part.isdigit() and len(part) < 16 for part in (at, number))
    return (int(at), int(number)) if good else None


def _activated(record: PasswordRecord | None, bound: Sequence[App], invitation: Invitation | None) -> bool:
    """Whether there is anything to get in with: a password of their own, or an app."""
    if record is None:
        return bool(bound)
    return bool(bound) or not record.given or invitation is None


def _owed(record: PasswordRecord | None, expires_at: int, now: int) -> str:
    if record is None or not (record.change_owed or 0 < expires_at <= now):
        return ""
    if record.lapsed(now):
        return "lapsed"
    if record.compromised:
        return "compromised"
    return "age" if not record.must_change else "temporary" if record.given else "reset"


def _count(bound: Iterable[App], now: int) -> dict[str, int]:
    counted: dict[str, int] = {}
    for app in bound:
        state = _app_state(app, now)
        counted[state] = counted.get(state, 0) + 1
    return counted


def _app_state(app: App, now: int) -> str:
    return "pending" if app.state is AppState.ACTIVE and app.waiting(now) else app.state.value


def _when(at: int | None, now: int) -> Moment | None:
    return moment(at, now) if at is not None else None


def _password(record: PasswordRecord | None, facts: Facts, expires_at: int, last: int | None) -> Row:
    if record is None:
        return Row("password", "none")
    held = "password" in facts.dead or any(factor == "password" for factor, _, _ in facts.waits)
    return Row(
        "password",
        "locked" if facts.lapsed_at else "expired" if facts.change_owed else "locked" if held else "active",
        bound=moment(record.changed_at, facts.now),
        last_used=_when(last, facts.now),
        expires=moment(record.good_until or expires_at, facts.now) if record.good_until or expires_at else None,
        owed=facts.change_owed,
    )


def _apps(bound: Iterable[App], offsets: Sequence[Record], facts: Facts) -> tuple[Row, ...]:
    now = facts.now
    held = "app" in facts.dead or any(factor == "app" for factor, _, _ in facts.waits)
    rows = []
    for app in bound:
        state = _app_state(app, now)
        seen = next((one for one in offsets if one.details.get("app") == app.id), None)
        off = seen.details.get("offset_seconds", 0) if seen else 0
        rows.append(
            Row(
                "app",
                "locked" if held and state == "active" else state,
                app.label,
                bound=moment(app.bound_at, now),
                last_used=_when(app.last_used_at, now),
                usable_from=moment(app.usable_from, now) if app.waiting(now) else None,
                half_minutes=off // 30 if isinstance(off, int) else 0,
                seen=moment(seen.at, now) if seen else None,
            )
        )
    return tuple(rows) or (Row("app", "none"),)


def _contact(one: Contact, now: int) -> Row:
    return Row(
        one.channel.value,
        "active" if one.usable(now) else "pending",
        one.masked,
        bound=_when(one.confirmed_at, now),
        last_used=_when(one.last_used_at, now),
        usable_from=moment(one.usable_from, now) if one.confirmed_at is not None and one.usable_from > now else None,
    )


def _codes(codes: Standing | None, now: int) -> Row:
    if codes is None:
        return Row("recovery_codes", "none")
    waits = codes.usable_from > now
    return Row(
        "recovery_codes",
        "none" if not codes.left else "pending" if waits else "active",
        bound=moment(codes.made_at, now),
        last_used=_when(codes.last_used_at, now),
        usable_from=moment(codes.usable_from, now) if waits else None,
        left=codes.left,
    )


def _line(
    row: Any, details: dict[str, Any], person: Person, now: int, letter: Sent | None, masked: dict[str, str]
) -> Line:
    own = row.actor in {"self", person.user_id, person.canonical_id}
    told = {name: details[name] for name in _TOLD if name in details}
    delivery = None
    if letter is not None:
        delivery = Delivery(State(letter.state).shown.value, letter.reason, masked[letter.contact_id])
    return Line(
        id=row.id,
        event=row.event,
        at=row.at,
        when=moment(row.at, now),
        failed=row.outcome == "failure",
        reason=row.reason,
        actor="" if own else row.actor,
        address=row.address,
        browser=browser_name(str(details.get("browser", ""))),
        journey=str(details.get("journey", "")),
        flow=str(details.get("flow") or details.get("request") or ""),
        details=told,
        delivery=delivery,
    )


def _masked(contact: Contact | None) -> str:
    """A contact as a page may show it; empty where its address was forgotten."""
    return contact.masked if contact is not None and contact.address else ""


def _mailbox(address: str) -> str:
    return Contact("", 0, Channel.EMAIL, address, 0, None, 0, None).masked if address else ""


def _explained(cause: Cause, path: str, now: int, *, may_act: bool) -> Cause:
    """A cause as the page says it: its time as a moment, its action as a link."""
    until = cause.params.get("until")
    params = {**cause.params, "until": moment(until, now)} if isinstance(until, int) else cause.params
    return Cause(cause.name, _led(cause.remedy, path, may_act=may_act), params)


def _led(remedy: Remedy | None, path: str, *, may_act: bool) -> Remedy | None:
    """A remedy that is an action leads to its page, for those who may act."""
    if remedy is None or remedy.name not in rules.LINKS:
        return remedy
    return Remedy(remedy.name, f"{path}/{remedy.name}") if may_act else Remedy("not_yours")
