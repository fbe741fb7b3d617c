"""From the datagrams of all sockets to the taps that they belong to.

RTP carries no secret and a tap can send no header, so a datagram is a tap's only
because of where it came from or where it went. In this order:

    a source that signalling named            `add_source`
    a port opened for one tap                 `add_port`; see `ports`
    the source of a tap that has just ended   counted as `after_end`
    anything else                             held a while, in case it is announced
                                              late, then counted as `unannounced`

Nothing is ever learned from a datagram except by a port opened for one tap. With
`accept_unknown`, a source that looks like a stream is reported by `next_event`, and its
owner may then register it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from server.rtp.address import Address
from server.rtp.errors import RtpError
from server.rtp.holding import HoldingArea, HoldingBounds
from server.rtp.packet import RtpPacket
from server.rtp.ports import OpenPort
from server.rtp.rtcp import (
    Bye,
    ReceiverReport,
    RtcpPacket,
    SenderReport,
    is_rtcp,
    parse_compound,
)
from server.rtp.session import RtpSession

__all__ = ["Address", "HoldingBounds", "NewSource", "RtpDemux"]

AFTER_END_TIME = 10.0
"""Seconds for which a tap's stragglers are known as such."""

Route = Callable[[bytes, float], None]


@dataclass(frozen=True, slots=True)
class NewSource:
    """A source that nobody announced has shown itself to be an RTP stream."""

    addr: Address
    local_port: int
    ssrc: int
    payload_type: int


