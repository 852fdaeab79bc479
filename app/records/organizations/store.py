"""Tables of organizations, their policies and memberships."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    and_,
    bindparam,
    delete,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from app.foundation.sql import Prepared, Transaction, metadata
from app.records.organizations.model import (
    STANDARD,
    Membership,
    Organization,
    Policy,
    Profile,
    Proof,
    RecoveryPolicy,
    Role,
    Telling,
    Version,
)
from app.records.organizations.rules import from_json, met, strictest, to_json

PROPOSAL_LIFE = 30 * 86_400  # seconds in which a proposed membership can be accepted
_STAFF = text("role <> 'member'")

organizations = Table(
    "organizations",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
)

memberships = Table(
    "memberships",
    metadata,
    Column("person_id", Integer, ForeignKey("people.id"), nullable=False),
    Column("organization_id", String(36), ForeignKey("organizations.id"), nullable=False),
    Column("role", String(16), nullable=False),
    Column("is_primary", Boolean, nullable=False),
    Column("proposed_at", BigInteger),
    UniqueConstraint("person_id", "organization_id", name="uq_memberships_person_organization"),
    Index("ix_memberships_organization_id_is_primary", "organization_id", "is_primary"),
    Index("ix_memberships_staff", "organization_id", sqlite_where=_STAFF, postgresql_where=_STAFF),
)

policies = Table(
    "policies",
    metadata,
    Column("organization_id", String(36), ForeignKey("organizations.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("body", Text, nullable=False),
    Column("made_at", BigInteger, nullable=False),
    Column("made_by", String(255), nullable=False),
    Column("holds_from", BigInteger, nullable=False),
)

# what the worker has yet to tell of a policy that is staged: people in the order of their rows
policy_notices = Table(
    "policy_notices",
    metadata,
    Column("organization_id", String(36), ForeignKey("organizations.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("by_sms", Boolean, nullable=False),
    Column("told_upto", Integer, nullable=False),
    Column("ended_at", BigInteger),
)


_ADD_FREE = {
    "sqlite": sqlite.insert(organizations)
    .on_conflict_do_nothing(index_elements=["name"])
    .returning(organizations.c.id),
    "postgresql": postgresql.insert(organizations)
    .on_conflict_do_nothing(index_elements=["name"])
    .returning(organizations.c.id),
}

_PROPOSED = ("person_id", "organization_id", "role", "is_primary", "proposed_at")
_IF_WANTED = select(*(bindparam(name, type_=memberships.c[name].type) for name in _PROPOSED)).where(
    bindparam("wanted", type_=Integer) == 1
)
_PROPOSE = {
    "sqlite": sqlite.insert(memberships)
    .from_select(_PROPOSED, _IF_WANTED)
    .on_conflict_do_nothing(index_elements=["person_id", "organization_id"])
    .returning(memberships.c.person_id),
    "postgresql": postgresql.insert(memberships)
    .from_select(_PROPOSED, _IF_WANTED)
    .on_conflict_do_nothing(index_elements=["person_id", "organization_id"])
    .returning(memberships.c.person_id),
}

_ADD_VERSION = {
    "sqlite": sqlite.insert(policies)
    .on_conflict_do_nothing(index_elements=["organization_id", "number"])
    .returning(policies.c.number),
    "postgresql": postgresql.insert(policies)
    .on_conflict_do_nothing(index_elements=["organization_id", "number"])
    .returning(policies.c.number),
}

_MEMBERSHIPS = Prepared(
    select(organizations, memberships.c.role, memberships.c.is_primary, memberships.c.proposed_at)
    .join_from(memberships, organizations, memberships.c.organization_id == organizations.c.id)
    .where(memberships.c.person_id == bindparam("person_id"))
    .order_by(organizations.c.name)
)
_NEWER = policies.alias("newer")
# the newest that holds: a later one replaces all before it, also one whose day has not come
_HOLDS = (
    select(func.max(_NEWER.c.number))
    .where(_NEWER.c.organization_id == policies.c.organization_id, _NEWER.c.holds_from <= bindparam("now"))
    .scalar_subquery()
)
_IN_FORCE = Prepared(
    select(policies.c.body)
    .join_from(
        memberships,
        policies,
        and_(policies.c.organization_id == memberships.c.organization_id, policies.c.number == _HOLDS),
        isouter=True,
    )
    .where(memberships.c.person_id == bindparam("person_id"), memberships.c.proposed_at.is_(None))
    .order_by(memberships.c.is_primary.desc(), memberships.c.organization_id)
)
_STANDING = Prepared(
    select(organizations, memberships.c.role, memberships.c.is_primary, memberships.c.proposed_at, policies.c.body)
    .select_from(
        memberships.join(organizations, memberships.c.organization_id == organizations.c.id).outerjoin(
            policies, and_(policies.c.organization_id == organizations.c.id, policies.c.number == _HOLDS)
        )
    )
    .where(memberships.c.person_id == bindparam("person_id"))
    .order_by(organizations.c.name)
)
_OF_ORGANIZATION = (
    select(policies)
    .where(policies.c.organization_id == bindparam("organization_id"))
    .order_by(policies.c.number.desc())
)


def find(transaction: Transaction, name: str) -> Organization | None:
    """The organization of a name."""
    row = transaction.execute(select(organizations).where(organizations.c.name == name)).first()
    return _organization(row) if row else None


def get(transaction: Transaction, organization_id: str) -> Organization | None:
    """The organization of an id."""
    row = transaction.execute(select(organizations).where(organizations.c.id == organization_id)).first()
    return _organization(row) if row else None


def add(transaction: Transaction, organization: Organization) -> None:
    """Insert an organization."""
    transaction.execute(
        insert(organizations).values(
            id=organization.id,
            name=organization.name,
            created_at=organization.created_at,
        )
    )


def add_if_free(transaction: Transaction, organization: Organization) -> bool:
    """Insert unless the name is taken; False where it was."""
    statement = _ADD_FREE[transaction.dialect.name]
    values = {"id": organization.id, "name": organization.name}
    # the row that comes back, because the driver for PostgreSQL counts no rows of an INSERT
    return transaction.execute(statement, {**values, "created_at": organization.created_at}).first() is not None


def everyone(transaction: Transaction) -> tuple[Organization, ...]:
    """All organizations by name."""
    return tuple(
        _organization(row) for row in transaction.execute(select(organizations).order_by(organizations.c.name))
    )


def join(
    transaction: Transaction,
    person_id: int,
    organization_id: str,
    role: Role,
    *,
    is_primary: bool,
    proposed_at: int | None = None,
) -> None:
    """Make a person a member; with ``proposed_at`` not before they accept it (security rule 12)."""
    transaction.execute(
        insert(memberships).values(
            person_id=person_id,
            organization_id=organization_id,
            role=role.value,
            is_primary=is_primary,
            proposed_at=proposed_at,
        )
    )


def join_many(transaction: Transaction, members: Sequence[tuple[int, str, Role]]) -> None:
    """Make people members of their first organization, which they need not accept: person, organization, role."""
    if members:
        names = ("person_id", "organization_id", "role", "is_primary")
        rows = [
            dict(zip(names, (person, organization, role.value, True), strict=True))
            for person, organization, role in members
        ]
        transaction.execute(insert(memberships), rows)


def memberships_of(transaction: Transaction, person_id: int) -> tuple[Membership, ...]:
    """A person's organizations by name, those that wait to be accepted too."""
    rows = _MEMBERSHIPS.rows(transaction, {"person_id": person_id})
    return tuple(Membership(_organization(row), Role(row.role), bool(row.is_primary), row.proposed_at) for row in rows)


