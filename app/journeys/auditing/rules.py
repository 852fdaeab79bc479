"""How seals are written for the outside, and read back from there."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime

_BEGIN, _END = "[keyturn seal]", "[end of seal]"
_OPENING = r"\[keyturn\s+seal\]"
_BLOCK = re.compile(rf"{_OPENING}(.*?)(?={_OPENING}|\Z)", re.DOTALL)
_BODY = re.compile(r"\s*(?P<time>\S+)\s+(?P<number>[0-9]{1,9})\s+(?P<chain>[0-9a-f\s]*?)\s*\[end\s+of\s+seal\]")
_LINE = re.compile(r"\S+Z (?P<number>[0-9]{1,9}) (?P<chain>[0-9a-f]{64})")
_QUOTED = re.compile(r"^[>|\s]+", re.MULTILINE)
_GROUPS = 4  # of four digits on a line


def written(moment: int) -> str:
    """A moment as logs write it, UTC."""
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%SZ}"


def line(at: int, number: int, chain: str) -> str:
    """A seal as a line of a file."""
    return f"{written(at)} {number} {chain}"


def block(at: int, number: int, chain: str) -> str:
    """A seal as a mail has it: lines so short that no program wraps them, and no digits that look like a PIN."""
    groups = [chain[start : start + 4] for start in range(0, len(chain), 4)]
    lines = [" ".join(groups[start : start + _GROUPS]) for start in range(0, len(groups), _GROUPS)]
    return "\n".join([_BEGIN, f"{written(at)} {number}", *lines, _END])


def heads(text: str) -> dict[int, str]:
    """Numbers and chains of the seals in a file of lines, in saved mails, or in both.

    What mail programs put around or into a block (quotation marks, other line ends) does not matter. Raises
    ValueError where there is none, one cannot be read, or two differ under one number.
    """
    plain = _QUOTED.sub("", text)
    found: dict[int, str] = {}
    blocks = list(_of_blocks(plain))
    for number, chain in [*blocks, *_of_lines(plain, alone=not blocks)]:
        if found.setdefault(number, chain) != chain:
            raise ValueError(f"seal {number} stands there twice, and not alike")
    if not found:
        raise ValueError("there is no seal in it")
    return found


def _of_blocks(plain: str) -> Iterable[tuple[int, str]]:
    for at, content in enumerate(_BLOCK.findall(plain), 1):
        body = _BODY.match(content)
        chain = "".join(body["chain"].split()) if body else ""
        if body is None or len(chain) != 64:
            raise ValueError(f"block {at} is no seal")
        yield int(body["number"]), chain


def _of_lines(plain: str, *, alone: bool) -> Iterable[tuple[int, str]]:
    """``alone``: there is nothing else in the file."""
    for at, text in enumerate(plain.splitlines(), 1):
        whole = _LINE.fullmatch(text.strip())
        if whole:
            yield int(whole["number"]), whole["chain"]
        elif alone and text.strip():
            raise ValueError(f"line {at} is no seal")
