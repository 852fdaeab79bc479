"""Encryption and keyed hashes at rest: one key per purpose from the keyring (security rule 16)."""

import base64
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.foundation.chance import Chance

_log = structlog.get_logger()
_NONCE = 12  # bytes: NIST SP 800-38D sec. 5.2.1.1
MASTER = 32  # bytes


class Unreadable(Exception):
    """A sealed value was altered, moved to another row, or its key is not on the keyring (ASVS 11.2.5)."""


@dataclass(frozen=True, slots=True)
class MasterKey:
    """A key of the keyring: ``name`` is stored beside what it seals, so that keys can rotate."""

    name: str
    material: bytes = field(repr=False)


class Keyring:
    """All the master keys, the active one first.

    Each purpose ("totp-seed", "outbox", "pepper", …) has a key of its own, derived by HMAC-SHA-256 as in
    NIST SP 800-108r1 sec. 4.1 with one block of output.
    """

    def __init__(self, keys: Iterable[MasterKey], chance: Chance) -> None:
        self._keys = {key.name: key for key in keys}
        if not self._keys:
            raise ValueError("the keyring is empty")
        for key in self._keys.values():
            if len(key.material) < MASTER:
                raise ValueError(f"key {key.name!r} is shorter than {MASTER} bytes")
        self.active = next(iter(self._keys))
        self.oldest = list(self._keys)[-1]
        self._chance = chance
        self._derive = lru_cache(maxsize=256)(self._derive_uncached)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the keys, the active one first."""
        return tuple(self._keys)

    def _derive_uncached(self, name: str, purpose: str) -> bytes:
        try:
            material = self._keys[name].material
        except KeyError:
            raise Unreadable(f"no key {name!r} on the keyring") from None
        return hmac.digest(material, b"\x00\x00\x00\x01keyturn\x00" + purpose.encode() + b"\x00\x00\x01\x00", "sha256")

    def mac(self, purpose: str, *parts: str | bytes | int, key: str | None = None) -> bytes:
        """HMAC-SHA-256 over length-prefixed parts, 32 bytes. ``key`` names a key of the ring; the active one else."""
        message = bytearray()
        for part in parts:
            data = part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogatepass")
            message += len(data).to_bytes(4, "big") + data
        return hmac.digest(self._derive(key or self.active, purpose), bytes(message), "sha256")

    def mac_hex(self, purpose: str, *parts: str | bytes | int, key: str | None = None) -> str:
        """The same as 64 hexadecimal digits."""
        return self.mac(purpose, *parts, key=key).hex()

    def mac_kept(self, purpose: str, *parts: str | bytes | int, key: str) -> str:
        """The same by the key that something was kept under; where that is gone, by the active one, which is logged.

        Nothing fits then, and that is answered like anything wrong, after the same work.
        """
        if key not in self._keys:
            _log.error("key_missing", key=key, purpose=purpose)
            key = self.active
        return self.mac_hex(purpose, *parts, key=key)

    def seal(self, purpose: str, plain: bytes, bound_to: str) -> str:
        """AES-256-GCM with a random 96-bit nonce; ``bound_to`` names the row and column (ASVS 11.3.3, 11.3.4)."""
        nonce = self._chance.octets(_NONCE)
        sealed = AESGCM(self._derive(self.active, purpose)).encrypt(nonce, plain, bound_to.encode())
        return f"1.{self.active}.{base64.b64encode(nonce + sealed).decode()}"

    def open(self, purpose: str, sealed: str, bound_to: str) -> bytes:
        """The plain bytes. Raises Unreadable where anything but exactly that value in that place is given."""
        try:
            version, name, body = sealed.split(".", 2)
            raw = base64.b64decode(body, validate=True)
        except ValueError as error:
            raise Unreadable("not a sealed value") from error
        if version != "1":
            raise Unreadable(f"unknown version {version!r}")
        try:
            return AESGCM(self._derive(name, purpose)).decrypt(raw[:_NONCE], raw[_NONCE:], bound_to.encode())
        except (InvalidTag, ValueError) as error:
            raise Unreadable("altered, or moved to another place") from error


def same(one: str | bytes, other: str | bytes) -> bool:
    """Compare in constant time (ASVS 11.2.4)."""
    left = one.encode("utf-8", "surrogatepass") if isinstance(one, str) else one
    right = other.encode("utf-8", "surrogatepass") if isinstance(other, str) else other
    return hmac.compare_digest(left, right)


def fingerprint(token: str) -> str:
    """SHA-256 of a 256-bit random token: all that a store keeps of it (ASVS 7.2.3)."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
