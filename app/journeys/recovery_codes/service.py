"""The recovery codes of somebody signed in: how many are left, ten new ones, shown once."""

from app.foundation.refusals import Code, OutOfOrder
from app.foundation.sql import Database, Transaction
from app.foundation.visit import Visit
from app.journeys.recovery_codes.model import CodesPage
from app.records.attempts.service import AddressLimits
from app.steps.code_set import CodeSets, on_paper
from app.steps.presence import Presence, Present, held_back

PAGE = "/authenticators/recovery-codes"


class OwnCodes:
    """What the page does."""

    def __init__(self, *, database: Database, code_sets: CodeSets, limits: AddressLimits, presence: Presence) -> None:
        self._database = database
        self._code_sets = code_sets
        self._limits = limits
        self._presence = presence

    def page(self, present: Present) -> CodesPage:
        """What it shows. A new set is shown in the session that made it, and in no other."""
        now = present.now
        with self._database.read() as looking:
            standing = self._code_sets.standing(looking, present.person)
        return CodesPage(
            standing,
            self._code_sets.shown(present.session.name, standing),
            held_back=held_back(present.person, now),
            waits=standing is not None and standing.usable_from > now,
            made_on=on_paper(standing.made_at) if standing else "",
            usable_on=on_paper(standing.usable_from) if standing else "",
        )

    def make(self, visit: Visit, present: Present, *, stolen: bool) -> None:
        """Make ten new ones; the earlier ones are void. The caller asked for a fresh proof. Raises OutOfOrder."""
        self._limits.attempt(visit)

        def hold(transaction: Transaction) -> None:
            self._presence.hold(transaction, present)

        self._code_sets.make(visit, present.person, present.session.name, hold, stolen=stolen)

    def shown(self, present: Present) -> CodesPage:
        """The page while it shows codes. Raises OutOfOrder where it shows none, or no longer."""
        page = self.page(present)
        if not page.codes:
            raise OutOfOrder(Code.NOTHING_SHOWN, due=PAGE)
        return page

    def saved(self, present: Present) -> None:
        """They are saved: show them no more."""
        page = self.shown(present)
        if page.standing is not None:
            self._code_sets.hide(present.session.name, page.standing)
