"""A new set of saved codes: made, shown once for a while, and then nowhere any more."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

from app.factors.recovery_code import rules
from app.factors.recovery_code.model import Standing
from app.factors.recovery_code.service import WAITING, RecoveryCodes
from app.foundation.clock import Clock
from app.foundation.ephemeral import Ephemeral
from app.foundation.secretbox import Keyring, Unreadable
from app.foundation.sql import Database, Transaction
from app.foundation.visit import Visit
from app.records.attempts.model import Door
from app.records.attempts.service import Tries
from app.records.audit.model import Event
from app.records.people.model import Person
from app.steps.change import Changes

SHOWN = 600  # seconds that a new set can be read, by whoever made it
_PURPOSE = "recovery-codes-shown"


class CodeSets:
    """Makes sets for every journey. ``reader`` names the one session or flow that may read a new set."""

    def __init__(
        self,
        *,
        database: Database,
        codes: RecoveryCodes,
        changes: Changes,
        tries: Tries,
        ephemeral: Ephemeral,
        keyring: Keyring,
        clock: Clock,
    ) -> None:
        self._database = database
        self._codes = codes
        self._changes = changes
        self._tries = tries
        self._ephemeral = ephemeral
        self._keyring = keyring
        self._clock = clock

    def make(
        self,
        visit: Visit,
        person: Person,
        reader: str,
        hold: Callable[[Transaction], object],
        *,
        first: bool = False,
        stolen: bool = False,
    ) -> None:
        """Make a set for somebody, tell every contact, and keep it to be shown.

        Counted, before anything is hashed, as messages to one destination are, because every contact is told of it
        (requirements M-10). ``hold`` runs in the transaction before anything is written, and refuses by raising: ten
        slow hashes take a while, and a recovery or a freezing may come in between. Raises Throttled, Unavailable,
        StoreAway. ``first``: at activation there is no waiting time. ``stolen``: the earlier set serves nothing more.
        """
        with self._database.begin() as transaction:
            self._tries.spend_send(transaction, f"codes of {person.id}", Door.SIGN_IN)
        new = self._codes.draw()
        now = self._clock.now()
        with self._database.begin() as transaction:
            hold(transaction)
            made = self._codes.bind(
                transaction,
                person_id=person.id,
                new=new,
                now=now,
                usable_from=now if first else now + WAITING,
                replaced_serve=not stolen,
            )
            self._changes.announce(
                transaction,
                visit=visit,
                person=person,
                event=Event.CODES_MADE,
                template="notice_codes_made",
                variables={},
                now=now,
                details={"set": made.id, "stolen": stolen},
            )
            # before the set counts: one that nobody can read would void the old one for nothing
            plain = json.dumps({"codes": new.codes, "until": now + SHOWN}).encode()
            place = _place(reader, made.id)
            self._ephemeral.put(place, self._keyring.seal(_PURPOSE, plain, place).encode(), SHOWN)

    def standing(self, transaction: Transaction, person: Person) -> Standing | None:
        """The living set, None where there is none."""
        return self._codes.standing(transaction, person.id)

    def shown(self, reader: str, standing: Standing | None) -> tuple[str, ...]:
        """The codes of the living set in groups of four, where this reader may still read them."""
        if standing is None:
            return ()
        place = _place(reader, standing.set_id)
        sealed = self._ephemeral.get(place)
        if sealed is None:
            return ()
        try:
            kept = json.loads(self._keyring.open(_PURPOSE, sealed.decode(), place))
        except Unreadable:
            return ()
        return tuple(map(rules.shown, kept["codes"])) if self._clock.now() < kept["until"] else ()

    def hide(self, reader: str, standing: Standing) -> None:
        """Show them no more."""
        self._ephemeral.drop(_place(reader, standing.set_id))


def on_paper(seconds: int) -> str:
    """A moment as it is printed: paper has no time zone of its own."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def _place(reader: str, set_id: str) -> str:
    return f"codes-shown:{reader}:{set_id}"
