"""The only place that draws random values. Everything else is given a Chance."""

import re
import secrets
from typing import Protocol
from uuid import UUID


class Chance(Protocol):
    """A source of values that nobody can foresee."""

    def octets(self, count: int) -> bytes:
        """So many random bytes."""

    def token(self) -> str:
        """256 bits as 43 URL-safe characters (ASVS 7.2.3 asks for at least 128)."""

    def name(self) -> str:
        """128 bits as 32 hexadecimal digits, for rows and flows."""

    def uuid(self) -> str:
        """A random UUID (RFC 9562 sec. 5.4), for what other programs name by it."""

    def digits(self, count: int) -> str:
        """A decimal PIN, each digit uniform (NIST SP 800-63B-4 sec. 3.1.3.2)."""

    def fraction(self) -> float:
        """At least 0, less than 1; spreads retries."""


class SystemChance:
    """The operating system's generator."""

    def octets(self, count: int) -> bytes:
        return secrets.token_bytes(count)

    def token(self) -> str:
        return secrets.token_urlsafe(32)

    def name(self) -> str:
        return secrets.token_hex(16)

    def uuid(self) -> str:
        return str(UUID(bytes=secrets.token_bytes(16), version=4))

    def digits(self, count: int) -> str:
        return f"{secrets.randbelow(10**count):0{count}d}"

    def fraction(self) -> float:
        return secrets.randbelow(2**53) / 2**53


def is_name(text: str) -> bool:
    """Whether what somebody sent can be a ``name`` at all; a database may refuse to be asked for anything else."""
    return _NAME.fullmatch(text) is not None


_NAME = re.compile(r"[0-9a-f]{32}")
