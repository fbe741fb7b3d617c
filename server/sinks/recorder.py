"""The recorder: a sink whose output is one finished recording in the library."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from server.audio import (
    AudioBlock,
    Gap,
    StreamInfo,
    TrackNote,
    warning_names,
)
from server.library.recording import (
    Packets,
    Recording,
    TimedChange,
    TimedDigit,
    TimedGap,
    Verdict,
)
from server.library.store import Library
from server.library.wav_layout import Encoding
from server.sinks.base import StreamSummary
from server.sinks.disk import until_kept
from server.sinks.evidence import Accounts
from server.sinks.partial import PartialRecording, layout_of
from server.sinks.writers import WriterPool

MAX_GAPS = 10_000
"""Gaps that one document lists; the rest are only counted."""


MAX_PENDING_S = 5.0
"""Seconds of audio on their way to the disk before the recorder makes its queue wait,
which is bounded in turn: with the 30 s of that, 35 s for each tap (560 kB at 8 kHz
mono)."""


SETTLE_S = 1.0
"""After something was written or noted: until the journal has it, and with
`durability=power` the disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderOptions:
    """How recordings are written."""

    durable: bool = False
    """Whether each second of audio is to survive a power cut."""
    resume: bool = False
    """Go on with the partial files of a server that ended."""
    on_finished: Callable[[Recording], None] | None = None
    """Takes over what is finished under `.partial`; without it the recorder publishes
    that itself."""


class Recorder:
    """Writes a WAV under `.partial` and publishes it when the track is over."""

    def __init__(
        self,
        library: Library,
        writers: WriterPool,
        options: RecorderOptions | None = None,
    ) -> None:
        self._library = library
        self._channel = writers.channel()
        self._options = options or RecorderOptions()
        self._info: StreamInfo | None = None
        self._partial: PartialRecording | None = None
        self._settling: asyncio.TimerHandle | None = None
        self._max_pending = 0

    async def open(self, info: StreamInfo) -> None:
        """Create the partial files; a disk that refuses is asked again later."""
        self._info = info
        self._max_pending = int(MAX_PENDING_S * info.sample_rate)
        options = self._options
        self._partial = PartialRecording(
            self._library.layout,
            info,
            resume=options.resume,
            durable=options.durable,
            on_refused=self._channel.count_refused,
        )
        try:
            await self._channel.call(self._partial.open)
        except BaseException:
            self._channel.release()
            raise

    async def write(self, block: AudioBlock) -> None:
        """Have a block written at its position; waits only for a disk far behind."""
        assert self._partial is not None
        channel = self._channel
        if channel.error is not None:
            raise channel.error
        channel.put(partial(self._partial.write, block), len(block.samples))
        if self._options.durable:
            self._settle_later()
        if channel.pending > self._max_pending:
            await channel.settle()

    def note(self, event: TrackNote) -> None:
        """Have the journal tell of something beside the audio."""
        assert self._partial is not None
        self._channel.put(partial(self._partial.note, event), 0)
        self._settle_later()

    async def settle(self) -> Sequence[Gap]:
        """Wait until the disk has had everything; return what it refused anew."""
        assert self._partial is not None
        await self._channel.settle()
        return await self._channel.call(self._partial.take_refused)

    async def close(self, summary: StreamSummary) -> None:
        """Complete the file to the length of the track, and hand it over or publish it.

        A full disk is asked again and again. Cancelling leaves what is needed to
        recover the recording at the next start.
        """
        assert self._partial is not None
        assert self._info is not None
        recording = describe(self._info, summary)
        complete = partial(self._partial.complete, recording.samples)
        if self._settling is not None:
            self._settling.cancel()
        try:
            await self._channel.settle()
            await self._channel.call(self._partial.settle)
            try:
                await self._channel.call(complete)
            except OSError:
                await until_kept(complete, f"recording {recording.id}")
        finally:
            self._channel.release()
        if self._options.on_finished is not None:
            self._options.on_finished(recording)
            return
        # Waiting for the disk to have it all is no business of the writer threads.
        publish = partial(self._library.publish, recording)
        await until_kept(publish, f"recording {recording.id}")

    def _settle_later(self) -> None:
        if self._settling is None:
            loop = asyncio.get_running_loop()
            self._settling = loop.call_later(SETTLE_S, self._settle_now)

    def _settle_now(self) -> None:
        assert self._partial is not None
        self._settling = None
        self._channel.put(self._partial.settle, 0)


def describe(info: StreamInfo, summary: StreamSummary) -> Recording:
    """Return the document of a finished recording."""
    rate = info.sample_rate
    gaps, omitted = _timed_gaps(summary.gaps, rate)
    evidence, evidence_omitted = _accounts(summary, rate).entries()
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
        arrival_clock_s=summary.arrival_started_at,
        sender_clock_s=summary.sender_started_at,
        evidence=evidence,
        evidence_omitted=evidence_omitted,
        quality=summary.quality,
        warnings=warning_names(summary.warnings),
        custom_parameters=summary.custom_parameters,
        tags=info.tags,
        encoding=_encoding(info),
    )


def _encoding(info: StreamInfo) -> str:
    # What no WAV can hold as it is becomes samples, whatever was asked for.
    is_pcm = layout_of(info).encoding is Encoding.PCM16
    return "pcm16" if is_pcm else "native"


def _accounts(summary: StreamSummary, rate: int) -> Accounts:
    accounts = Accounts(rate, summary.length, summary.gaps)
    accounts.add_late(summary.late)
    accounts.add_digits(summary.digits)
    accounts.add_changes(summary.changes)
    accounts.add_warnings(summary.warnings)
    return accounts


def _timed_gaps(gaps: Sequence[Gap], rate: int) -> tuple[tuple[TimedGap, ...], int]:
    kept = gaps[:MAX_GAPS]
    timed = tuple(
        TimedGap(_seconds(gap.start, rate), _seconds(gap.length, rate), gap.cause)
        for gap in kept
    )
    return timed, len(gaps) - len(kept)


def _seconds(samples: int, rate: int) -> float:
    return round(samples / rate, 6)
