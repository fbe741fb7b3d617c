"""The one joint between media and sinks: what a tap hears, decoded in bulk.

    session.take() -> Run  -> decoder -> AudioBlock -> every sink of the track
                      Gap, Digit, SourceChange      -> the evidence of the track

Light codecs are decoded where they are (a table look-up over a whole run); heavy ones
in a thread, in order, behind a bounded backlog.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

from server.audio import (
    AudioBlock,
    AudioFormat,
    Digit,
    Gap,
    GapCause,
    Run,
    Samples,
    SourceChange,
    StreamInfo,
    TrackEvent,
    TrackNote,
)
from server.codecs.native import NativeAudio
from server.codecs.registry import Decoder, decoder_for
from server.log import TapLog
from server.sinks.base import AudioSink, StreamSummary
from server.sinks.runner import SinkRunner
from server.taps.media_facts import media_facts
from server.taps.tap import EndReason, Tap
from server.taps.verdict import TrackEvidence, TrackVerdict, verdict_with_audio

log = logging.getLogger(__name__)

MAX_BACKLOG_S = 60.0
"""Seconds of encoded audio that wait for a decoding thread."""

MAX_NOTES = 100_000
"""Gaps, digits and changes remembered for one track, each."""

Note = TypeVar("Note", Gap, Digit, SourceChange)
MAX_DECODERS = 8
"""Kept for one track; a sender may announce new formats for ever."""

SinkFactory = Callable[[StreamInfo], Sequence[AudioSink]]


class Track:
    """One track: its decoders, its sinks, and the evidence of what became of it."""

    def __init__(self, info: StreamInfo, sinks: Sequence[AudioSink]) -> None:
        self.info = info
        self._native = NativeAudio.of(info)
        self.length = 0
        """Samples so far, with audio or without."""
        self.peak = 0
        """Largest absolute sample so far."""
        self.gaps: list[Gap] = []
        self.digits: list[Digit] = []
        self.changes: list[SourceChange] = []
        self.missing: dict[GapCause, int] = {}
        self._has_failed = False
        """Whether decoding has met an error, which is told once."""
        self._retired_errors = 0
        self._decoders: dict[AudioFormat, Decoder] = {}
        self._backlog: deque[Run] = deque()
        self._backlog_samples = 0
        self._decoding: asyncio.Task[None] | None = None
        self._runners = [SinkRunner(sink, info) for sink in sinks]
        for runner in self._runners:
            runner.start()

    @property
    def error(self) -> Exception | None:
        """What broke a sink of this track, if anything did."""
        return next((each.error for each in self._runners if each.error), None)

    @property
    def size_bytes(self) -> int:
        """Audio in the recording so far, as bytes."""
        return self.length * self.info.channels * (1 if self._native else 2)

    @property
    def undecodable(self) -> int:
        """Packets that no decoder could turn into sound."""
        live = sum(decoder.errors for decoder in self._decoders.values())
        return self._retired_errors + live

    @property
    def queued_blocks(self) -> int:
        """Blocks of audio that wait for a sink."""
        return sum(runner.queued_blocks for runner in self._runners)

    def handle(self, event: TrackEvent) -> None:
        """Take one event of the media session."""
        match event:
            case Run():
                self._handle_run(event)
            case Gap():
                self._note_gap(event)
            case Digit():
                _append_bounded(self.digits, event)
                self._tell(event)
            case SourceChange():
                _append_bounded(self.changes, event)
                self._tell(event)

    async def close(self, summary: StreamSummary) -> None:
        """Finish decoding, then every sink."""
        await self._decode_all()
        await asyncio.gather(*(each.close(summary) for each in self._runners))

    async def settle(self) -> None:
        """Wait until all that was taken is decoded and kept, or known not to be."""
        await self._decode_all()
        for refused in await asyncio.gather(*(each.settle() for each in self._runners)):
            for gap in refused:
                self._count_gap(gap)

    async def abandon(self, error: Exception | None = None) -> None:
        """Stop at once."""
        if self._decoding is not None:
            self._decoding.cancel()
            await asyncio.gather(self._decoding, return_exceptions=True)
        await asyncio.gather(*(each.abandon(error) for each in self._runners))

    async def _decode_all(self) -> None:
        while self._decoding is not None:
            await self._decoding

    def _handle_run(self, run: Run) -> None:
        self.length = max(self.length, run.start + run.length)
        decoder = self._decoder(run.format)
        if self._decoding is None and not decoder.is_heavy:
            try:
                self._deliver(run, decoder.decode(run))
            except Exception:
                self._leave_out(run)
            return
        if self._backlog_samples > MAX_BACKLOG_S * self.info.sample_rate:
            self._drop(run, "decoding too far behind")
            return
        self._backlog.append(run)
        self._backlog_samples += run.length
        if self._decoding is None:
            name = f"decode {self.info.recording_id}"
            self._decoding = asyncio.create_task(self._decode_backlog(), name=name)

    async def _decode_backlog(self) -> None:
        try:
            while self._backlog:
                run = self._backlog.popleft()
                self._backlog_samples -= run.length
                try:
                    decoder = self._decoder(run.format)
                    samples = await asyncio.to_thread(decoder.decode, run)
                    self._deliver(run, samples)
                except Exception:
                    self._leave_out(run)
        finally:
            self._decoding = None

    def _leave_out(self, run: Run) -> None:
        """Go on without a run whose decoding met an error, as it is being handled."""
        self._drop(run, "decoding failed")
        # Whatever state its decoder is in, the next run begins with a new one.
        self._retire(run.format)
        if not self._has_failed:
            self._has_failed = True
            log.exception("recording %s: decoding failed", self.info.recording_id)

    def _retire(self, *formats: AudioFormat) -> None:
        for each in formats:
            if (decoder := self._decoders.pop(each, None)) is not None:
                self._retired_errors += decoder.errors

    def _decoder(self, audio_format: AudioFormat) -> Decoder:
        if (decoder := self._decoders.get(audio_format)) is None:
            if len(self._decoders) >= MAX_DECODERS:
                self._retire(*self._decoders)
            decoder = decoder_for(
                audio_format, self.info.sample_rate, self.info.channels
            )
            self._decoders[audio_format] = decoder
        return decoder

    def _deliver(self, run: Run, samples: Samples) -> None:
        if len(samples):
            self.peak = max(self.peak, int(samples.max()), -int(samples.min()))
        encoded = self._native.of_run(run, samples) if self._native else None
        block = AudioBlock(run.start, samples, encoded)
        kept = [runner.put(block) for runner in self._runners]
        if not all(kept):
            self._drop(run, "writing too far behind")

    def _tell(self, event: TrackNote) -> None:
        for runner in self._runners:
            runner.note(event)

    def _drop(self, run: Run, why: str) -> None:
        self._note_gap(Gap(run.start, run.length, GapCause.DROPPED, why))

    def _note_gap(self, gap: Gap) -> None:
        self._tell(gap)
        self._count_gap(gap)

    def _count_gap(self, gap: Gap) -> None:
        self.length = max(self.length, gap.start + gap.length)
        self.missing[gap.cause] = self.missing.get(gap.cause, 0) + gap.length
        last = self.gaps[-1] if self.gaps else None
        if (
            last is not None
            and (last.cause, last.detail) == (gap.cause, gap.detail)
            and last.start + last.length == gap.start
        ):
            self.gaps[-1] = replace(last, length=last.length + gap.length)
        else:
            _append_bounded(self.gaps, gap)


@dataclass(frozen=True, slots=True)
class Clock:
    """Turns monotonic seconds into wall time; read once, so that it never steps."""

    offset: float
    """Wall seconds minus monotonic seconds."""

    def at(self, now: float) -> datetime:
        """Return the wall time at `now`, UTC."""
        return datetime.fromtimestamp(now + self.offset, UTC)


class TapStream:
    """The audio of one tap on its way to its sinks."""

    def __init__(
        self,
        tap: Tap,
        *,
        clock: Clock,
        new_recording_id: Callable[[datetime], str],
        sinks: SinkFactory,
        encoding: str = "pcm16",
        announced_id: str = "",
    ) -> None:
        self.tap = tap
        self.tracks: list[Track] = []
        self.log = TapLog(
            log,
            control_id=tap.control_id,
            call_id=tap.call_id,
            direction=tap.direction.value,
        )
        self.clock = clock
        self._new_recording_id = new_recording_id
        self._sinks = sinks
        self._encoding = encoding
        self.announced_id = announced_id
        """Under which the library knows of the tap until there is audio."""

    @property
    def queued_blocks(self) -> int:
        """Blocks of audio that wait for a sink."""
        return sum(track.queued_blocks for track in self.tracks)

    def pump(self, now: float) -> None:
        """Pass on everything that is due."""
        session = self.tap.session
        session.handle_timer(now)
        for track, event in session.take(now):
            while track >= len(self.tracks):
                self.tracks.append(self._begin(len(self.tracks)))
            self.tracks[track].handle(event)
        self._check_size(now)

    def _check_size(self, now: float) -> None:
        limit = self.tap.limits.recording_bytes
        if not limit or self.tap.end_reason is not None:
            return
        if any(each.size_bytes >= limit for each in self.tracks):
            self.tap.end(EndReason.LIMIT, now, f"{limit} bytes")

    async def close(self, now: float) -> None:
        """Pass on the rest and finish every sink."""
        tap = self.tap
        ended_at = now if tap.ended_at is None else tap.ended_at
        tap.session.finish(ended_at, pad=True)
        self.pump(now)
        await asyncio.gather(
            *(self._close_track(track, ended_at) for track in self.tracks)
        )

    async def abandon(self, error: Exception | None = None) -> None:
        """Stop at once, because of `error` if there was one.

        What is unfinished is left so.
        """
        await asyncio.gather(*(track.abandon(error) for track in self.tracks))

    def _begin(self, track: int) -> Track:
        tap = self.tap
        audio_format = tap.session.track_format(track)
        started_at = self.clock.at(tap.session.track_started_at(track))
        info = StreamInfo(
            recording_id=self._new_recording_id(started_at),
            control_id=tap.control_id,
            call_id=media_facts(tap).call_id,
            node_id=tap.node_id,
            direction=tap.direction.value,
            transport=tap.transport.value,
            codec=audio_format.codec,
            sample_rate=audio_format.sample_rate,
            channels=audio_format.channels,
            track=track,
            started_at=started_at.timestamp(),
            from_number=tap.from_number,
            to_number=tap.to_number,
            origin=tap.origin.value,
            encoding=self._encoding,
            announced_id=self.announced_id,
        )
        self.log.info("recording %s begins", info.recording_id)
        return Track(info, self._sinks(info))

    async def _close_track(self, track: Track, ended_at: float) -> None:
        await track.settle()
        verdict = self._judge(track)
        await track.close(self._summarise(track, verdict, ended_at))
        self.log.info(
            "recording %s %s, %.2f s: %s",
            track.info.recording_id,
            verdict.outcome.value,
            track.length / track.info.sample_rate,
            verdict.reason,
        )

    def _judge(self, track: Track) -> TrackVerdict:
        tap = self.tap
        evidence = TrackEvidence(
            sample_rate=track.info.sample_rate,
            samples=track.length,
            missing=track.missing,
            lost_packets=tap.session.counts(track.info.track).lost,
            undecodable_packets=self._undecodable(track),
            peak=track.peak,
            drop_details=tuple(sorted({gap.detail for gap in track.gaps} - {""})),
        )
        reason = tap.end_reason or EndReason.ERROR
        return verdict_with_audio(evidence, reason, tap.origin, tap.end_detail)

    def _summarise(
        self, track: Track, verdict: TrackVerdict, ended_at: float
    ) -> StreamSummary:
        tap = self.tap
        return StreamSummary(
            length=track.length,
            ended_at=self.clock.at(ended_at),
            outcome=verdict.outcome,
            is_complete=verdict.is_complete,
            reason=verdict.reason,
            end_reason=(tap.end_reason or EndReason.ERROR).value,
            origin=tap.origin.value,
            counts=tap.session.counts(track.info.track),
            undecodable=self._undecodable(track),
            gaps=sorted(track.gaps, key=lambda gap: gap.start),
            digits=track.digits,
            changes=track.changes,
            custom_parameters=media_facts(tap).custom_parameters,
        )

    def _undecodable(self, track: Track) -> int:
        # Of what came in a format that is unknown here no track ever heard.
        return track.undecodable + media_facts(self.tap).unsupported_messages


def _append_bounded(notes: list[Note], note: Note) -> None:
    if len(notes) < MAX_NOTES:
        notes.append(note)
