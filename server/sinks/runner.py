"""Keeps a sink from ever holding up its track: a bounded queue and one task.

The track puts blocks and goes on; the task opens the sink, writes and closes. When the
queue is full, or the sink is broken, blocks are refused and the track notes a gap.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence

from server.audio import AudioBlock, Gap, StreamInfo, TrackNote
from server.sinks.base import AccountingSink, AudioSink, StreamSummary

log = logging.getLogger(__name__)

MAX_QUEUED_S = 30.0
"""Seconds of decoded audio that wait for a sink; at 8 kHz mono 480 kB."""

MAX_QUEUED_NOTES = 10_000
"""Beyond these the journal goes without; the document has them all the same."""

_Settling = asyncio.Future[Sequence[Gap]]


class SinkRunner:
    """One sink of one track, its queue and its task."""

    def __init__(
        self, sink: AudioSink, info: StreamInfo, *, max_queued_s: float = MAX_QUEUED_S
    ) -> None:
        self._sink = sink
        self._accounting = sink if isinstance(sink, AccountingSink) else None
        self._info = info
        self._max_queued = int(max_queued_s * info.sample_rate)
        self._queue: deque[AudioBlock | TrackNote | _Settling] = deque()
        self._queued = 0
        self._queued_notes = 0
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

    def note(self, event: TrackNote) -> None:
        """Queue what there is to tell beside the audio."""
        if self._accounting is None or self.error is not None:
            return
        if self._queued_notes < MAX_QUEUED_NOTES:
            self._queue.append(event)
            self._queued_notes += 1
            self._wake.set()

    async def settle(self) -> Sequence[Gap]:
        """Wait until the sink has what is queued; return what it could not keep.

        Of a sink that is broken, or does not account for what it takes, nothing.
        """
        if self._accounting is None or self.error is not None:
            return ()
        settling: _Settling = asyncio.get_running_loop().create_future()
        self._queue.append(settling)
        self._wake.set()
        return await settling

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
            log.exception("sink of recording %s broke", self._info.recording_id)
        finally:
            self._clear()

    def _clear(self) -> None:
        """Drop what is queued; whoever waits for it learns of nothing refused."""
        for item in self._queue:
            if isinstance(item, asyncio.Future) and not item.done():
                item.set_result(())
        self._queue.clear()
        self._queued = self._queued_notes = 0

    async def _write_until_closed(self) -> None:
        while True:
            while self._queue:
                await self._pass_on(self._queue.popleft())
            if self._summary is not None:
                return
            self._wake.clear()
            await self._wake.wait()

    async def _pass_on(self, item: AudioBlock | TrackNote | _Settling) -> None:
        if isinstance(item, AudioBlock):
            await self._sink.write(item)
            self._queued -= len(item.samples)
            return
        assert self._accounting is not None
        if isinstance(item, asyncio.Future):
            await self._settle(item, self._accounting)
            return
        self._queued_notes -= 1
        self._accounting.note(item)

    async def _settle(self, waiter: _Settling, sink: AccountingSink) -> None:
        refused: Sequence[Gap] = ()
        try:
            refused = await sink.settle()
        finally:
            if not waiter.done():
                waiter.set_result(refused)
