"""The recorder: a sink whose output is one finished recording in the library."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from server.audio import AudioBlock, Gap, Outcome, StreamInfo
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

MAX_GAPS = 10_000
"""Gaps that one document lists; the rest are only counted."""


class Recorder:
    """Writes a WAV under `.partial` and publishes it when the track is over."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._info: StreamInfo | None = None
        self._writer: WavWriter | None = None

    async def open(self, info: StreamInfo) -> None:
        """Create the partial file."""
        self._info = info
        self._writer = await asyncio.to_thread(self._create, info)

    async def write(self, block: AudioBlock) -> None:
        """Append a block at its position."""
        assert self._writer is not None
        await asyncio.to_thread(self._writer.write, block.start, block.samples)

    async def close(self, summary: StreamSummary) -> None:
        """Complete the file to the length of the track and publish it."""
        assert self._writer is not None
        assert self._info is not None
        recording = describe(self._info, summary)
        await asyncio.to_thread(self._publish, self._writer, recording)

    def _create(self, info: StreamInfo) -> WavWriter:
        path = self._library.partial_path(info.recording_id)
        return WavWriter(path, sample_rate=info.sample_rate, channels=info.channels)

    def _publish(self, writer: WavWriter, recording: Recording) -> None:
        with writer:
            writer.pad_to(recording.samples)
        self._library.publish(recording)


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
        state=Outcome(summary.outcome),
        verdict=Verdict(summary.is_complete, summary.reason),
        end_reason=summary.end_reason,
        from_number=info.from_number,
        to_number=info.to_number,
        packets=Packets.of(summary.counts),
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
