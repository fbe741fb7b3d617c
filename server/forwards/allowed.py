"""Which addresses a forward may be sent to.

An address that a caller of the API names could be one inside our own network. So
public ones are allowed and others only if they are listed. The address that is dialled
is what is judged, after names are resolved and redirects are followed.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class ForbiddenAddressError(OSError):
    """An address that is neither public nor listed."""


@dataclass(frozen=True, slots=True)
class AllowList:
    """Public addresses, and those in some networks."""

    networks: tuple[Network, ...] = ()
    is_everything: bool = False

    @classmethod
    def everything(cls) -> AllowList:
        """Return the list for what the operator names, who may name any address."""
        return cls(is_everything=True)

    @classmethod
    def parse(cls, entries: Sequence[str]) -> AllowList:
        """Return the list of these addresses and networks.

        Raises:
            ValueError: One of them is neither.
        """
        return cls(tuple(ipaddress.ip_network(each) for each in entries))

    def allows(self, text: str) -> bool:
        """Tell whether an address, written as a number, may be sent to."""
        if self.is_everything:
            return True
        address: Address = ipaddress.ip_address(text.partition("%")[0])
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        if any(address in network for network in self.networks):
            return True
        return address.is_global and not address.is_multicast

    def check(self, text: str) -> None:
        """Raise ForbiddenAddressError unless the address may be sent to."""
        if not self.allows(text):
            raise ForbiddenAddressError(
                "the address is neither public nor listed in forward_allow"
            )
