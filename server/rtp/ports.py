"""A port opened for one tap, and which source it is locked to.

The first source that shows itself to be RTP (two packets in sequence) gets the port.
The source that signalling named takes it over when it does so, and keeps it; a NAT may
have rewritten it, so it is not waited for. Everybody else is a `foreign_source`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from server.rtp.address import Address
from server.rtp.holding import HoldingArea, HoldingBounds
from server.rtp.packet import RtpPacket
from server.rtp.session import RtpSession


class OpenPort:
    """One local port and the tap that it was opened for."""

    def __init__(
        self, session: RtpSession, drops: Counter[str], bounds: HoldingBounds
    ) -> None:
        self.session = session
        self.routes: dict[Address, Callable[[bytes, float], None]] = {}
        """At most one entry: the source that the port is locked to."""
        self.held = HoldingArea(drops, bounds)
        self._drops = drops
        self._hint: Address | None = None

    def set_hint(self, addr: Address) -> None:
        """Expect the source that signalling named."""
        self._hint = addr

    def receive_stranger(
        self, data: bytes, addr: Address, packet: RtpPacket, now: float
    ) -> None:
        """Take a packet of a source that the port is not locked to."""
        if self.routes and addr != self._hint:
            self._drops["foreign_source"] += 1
            return
        self.held.handle_timer(now)
        if self.held.hold(data, addr, packet, now) is not None:
            self._lock(addr)

    def close(self) -> None:
        """Count what is still held."""
        self.held.discard("unannounced")

    def _lock(self, addr: Address) -> None:
        self.routes.clear()
        self.routes[addr] = self.session.receive_datagram
        for data, at in self.held.claim(addr):
            self.session.receive_datagram(data, at)
        self.held.discard("foreign_source")
