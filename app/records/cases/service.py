"""Links to dispute a change with: made with the change, and told in its notices alone."""

from app.foundation.chance import Chance
from app.foundation.secretbox import fingerprint
from app.foundation.sql import Transaction
from app.records.cases import store
from app.records.cases.model import LINK_LIFE, Kind, UndoLink

PATH = "/undo"


class UndoLinks:
    """Makes the links."""

    def __init__(self, *, chance: Chance, public_url: str) -> None:
        self._chance = chance
        self._url = public_url.rstrip("/") + PATH

    def issue(
        self, transaction: Transaction, person_id: int, kind: Kind, now: int, *, changed_at: int | None = None
    ) -> str:
        """The address for the notices of one change, good once and for seven days.

        It goes into sealed messages and nowhere else. ``changed_at`` where the change was earlier than now.
        """
        token = self._chance.token()
        since = now if changed_at is None else changed_at
        store.add_link(transaction, UndoLink(fingerprint(token), person_id, kind, since, now + LINK_LIFE))
        return f"{self._url}/{token}"
