"""How a temporary access code is written and read. It is shorter than a saved code, which tells the two apart."""

from app.factors.access_code.model import LENGTH, OCTETS

# Crockford's base32: no I, L, O and U; the first three are read as what they look like
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LOOKS_LIKE = str.maketrans({"O": "0", "I": "1", "L": "1"})
_LONGEST = 64  # characters as typed, blanks and hyphens included


def written(octets: bytes) -> str:
    """60 of 64 bits as 12 characters."""
    if len(octets) != OCTETS:
        raise ValueError(f"a code takes {OCTETS} bytes")
    number = int.from_bytes(octets, "big")
    return "".join(_ALPHABET[number >> 5 * place & 31] for place in range(LENGTH))


def shown(code: str) -> str:
    """In groups of four, as it is sent."""
    return "-".join(code[at : at + 4] for at in range(0, len(code), 4))


def typed_code(text: str) -> str | None:
    """The code in the one form that is hashed, None where it is none; in any case, with blanks and hyphens or not."""
    if len(text) > _LONGEST or not text.isascii():
        return None
    compact = "".join(text.upper().split()).replace("-", "").translate(_LOOKS_LIKE)
    return compact if len(compact) == LENGTH and set(compact) <= set(_ALPHABET) else None
