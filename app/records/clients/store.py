"""The table of API clients."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, Index, String, Table, bindparam, insert, select, update

from app.foundation.sql import Prepared, Transaction, metadata
from app.records.clients.model import NAME_MAX, ApiClient

api_clients = Table(
    "api_clients",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("organization_id", String(36), ForeignKey("organizations.id"), nullable=False),
    Column("name", String(NAME_MAX), nullable=False),
    Column("secret", String(64), nullable=False),
    Column("former", String(64), nullable=False),
    Column("former_until", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", String(255), nullable=False),
    Column("rotated_at", BigInteger),
    Column("revoked_at", BigInteger),
    Index("ix_api_clients_organization_id", "organization_id"),
)

_FIND = Prepared(select(api_clients).where(api_clients.c.id == bindparam("client_id")))


def add(transaction: Transaction, client: ApiClient) -> None:
    """Insert a client."""
    transaction.execute(
        insert(api_clients).values(
            id=client.id,
            organization_id=client.organization_id,
            name=client.name,
            secret=client.secret,
            former="",
            former_until=0,
            created_at=client.created_at,
            created_by=client.created_by,
        )
    )


def find(transaction: Transaction, client_id: str) -> ApiClient | None:
    """A client, also one that was revoked."""
    # PostgreSQL takes no text with a NUL, which an address can carry
    row = None if "\0" in client_id else _FIND.first(transaction, {"client_id": client_id})
    return _client(row) if row else None


def of(transaction: Transaction, organizations: Collection[str] | None = None) -> tuple[ApiClient, ...]:
    """The clients of some organizations, or all; those in use first, then by name."""
    found = select(api_clients).order_by(api_clients.c.revoked_at.is_not(None), api_clients.c.name, api_clients.c.id)
    if organizations is not None:
        found = found.where(api_clients.c.organization_id.in_(organizations))
    return tuple(_client(row) for row in transaction.execute(found))


def rotate(transaction: Transaction, client: ApiClient, secret: str, former_until: int, now: int) -> bool:
    """Give a client a new secret. False where it was rotated or revoked since it was read."""
    where = (
        api_clients.c.id == client.id,
        api_clients.c.secret == client.secret,
        api_clients.c.revoked_at.is_(None),
    )
    values = {"secret": secret, "former": client.secret, "former_until": former_until, "rotated_at": now}
    return transaction.execute(update(api_clients).where(*where).values(values)).rowcount == 1


def revoke(transaction: Transaction, client_id: str, now: int) -> bool:
    """End a client for good. False where it had ended."""
    where = (api_clients.c.id == client_id, api_clients.c.revoked_at.is_(None))
    return transaction.execute(update(api_clients).where(*where).values(revoked_at=now)).rowcount == 1


def _client(row: Any) -> ApiClient:
    return ApiClient(
        id=row.id,
        organization_id=row.organization_id,
        name=row.name,
        secret=row.secret,
        created_at=row.created_at,
        created_by=row.created_by,
        former=row.former,
        former_until=row.former_until,
        rotated_at=row.rotated_at,
        revoked_at=row.revoked_at,
    )
