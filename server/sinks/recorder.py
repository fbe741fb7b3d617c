"""The recorder: a sink whose output is one finished recording in the library."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from server.audio import AudioBlock, Gap, StreamInfo, warning_names
from server.library.recording import (
    Packets,
    Recording,
    TimedChange,
    TimedDigit,
    TimedGap,
    Verdict,
)
from server.library.store import Library
from server.sinks.base import StreamSummary
from server.sinks.wav import WavWriter
from server.sinks.writers import WriterPool

MAX_GAPS = 10_000
"""Gaps that one document lists; the rest are only counted."""


MAX_PENDING_S = 5.0
"""Seconds of audio on their way to the disk before the recorder makes its queue wait,
which is bounded in turn."""


class Recorder:
    """Writes a WAV under `.partial` and publishes it when the track is over."""

    def __init__(self, library: Library, writers: WriterPool) -> None:
        self._library = library
        self._channel = writers.channel()
        self._info: StreamInfo | None = None
        self._writer: WavWriter | None = None
        self._max_pending = 0

    async def open(self, info: StreamInfo) -> None:
        """Create the partial file."""
        self._info = info
        self._max_pending = int(MAX_PENDING_S * info.sample_rate)
        try:
            self._writer = await self._channel.call(partial(self._create, info))
        except BaseException:
            self._channel.release()
            raise

    async def write(self, block: AudioBlock) -> None:
        """Have a block appended at its position; waits only for a disk far behind."""
        assert self._writer is not None
        channel = self._channel
        if channel.error is not None:
            raise channel.error
        samples = block.samples
        channel.put(partial(self._writer.write, block.start, samples), len(samples))
        if channel.pending > self._max_pending:
            await channel.settle()

    async def close(self, summary: StreamSummary) -> None:
        """Complete the file to the length of the track and publish it."""
        assert self._writer is not None
        assert self._info is not None
        recording = describe(self._info, summary)
        try:
            await self._channel.settle()
            await self._channel.call(partial(_complete, self._writer, recording))
        finally:
            self._channel.release()
        # Waiting for the disk to have it all is no business of the writer threads.
        await asyncio.to_thread(self._library.publish, recording)

    def _create(self, info: StreamInfo) -> WavWriter:
        path = self._library.partial_path(info.recording_id)
        return WavWriter(path, sample_rate=info.sample_rate, channels=info.channels)


def _complete(writer: WavWriter, recording: Recording) -> None:
    with writer:
        writer.pad_to(recording.samples)


def describe(info: StreamInfo, summary: StreamSummary) -> Recording:
    """Return the document of a finished recording."""
    rate = info.sample_rate
    gaps, omitted = _timed_gaps(summary.gaps, rate)
    return Recording(
        id=info.recording_id,
        call_id=info.call_id,
        node_id=info.node_id,
        control_id=info.control_id,
        direction=info.direction,
        transport=info.transport,
        origin=summary.origin,
        track=info.track,
        codec=info.codec.value,
        sample_rate=rate,
        channels=info.channels,
        started_at=datetime.fromtimestamp(info.started_at, UTC),
        ended_at=summary.ended_at,
        duration_s=round(summary.length / rate, 6),
        samples=summary.length,
        state=summary.outcome,
        verdict=Verdict(summary.is_complete, summary.reason),
        end_reason=summary.end_reason,
        from_number=info.from_number,
        to_number=info.to_number,
        packets=Packets.of(summary.counts),
        undecodable=summary.undecodable,
        jitter_ms=round(summary.counts.jitter_ms, 3),
        gaps=gaps,
        gaps_omitted=omitted,
        digits=tuple(
            TimedDigit(_seconds(each.start, rate), each.digit, each.length / rate)
            for each in summary.digits
        ),
        changes=tuple(
            TimedChange(_seconds(each.start, rate), each.what)
            for each in summary.changes
        ),
        quality=summary.quality,
        warnings=warning_names(summary.warnings),
        custom_parameters=summary.custom_parameters,
    )


def _timed_gaps(gaps: Sequence[Gap], rate: int) -> tuple[tuple[TimedGap, ...], int]:
    kept = gaps[:MAX_GAPS]
    timed = tuple(
        TimedGap(_seconds(gap.start, rate), _seconds(gap.length, rate), gap.cause)
        for gap in kept
    )
    return timed, len(gaps) - len(kept)


def _seconds(samples: int, rate: int) -> float:
    return round(samples / rate, 6)
