"""One track: encoded runs in, decoded blocks in every sink, and the evidence of it.

    Run -> decoder -> AudioBlock -> every sink, and how good it was
    Gap, Digit, SourceChange     -> the evidence

Light codecs are decoded where they are (a table look-up over a whole run); heavy ones
in a thread, in order, behind a bounded backlog.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from server.audio import (
    AudioBlock,
    AudioFormat,
    AudioWarning,
    Codec,
    Counted,
    Digit,
    Gap,
    GapCause,
    Late,
    PacketCounts,
    Run,
    Samples,
    SourceChange,
    StreamInfo,
    TrackEvent,
    TrackNote,
)
from server.codecs.native import NativeAudio
from server.codecs.registry import Decoder, decoder_for
from server.library.evidence import Quality
from server.library.interrupted import Interrupted
from server.masks import Masks
from server.quality.track_quality import TrackQuality
from server.sinks.base import AudioSink, LiveListener, StreamSummary
from server.sinks.runner import SinkRunner

log = logging.getLogger(__name__)

MAX_BACKLOG_S = 60.0
"""Seconds of encoded audio that wait for a decoding thread."""

MAX_NOTES = 100_000
"""Gaps, digits, changes and late packets remembered for one track, each."""

MAX_START_S = 10.0
"""Of a track, which tell when it began; later its sender's clock may have drifted."""

COUNT_INTERVAL_S = 10.0
"""Of audio, from one note of the packets so far to the next: a line in a journal costs
as much as writing a second of audio."""

MAX_DECODERS = 8
"""Kept for one track; a sender may announce new formats for ever."""

Note = TypeVar("Note", Gap, Digit, SourceChange, Late)


