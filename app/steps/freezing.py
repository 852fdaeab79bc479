"""Freezing an account: everything that lets somebody in ends at once, and nothing changes until it is decided."""

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
    ended = sessions.end_all(transaction, dispute.person_id)
    lanes.revoke(transaction, dispute.person_id, dispute.opened_at)
    grants.revoke_others(transaction, dispute.person_id, dispute.opened_at)
    cases.end_requests(transaction, dispute.person_id, RequestState.CANCELLED, dispute.opened_at)
    cases.add(transaction, dispute)
    return ended
