"""One stream of Opus packets of what is being said, shared by all who listen to it.

    receive() -> Playout -> each 20 ms -> Mixdown, Opus (a thread) -> everybody's queue

However many listen, a frame is encoded once. The clock is ours, not the sender's: what
has not arrived by its turn is silence.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from server.audio import OPUS_RATE, Run, Samples, StreamInfo
from server.codecs.opus_encoder import OpusEncoder
from server.webrtc.mixdown import (
    FRAME_SAMPLES,
    FRAMES_PER_SECOND,
    Layout,
    Mixdown,
    Part,
    Playout,
)

FRAME_S = 1 / FRAMES_PER_SECOND
LOOK_FRAMES = 10
"""How often it is looked for a second side of the call, and for the tap's end."""
MAX_BEHIND_S = 0.2
"""For which frames are made up for; after a longer stall the rest is left out."""
MAX_QUEUED = 10
"""Packets of 20 ms that wait for one listener."""


@dataclass(frozen=True, slots=True)
class OpusPacket:
    """20 ms of sound."""

    data: bytes
    timestamp: int
    """In samples at 48 kHz, since the broadcast began."""


class PacketQueue:
    """What waits for one listener; the oldest goes when it is full."""

    def __init__(self) -> None:
        self._packets: deque[OpusPacket] = deque(maxlen=MAX_QUEUED)
        self._changed = asyncio.Event()

    def put(self, packet: OpusPacket) -> None:
        """Add a packet; returns at once."""
        self._packets.append(packet)
        self._changed.set()

    def clear(self) -> None:
        """Forget what was said before somebody could hear it."""
        self._packets.clear()

    async def get(self) -> OpusPacket:
        """Return the next packet. Cancelling it loses nothing."""
        while not self._packets:
            self._changed.clear()
            await self._changed.wait()
        return self._packets.popleft()


class Broadcast:
    """Listens to the tracks of a call, and lets any number of peers hear them.

    Args:
        layout: Who is heard on which side.
        look: Called a few times a second, attends to tracks that are new and tells
            whether the tap still goes on.
        encoders: Where frames are encoded.
    """

    def __init__(
        self, layout: Layout, look: Callable[[], bool], encoders: Executor
    ) -> None:
        self._look = look
        self._encoders = encoders
        self._playout = Playout()
        self._mixdown = Mixdown(layout)
        self._encoder = OpusEncoder(OPUS_RATE, channels=2)
        self._frames = 0
        self.queues: set[PacketQueue] = set()
        """Of those who listen; add and remove freely."""

    def receive(self, info: StreamInfo, run: Run, samples: Samples) -> None:
        """Keep a run until its turn; returns at once."""
        if len(samples):
            self._playout.put(info, run.start, samples)

    async def run(self) -> None:
        """Send until the tap is over and all of it was said. Cancelling it is safe."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        is_live = True
        while is_live or not self._playout.is_empty:
            due += FRAME_S
            if loop.time() - due > MAX_BEHIND_S:
                missed = int((loop.time() - due) / FRAME_S)
                due += missed * FRAME_S
                self._frames += missed
            await asyncio.sleep(due - loop.time())
            if self._frames % LOOK_FRAMES == 0:
                is_live = self._look()
            await self._send_frame(loop)

    async def _send_frame(self, loop: asyncio.AbstractEventLoop) -> None:
        parts = self._playout.take()
        data = await loop.run_in_executor(self._encoders, self._encode, parts)
        packet = OpusPacket(data, self._frames * FRAME_SAMPLES)
        self._frames += 1
        for queue in tuple(self.queues):
            queue.put(packet)

    def _encode(self, parts: list[Part]) -> bytes:
        (packet,) = self._encoder.encode(self._mixdown.mix(parts))
        return packet
