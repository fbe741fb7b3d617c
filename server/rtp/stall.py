"""Packets behind a stall: was the network late, or did the sender stop its clock?

A sender that pauses normally lets its timestamps go on (RFC 3551 section 4.1). Some do
not: after a minute of hold the next packet follows the last one as if nothing had been,
and a file made by timestamps alone would be a minute short. A network that held packets
back looks the same at first; then what was sent meanwhile comes all at once.

So packets behind a stall are held for a moment. The *lag* of a packet is the time since
the last one before the stall, less the time between their timestamps. A backlog brings
it down to nothing; where it stays up, it is a pause.
"""

from __future__ import annotations

from server.rtp.packet import RtpPacket
from server.rtp.reorder import Arrival
from server.rtp.serial import timestamp_difference

MIN_STALL = 1.0
"""Seconds of lag at once; far more than jitter, and than a burst that is normal."""

SETTLE = 0.25
"""Seconds for which it is watched whether a backlog comes."""

MIN_FALL = 0.01
"""Seconds by which the lag falls from a packet to the next in a backlog, at least: half
a packet faster than real time."""

MIN_PAUSE = 0.2
"""Seconds of lag that are no jitter of the packets behind the stall."""

MAX_SETTLE = 2.0
"""Seconds for which a backlog may come, as long as it does come."""

MAX_WAITING = 2000
"""Packets: a backlog of 40 s."""


class Stall:
    """What came behind a stall, and what it was.

    Args:
        timestamp: Of the last packet before it.
        at: When that one came.
        clock_rate: Timestamp ticks per second.
        first_at: When the first packet behind it came.
    """

    __slots__ = (
        "_at",
        "_clock_rate",
        "_extend_until",
        "_lag",
        "_timestamp",
        "settle_at",
        "waiting",
    )

    def __init__(
        self, timestamp: int, at: float, clock_rate: int, first_at: float
    ) -> None:
        self._timestamp = timestamp
        self._at = at
        self._clock_rate = clock_rate
        self._lag = first_at - at
        self._extend_until = first_at + MAX_SETTLE
        self.settle_at = first_at + SETTLE
        self.waiting: list[Arrival] = []

    @property
    def is_over(self) -> bool:
        """Whether more than is held would be too much."""
        return len(self.waiting) >= MAX_WAITING

    @property
    def pause(self) -> float:
        """Seconds for which the sender was silent without its timestamps saying so."""
        return self._lag if self._lag > MIN_PAUSE else 0.0

    def receive(self, packet: RtpPacket, at: float) -> None:
        """Hold a packet."""
        self.waiting.append(Arrival(packet, at))
        ticks = timestamp_difference(packet.timestamp, self._timestamp)
        lag = at - self._at - ticks / self._clock_rate
        if lag < self._lag - MIN_FALL and self._lag > MIN_PAUSE:
            # It is catching up: whether all of it does is yet to be seen.
            self.settle_at = min(at + SETTLE, self._extend_until)
        self._lag = min(self._lag, lag)
