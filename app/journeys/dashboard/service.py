"""The page of plots, and the counting that makes it cheap.

A million events take seconds to count, so the worker counts each hour once, when nothing in it changes any more. The
page adds up those hours, and counts itself only what is younger.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.foundation.clock import Clock
from app.foundation.sql import Database, Transaction
from app.journeys.dashboard import queries, rules
from app.journeys.dashboard.model import Page, Span
from app.records.figures import store as figures
from app.records.figures.model import DAY, HOUR, Count, Source
from app.records.organizations import store as organizations
from app.steps.staff import Staff

_Query = Callable[[Transaction, str, int, int], tuple[Count, ...]]
_QUERIES: dict[Source, _Query] = {Source.EVENTS: queries.happened, Source.MESSAGES: queries.messages}
# when nothing of an hour changes any more: events come with their transaction, 10 s late at most for one statement;
# a message is tried for three days, and its fate asked for ten minutes
_SETTLED = {Source.EVENTS: 300, Source.MESSAGES: 3 * DAY + HOUR}
_KEPT = 400 * DAY


@dataclass(frozen=True, slots=True)
class DashboardMeans:
    """What the page stands on. ``budget`` is of one organization: PINs by SMS in a day."""

    database: Database
    clock: Clock
    budget: int
    currency: str


class Dashboard:
    """What happened in the organizations of an administrator."""

    def __init__(self, means: DashboardMeans) -> None:
        self._means = means

    def page(self, staff: Staff, span: Span) -> Page:
        """The plots of these organizations and of no others."""
        now = self._means.clock.now()
        since, until, step = rules.window(span, now)
        counts: list[Count] = []
        with self._means.database.read() as looking:
            for source, query in _QUERIES.items():
                done = figures.counted_until(looking, source)
                young = max(since, done) if done is not None else since
                for organization_id in staff.organization_ids:
                    # up to the same hour, although the worker may count another meanwhile
                    counts += figures.of(looking, organization_id, source, since, young, step)
                    counts += query(looking, organization_id, young, until)
        return rules.page(
            span,
            counts,
            now,
            organizations=[one.name for one in staff.organizations],
            budget=self._means.budget * len(staff.organizations),
            currency=self._means.currency,
        )


class Counting:
    """Counts the hours that have passed, each once."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def count(self) -> int:
        """Count all hours that are settled and not counted yet; forget those of more than a year ago. Returns how many.

        An hour of an organization is one transaction of few rows; of several workers one counts it.
        """
        return sum(self._count(source) for source in Source)

    def _count(self, source: Source) -> int:
        now = self._clock.now()
        settled = now - _SETTLED[source]
        settled -= settled % HOUR
        with self._database.read() as looking:
            done = figures.counted_until(looking, source)
            every = [one.id for one in organizations.everyone(looking)]
        if done is None:
            # a year and more may lie there; the page shows thirty days
            done = now - now % DAY - (rules.DAYS - 1) * DAY
            with self._database.begin() as transaction:
                figures.begin_at(transaction, source, done)
        counted = 0
        while done < settled and self._count_hour(source, done, every):
            done += HOUR
            counted += 1
        if counted:
            with self._database.begin() as transaction:
                figures.forget(transaction, now - _KEPT)
        return counted

    def _count_hour(self, source: Source, at: int, every: Sequence[str]) -> bool:
        with self._database.begin() as transaction:
            if not figures.advance(transaction, source, at, at + HOUR):
                return False
            for organization_id in every:
                counts = _QUERIES[source](transaction, organization_id, at, at + HOUR)
                figures.add(transaction, organization_id, counts)
        return True
