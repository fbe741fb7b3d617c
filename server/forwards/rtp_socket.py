"""The UDP sockets of an RTP forward: where to, what is heard of it, its RTCP.

They are connected, so that the system tells of an ICMP refusal and lets nobody else in.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Protocol

from server.forwards.allowed import AllowList, ForbiddenAddressError

MAX_WAITING_BYTES = 64 * 1024
"""That the system has not taken; beyond them a packet is lost, as on any full link."""


class _Transport(Protocol):
    """What every datagram transport can do."""

    def sendto(self, data: bytes) -> None: ...

    def get_write_buffer_size(self) -> int: ...

    def is_closing(self) -> bool: ...

    def close(self) -> None: ...


class Peer(asyncio.DatagramProtocol):
    """One connected socket.

    Args:
        on_error: Called when the system has said something.
    """

    def __init__(self, on_error: Callable[[], None]) -> None:
        self._on_error = on_error
        self.error: OSError | None = None
        """What the system said last, a refusal by ICMP above all."""
        self.heard = 0
        """Datagrams that came back; nothing in them is used."""
        self._transport: _Transport | None = None

    def connection_made(self, transport: Any) -> None:
        """Keep the transport: the socket is open."""
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:  # noqa: ARG002
        """Count what comes back."""
        self.heard += 1

    def error_received(self, exc: Exception) -> None:
        """Keep what the system said."""
        self.error = exc if isinstance(exc, OSError) else OSError(str(exc))
        self._on_error()

    def send(self, data: bytes) -> bool:
        """Send a datagram; return whether there was room for it."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        if transport.get_write_buffer_size() > MAX_WAITING_BYTES:
            return False
        transport.sendto(data)
        return True

    def close(self) -> None:
        """Close the socket once what waits is sent."""
        if self._transport is not None:
            self._transport.close()


async def connect(address: str, port: int, on_error: Callable[[], None]) -> Peer:
    """Return a socket to an IP address and port.

    Raises:
        OSError: There is no way there.
    """
    loop = asyncio.get_running_loop()
    _, peer = await loop.create_datagram_endpoint(
        lambda: Peer(on_error), remote_addr=(address, port)
    )
    return peer


async def find_address(host: str, allowed: AllowList) -> str:
    """Return the first IP address of a host that may be sent to.

    Raises:
        OSError: It has none.
        ForbiddenAddressError: It has others only.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except UnicodeError:
        raise OSError("the host has no name that can be looked up") from None
    for *_, target in found:
        if allowed.allows(address := str(target[0])):
            return address
    raise ForbiddenAddressError(
        "the address is neither public nor listed in forward_allow"
    )
