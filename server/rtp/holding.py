"""Datagrams of sources that nobody has claimed yet, kept for a while and in bounds.

The first audio of a tap may come before its announcement. What is held here has been
parsed, and nothing is learned from it: it is either replayed to the tap that claims its
source, or it expires.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import NamedTuple

from server.rtp.address import Address
from server.rtp.packet import RtpPacket
from server.rtp.probation import SequenceProbation

MAX_SSRCS = 4
"""Sequences followed for one address; more are a spray."""


@dataclass(frozen=True, slots=True)
class HoldingBounds:
    """How much is kept, and how long."""

    hold_time: float = 5.0
    max_sources: int = 64
    max_datagrams: int = 300
    """Of one source: 6 s of 20 ms packets."""
    max_bytes: int = 256 * 1024
    """Of one source."""
    max_total_bytes: int = 4 * 1024 * 1024


class HeldDatagram(NamedTuple):
    """A datagram and the time at which it came."""

    data: bytes
    at: float


class HeldSource:
    """One source address: its datagrams, and whether it looks like a stream."""

    __slots__ = ("_probations", "byte_count", "datagrams", "is_reported")

    def __init__(self) -> None:
        self.datagrams: deque[HeldDatagram] = deque()
        self.byte_count = 0
        self.is_reported = False
        """Whether the owner has been told of it."""
        self._probations: dict[int, SequenceProbation] = {}

    @property
    def is_valid(self) -> bool:
        """Whether one of its SSRCs has passed probation."""
        return any(p.is_valid for p in self._probations.values())

    def add(self, data: bytes, packet: RtpPacket, now: float) -> bool:
        """Keep a datagram; tell whether its SSRC has passed probation."""
        self.datagrams.append(HeldDatagram(data, now))
        self.byte_count += len(data)
        probation = self._probations.get(packet.ssrc)
        if probation is None:
            if len(self._probations) >= MAX_SSRCS:
                del self._probations[next(iter(self._probations))]
            probation = self._probations[packet.ssrc] = SequenceProbation()
        return probation.receive(packet.sequence_number)

    def drop_oldest(self) -> int:
        """Forget the oldest datagram; return its size."""
        size = len(self.datagrams.popleft().data)
        self.byte_count -= size
        return size


class HoldingArea:
    """All held sources together.

    Datagrams that go are counted in `drops` as `unannounced`.
    """

    def __init__(self, drops: Counter[str], bounds: HoldingBounds) -> None:
        self._drops = drops
        self._bounds = bounds
        self._sources: dict[Address, HeldSource] = {}
        self._total_bytes = 0

    def __len__(self) -> int:
        return sum(len(source.datagrams) for source in self._sources.values())

    def hold(
        self, data: bytes, addr: Address, packet: RtpPacket, now: float
    ) -> HeldSource | None:
        """Keep a datagram; return its source if that passed probation."""
        source = self._sources.get(addr)
        if source is None:
            if not self._make_room():
                self._drops["unannounced"] += 1
                return None
            source = self._sources[addr] = HeldSource()
        is_valid = source.add(data, packet, now)
        self._total_bytes += len(data)
        self._trim(addr, source)
        return source if is_valid else None

    def claim(self, addr: Address) -> list[HeldDatagram]:
        """Return what is held of a source, oldest first, and forget it."""
        source = self._sources.pop(addr, None)
        if source is None:
            return []
        self._total_bytes -= source.byte_count
        return list(source.datagrams)

    def discard(self, reason: str) -> None:
        """Count everything held as `reason`."""
        for addr in list(self._sources):
            self._drops[reason] += len(self.claim(addr))

    def get_timer(self) -> float | None:
        """Return when the oldest datagram expires."""
        ages = (source.datagrams[0].at for source in self._sources.values())
        oldest = min(ages, default=None)
        return None if oldest is None else oldest + self._bounds.hold_time

    def handle_timer(self, now: float) -> None:
        """Let go of what has been held long enough."""
        for addr, source in list(self._sources.items()):
            while source.datagrams and (
                source.datagrams[0].at + self._bounds.hold_time <= now
            ):
                self._drop_oldest(source)
            if not source.datagrams:
                del self._sources[addr]

    def _make_room(self) -> bool:
        """Evict a source that shows no sequence: a spray cannot evict a stream."""
        if len(self._sources) < self._bounds.max_sources:
            return True
        for addr, source in self._sources.items():
            if not source.is_valid:
                self._drops["unannounced"] += len(self.claim(addr))
                return True
        return False

    def _trim(self, addr: Address, source: HeldSource) -> None:
        bounds = self._bounds
        while (
            len(source.datagrams) > bounds.max_datagrams
            or source.byte_count > bounds.max_bytes
            or self._total_bytes > bounds.max_total_bytes
        ):
            self._drop_oldest(source)
            if not source.datagrams:
                del self._sources[addr]
                return

    def _drop_oldest(self, source: HeldSource) -> None:
        self._total_bytes -= source.drop_oldest()
        self._drops["unannounced"] += 1
