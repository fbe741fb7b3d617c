"""A port opened for one tap, and which source it is locked to.

Signalling may name the source (the hint), before or after the first audio, or not at
all; and a NAT may have rewritten it. Nobody else's audio may get into the tap. So:

    the hint shows itself to be RTP              it gets the port, whoever had it
    somebody else does, and the port is free     held, for `HINT_WAIT` from then and
                                                 from when the hint becomes known
    the hint has not shown itself by then        the first who did gets the port,
                                                 with all that is held of him
    anybody else, once somebody has the port     dropped, as `foreign_source`

To show itself to be RTP takes two packets in sequence. Of several who did, one at the
hint's IP address comes first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from server.rtp.address import Address
from server.rtp.holding import HoldingArea, HoldingBounds
from server.rtp.packet import RtpPacket
from server.rtp.session import RtpSession

HINT_WAIT = 1.0
"""Seconds. Several round trips to the platform: its reply has come by then."""

PORT_SHARE = 4
"""A port, of which there may be thousands, holds one in so many of what all others
share."""


class OpenPort:
    """One local port and the tap that it was opened for."""

    def __init__(
        self, session: RtpSession, drops: Counter[str], bounds: HoldingBounds
    ) -> None:
        self.session = session
        self.routes: dict[Address, Callable[[bytes, float], None]] = {}
        """At most one entry: the source that the port is locked to."""
        self.hint: Address | None = None
        """The source that signalling named."""
        share = replace(
            bounds,
            max_sources=max(1, bounds.max_sources // PORT_SHARE),
            max_total_bytes=bounds.max_total_bytes // PORT_SHARE,
        )
        self.held = HoldingArea(drops, share)
        self._drops = drops
        self._decide_at: float | None = None

    def set_hint(self, addr: Address, now: float) -> None:
        """Expect the source that signalling named."""
        self.hint = addr
        if addr in self.routes:
            return
        if addr in self.held.valid_sources():
            self._lock(addr)
        elif self._decide_at is not None:
            self._decide_at = now + HINT_WAIT

    def receive_stranger(
        self, data: bytes, addr: Address, packet: RtpPacket, now: float
    ) -> None:
        """Take a packet of a source that the port is not locked to."""
        is_hint = addr == self.hint
        if is_hint:
            self._make_way(addr)
        elif self.routes:
            self._drops["foreign_source"] += 1
            return
        if self.held.hold(data, addr, packet, now) is not None:
            if is_hint:
                self._lock(addr)
            elif self._decide_at is None:
                self._decide_at = now + HINT_WAIT
        self.handle_timer(now)

    def get_timer(self) -> float | None:
        """Return when `handle_timer` is to be called next."""
        deadlines = (self.held.get_timer(), self._decide_at)
        return min((at for at in deadlines if at is not None), default=None)

    def handle_timer(self, now: float) -> None:
        """Give the port to who is there, if the hint was waited for long enough."""
        if self._decide_at is not None and now >= self._decide_at:
            self.decide()
        self.held.handle_timer(now)

    def decide(self) -> None:
        """Give a free port to the best source so far, if there is one."""
        self._decide_at = None
        valid = self.held.valid_sources()
        if valid and not self.routes:
            self._lock(min(valid, key=self._is_elsewhere))

    def close(self) -> None:
        """Count what is still held."""
        self.held.discard("unannounced")

    def _is_elsewhere(self, addr: Address) -> bool:
        return self.hint is not None and addr[0] != self.hint[0]

    def _make_way(self, addr: Address) -> None:
        """Let go of all others: the hint is there."""
        self.held.discard("foreign_source", but=addr)
        self._decide_at = None

    def _lock(self, addr: Address) -> None:
        self._decide_at = None
        self.routes.clear()
        self.routes[addr] = self.session.receive_datagram
        for data, at in self.held.claim(addr):
            self.session.receive_datagram(data, at)
        self.held.discard("foreign_source")