def hold(transaction: Transaction, ids: Collection[str]) -> None:
    """Let nobody else hold these organizations until the transaction ends: changes of who is staff, one by one.

    Held before people are. Rows that refer to them may be written meanwhile.
    """
    held = select(organizations.c.id).where(organizations.c.id.in_(ids)).order_by(organizations.c.id)
    transaction.execute(held.with_for_update(key_share=True)).all()


def staff_of(transaction: Transaction, organization_id: str, role: Role) -> tuple[int, ...]:
    """The ids of those who hold a role of staff, in the order in which they came."""
    found = (
        select(memberships.c.person_id)
        .where(memberships.c.organization_id == organization_id, _STAFF, memberships.c.role == role.value)
        .where(memberships.c.proposed_at.is_(None))
        .order_by(memberships.c.person_id)
    )
    return tuple(int(row.person_id) for row in transaction.execute(found))


def set_role(transaction: Transaction, person_id: int, organization_id: str, old: Role, new: Role) -> bool:
    """Give a member another role; False where the old one is not what they hold."""
    held = (*_of(person_id, organization_id), memberships.c.role == old.value, memberships.c.proposed_at.is_(None))
    return transaction.execute(update(memberships).where(*held).values(role=new.value)).rowcount == 1


def propose(transaction: Transaction, person_id: int, organization_id: str, now: int, *, wanted: bool = True) -> bool:
    """Propose somebody a membership. False where they have one, or where an earlier proposal still waits.

    Not wanted: propose nothing, at the same cost (security rule 14).
    """
    where = (*_of(person_id, organization_id), memberships.c.proposed_at <= now - PROPOSAL_LIFE)
    transaction.execute(delete(memberships).where(*where))
    values = {"person_id": person_id, "organization_id": organization_id, "role": Role.MEMBER.value}
    proposed = {**values, "is_primary": False, "proposed_at": now, "wanted": int(wanted)}
    return transaction.execute(_PROPOSE[transaction.dialect.name], proposed).first() is not None


