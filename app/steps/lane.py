"""Which door a try comes through: the owner's lane, or the one that strangers use (security rule 1)."""

from app.foundation.secretbox import fingerprint
from app.foundation.sql import Transaction
from app.foundation.visit import Visit
from app.records.attempts.model import Door
from app.records.flows.model import Flow
from app.records.lanes import store as lanes

LANE = "lane"  # the note of a flow that a mailed link opened


def door_of(transaction: Transaction, visit: Visit, flow: Flow, at: Door, now: int) -> Door:
    """The door of a flow's tries. One look-up, whoever is asked for and whatever cookie was sent."""
    known = lanes.is_known(transaction, fingerprint(visit.known_browser), flow.person_id or 0, now)
    return Door.LANE if known or flow.notes.get(LANE) else at
