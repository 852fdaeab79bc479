"""What an agent may type."""

import unicodedata

LEAST, MOST = 10, 500  # characters of a reason
_NOT_SHOWN = frozenset({"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"})


def stated(typed: str) -> str | None:
    """A reason as it is kept, None where it is too short, too long, or has characters that cannot be shown."""
    reason = typed.strip()
    fits = LEAST <= len(reason) <= MOST
    return reason if fits and not any(unicodedata.category(one) in _NOT_SHOWN for one in reason) else None
