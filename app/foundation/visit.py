"""Who stands at the door, as far as the connection tells."""

import ipaddress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Visit:
    """One request: the client's address, its block, the page's language and the request's id."""

    address: str
    block: str
    language: str
    request_id: str


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
