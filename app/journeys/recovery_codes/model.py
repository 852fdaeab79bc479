"""What the page of the recovery codes shows."""

from dataclasses import dataclass, field

from app.factors.recovery_code.model import Standing


@dataclass(frozen=True, slots=True)
class CodesPage:
    """The living set, and its codes for as long as they may be read. ``held_back``: seconds left of the day after a
    recovery, in which none can be made (security rule 6)."""

    standing: Standing | None
    codes: tuple[str, ...] = field(repr=False)
    held_back: int
    waits: bool  # the set does not serve recovery yet
    made_on: str = ""
    usable_on: str = ""
