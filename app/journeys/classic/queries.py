"""How somebody stands, by one statement that gives one row whoever is asked for (security rule 14)."""

from collections.abc import Sequence

from sqlalchemy import BindParameter, and_, bindparam, exists, or_, select

from app.factors.password.model import OPENED
from app.factors.password.store import passwords
from app.factors.recovery_code.store import codes, sets
from app.factors.security_question.store import answers
from app.factors.totp.model import AppState
from app.factors.totp.store import apps
from app.foundation.sql import Prepared, Transaction
from app.journeys.classic.model import Facts
from app.records.organizations.model import Policy, Profile, Proof
from app.records.organizations.rules import met, strictest
from app.records.people.model import Channel, Person
from app.records.people.store import contacts
from app.steps.presence import held_back

_PERSON: BindParameter[int] = bindparam("of_person")
_NOW: BindParameter[int] = bindparam("now")
_bound = and_(apps.c.person_id == _PERSON, apps.c.state != AppState.REMOVED.value)
_counts = and_(apps.c.person_id == _PERSON, apps.c.state == AppState.ACTIVE.value, apps.c.usable_from <= _NOW)
_serving = and_(
    sets.c.person_id == _PERSON,
    sets.c.usable_from <= _NOW,
    or_(sets.c.serves_until.is_(None), sets.c.serves_until > _NOW),
)
_unused = exists().where(codes.c.set_id == sets.c.id, codes.c.used_at.is_(None)).correlate(sets)
_phone = and_(
    contacts.c.person_id == _PERSON,
    contacts.c.channel == Channel.SMS.value,
    contacts.c.removed_at.is_(None),
    contacts.c.confirmed_at.is_not(None),
    contacts.c.usable_from <= _NOW,
)
_own = passwords.c.person_id == _PERSON
_STANDING = Prepared(
    select(
        exists().where(_bound).label("bound"),
        exists().where(_counts).label("counts"),
        exists().where(_serving, _unused).label("code"),
        exists().where(_phone).label("phone"),
        exists().where(answers.c.person_id == _PERSON, answers.c.usable_from <= _NOW).label("answer"),
        exists().where(_own).label("password"),
        exists().where(_own, passwords.c.good_until > OPENED, passwords.c.good_until <= _NOW).label("shut"),
    )
)


def facts(looking: Transaction, person: Person | None, policies: Sequence[Policy], now: int) -> Facts:
    """How somebody with a usable mailbox stands, under the policies of their organizations; nobody has nothing."""
    row = _STANDING.first(looking, {"of_person": person.id if person else 0, "now": now})
    # for a day after a recovery sign-in takes neither a PIN nor an answer (security rule 6)
    recovered = person is not None and held_back(person, now) > 0
    held = {Proof.APP: row.counts, Proof.RECOVERY_CODE: row.code, Proof.SMS: row.phone, Proof.EMAIL: True}
    having = {proof for proof, there in held.items() if there}
    taken = met(policies, having)
    return Facts(
        classic=strictest(policies).profile is Profile.CLASSIC,
        password=bool(row.password),
        lapsed=bool(row.shut),
        app=bool(row.bound),
        phone=bool(row.phone) and not recovered,
        code=bool(row.code),
        answer=bool(row.answer) and not recovered,
        recovers=not having.isdisjoint(taken.first) and not having.isdisjoint(taken.second),
    )
