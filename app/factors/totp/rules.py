"""Codes and time-steps: RFC 4226 and RFC 6238, and the search for a right code of a wrong time; labels and keys."""

import hmac
import re
import unicodedata
from collections.abc import Sequence

from app.factors.totp.model import DIGITS, MOST_APPS, STEP, Match

WINDOW = 1  # steps either side of the present: three codes (requirements T-05; never widened)
SEARCH = 20  # steps either side that are recognised without being accepted: ten minutes (security rule 7)
KEY_LIFE = 600  # seconds from being shown (requirements T-14)
MOST_A_DAY = 10  # new apps of one person in 24 hours: each is told to every contact (requirements M-10)
WAIT = 86_400  # seconds until a new app serves recovery (security rule 6)
LABEL_MAX = 64  # code points

_CODE = re.compile(rf"[0-9]{{{DIGITS}}}")


def typed_code(text: str) -> str | None:
    """The code without blanks and hyphens, or None where it is none. ASCII digits only (requirements T-22, S-01)."""
    if len(text) > 32:
        return None
    code = text.replace(" ", "").replace("-", "")
    return code if _CODE.fullmatch(code) else None


def hotp(seed: bytes, counter: int, digits: int = DIGITS, algorithm: str = "sha1") -> str:
    """RFC 4226 sec. 5.3, with the hash algorithms of RFC 6238."""
    return f"{_truncated(hmac.digest(seed, counter.to_bytes(8, 'big'), algorithm)) % 10**digits:0{digits}}"


def _truncated(digest: bytes) -> int:
    at = digest[-1] & 15
    return int.from_bytes(digest[at : at + 4], "big") & 0x7FFFFFFF


def step_at(now: int) -> int:
    """The time-step of a moment (RFC 6238 sec. 4.2 with T0 = 0)."""
    return now // STEP


def recognise(seeds: Sequence[tuple[str, bytes, int]], spare: Sequence[bytes], code: str, now: int) -> Match | None:
    """Find the app and time-step of a code; the nearest to the app's present where there are several.

    ``seeds`` are (app id, seed, drift); ``spare`` seeds fill up to five, so that every try costs the same
    205 HMACs whoever is asked for (security rule 14).
    """
    present = step_at(now)
    best: Match | None = None
    wanted = code.encode()
    for place in range(MOST_APPS):
        app_id, seed, drift = seeds[place] if place < len(seeds) else ("", spare[place], 0)
        for offset in range(-SEARCH, SEARCH + 1):
            step = present + drift + offset
            number = _truncated(hmac.digest(seed, step.to_bytes(8, "big"), "sha1")) % 1_000_000
            same = hmac.compare_digest(b"%06d" % number, wanted)
            if same and app_id and (best is None or abs(offset) < abs(best.offset)):
                best = Match(app_id, step, offset)
    return best


def in_a_row(seed: bytes, first: str, second: str, now: int) -> int | None:
    """The time-step of the second of two consecutive codes, both within ten minutes of the true time; None else.

    The nearest to the present where there are several (requirements T-06, security rule 7).
    """
    present = step_at(now)
    found = [
        step
        for step in range(present - SEARCH + 1, present + SEARCH + 1)
        if hmac.compare_digest(hotp(seed, step - 1), first) & hmac.compare_digest(hotp(seed, step), second)
    ]
    return min(found, key=lambda step: abs(step - present), default=None)


def acceptable(offset: int) -> bool:
    """Whether a code so many steps off may be accepted."""
    return abs(offset) <= WINDOW


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