class Track:
    """One track: its decoders, its sinks, and the evidence of what became of it."""

    def __init__(
        self,
        info: StreamInfo,
        sinks: Sequence[AudioSink],
        listeners: list[LiveListener] | None = None,
        past: Interrupted | None = None,
        offset: int = 0,
    ) -> None:
        self.info = info
        self._listeners = [] if listeners is None else listeners
        """Shared with the owner, who adds and removes while the track goes on."""
        self._offset = offset
        self._native = NativeAudio.of(info)
        self.length = 0
        """Samples so far, with audio or without."""
        self.quality = TrackQuality(info.codec, info.sample_rate, info.channels)
        self.gaps: list[Gap] = []
        self.digits: list[Digit] = []
        self.changes: list[SourceChange] = []
        self.late: list[Late] = []
        self.missing: dict[GapCause, int] = {}
        self.started_at = info.started_at
        """When position 0 was, told by all arrivals so far and not only the first."""
        self._masks = Masks()
        self._counts_before = PacketCounts()
        """Of packets before a restart."""
        self.count_at = 0
        """Length at which the packets so far are to be noted next."""
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
        if past is not None:
            self._go_on_with(past)

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

    @property
    def is_decoding(self) -> bool:
        """Whether something that was taken is not passed on yet."""
        return self._decoding is not None

    @property
    def warnings(self) -> Sequence[AudioWarning]:
        """Everything that sounded wrong so far."""
        return self.quality.warnings

    def describe_quality(self, counts: PacketCounts) -> Quality | None:
        """Return how good the track was; None without audio."""
        bursts = sum(gap.cause is GapCause.LOST for gap in self.gaps)
        return self.quality.summary(counts, self.missing, bursts)

    def count(self, counts: PacketCounts) -> None:
        """Have noted how many packets of it this server had; due at `count_at`."""
        step = round(COUNT_INTERVAL_S * self.info.sample_rate)
        self.count_at = self.length + step
        self._tell(Counted(self.length, self.total(counts)))

    def total(self, counts: PacketCounts) -> PacketCounts:
        """Return the packets of the whole recording, given those of this server."""
        return self._counts_before + counts

    def mask(self) -> None:
        """Keep out what is not told yet, and whatever comes until `unmask`."""
        self._masks.begin(self.length)

    def unmask(self, position: int) -> None:
        """Keep again what was heard from `position` on."""
        self._masks.end(max(position, self.length))

    @property
    def offset(self) -> int:
        """Position in the file of what the session calls 0."""
        return self._offset

    def observe_start(self, arrived_at: float) -> None:
        """Take note of when the latest audio came: the first may have been late.

        Args:
            arrived_at: Wall clock, seconds since 1970.
        """
        length_s = self.length / self.info.sample_rate
        if length_s < MAX_START_S:
            self.started_at = min(self.started_at, arrived_at - length_s)

    def handle(self, event: TrackEvent) -> None:
        """Take one event of the media session."""
        if self._offset:
            event = replace(event, start=event.start + self._offset)
        if event.start < self._masks.border:
            rest = self._masked(event)
            if rest is None:
                return
            event = rest
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
                self.quality.source_changed()
            case Late():
                _append_bounded(self.late, event)
                self._tell(event)

    async def close(self, summary: StreamSummary) -> None:
        """Finish decoding, then every sink."""
        await self.decode_all()
        await asyncio.gather(*(each.close(summary) for each in self._runners))

    async def settle(self) -> None:
        """Wait until all that was taken is decoded and kept, or known not to be."""
        await self.decode_all()
        for refused in await asyncio.gather(*(each.settle() for each in self._runners)):
            for gap in refused:
                self._count_gap(gap)

    async def abandon(self, error: Exception | None = None) -> None:
        """Stop at once."""
        if self._decoding is not None:
            self._decoding.cancel()
            await asyncio.gather(self._decoding, return_exceptions=True)
        await asyncio.gather(*(each.abandon(error) for each in self._runners))

    def _masked(self, event: TrackEvent) -> TrackEvent | None:
        """Note what is masked of an event as a gap, and return what is left of it."""
        if isinstance(event, Digit):
            return None if self._masks.hides(event) else event
        if not isinstance(event, Run | Gap):
            return event
        masked, rest = self._masks.split(event)
        self._note_gap(masked)
        return rest

    def _go_on_with(self, past: Interrupted) -> None:
        """Take over what is known of the recording from before a restart."""
        facts = past.facts
        for gap in facts.gaps:
            if gap.start + gap.length <= past.samples:
                self._count_gap(gap)
            else:
                # What the journal tells of positions behind the file is void now.
                self._note_gap(gap)
        self.digits += facts.digits
        self.changes += facts.changes
        self.late += facts.late
        if facts.counted is not None:
            self._counts_before = facts.counted.counts
        self.length = past.length
        away = self._offset - past.length
        if away > 0:
            self._note_gap(
                Gap(past.length, away, GapCause.DISCONNECTED, "the server restarted")
            )

    async def decode_all(self) -> None:
        """Wait until all that was taken is passed on."""
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
            self.quality.receive(run.start, samples, self._wire_codec(run.format))
        encoded = self._native.of_run(run, samples) if self._native else None
        block = AudioBlock(run.start, samples, encoded)
        kept = [runner.put(block) for runner in self._runners]
        if not all(kept):
            self._drop(run, "writing too far behind")
        if self._listeners:
            self._pass_on(run, samples)

    def _pass_on(self, run: Run, samples: Samples) -> None:
        for listener in tuple(self._listeners):
            try:
                listener.receive(self.info, run, samples)
            except Exception:
                # A mistake of ours in a forward must not cost the recorder anything.
                log.exception("recording %s: a forward broke", self.info.recording_id)
                self._listeners.remove(listener)

    def _wire_codec(self, audio_format: AudioFormat) -> Codec | None:
        """Return whose bytes decoded samples still are, one for one."""
        info = self.info
        is_changed = (audio_format.sample_rate, audio_format.channels) != (
            info.sample_rate,
            info.channels,
        )
        return None if is_changed else audio_format.codec

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


def _append_bounded(notes: list[Note], note: Note) -> None:
    if len(notes) < MAX_NOTES:
        notes.append(note)
