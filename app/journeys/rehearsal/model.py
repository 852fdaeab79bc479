"""What the pages of a rehearsal show."""

from dataclasses import dataclass

from app.steps.readiness import Readiness


@dataclass(frozen=True, slots=True)
class Today:
    """What would happen today. ``possible``: an app and a contact may serve a recovery, so it can be walked.

    ``app_barred``: it cannot be, because an organization takes no app codes in a recovery.
    """

    readiness: Readiness
    possible: bool
    app_barred: bool = False