def accept(transaction: Transaction, person_id: int, organization_id: str, now: int) -> bool:
    """A proposed membership begins; False where none waits, or not any more."""
    accepted = update(memberships).where(*_waiting(person_id, organization_id, now)).values(proposed_at=None)
    return transaction.execute(accepted).rowcount == 1


def decline(transaction: Transaction, person_id: int, organization_id: str, now: int) -> bool:
    """A proposed membership is gone; False where none waits."""
    return transaction.execute(delete(memberships).where(*_waiting(person_id, organization_id, now))).rowcount == 1


def leave(transaction: Transaction, person_id: int, organization_id: str) -> bool:
    """End a membership; False where there is none, or it is that of the home organization."""
    where = (*_of(person_id, organization_id), memberships.c.is_primary.is_(False))
    accepted = memberships.c.proposed_at.is_(None)
    return transaction.execute(delete(memberships).where(*where, accepted)).rowcount == 1


def _of(person_id: int, organization_id: str) -> tuple[Any, ...]:
    return (memberships.c.person_id == person_id, memberships.c.organization_id == organization_id)


def _waiting(person_id: int, organization_id: str, now: int) -> tuple[Any, ...]:
    return (*_of(person_id, organization_id), memberships.c.proposed_at > now - PROPOSAL_LIFE)


def policies_in_force(transaction: Transaction, now: int) -> dict[str, Policy]:
    """What each organization that ever decided something has decided at a moment, by its id."""
    held = select(policies.c.organization_id, policies.c.body).where(policies.c.number == _HOLDS)
    return {str(row.organization_id): from_json(row.body) for row in transaction.execute(held, {"now": now})}


def any_of(transaction: Transaction, profile: Profile, now: int) -> bool:
    """Whether any organization has chosen a profile at a moment. None has to be named or read for it."""
    # in the one spelling of ``to_json``: a text of somebody's own would have its quotes escaped
    chosen = policies.c.body.contains(f'"profile":"{profile.value}"', autoescape=True)
    found = select(policies.c.organization_id).where(policies.c.number == _HOLDS, chosen).limit(1)
    return transaction.execute(found, {"now": now}).first() is not None


