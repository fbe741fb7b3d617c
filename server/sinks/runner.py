"""Keeps a sink from ever holding up its track: a bounded queue and one task.

The track puts blocks and goes on; the task opens the sink, writes and closes. When the
queue is full, or the sink is broken, blocks are refused and the track notes a gap.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from server.audio import AudioBlock, StreamInfo
from server.sinks.base import AudioSink, StreamSummary

log = logging.getLogger(__name__)

MAX_QUEUED_S = 30.0
"""Seconds of decoded audio that wait for a sink; at 8 kHz mono 480 kB."""


class SinkRunner:
    """One sink of one track, its queue and its task."""

    def __init__(
        self, sink: AudioSink, info: StreamInfo, *, max_queued_s: float = MAX_QUEUED_S
    ) -> None:
        self._sink = sink
        self._info = info
        self._max_queued = int(max_queued_s * info.sample_rate)
        self._queue: deque[AudioBlock] = deque()
        self._queued = 0
        self._wake = asyncio.Event()
        self._summary: StreamSummary | None = None
        self._task: asyncio.Task[None] | None = None
        self.error: Exception | None = None
        """What broke the sink, if it is broken."""

    def start(self) -> None:
        """Begin; opening the sink happens in the task."""
        name = f"sink {self._info.recording_id}"
        self._task = asyncio.create_task(self._run(), name=name)

    @property
    def queued(self) -> int:
        """Samples that wait for the sink."""
        return self._queued

    @property
    def queued_blocks(self) -> int:
        """Blocks that wait for the sink."""
        return len(self._queue)

    def put(self, block: AudioBlock) -> bool:
        """Queue a block; return False if it cannot be kept."""
        length = len(block.samples)
        if self.error is not None or self._queued + length > self._max_queued:
            return False
        self._queue.append(block)
        self._queued += length
        self._wake.set()
        return True

    async def close(self, summary: StreamSummary) -> None:
        """Let the sink take what is queued, then finish it.

        Cancelling gives up waiting; the sink is then left unfinished.
        """
        self._summary = summary
        self._wake.set()
        if self._task is not None:
            await self._task

    async def abandon(self, error: Exception | None = None) -> None:
        """Stop at once, leaving the sink unfinished because of `error`, if any."""
        if self._task is not None and not self._task.done():
            self.error = error
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            await self._sink.open(self._info)
            await self._write_until_closed()
            assert self._summary is not None
            await self._sink.close(self._summary)
        except Exception as error:
            # One broken sink ends neither the tap nor the other sinks.
            self.error = error
            self._queue.clear()
            self._queued = 0
            log.exception("sink of recording %s broke", self._info.recording_id)

    async def _write_until_closed(self) -> None:
        while True:
            while self._queue:
                block = self._queue.popleft()
                await self._sink.write(block)
                self._queued -= len(block.samples)
            if self._summary is not None:
                return
            self._wake.clear()
            await self._wake.wait()
