"""People and how they can be reached."""

import re
import unicodedata
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import quote

USER_ID_MAX = (
    255  # code points, as typed; checked before normalising, which is quadratic in older Pythons (CVE-2026-3276)
)


class Status(StrEnum):
    """Whether a person may use the portal at all."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    FROZEN = "frozen"  # a change is disputed: nothing opens and nothing changes (security rule 5)


class Channel(StrEnum):
    """How a message reaches a person; also the ``channel`` field of the pages."""

    SMS = "sms"
    EMAIL = "email"


# Cf are the invisible ones, which make two IDs look alike, and those that turn the direction of writing
_NOT_SHOWN = frozenset({"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"})


class BadUserId(ValueError):
    """A User ID that nobody can have: empty, too long, or with characters that cannot be shown."""


def canonical_user_id(typed: str) -> str:
    """The one spelling under which a User ID is stored, found and counted.

    NFKC and case folding, as RFC 8265 sec. 3.3 prepares a UsernameCaseMapped, outer blanks dropped because
    copying adds them. Raises BadUserId; bounded work for any input.
    """
    if len(typed) > USER_ID_MAX:
        raise BadUserId("too long")
    # blanks again afterwards: some accents decompose into a blank and a combining mark
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", typed.strip()).casefold()).strip()
    if not folded:
        raise BadUserId("empty")
    if any(unicodedata.category(character) in _NOT_SHOWN for character in folded):
        raise BadUserId("characters")
    if len(folded) > USER_ID_MAX:
        raise BadUserId("too long")
    return folded


KEY_MAX = 255


def search_key(text: str) -> str:
    """Under what names and addresses are found: letters without case and accents, single blanks; bounded work."""
    bare = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text[: 2 * USER_ID_MAX + 1]).casefold())
    return " ".join("".join(one for one in bare if not unicodedata.combining(one)).split())[:KEY_MAX]


# names of pages beside those of people
_TAKEN = frozenset({"new", "import", "propose", "export", ".", ".."})


def to_path(user_id: str) -> str:
    """A User ID as one part of a path, also where it has a slash or is the name of another page."""
    if user_id.lower() in _TAKEN or user_id.startswith("~") or "/" in user_id:
        return f"~{user_id.encode().hex()}"
    return quote(user_id, safe="@+,;=:$!")


def from_path(part: str) -> str:
    """The inverse of ``to_path``, after the part was unquoted; empty where it is none."""
    if not part.startswith("~"):
        return part
    try:
        return bytes.fromhex(part[1:]).decode()
    except ValueError:
        return ""


@dataclass(frozen=True, slots=True)
class Person:
    """One row of people. ``stamp`` changes with each new password; whatever carries an older one is dead."""

    id: int
    user_id: str
    canonical_id: str
    first_name: str
    last_name: str
    status: Status
    stamp: str
    language: str
    home_organization: str
    created_at: int
    recovered_at: int | None = None  # when a password was last recovered (security rule 6)

    @property
    def name(self) -> str:
        """First and last name, or the User ID where there is neither."""
        return " ".join(part for part in (self.first_name, self.last_name) if part) or self.user_id


@dataclass(frozen=True, slots=True)
class Contact:
    """A phone number (E.164) or an e-mail address. Usable once confirmed and past its waiting time."""

    id: str
    person_id: int
    channel: Channel
    address: str = field(repr=False)
    position: int
    confirmed_at: int | None
    usable_from: int
    removed_at: int | None
    last_used_at: int | None = None  # when a PIN that went there was right
    pending_until: int | None = None  # where somebody added it themselves and has yet to confirm it

    def usable(self, now: int) -> bool:
        """Whether a recovery PIN or a notice may go there (NIST SP 800-63B-4 sec. 4.2.1.2, security rule 6)."""
        return self.confirmed_at is not None and self.removed_at is None and self.usable_from <= now

    def same_place(self, other: "Contact") -> bool:
        """Whether what goes to the one arrives at the other: one number or mailbox, however it was filed."""
        return self.channel is other.channel and self.address.lower() == other.address.lower()

    @property
    def masked(self) -> str:
        """What a page may show of it (ASVS 14.2.6): the last two digits, or first letters and the ending."""
        if self.channel is Channel.SMS:
            return f"••• ••• {self.address[-2:]}"
        local, _, domain = self.address.rpartition("@")
        name, dot, ending = domain.partition(".") if "." not in domain else domain.rpartition(".")
        return f"{local[:1]}•••@{name[:1]}•••{dot}{ending}"


_PHONE = re.compile(r"\+[1-9][0-9]{6,14}")
_EMAIL = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)


def is_phone(address: str) -> bool:
    """An E.164 number with its plus sign."""
    return _PHONE.fullmatch(address) is not None


def is_email(address: str) -> bool:
    """An address as HTML's e-mail field accepts it, at most 254 characters (RFC 5321 sec. 4.5.3.1.3)."""
    return len(address) <= 254 and _EMAIL.fullmatch(address) is not None
