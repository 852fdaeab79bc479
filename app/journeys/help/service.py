"""Whom somebody asks who is nobody yet: the installation's support, and whether it is open now."""

from dataclasses import dataclass

from app.foundation.clock import Clock
from app.records.organizations.model import SupportPolicy
from app.steps.classics import Classics
from app.steps.helpdesk import Helpdesk, helpdesk


@dataclass(frozen=True, slots=True)
class HelpMeans:
    """What the page stands on. ``support`` has the hours of the installation's support; none: they are a text."""

    support: SupportPolicy
    classics: Classics
    clock: Clock


class Help:
    """What the page shows."""

    def __init__(self, means: HelpMeans) -> None:
        self._means = means

    def offers_links(self) -> bool:
        """Whether a reset link may be asked for: a fact of the installation, whoever reads it."""
        return self._means.classics.any()

    def helpdesk(self) -> Helpdesk | None:
        """None where the settings name no hours that can be judged."""
        support = self._means.support
        return helpdesk(support, self._means.clock.now()) if support.openings else None
