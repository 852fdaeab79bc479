"""What a label may be, and for how long a key that was shown can be confirmed."""

import unicodedata

KEY_LIFE = 600  # seconds from being shown (requirements T-14)
TRIES = 5  # wrong codes for one key
WAIT = 86_400  # seconds until a new app serves recovery (security rule 6)
LABEL_MAX = 64  # code points


def label_of(typed: str) -> tuple[str, str]:
    """A label as it is kept, and what is wrong with it: nothing, or "missing", "too_long", "bad_characters"."""
    if len(typed) > 4 * LABEL_MAX:
        return "", "too_long"
    label = unicodedata.normalize("NFC", typed).strip()
    if not label:
        return "", "missing"
    if len(label) > LABEL_MAX:
        return "", "too_long"
    return label, "" if label.isprintable() else "bad_characters"


def grouped(key: str) -> str:
    """In groups of four, as apps ask for it."""
    return " ".join(key[at : at + 4] for at in range(0, len(key), 4))
