"""What the senders of a tap have in common: their surface and their clock."""

from __future__ import annotations

import asyncio
from typing import Protocol

from relay_client.simulator.feed import AudioFeed


class MediaSender(Protocol):
    """Sends the audio of one tap."""

    def source(self) -> tuple[str, int] | None:
        """Return the address and port of RTP; None over WebSocket."""
        ...

    async def open(self) -> None:
        """Get ready to send.

        Raises:
            OSError: The destination cannot be reached.
        """
        ...

    async def run(self, feed: AudioFeed) -> None:
        """Send until `stop`, the end of the audio, or of the destination."""
        ...

    def stop(self) -> None:
        """Make `run` end soon, and in order."""
        ...

    async def close(self) -> None:
        """End the connection as a tap ends."""
        ...

    async def release(self) -> None:
        """Let go of everything."""
        ...


class Schedule:
    """Waits for moments after a fixed start, so that delays never add up."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._started_at = self._loop.time()

    def start(self) -> None:
        """Make now the moment 0."""
        self._started_at = self._loop.time()

    def stop(self) -> None:
        """Make every wait end at once, with False."""
        self._stopping.set()

    def now(self) -> float:
        """Return monotonic seconds."""
        return self._loop.time()

    async def reach(self, at: float) -> bool:
        """Wait for `at` seconds after the start; False if stopped before.

        What is late already does not wait, but lets others run.
        """
        when = self._started_at + at
        if when <= self._loop.time():
            await asyncio.sleep(0)
            return not self._stopping.is_set()
        try:
            async with asyncio.timeout_at(when):
                await self._stopping.wait()
        except TimeoutError:
            return True
        return False
