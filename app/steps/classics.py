"""Whether the doors of `classic` show: a fact of the installation, which depends on nobody who is asked for."""

from app.foundation.clock import Clock
from app.foundation.sql import Database
from app.records.organizations import store as organizations
from app.records.organizations.model import Profile

LOOKS = 30  # seconds between two looks: the pages where everybody begins ask for it


class Classics:
    """Looks whether any organization is classic at this moment."""

    def __init__(self, *, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._found, self._until = False, 0

    def any(self) -> bool:
        """Whether there is one, as it was at most half a minute ago."""
        now = self._clock.now()
        if now >= self._until:
            with self._database.read() as looking:
                self._found = organizations.any_of(looking, Profile.CLASSIC, now)
            self._until = now + LOOKS
        return self._found
