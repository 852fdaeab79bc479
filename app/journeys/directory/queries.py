"""Who is on a list of an organization: read-only SQL, which costs at most as much as there are people in it."""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    RowMapping,
    String,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    not_,
    null,
    or_,
    select,
)
from sqlalchemy import true as everyone

from app.factors.password.model import OPENED
from app.factors.password.store import passwords
from app.factors.recovery_code.store import codes, sets
from app.factors.totp.model import AppState
from app.factors.totp.store import apps
from app.foundation.sql import Transaction
from app.journeys.directory.model import Found, Listed, Look
from app.records.attempts.model import Factor
from app.records.attempts.store import attempts
from app.records.audit.model import Event
from app.records.audit.store import events
from app.records.organizations import store as organizations
from app.records.organizations.model import Policy, Proof, Role
from app.records.organizations.store import memberships
from app.records.people.model import Channel, Status
from app.records.people.store import END, by_code_points, contacts, people

DAY = 86_400
_SMALL = 2_000  # so few members are looked up one by one; of more, the User IDs are walked through in their order
_THEIRS = memberships.c.person_id == people.c.id
_COLUMNS = (
    people.c.id,
    people.c.user_id,
    people.c.canonical_id,
    people.c.first_name,
    people.c.last_name,
    people.c.status,
    people.c.created_at,
)


def page(looking: Transaction, look: Look, now: int, after: str, most: int) -> tuple[Found, ...]:
    """So many people of a list in the order of their User IDs, behind one of them.

    Of ``Listed.LOCKED`` everybody who may be on it: the counters are judged by whoever counts, not here.
    """
    condition, extra = _condition(looking, look, now)
    own = (_THEIRS, memberships.c.organization_id == look.organization.id, memberships.c.proposed_at.is_(None))
    # asked of each person and not joined, so that no planner reads and sorts all members for a page of them
    role = select(memberships.c.role).where(*own).correlate(people).scalar_subquery().label("role")
    found = (
        select(*_COLUMNS, role, *extra)
        .where(exists().where(*own).correlate(people))
        .where(condition, *_begins(looking, look.prefix, after))
        .order_by(by_code_points(looking))
        .limit(most)
    )
    if few := _few(looking, look.organization.id):
        found = found.where(people.c.id.in_(few))
    return tuple(_found(row) for row in looking.execute(found).mappings())


def pages(looking: Transaction, look: Look, now: int, size: int) -> Iterator[tuple[Found, ...]]:
    """All of a list, so many at a time."""
    after = ""
    while rows := page(looking, look, now, after, size):
        yield rows
        after = rows[-1].canonical_id


def count(looking: Transaction, look: Look, now: int) -> int:
    """How many people ``pages`` would find."""
    condition, _ = _condition(looking, look, now)
    counted = (
        select(func.count())
        .select_from(memberships)
        .join(people, _THEIRS)
        .where(memberships.c.organization_id == look.organization.id, memberships.c.proposed_at.is_(None))
        .where(condition, *_begins(looking, look.prefix))
    )
    return int(looking.execute(counted).scalar_one())


def _few(looking: Transaction, organization_id: str) -> list[int]:
    """The members of a small organization, which a walk through everybody's User IDs would take long to meet."""
    found = select(memberships.c.person_id).where(memberships.c.organization_id == organization_id).limit(_SMALL + 1)
    ids = [int(row[0]) for row in looking.execute(found)]
    return ids if len(ids) <= _SMALL else []


def _begins(looking: Transaction, prefix: str, after: str = "") -> tuple[ColumnElement[bool], ...]:
    """A walk through User IDs that begins with a prefix or behind one of them: at one place, or it begins too early."""
    walk = by_code_points(looking)
    first = (walk >= prefix) if after < prefix else (walk > after)
    return (first, walk < prefix + END) if prefix else (first,)


def _condition(looking: Transaction, look: Look, now: int) -> tuple[ColumnElement[bool], list[Any]]:
    """What makes somebody stand on a list, and the columns that say why."""
    active = people.c.status == Status.ACTIVE.value
    match look.listed:
        case Listed.LOCKED:
            shut = _shut(now)
            locked = or_(people.c.status == Status.FROZEN.value, and_(active, or_(_failed(), shut)))
            return locked, [case((and_(active, shut), 1), else_=0).label("lapsed")]
        case Listed.NEVER_ACTIVATED:
            return and_(active, not_(_in_use())), []
        case Listed.EXPIRING:
            expires = _expires(organizations.policies_in_force(looking, now))
            return and_(active, expires <= now + look.days * DAY), [expires.label("expires_at")]
        case Listed.IDLE:
            return _idle(active, now - look.days * DAY)
        case Listed.STRANDED:
            steps = _proofs(organizations.policies_in_force(looking, now), now)
            # what they have in common is asked first; the home organization's is what holds where that is nothing
            ways = [or_(common, at_home) for common, at_home in steps]
            first, second = (case((way, 0), else_=1) for way in ways)
            flagged = or_(*(and_(not_(common), at_home) for common, at_home in steps))
            columns = [first.label("no_first"), second.label("no_second"), case((flagged, 1), else_=0).label("by_home")]
            return and_(active, _in_use(), or_(not_(and_(*ways)), flagged)), columns
        case _:
            return everyone(), []