class RtpDemux:
    """Routes datagrams to `RtpSession`s.

    Every datagram is given to a session, is among `held_datagrams`, or is counted in
    `drops` under one name.
    """

    def __init__(
        self,
        *,
        hold_time: float = 5.0,
        accept_unknown: bool = False,
        after_end_time: float = AFTER_END_TIME,
        bounds: HoldingBounds | None = None,
    ) -> None:
        self.drops: Counter[str] = Counter()
        self._accept_unknown = accept_unknown
        self._after_end_time = after_end_time
        self._bounds = bounds or HoldingBounds(hold_time=hold_time)
        self._held = HoldingArea(self.drops, self._bounds)
        # Straight to the bound method: one look-up and one call a datagram.
        self._routes: dict[Address, Route] = {}
        self._sessions: dict[Address, RtpSession] = {}
        self._ports: dict[int, OpenPort] = {}
        self._ended_sources: dict[Address, float] = {}
        self._ended_ports: dict[int, float] = {}
        self._events: deque[NewSource] = deque()
        self._now = 0.0

    # Taps

    def add_source(self, addr: Address, session: RtpSession) -> None:
        """Route a source to a tap, beginning with what is held of it.

        A source named twice belongs to the tap that named it last.
        """
        self._ended_sources.pop(addr, None)
        self._sessions[addr] = session
        self._routes[addr] = session.receive_datagram
        for data, at in self._held.claim(addr):
            session.receive_datagram(data, at)

    def add_port(
        self,
        local_port: int,
        session: RtpSession,
        source_hint: Address | None = None,
    ) -> None:
        """Open a port for one tap, or give the port of a tap its hint."""
        port = self._ports.get(local_port)
        if port is None or port.session is not session:
            if port is not None:
                port.close()
            self._ended_ports.pop(local_port, None)
            port = OpenPort(session, self.drops, self._bounds)
            self._ports[local_port] = port
        if source_hint is not None:
            port.set_hint(source_hint)

    def remove(self, session: RtpSession) -> None:
        """Stop routing to a tap; what still comes for it is counted `after_end`."""
        until = self._now + self._after_end_time
        for addr in [a for a, s in self._sessions.items() if s is session]:
            del self._sessions[addr], self._routes[addr]
            self._ended_sources[addr] = until
        for local_port in [n for n, p in self._ports.items() if p.session is session]:
            self._ports.pop(local_port).close()
            self._ended_ports[local_port] = until

    # Input

    def receive_datagrams(
        self, batch: Iterable[tuple[bytes, Address]], local_port: int, now: float
    ) -> None:
        """Take datagrams that came together on one port."""
        self._now = now
        port = self._ports.get(local_port)
        routes = self._routes if port is None else port.routes
        for data, addr in batch:
            route = routes.get(addr)
            if route is not None:
                route(data, now)
            else:
                self._receive_unrouted(data, addr, local_port, now)

    def next_event(self) -> NewSource | None:
        """Return the next unannounced stream, with `accept_unknown`."""
        return self._events.popleft() if self._events else None

    def get_timer(self) -> float | None:
        """Return when `handle_timer` is to be called next; sessions have their own."""
        deadlines = [
            *self._ended_sources.values(),
            *self._ended_ports.values(),
            *(t for area in self._areas() if (t := area.get_timer()) is not None),
        ]
        return min(deadlines, default=None)

    def handle_timer(self, now: float) -> None:
        """Let go of what was held or remembered long enough."""
        self._now = now
        for area in self._areas():
            area.handle_timer(now)
        for addr in [a for a, until in self._ended_sources.items() if until <= now]:
            del self._ended_sources[addr]
        for local_port in [n for n, until in self._ended_ports.items() if until <= now]:
            del self._ended_ports[local_port]

    @property
    def held_datagrams(self) -> int:
        """Datagrams that are neither given to a session nor counted yet."""
        return sum(len(area) for area in self._areas())

    # Datagrams that no source claims

    def _areas(self) -> Iterator[HoldingArea]:
        yield self._held
        for port in self._ports.values():
            yield port.held

    def _receive_unrouted(
        self, data: bytes, addr: Address, local_port: int, now: float
    ) -> None:
        route = self._routes.get(addr)
        if route is not None:
            # Named by signalling, on a port opened for another tap.
            route(data, now)
        elif is_rtcp(data):
            self._receive_rtcp(data, addr, local_port, now)
        else:
            self._receive_stranger(data, addr, local_port, now)

    def _receive_stranger(
        self, data: bytes, addr: Address, local_port: int, now: float
    ) -> None:
        try:
            packet = RtpPacket.parse(data)
        except RtpError as error:
            self.drops[error.reason] += 1
            return
        port = self._ports.get(local_port)
        if port is not None:
            port.receive_stranger(data, addr, packet, now)
        elif self._has_ended(addr, local_port, now):
            self.drops["after_end"] += 1
        else:
            self._hold(data, addr, packet, local_port, now)

    def _has_ended(self, addr: Address, local_port: int, now: float) -> bool:
        until = self._ended_sources.get(addr) or self._ended_ports.get(local_port)
        return until is not None and now < until

    def _hold(
        self, data: bytes, addr: Address, packet: RtpPacket, local_port: int, now: float
    ) -> None:
        self._held.handle_timer(now)
        source = self._held.hold(data, addr, packet, now)
        if source is not None and self._accept_unknown and not source.is_reported:
            source.is_reported = True
            self._events.append(
                NewSource(addr, local_port, packet.ssrc, packet.payload_type)
            )

    def _receive_rtcp(
        self, data: bytes, addr: Address, local_port: int, now: float
    ) -> None:
        """Give RTCP to the tap whose SSRC it speaks of.

        It comes from, and to, the port of the RTP or the one above (RFC 3550 section
        11).
        """
        try:
            ssrcs = _senders(parse_compound(data))
        except RtpError as error:
            self.drops[error.reason] += 1
            return
        for session in self._neighbours(addr, local_port):
            if any(session.has_source(ssrc) for ssrc in ssrcs):
                session.receive_rtcp(data, now)
                return
        self.drops["rtcp_unmatched"] += 1

    def _neighbours(self, addr: Address, local_port: int) -> Iterator[RtpSession]:
        ip, number = addr
        for source in (addr, (ip, number - 1)):
            if (session := self._sessions.get(source)) is not None:
                yield session
            for target in (local_port, local_port - 1):
                port = self._ports.get(target)
                if port is not None and source in port.routes:
                    yield port.session


def _senders(packets: list[RtcpPacket]) -> set[int]:
    """Return the SSRCs on whose behalf a compound packet was sent."""
    ssrcs: set[int] = set()
    for packet in packets:
        if isinstance(packet, SenderReport | ReceiverReport):
            ssrcs.add(packet.ssrc)
        elif isinstance(packet, Bye):
            ssrcs.update(packet.ssrcs)
    return ssrcs
