"""Shutting an account: everything that lets somebody in ends at once. Frozen, nothing changes until it is decided."""

from app.foundation.sql import Transaction
from app.records.cases import store as cases
from app.records.cases.model import Dispute, RequestState
from app.records.flows import store as grants
from app.records.lanes import store as lanes
from app.records.people import store as people
from app.records.sessions import store as sessions


def freeze(transaction: Transaction, dispute: Dispute, stamp: str) -> int | None:
    """Freeze somebody active for a dispute; ``stamp`` is their new one. How many sessions ended; None: not active."""
    if not people.freeze(transaction, dispute.person_id, stamp):
        return None
    ended = _end(transaction, dispute.person_id, dispute.opened_at)
    cases.add(transaction, dispute)
    return ended


def deactivate(transaction: Transaction, person_id: int, stamp: str, now: int) -> int | None:
    """Shut somebody active out, until somebody lets them in again. How many sessions ended; None: not active."""
    if not people.deactivate(transaction, person_id, stamp):
        return None
    return _end(transaction, person_id, now)


def _end(transaction: Transaction, person_id: int, now: int) -> int:
    ended = sessions.end_all(transaction, person_id)
    lanes.revoke(transaction, person_id, now)
    grants.revoke_others(transaction, person_id, now)
    cases.end_requests(transaction, person_id, RequestState.CANCELLED, now)
    return ended
