"""Looking at a token: one statement, by two keys, because relying programs ask all the time."""

from typing import Any

from sqlalchemy import and_, bindparam, select

from app.foundation.sql import Prepared, Transaction
from app.records.clients.store import api_clients
from app.records.organizations.store import memberships, organizations
from app.records.people.model import Status
from app.records.people.store import people
from app.records.sessions.store import api_tokens

_LOOK = Prepared(
    select(
        api_clients.c.id.label("client_id"),
        api_clients.c.secret,
        api_clients.c.former,
        api_clients.c.former_until,
        api_clients.c.organization_id,
        api_tokens.c.id.label("token_id"),
        api_tokens.c.issued_at,
        api_tokens.c.expires_at,
        people.c.id.label("person_id"),
        people.c.user_id,
        people.c.first_name,
        people.c.last_name,
        memberships.c.is_primary,
        organizations.c.name.label("organization_name"),
        organizations.c.created_at.label("organization_created_at"),
    )
    .select_from(api_clients)
    .join(organizations, organizations.c.id == api_clients.c.organization_id)
    .outerjoin(api_tokens, and_(api_tokens.c.id == bindparam("token_id"), api_tokens.c.expires_at > bindparam("now")))
    .outerjoin(
        people,
        and_(
            people.c.id == api_tokens.c.person_id,
            people.c.stamp == api_tokens.c.stamp,
            people.c.status == bindparam("active"),
        ),
    )
    .outerjoin(
        memberships,
        and_(
            memberships.c.person_id == people.c.id,
            memberships.c.organization_id == api_clients.c.organization_id,
            memberships.c.proposed_at.is_(None),
        ),
    )
    .where(api_clients.c.id == bindparam("client_id"), api_clients.c.revoked_at.is_(None))
)


def look(transaction: Transaction, client_id: str, token_id: str, now: int) -> Any:
    """A client in use, and the token beside it where it is good; None where there is no such client.

    ``is_primary`` None: the token is none, or its person is in no organization of the client's.
    """
    values = {"client_id": client_id, "token_id": token_id, "now": now, "active": Status.ACTIVE.value}
    return _LOOK.first(transaction, values)