def _failed() -> ColumnElement[bool]:
    tried = [factor.value for factor in (Factor.PASSWORD, Factor.APP, Factor.PIN)]
    return exists().where(
        attempts.c.subject == cast(people.c.id, String), attempts.c.factor.in_(tried), attempts.c.history != "{}"
    )


def _shut(now: int) -> ColumnElement[bool]:
    """Whether a temporary password that was not used in its time locks."""
    over = (passwords.c.good_until > OPENED, passwords.c.good_until <= now)
    return exists().where(passwords.c.person_id == people.c.id, *over)


def _in_use() -> ColumnElement[bool]:
    """An app, or a password that nobody else has seen; what an invitation would not touch (steps/invite.py)."""
    bound = exists().where(apps.c.person_id == people.c.id, apps.c.state != AppState.REMOVED.value)
    own = or_(passwords.c.must_change.is_(False), passwords.c.good_until.is_not(None))
    return or_(bound, exists().where(passwords.c.person_id == people.c.id, own))


def _in(these: list[str]) -> ColumnElement[bool]:
    """Whether somebody is in one of several organizations."""
    other = memberships.alias("other")
    held = (other.c.person_id == people.c.id, other.c.proposed_at.is_(None), other.c.organization_id.in_(these))
    return exists().where(*held).correlate(people)


def _expires(in_force: Mapping[str, Policy]) -> ColumnElement[int]:
    """When a password has to be changed, by the strictest policy of its person; NULL where never."""
    ages: dict[int, list[str]] = {}
    for organization_id, policy in in_force.items():
        if policy.password.max_age_days:
            ages.setdefault(policy.password.max_age_days, []).append(organization_id)
    if not ages:
        return cast(null(), BigInteger)
    # the shortest that applies stands first
    age = case(*((_in(those), literal(days)) for days, those in sorted(ages.items())))
    own = (passwords.c.person_id == people.c.id, passwords.c.must_change.is_(False))
    return select(passwords.c.changed_at + age * DAY).where(*own).correlate(people).scalar_subquery()


def _idle(active: ColumnElement[bool], since: int) -> tuple[ColumnElement[bool], list[Any]]:
    own = (events.c.person_id == people.c.id, events.c.event == Event.SIGN_IN_OK.value)
    last = select(func.max(events.c.at)).where(*own).correlate(people).scalar_subquery()
    lately = exists().where(*own, events.c.at > since)
    return and_(active, people.c.created_at <= since, not_(lately)), [last.label("signed_in_at")]


_Step = tuple[ColumnElement[bool], ColumnElement[bool]]


def _proofs(in_force: Mapping[str, Policy], now: int) -> tuple[_Step, _Step]:
    """Of the first and the second proof of a recovery: whether somebody has one that all their organizations take, and
    whether they have one that their home organization takes."""
    own = (apps.c.person_id == people.c.id, apps.c.state == AppState.ACTIVE.value, apps.c.usable_from <= now)
    unused = exists().where(codes.c.set_id == sets.c.id, codes.c.used_at.is_(None)).correlate(sets)
    living = (sets.c.person_id == people.c.id, sets.c.voided_at.is_(None), sets.c.usable_from <= now)
    having = {
        Proof.APP: exists().where(*own),
        Proof.RECOVERY_CODE: exists(select(sets.c.id).where(*living, unused).correlate(people)),
        Proof.SMS: _reached(Channel.SMS, now),
        Proof.EMAIL: _reached(Channel.EMAIL, now),
    }
    firsts = {one: [key for key, policy in in_force.items() if one not in policy.recovery.first] for one in _FIRSTS}
    seconds = {one: [key for key, policy in in_force.items() if one not in policy.recovery.second] for one in _SECONDS}
    return _taken(firsts, having), _taken(seconds, having)


_FIRSTS = (Proof.APP, Proof.RECOVERY_CODE, Proof.ACCESS_CODE)
_SECONDS = (Proof.SMS, Proof.EMAIL)


def _taken(against: Mapping[Proof, list[str]], having: Mapping[Proof, Any]) -> _Step:
    """``_proofs`` of one step. Where what all take is nothing that somebody has, the home organization's holds
    (security rule 12).

    ``against`` names the organizations that do not take a proof. A temporary access code is nothing that anybody has.
    """
    common = [
        and_(having[proof], not_(_in(those)) if those else everyone())
        for proof, those in against.items()
        if proof in having
    ]
    at_home = [
        and_(having[proof], people.c.home_organization.not_in(those) if those else everyone())
        for proof, those in against.items()
        if proof in having
    ]
    return or_(*common), or_(*at_home)


def _reached(channel: Channel, now: int) -> ColumnElement[bool]:
    return exists().where(
        contacts.c.person_id == people.c.id,
        contacts.c.channel == channel.value,
        contacts.c.removed_at.is_(None),
        contacts.c.confirmed_at.is_not(None),
        contacts.c.usable_from <= now,
    )


def _found(row: RowMapping) -> Found:
    return Found(
        person_id=int(row["id"]),
        user_id=row["user_id"],
        canonical_id=row["canonical_id"],
        first_name=row["first_name"],
        last_name=row["last_name"],
        status=Status(row["status"]),
        role=Role(row["role"]),
        created_at=int(row["created_at"]),
        expires_at=row.get("expires_at"),
        signed_in_at=row.get("signed_in_at"),
        no_first=bool(row.get("no_first")),
        no_second=bool(row.get("no_second")),
        locked=("temporary",) if row.get("lapsed") else (),
        by_home=bool(row.get("by_home")),
    )
