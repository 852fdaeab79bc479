"""Tables of organizations and memberships."""

from collections.abc import Sequence
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
    UniqueConstraint,
    bindparam,
    insert,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from app.foundation.sql import Prepared, Transaction, metadata
from app.records.organizations.model import Organization, Profile, Role

organizations = Table(
    "organizations",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("profile", String(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

memberships = Table(
    "memberships",
    metadata,
    Column("person_id", Integer, ForeignKey("people.id"), nullable=False),
    Column("organization_id", String(36), ForeignKey("organizations.id"), nullable=False),
    Column("role", String(16), nullable=False),
    Column("is_primary", Boolean, nullable=False),
    UniqueConstraint("person_id", "organization_id", name="uq_memberships_person_organization"),
    Index("ix_memberships_organization_id", "organization_id"),
)


_ADD_FREE = {
    "sqlite": sqlite.insert(organizations)
    .on_conflict_do_nothing(index_elements=["name"])
    .returning(organizations.c.id),
    "postgresql": postgresql.insert(organizations)
    .on_conflict_do_nothing(index_elements=["name"])
    .returning(organizations.c.id),
}


_MEMBERSHIPS = Prepared(
    select(organizations, memberships.c.role, memberships.c.is_primary)
    .join_from(memberships, organizations, memberships.c.organization_id == organizations.c.id)
    .where(memberships.c.person_id == bindparam("person_id"))
    .order_by(organizations.c.name)
)


def find(transaction: Transaction, name: str) -> Organization | None:
    """The organization of a name."""
    row = transaction.execute(select(organizations).where(organizations.c.name == name)).first()
    return _organization(row) if row else None


def add(transaction: Transaction, organization: Organization) -> None:
    """Insert an organization."""
    transaction.execute(
        insert(organizations).values(
            id=organization.id,
            name=organization.name,
            profile=organization.profile.value,
            created_at=organization.created_at,
        )
    )


def add_if_free(transaction: Transaction, organization: Organization) -> bool:
    """Insert unless the name is taken; False where it was."""
    statement = _ADD_FREE[transaction.dialect.name]
    values = {"id": organization.id, "name": organization.name, "profile": organization.profile.value}
    # the row that comes back, because the driver for PostgreSQL counts no rows of an INSERT
    return transaction.execute(statement, {**values, "created_at": organization.created_at}).first() is not None


def everyone(transaction: Transaction) -> tuple[Organization, ...]:
    """All organizations by name."""
    return tuple(
        _organization(row) for row in transaction.execute(select(organizations).order_by(organizations.c.name))
    )


def join(transaction: Transaction, person_id: int, organization_id: str, role: Role, *, is_primary: bool) -> None:
    """Make a person a member."""
    transaction.execute(
        insert(memberships).values(
            person_id=person_id, organization_id=organization_id, role=role.value, is_primary=is_primary
        )
    )


def join_many(transaction: Transaction, members: Sequence[tuple[int, str, Role]]) -> None:
    """Make people members of their first organization: person, organization, role."""
    if members:
        names = ("person_id", "organization_id", "role", "is_primary")
        rows = [
            dict(zip(names, (person, organization, role.value, True), strict=True))
            for person, organization, role in members
        ]
        transaction.execute(insert(memberships), rows)


def memberships_of(transaction: Transaction, person_id: int) -> tuple[tuple[Organization, Role, bool], ...]:
    """A person's organizations with role and primary flag."""
    rows = _MEMBERSHIPS.rows(transaction, {"person_id": person_id})
    return tuple((_organization(row), Role(row.role), bool(row.is_primary)) for row in rows)


def _organization(row: Any) -> Organization:
    return Organization(id=row.id, name=row.name, profile=Profile(row.profile), created_at=row.created_at)
