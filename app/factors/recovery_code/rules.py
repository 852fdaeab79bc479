"""How codes are written and read, and which set counts."""

from collections.abc import Sequence

from app.factors.recovery_code.model import LENGTH, OCTETS, REPORTED, CodeSet, Use

# Crockford's base32: no I, L, O and U; the first three are read as what they look like
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LOOKS_LIKE = str.maketrans({"O": "0", "I": "1", "L": "1"})
_LONGEST = 64  # characters as typed, blanks and hyphens included


def written(octets: bytes) -> str:
    """80 bits as 16 characters."""
    if len(octets) != OCTETS:
        raise ValueError(f"a code has {OCTETS} bytes")
    number = int.from_bytes(octets, "big")
    return "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(LENGTH)))


def shown(code: str) -> str:
    """In groups of four, as it is printed."""
    return "-".join(code[at : at + 4] for at in range(0, len(code), 4))


def typed_code(text: str) -> str | None:
    """The code in the one form that is hashed, None where it is none; in any case, with blanks and hyphens or not."""
    if len(text) > _LONGEST or not text.isascii():
        return None
    compact = "".join(text.upper().split()).replace("-", "").translate(_LOOKS_LIKE)
    return compact if len(compact) == LENGTH and set(compact) <= set(_ALPHABET) else None


def older(sets: Sequence[CodeSet], moment: int) -> CodeSet | None:
    """The set that was past its waiting time and not voided just before a moment, nor reported lost or seen since."""
    lived = [one for one in sets if one.made_at < moment and (one.voided_at is None or one.voided_at >= moment)]
    good = (one for one in lived if one.usable_from <= moment and one.serves_until != REPORTED)
    return max(good, key=lambda one: (one.made_at, one.id), default=None)


def counting(sets: Sequence[CodeSet], use: Use, now: int) -> CodeSet | None:
    """The set whose codes are good for something now; the newest where there are two. At most one counts."""
    if use is Use.RECOVERY:
        good = [one for one in sets if one.usable_from <= now and (one.serves_until is None or now < one.serves_until)]
    else:
        good = [one for one in sets if one.voided_at is None and (use is Use.SIGN_IN or one.usable_from <= now)]
    return max(good, key=lambda one: (one.made_at, one.id), default=None)
