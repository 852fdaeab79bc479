"""Who stands at the door, as far as the connection tells."""

import ipaddress
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Visit:
    """One request: the client's address, the page's language, the request's id, and what its browser says of itself.

    ``known_browser`` is the cookie of a browser in which somebody signed in once: it chooses whose share of the
    tries is spent (security rule 1) and proves nothing. ``browser`` is the User-Agent, cut to 255 characters.
    """

    address: str
    language: str
    request_id: str
    known_browser: str = ""
    browser: str = ""

    @property
    def block(self) -> str:
        """What limits count as one address."""
        return address_block(self.address)

    @property
    def network(self) -> str:
        """The larger block around it: what one customer of a provider may well have all of."""
        return address_network(self.address)


@lru_cache(maxsize=1_024)
def address_block(address: str) -> str:
    """What limits count as one address: an IPv4 address, or the /64 of an IPv6 one (ASVS 15.3.4)."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
    return str(parsed)


@lru_cache(maxsize=1_024)
def address_network(address: str) -> str:
    """The IPv4 /24 or IPv6 /48 of an address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    return str(ipaddress.ip_network((str(parsed), 24 if parsed.version == 4 else 48), strict=False))
