"""Transport addresses, written in one way wherever they come from.

A socket on `::` sees IPv4 senders as mapped IPv6 addresses (RFC 4291 section
2.5.5.2), while signalling names them as they are. One sender has to have one address.
"""

from __future__ import annotations

import ipaddress

Address = tuple[str, int]
"""IP address and port; from outside only by way of `normal_address`."""


def normal_address(host: str, port: int) -> Address:
    """Return an address as all others of the same host are written.

    What is no IP address is left as it is: no datagram comes from there.
    """
    if ":" not in host:
        return host, port
    try:
        address = ipaddress.IPv6Address(host)
    except ValueError:
        return host, port
    return str(address.ipv4_mapped or address), port


def address_text(address: Address) -> str:
    """Return an address as `IP:PORT`."""
    return f"{address[0]}:{address[1]}"


def parse_address(text: str) -> Address | None:
    """Read what `address_text` wrote; None if it is nothing like that."""
    host, colon, port = text.rpartition(":")
    if not (colon and host and port.isascii() and port.isdigit()):
        return None
    return normal_address(host, int(port)) if 0 < int(port) < 65_536 else None


def network_of(host: str) -> str:
    """Return what one sender can be taken to have: an IPv4 address or an IPv6 /64."""
    if ":" not in host:
        return host
    return f"{int(ipaddress.IPv6Address(host)) >> 64:016x}::/64"
