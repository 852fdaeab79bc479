"""An import of people by an administrator: first a dry run, then the same rows in batches."""

from dataclasses import dataclass

from app.records.organizations.model import Organization
from app.steps.roster import BadRow, NewPerson

IMPORT = "/admin/people/import"
MOST_BYTES = 1_048_576  # of a file
MOST_UPLOADED = MOST_BYTES + 16_384  # with what stands around it in a form
MOST_ROWS = 10_000
SAMPLE = 20  # people whom the page names
LIFE = 900  # seconds for which a dry run is kept


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a file would do: good rows in their order, bad rows, and the lines of those who are there already."""

    id: str
    organization_id: str
    rows: tuple[NewPerson, ...]
    bad: tuple[BadRow, ...]
    there: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the import of a dry run is. ``at``: so many of its good rows are done."""

    id: str
    at: int = 0
    created: int = 0
    existing: int = 0


@dataclass(frozen=True, slots=True)
class Review:
    """What the page of an import shows."""

    organization: Organization
    dry_run: DryRun
    progress: Progress | None  # None before it was begun

    @property
    def total(self) -> int:
        """How many rows were good."""
        return len(self.dry_run.rows)

    @property
    def new(self) -> int:
        """How many people would be made."""
        return self.total - len(self.dry_run.there)

    @property
    def sample(self) -> tuple[NewPerson, ...]:
        """The first of those who would be made."""
        there = set(self.dry_run.there)
        return tuple(row for row in self.dry_run.rows if row.line not in there)[:SAMPLE]

    @property
    def at(self) -> int:
        """How many of them were taken."""
        return self.progress.at if self.progress else 0

    @property
    def done(self) -> bool:
        """Whether nothing is left to be taken."""
        return self.at >= self.total