def standing_of(transaction: Transaction, person_id: int, now: int) -> tuple[tuple[Membership, ...], Policy]:
    """``memberships_of`` and ``policy_of_person`` by one read, which every page of somebody signed in needs."""
    rows = _STANDING.rows(transaction, {"person_id": person_id, "now": now})
    holding = sorted((row for row in rows if row.proposed_at is None), key=lambda row: (not row.is_primary, row.id))
    joined = tuple(
        Membership(_organization(row), Role(row.role), bool(row.is_primary), row.proposed_at) for row in rows
    )
    return joined, strictest(tuple(from_json(row.body) if row.body else STANDARD for row in holding))


def policy_of_person(transaction: Transaction, person_id: int, now: int) -> Policy:
    """What somebody meets at a moment: the strictest of the policies of their organizations."""
    return strictest(policies_of_person(transaction, person_id, now))


def recovery_of_person(transaction: Transaction, person_id: int, having: Collection[Proof], now: int) -> RecoveryPolicy:
    """What a recovery of somebody takes at a moment who has these proofs then."""
    return met(policies_of_person(transaction, person_id, now), having)


def policies_of_person(transaction: Transaction, person_id: int, now: int) -> tuple[Policy, ...]:
    """The policies of somebody's organizations at a moment, the home organization's first."""
    rows = _IN_FORCE.rows(transaction, {"person_id": person_id, "now": now})
    return tuple(from_json(row.body) if row.body else STANDARD for row in rows)


def versions(transaction: Transaction, organization_id: str) -> tuple[Version, ...]:
    """All that an organization ever decided, newest first."""
    rows = transaction.execute(_OF_ORGANIZATION, {"organization_id": organization_id})
    return tuple(_version(row) for row in rows)


def policy_of(transaction: Transaction, organization_id: str, now: int) -> Policy:
    """What an organization has decided at a moment."""
    held = (version for version in versions(transaction, organization_id) if version.holds_from <= now)
    newest = next(held, None)
    return newest.policy if newest else STANDARD


def add_version(transaction: Transaction, version: Version) -> bool:
    """Add what an organization decided; False where somebody else added that number meanwhile."""
    values = {
        "organization_id": version.organization_id,
        "number": version.number,
        "body": to_json(version.policy),
        "made_at": version.made_at,
        "made_by": version.made_by,
        "holds_from": version.holds_from,
    }
    return transaction.execute(_ADD_VERSION[transaction.dialect.name], values).first() is not None


def tell_of(transaction: Transaction, version: Version, *, by_sms: bool) -> None:
    """Note that people have to be told of a staged version; ``by_sms``: those without e-mail by SMS."""
    row = {"organization_id": version.organization_id, "number": version.number, "by_sms": by_sms, "told_upto": 0}
    transaction.execute(insert(policy_notices).values(row))


def to_tell(transaction: Transaction) -> tuple[Telling, ...]:
    """What people have yet to be told of."""
    found = select(policy_notices).where(policy_notices.c.ended_at.is_(None)).order_by(policy_notices.c.organization_id)
    return tuple(
        Telling(row.organization_id, row.number, bool(row.by_sms), row.told_upto) for row in transaction.execute(found)
    )


def told(transaction: Transaction, telling: Telling, upto: int, ended_at: int | None = None) -> bool:
    """Move on to a person's row, and end it where ``ended_at`` is given; False where somebody else did meanwhile."""
    where = (
        policy_notices.c.organization_id == telling.organization_id,
        policy_notices.c.number == telling.number,
        policy_notices.c.told_upto == telling.told_upto,
        policy_notices.c.ended_at.is_(None),
    )
    moved = update(policy_notices).where(*where).values(told_upto=upto, ended_at=ended_at)
    return transaction.execute(moved).rowcount == 1


def _version(row: Any) -> Version:
    return Version(row.organization_id, row.number, from_json(row.body), row.made_at, row.made_by, row.holds_from)


def _organization(row: Any) -> Organization:
    return Organization(id=row.id, name=row.name, created_at=row.created_at)
