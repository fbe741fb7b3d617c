"""One listener's WebRTC connection, by aiortc: it answers an offer and sends Opus.

    answer() -> run(): connecting -> connected -> over -> close()

A peer that does not connect in time is given up. One that vanishes is noticed by ICE
(RFC 7675: no consent for half a minute), one that leaves by its DTLS alert.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from fractions import Fraction
from typing import Any

from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from av import Packet

from server.audio import OPUS_RATE
from server.webrtc.broadcast import PacketQueue
from server.webrtc.offer import Offer

CONNECT_TIMEOUT_S = 15.0
ANSWER_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 5.0

_TIME_BASE = Fraction(1, OPUS_RATE)

# At lower levels they write addresses, ICE passwords and whole descriptions.
for _name in ("aiortc", "aioice"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class _PacketTrack(MediaStreamTrack):
    """Gives packets as they are, which aiortc sends without encoding anything."""

    kind = "audio"

    def __init__(self, queue: PacketQueue) -> None:
        super().__init__()
        self._queue = queue
        self._has_begun = False

    async def recv(self) -> Packet[Any]:
        """Return the next packet."""
        if not self._has_begun:
            # Who has just connected hears what is now.
            self._queue.clear()
            self._has_begun = True
        said = await self._queue.get()
        packet = Packet(said.data)
        packet.pts = said.timestamp
        packet.time_base = _TIME_BASE
        return packet


class Peer:
    """One listener.

    Args:
        queue: What is sent to it.
    """

    def __init__(self, queue: PacketQueue) -> None:
        self.queue = queue
        # With no server to ask for an address, as aiortc would do on its own.
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._changed = asyncio.Event()
        self._is_over = False
        self._connection.on("connectionstatechange", self._changed.set)

    async def answer(self, offer: Offer) -> str:
        """Return the SDP answer; with it the connection may begin.

        Raises:
            TimeoutError: It took too long.
        """
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            described = RTCSessionDescription(sdp=offer.to_sdp(), type="offer")
            self._connection.addTrack(_PacketTrack(self.queue))
            await self._connection.setRemoteDescription(described)
            await self._connection.setLocalDescription(
                await self._connection.createAnswer()
            )
        return offer.complete_answer(self._connection.localDescription.sdp)

    async def run(self) -> bool:
        """Wait until the listener is gone or `finish` was called.

        Returns:
            Whether it ever connected.
        """
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._until("connected")
        except TimeoutError:
            return False
        has_connected: bool = self._connection.connectionState == "connected"
        await self._until()
        return has_connected

    def finish(self) -> None:
        """Let `run` return: there is nothing more to be heard."""
        self._is_over = True
        self._changed.set()

    async def close(self) -> None:
        """Say goodbye (RTCP BYE, DTLS alert) and let go of the sockets."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._connection.close()

    async def _until(self, *states: str) -> None:
        while not self._is_over and self._connection.connectionState not in (
            *states,
            "failed",
            "closed",
        ):
            self._changed.clear()
            await self._changed.wait()
