"""From the datagrams of all sockets to the taps that they belong to.

RTP carries no secret and a tap can send no header, so a datagram is a tap's only
because of where it came from or where it went. In this order:

    the port that signalling named it for     `add_port` with a hint; see `ports`
    a source that signalling named            `add_source`; see `named_source`
    the source of a tap that has just ended   counted as `after_end`; see `ended`
    a port opened for one tap                 `add_port` without a hint
    anything else                             held a while, in case it is announced
                                              late, then counted as `unannounced`

Nothing is ever learned from a datagram except by a port opened for one tap. With
`accept_unknown`, a source that looks like a stream is reported by `next_event`, and its
owner may then register it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from server.rtp.address import Address
from server.rtp.batch import DatagramBatch
from server.rtp.ended import AFTER_END_TIME, PAUSE, EndedSources, PortPast
from server.rtp.errors import RtpError
from server.rtp.holding import HoldingArea, HoldingBounds
from server.rtp.lanes import Lanes
from server.rtp.named_source import NamedSource, Route
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
        self.notices: Counter[str] = Counter()
        """What is unusual and yet was dealt with, by name."""
        self._accept_unknown = accept_unknown
        self._after_end_time = after_end_time
        self._bounds = bounds or HoldingBounds(hold_time=hold_time)
        self._held = HoldingArea(self.drops, self._bounds)
        self._awaiting: int | None = None
        # Straight to the bound method: one look-up and one call a datagram.
        self._routes: dict[Address, Route] = {}
        self._lanes = Lanes()
        # The taps whose sources have a lane; each of them is in the routes.
        self._laned: dict[Address, RtpSession] = {}
        self._named: dict[Address, NamedSource] = {}
        # Those that are not in the routes, because their SSRCs tell taps apart.
        self._dealt: dict[Address, NamedSource] = {}
        self._ports: dict[int, OpenPort] = {}
        self._ended = EndedSources()
        self._past: dict[int, PortPast] = {}
        self._events: deque[NewSource] = deque()
        self._now = 0.0

    # Taps

    @property
    def awaiting(self) -> int | None:
        """How many announced taps wait for their source; None if nobody counts them.

        Nothing is held for none, unless unknown sources are accepted.
        """
        return self._awaiting

    @awaiting.setter
    def awaiting(self, count: int) -> None:
        self._awaiting = count
        self._held.make_room_for(count)

    def add_source(self, addr: Address, session: RtpSession) -> None:
        """Route a source to a tap, beginning with what is held of it.

        A source that is named for several taps is dealt out by its SSRCs.
        """
        named = self._named.setdefault(addr, NamedSource())
        if session in named.sessions:
            return
        named.add(session)
        if len(named.sessions) > 1:
            self.notices["shared_source"] += 1
        if len(named.sessions) > 1 or addr in self._ended:
            self._ended.shorten(addr, self._now + PAUSE)
            self._unroute(addr)
            self._dealt[addr] = named
        else:
            self._routes[addr] = session.receive_datagram
        for data, at in self._held.claim(addr):
            route = self._route(addr, data) or named.deal(data[8:12])
            route(data, at)

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
                self._close_port(local_port, port)
            port = OpenPort(session, self.drops, self._bounds)
            self._ports[local_port] = port
        if source_hint is not None:
            port.set_hint(source_hint, self._now)

    def is_resting(self, local_port: int, now: float) -> bool:
        """Tell whether a port was in use too lately to be opened for another tap."""
        past = self._past.get(local_port)
        return past is not None and now < past.rests_until

    def settle(self, session: RtpSession) -> None:
        """Give a tap what is held for it on its port; no hint is waited for longer."""
        for port in self._ports.values():
            if port.session is session:
                port.decide()

    def remove(self, session: RtpSession) -> None:
        """Stop routing to a tap; what still comes for it is counted `after_end`."""
        until = self._now + self._after_end_time
        named = [(a, n) for a, n in self._named.items() if session in n.sessions]
        for addr, source in named:
            source.remove(session)
            self._ended.add(addr, session.heard(), self._now, until)
            if source.sessions:
                continue
            del self._named[addr]
            self._unroute(addr)
            self._dealt.pop(addr, None)
        ports = [(n, p) for n, p in self._ports.items() if p.session is session]
        for local_port, port in ports:
            self._close_port(local_port, port)

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

    def receive_expected(
        self, batch: DatagramBatch, local_port: int, now: float
    ) -> Sequence[int]:
        """Take the datagrams that were expected, all at once.

        Returns:
            The indices of all the rest, which are for `receive_datagrams`.
        """
        self._now = now
        if local_port in self._ports:
            return range(len(batch))
        return self._lanes.receive(batch, now)

    def open_lanes(self, batch: DatagramBatch, indices: Iterable[int]) -> None:
        """Expect more of the sources of these datagrams, where it can be foretold."""
        for index in indices:
            addr = batch.address(index)
            if addr in self._routes and addr not in self._laned:
                # What is routed by its address alone is for one tap.
                (session,) = self._named[addr].sessions
                session.use_lane(self._lanes.open(batch.source(index)))
                self._laned[addr] = session

    def next_event(self) -> NewSource | None:
        """Return the next unannounced stream, with `accept_unknown`."""
        return self._events.popleft() if self._events else None

    def get_timer(self) -> float | None:
        """Return when `handle_timer` is to be called next; sessions have their own."""
        deadlines = (
            self._held.get_timer(),
            self._ended.get_timer(),
            *(port.get_timer() for port in self._ports.values()),
        )
        return min((at for at in deadlines if at is not None), default=None)

    def handle_timer(self, now: float) -> None:
        """Let go of what was held or remembered long enough."""
        self._now = now
        self._held.handle_timer(now)
        self._ended.handle_timer(now)
        for port in self._ports.values():
            if not port.held.is_empty:
                port.handle_timer(now)

    @property
    def held_datagrams(self) -> int:
        """Datagrams that are neither given to a session nor counted yet."""
        on_ports = sum(len(port.held) for port in self._ports.values())
        return len(self._held) + on_ports

    def _unroute(self, addr: Address) -> None:
        self._routes.pop(addr, None)
        if (session := self._laned.pop(addr, None)) is not None:
            session.leave_lane()

    # Datagrams that are not simply for the one tap of their source

    def _receive_unrouted(
        self, data: bytes, addr: Address, local_port: int, now: float
    ) -> None:
        port = self._ports.get(local_port)
        is_hint = port is not None and port.hint == addr
        route = None if is_hint else self._route(addr, data)
        if route is not None:
            route(data, now)
        elif is_rtcp(data):
            self._receive_rtcp(data, addr, local_port, now)
        else:
            self._receive_stranger(data, addr, local_port, now)

    def _route(self, addr: Address, data: bytes) -> Route | None:
        """Return where a datagram goes on whatever port it came."""
        dealt = self._dealt.get(addr)
        return self._routes.get(addr) if dealt is None else dealt.routes.get(data[8:12])

    def _receive_stranger(
        self, data: bytes, addr: Address, local_port: int, now: float
    ) -> None:
        try:
            packet = RtpPacket.parse(data)
        except RtpError as error:
            self.drops[error.reason] += 1
            return
        port = self._ports.get(local_port)
        if port is not None and port.hint == addr:
            port.receive_stranger(data, addr, packet, now)
        elif self._is_straggler(addr, packet.ssrc, local_port, now):
            self.drops["after_end"] += 1
        elif (dealt := self._dealt.get(addr)) is not None:
            dealt.deal(data[8:12])(data, now)
        elif port is not None:
            port.receive_stranger(data, addr, packet, now)
        elif self._awaiting == 0 and not self._accept_unknown:
            self.drops["unannounced"] += 1
        else:
            self._hold(data, addr, packet, local_port, now)

    def _is_straggler(
        self, addr: Address, ssrc: int, local_port: int, now: float
    ) -> bool:
        past = self._past.get(local_port)
        if past is not None and past.is_former(addr, ssrc):
            past.rests_until = now + self._after_end_time
            return True
        dealt = self._dealt.get(addr)
        is_wanted = dealt is None or not dealt.is_complete
        return self._ended.is_straggler(addr, ssrc, now, is_wanted=is_wanted)

    def _close_port(self, local_port: int, port: OpenPort) -> None:
        """Close a port, and remember who sent to it."""
        until = self._now + self._after_end_time
        past = self._past.setdefault(local_port, PortPast())
        past.rests_until = until
        heard = port.session.heard()
        for addr in port.routes:
            past.add(addr, heard)
            self._ended.add(addr, heard, self._now, until)
        port.close()
        del self._ports[local_port]

    def _hold(
        self, data: bytes, addr: Address, packet: RtpPacket, local_port: int, now: float
    ) -> None:
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
            if (named := self._named.get(source)) is not None:
                yield from named.sessions
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
