"""A forward over RTP: packets of a source of our own to one UDP port, in real time.

UDP has no connection, so that `connected` means: packets are sent, and the system has
told of no refusal. Each attempt is a new source, because it comes from a new port
(RFC 3550 section 8.2).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from server.forwards.forward import CONNECT_TIMEOUT_S, CutError, Forward, ForwardContext
from server.forwards.packetizer import TimedPacket
from server.forwards.request import RtpForwardRequest
from server.forwards.rtp_socket import find_address
from server.forwards.rtp_source import RtpSource

REFUSAL_S = 0.3
"""After the first packet, for a refusal to come back from wherever the port is."""

GOODBYE_S = 0.1
"""Before a BYE to another port, which could overtake the last packets there: ffmpeg
looks at that port first, and then at nothing any more."""

FLUSH_S = 0.06
"""For which the beginning of a packet waits for the rest of it."""


class RtpForward(Forward):
    """Sends one track of one tap to one UDP port."""

    def __init__(
        self, forward_id: str, request: RtpForwardRequest, context: ForwardContext
    ) -> None:
        super().__init__(forward_id, request, context)
        self._wanted = request
        self._tried_at: float | None = None
        """When the first packet of this attempt was sent."""
        self._paced_ms = 0.0
        """Audio in packets that wait for their time."""

    @property
    def _queued_ms(self) -> float:
        return self._buffer.queued_ms + self._paced_ms

    async def _connect(self) -> None:
        self._tried_at = None
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            address = await find_address(self._wanted.host, self._allowed)
            source = await RtpSource.open(address, self._wanted, self._wake.set)
        self._buffer.rewind()
        try:
            await self._send_all(source)
        finally:
            self._paced_ms = 0.0
            source.close()
            if source.heard:
                self._log.debug("x %d from the other end", source.heard)

    async def _send_all(self, source: RtpSource) -> None:
        packetizer = source.packetizer
        while True:
            self._wake.clear()
            while (piece := self._buffer.take()) is not None:
                made = await self._made(
                    packetizer.packets, piece, is_heavy=packetizer.is_heavy
                )
                await self._send(source, made)
            self._check(source)
            if self._over.is_set():
                break
            if not await self._wait_for_audio(source):
                await self._send(source, list(packetizer.flush()))
        await self._send(source, list(packetizer.finish()))
        if self._wanted.rtcp == "next_port":
            await asyncio.sleep(GOODBYE_S)

    async def _wait_for_audio(self, source: RtpSource) -> bool:
        """Return whether there is something before there is something else to do."""
        timeouts = [source.report_wait_s]
        if source.packetizer.has_rest:
            timeouts.append(FLUSH_S)
        if self._tried_at is not None and not self._is_connected:
            timeouts.append(REFUSAL_S)
        known = [each for each in timeouts if each is not None]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(known, default=None)):
                await self._wake.wait()
                return True
        source.report_if_due()
        return False

    async def _send(self, source: RtpSource, packets: Sequence[TimedPacket]) -> None:
        self._paced_ms = 1000 * sum(each.length_s for each in packets)
        for timed in packets:
            if wait_s := source.wait_s:
                await asyncio.sleep(wait_s)
            self._check(source)
            self._paced_ms -= 1000 * timed.length_s
            if source.send(timed):
                self._count(timed)
            else:
                self._buffer.dropped_ms += 1000 * timed.length_s
        self._paced_ms = 0.0

    def _count(self, timed: TimedPacket) -> None:
        self._sent_messages += 1
        self._sent_bytes += len(timed.packet.payload)
        if self._tried_at is None:
            self._tried_at = asyncio.get_running_loop().time()

    def _check(self, source: RtpSource) -> None:
        if source.error is not None:
            raise source.error
        if self._buffer.has_overflowed:
            raise CutError("it was sent too slowly, and the policy is disconnect")
        if self._tried_at is None or self._is_connected:
            return
        if asyncio.get_running_loop().time() - self._tried_at >= REFUSAL_S:
            self._connected()
