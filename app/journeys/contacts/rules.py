"""What may be typed as a number or an address, and which two are the same."""

import re

from app.records.people.model import Channel, is_email, is_phone

MOST = 320  # characters of what is typed
CONTACTS = 2  # confirmed ones of a kind (NIST SP 800-63B-4 sec. 4.2.1.2)
WAIT = 7 * 86_400  # seconds after its confirmation until a contact serves recovery (security rule 6)

# what people and programs put between digits: blanks, hyphens of all kinds, brackets
_BETWEEN = str.maketrans("", "", " \t\u00a0\u2009\u202f-\u2010\u2011\u2012\u2013()")
_NAME = re.compile(r"[0-9a-f]{32}")


def typed_phone(text: str) -> str | None:
    """The number in E.164, or None where it is none. ``00`` stands for the plus sign."""
    if "(0)" in text:  # a national zero, which belongs to no number with a country code
        return None
    plain = text.strip().translate(_BETWEEN)
    number = f"+{plain[2:]}" if plain.startswith("00") else plain
    return number if is_phone(number) else None


def typed_email(text: str) -> str | None:
    """The address with its domain in small letters, or None where it is none."""
    local, at, domain = text.strip().rpartition("@")
    address = f"{local}{at}{domain.lower()}"
    return address if is_email(address) else None


def same(channel: Channel, one: str, other: str) -> bool:
    """Whether two are one: mail servers that tell Jane from jane are rarer than people who forget which they are."""
    return one == other if channel is Channel.SMS else one.lower() == other.lower()


def is_name(text: str) -> bool:
    """Whether a part of a path can be the id of a contact at all."""
    return _NAME.fullmatch(text) is not None
