"""Sends an RTP tap over UDP."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from relay_client.simulator.feed import AudioFeed
from relay_client.simulator.network import Datagram
from relay_client.simulator.options import MediaOptions
from relay_client.simulator.rtp_plan import RtpPlan
from relay_client.simulator.senders import Schedule
from relay_client.simulator.sent import SentLog

PlanMaker = Callable[[AudioFeed], RtpPlan]


class _Endpoint(asyncio.DatagramProtocol):
    """Ignores whatever comes back, ICMP errors included: a tap is one-way."""


class RtpSender:
    """One tap's socket and schedule."""

    def __init__(
        self,
        addr: str,
        port: int,
        *,
        make_plan: PlanMaker,
        options: MediaOptions,
        log: SentLog,
    ) -> None:
        self._addr = addr
        self._port = port
        self._make_plan = make_plan
        self._options = options
        self._log = log
        self._schedule = Schedule()
        self._transport: asyncio.DatagramTransport | None = None

    def source(self) -> tuple[str, int] | None:
        """Return where datagrams really come from."""
        if self._transport is None:
            return None
        host, port = self._transport.get_extra_info("sockname")[:2]
        return host, port

    async def open(self) -> None:
        """Bind a socket on the side that faces the destination."""
        loop = asyncio.get_running_loop()
        local = _local_address(self._addr, self._port)
        self._transport, _ = await loop.create_datagram_endpoint(
            _Endpoint, local_addr=(local, 0)
        )

    async def run(self, feed: AudioFeed) -> None:
        """Send until `stop` or the end of the audio."""
        plan = self._make_plan(feed)
        self._schedule.start()
        for datagram in plan.datagrams():
            if not await self._schedule.reach(datagram.at):
                break
            self._send(datagram)
        for datagram in plan.farewell():
            self._send(datagram)

    def stop(self) -> None:
        """Make `run` end soon."""
        self._schedule.stop()

    async def close(self) -> None:
        """Close the socket."""
        if self._transport is not None:
            self._transport.close()

    async def release(self) -> None:
        """Close the socket."""
        await self.close()

    def _send(self, datagram: Datagram) -> None:
        is_sent = bool(datagram.data) and self._transport is not None
        if is_sent and self._transport is not None:
            to_next = datagram.is_rtcp and self._options.rtcp == "next"
            self._transport.sendto(
                datagram.data, (self._addr, self._port + (1 if to_next else 0))
            )
        if datagram.span is not None:
            self._log.add(
                datagram.span, delivered=is_sent, sent_at=self._schedule.now()
            )


def _local_address(addr: str, port: int) -> str:
    """Return the address of the interface through which `addr` is reached."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((addr, port))
        host: str = probe.getsockname()[0]
        return host
