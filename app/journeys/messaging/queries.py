"""How the messages of some organizations ended lately: read-only SQL, by an index of organizations and times."""

from collections.abc import Collection

from sqlalchemy import select

from app.foundation.sql import Transaction
from app.journeys.messaging.model import Last
from app.records.delivery.model import Channel, State
from app.records.delivery.store import outbox

_LATELY = 30 * 86_400  # seconds
# what says nothing of the channel: replaced by a newer one, or for nobody
_SILENT = ("withdrawn", "contact_removed", "person_inactive", "no_contact")


def last(
    looking: Transaction, organizations: Collection[str], channel: Channel, states: Collection[State], now: int
) -> Last | None:
    """The newest message of a channel in one of these states; None where there is none in a month."""
    found = (
        select(outbox.c.updated_at, outbox.c.reason)
        .where(
            outbox.c.organization_id.in_(organizations),
            outbox.c.created_at > now - _LATELY,
            outbox.c.channel == channel.value,
            outbox.c.state.in_([one.value for one in states]),
            outbox.c.reason.not_in(_SILENT),
        )
        .order_by(outbox.c.created_at.desc())
        .limit(1)
    )
    row = looking.execute(found).first()
    return Last(int(row.updated_at), str(row.reason)) if row else None
