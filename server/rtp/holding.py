"""Datagrams of sources that nobody has claimed yet, kept for a while and in bounds.

The first audio of a tap may come before its announcement. What is held here has been
parsed, and nothing is learned from it: it is either replayed to the tap that claims its
source, or it expires.

Anybody can send here, so no network gets more than its share, and a source that shows
no sequence makes way for others.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from server.rtp.address import Address, network_of
from server.rtp.packet import RtpPacket
from server.rtp.probation import SequenceProbation

MAX_SSRCS = 4
"""Sequences followed for one address; more are a spray."""

LOOK_INTERVAL = 0.1
"""Seconds between two looks for what has expired, while datagrams arrive."""

NETWORK_SHARE = 4
"""A network may take one in so many of all sources."""

MAX_SCALE = 16
"""How far the area grows: to 1024 sources, 256 of one network, and 64 MiB."""


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


@dataclass(slots=True)
class _Network:
    """What is held of the sources that one sender may have."""

    sources: int = 0
    byte_count: int = 0


class HeldSource:
    """One source address: its datagrams, and whether it looks like a stream."""

    __slots__ = ("_probations", "byte_count", "datagrams", "is_reported", "network")

    def __init__(self, network: str) -> None:
        self.network = network
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
        self._max_sources = bounds.max_sources
        self._max_total_bytes = bounds.max_total_bytes
        self._sources: dict[Address, HeldSource] = {}
        # Those that may still prove to be no stream, oldest first.
        self._unproven: dict[Address, None] = {}
        self._networks: dict[str, _Network] = {}
        self._total_bytes = 0
        self._look_at = 0.0

    def __len__(self) -> int:
        return sum(len(source.datagrams) for source in self._sources.values())

    @property
    def is_empty(self) -> bool:
        """Whether nothing is held."""
        return not self._sources

    def make_room_for(self, sources: int) -> None:
        """Be as large as it takes to hold so many sources of one network."""
        wanted = -(-sources * NETWORK_SHARE // self._bounds.max_sources)
        scale = min(max(wanted, 1), MAX_SCALE)
        self._max_sources = self._bounds.max_sources * scale
        self._max_total_bytes = self._bounds.max_total_bytes * scale

    def hold(
        self, data: bytes, addr: Address, packet: RtpPacket, now: float
    ) -> HeldSource | None:
        """Keep a datagram; return its source if that passed probation."""
        if now >= self._look_at:
            self.handle_timer(now)
        source = self._sources.get(addr) or self._admit(addr)
        if source is None:
            self._drops["unannounced"] += 1
            return None
        is_valid = source.add(data, packet, now)
        self._add_bytes(source, len(data))
        self._trim(addr, source)
        if not is_valid:
            return None
        self._unproven.pop(addr, None)
        return source

    def claim(self, addr: Address) -> list[HeldDatagram]:
        """Return what is held of a source, oldest first, and forget it."""
        source = self._sources.get(addr)
        if source is None:
            return []
        self._add_bytes(source, -source.byte_count)
        self._forget(addr, source)
        return list(source.datagrams)

    def valid_sources(self) -> Sequence[Address]:
        """Return those that have passed probation, by their first datagram."""
        return [addr for addr, source in self._sources.items() if source.is_valid]

    def discard(self, reason: str, *, but: Address | None = None) -> None:
        """Count everything held as `reason`, that of one source left out."""
        for addr in [addr for addr in self._sources if addr != but]:
            self._drops[reason] += len(self.claim(addr))

    def get_timer(self) -> float | None:
        """Return when the oldest datagram expires."""
        ages = (source.datagrams[0].at for source in self._sources.values())
        oldest = min(ages, default=None)
        return None if oldest is None else oldest + self._bounds.hold_time

    def handle_timer(self, now: float) -> None:
        """Let go of what has been held long enough."""
        self._look_at = now + LOOK_INTERVAL
        for addr, source in list(self._sources.items()):
            while source.datagrams and (
                source.datagrams[0].at + self._bounds.hold_time <= now
            ):
                self._drop_oldest(source)
            if not source.datagrams:
                self._forget(addr, source)

    def _admit(self, addr: Address) -> HeldSource | None:
        """Return a new source, if there is room for it."""
        name = network_of(addr[0])
        network = self._networks.get(name) or _Network()
        if network.sources >= max(1, self._max_sources // NETWORK_SHARE):
            return None
        if len(self._sources) >= self._max_sources and not self._evict():
            return None
        self._networks[name] = network
        network.sources += 1
        self._unproven[addr] = None
        source = self._sources[addr] = HeldSource(name)
        return source

    def _evict(self) -> bool:
        """Let go of a source that shows no sequence: a spray cannot evict a stream."""
        addr = next(iter(self._unproven), None)
        if addr is not None:
            self._drops["unannounced"] += len(self.claim(addr))
        return addr is not None

    def _trim(self, addr: Address, source: HeldSource) -> None:
        bounds = self._bounds
        while (
            len(source.datagrams) > bounds.max_datagrams
            or source.byte_count > bounds.max_bytes
            or self._total_bytes > self._max_total_bytes
            or self._networks[source.network].byte_count
            > self._max_total_bytes // NETWORK_SHARE
        ):
            self._drop_oldest(source)
            if not source.datagrams:
                self._forget(addr, source)
                return

    def _drop_oldest(self, source: HeldSource) -> None:
        self._add_bytes(source, -source.drop_oldest())
        self._drops["unannounced"] += 1

    def _add_bytes(self, source: HeldSource, count: int) -> None:
        self._total_bytes += count
        self._networks[source.network].byte_count += count

    def _forget(self, addr: Address, source: HeldSource) -> None:
        del self._sources[addr]
        self._unproven.pop(addr, None)
        network = self._networks[source.network]
        network.sources -= 1
        if not network.sources:
            del self._networks[source.network]
