"""What a seal is made of: a digest of each event, and a link to the seal before (requirements V16.4.2)."""

import base64
import hashlib
import struct
from collections.abc import Iterable, Mapping

from app.records.audit.model import Seal, Stored

DIGEST = 16  # bytes of an event's digest that are kept: 128 bits
_ENTRY = struct.Struct(f">Q{DIGEST}s")


def said_by(stored: Stored) -> tuple[str | int, ...]:
    """What an event says, column by column.

    Not its number: then two whose contents were swapped are known again, each in the other's place.
    """
    person = "" if stored.person_id is None else stored.person_id
    kept = (stored.actor, stored.outcome, stored.reason, stored.address, stored.details)
    # none is one part less: no text that somebody writes there says the same
    organization = () if stored.organization_id is None else (stored.organization_id,)
    return (stored.event, stored.at, person, *kept, *organization)


def signed_by(seal: Seal) -> tuple[str | int, ...]:
    """What the chain of a seal is made over: its fields, and the chain of the one before."""
    span = (seal.first_id, seal.last_id, seal.upto, seal.events)
    return (seal.number, seal.previous, *span, seal.last_at, seal.at, seal.body_digest)


def written(digests: Mapping[int, bytes]) -> str:
    """Numbers and digests as the text that a seal keeps."""
    return base64.b64encode(b"".join(_ENTRY.pack(number, digests[number]) for number in sorted(digests))).decode()


def read(body: str) -> dict[int, bytes]:
    """The same back. Raises ValueError where it is no such text."""
    raw = base64.b64decode(body, validate=True)
    if len(raw) % _ENTRY.size:
        raise ValueError("not whole entries")
    return dict(_ENTRY.iter_unpack(raw))


def body_digest(body: str) -> str:
    """SHA-256 of a body: it stays when the body goes with the events that it was of."""
    return hashlib.sha256(body.encode()).hexdigest()


def safe_cell(text: str) -> str:
    """A cell that no spreadsheet takes for a formula (ASVS 1.2.10)."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def spans(numbers: Iterable[int], size: int) -> Iterable[list[int]]:
    """Numbers in their order, so many at a time."""
    ordered = sorted(numbers)
    for at in range(0, len(ordered), size):
        yield ordered[at : at + size]
