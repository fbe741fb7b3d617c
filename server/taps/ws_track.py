"""One track of a WebSocket tap: chunks of audio in, events at positions out.

Positions are in samples of the first format's rate, for ever; audio in a format that
comes later takes the place that it has at that rate. While the arrival clock is not
sure whether there was a pause, what came behind it is held.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import replace

from server.audio import (
    AudioFormat,
    Digit,
    Gap,
    GapCause,
    PacketCounts,
    Run,
    SourceChange,
    TrackEvent,
)
from server.taps.arrival import ArrivalClock, Pad
from server.taps.rate_budget import RateBudget, TrackLimits
from server.taps.track_queue import TrackQueue
from server.taps.ws_framing import Chunk


class WsTrack:
    """Audio of one track, from its first chunk on.

    Args:
        format: Of the first chunk.
        limits: What the track may take.
        drops: Where what could not be used is counted, by a name.
    """

    def __init__(
        self, format: AudioFormat, limits: TrackLimits, drops: Counter[str]
    ) -> None:
        self.format = format
        self.counts = PacketCounts()
        self._drops = drops
        self._rate = format.clock_rate
        self._max_samples = limits.held_s * self._rate
        self._clock = ArrivalClock(self._rate)
        self._budget = RateBudget(limits, self._rate)
        self._converter = _LengthConverter(format, self._rate)
        self._queue = TrackQueue()
        self._held = _HeldEvents()
        self._causes: dict[int, GapCause] = {}
        """Of pauses that are no silence, by the received sample behind them."""

    @property
    def started_at(self) -> float:
        """Return when position 0 was heard."""
        return self._clock.started_at

    def receive(self, chunk: Chunk, lost: int = 0) -> None:
        """Take in a chunk that came behind `lost` missing messages."""
        self.counts.received += 1
        self.counts.lost += lost
        # Messages share their format object: comparing fields is the exception.
        if chunk.format is not self._converter.format:
            self._change_format(chunk.format)
        length = self._converter.convert(chunk.length)
        if not length:
            self._drops["shorter_than_a_sample"] += 1
            return
        room = self._budget.spend(length, chunk.now)
        before = self._clock.received
        is_pause = self._clock.receive(room, chunk.now)
        if is_pause and lost:
            self._causes.setdefault(before, GapCause.LOST)
        elif not is_pause:
            self._causes.pop(before, None)
        self._release()
        if room < length:
            self._drop(before, room, "rate_exceeded")
        elif not self._has_room(length):
            self._drop(before, length, "held_too_long")
        elif self._clock.unsettled_from is None:
            self._queue.add_run(
                length, chunk.payloads, chunk.format, starts_run=chunk.starts_run
            )
        else:
            run = Run(before, length, chunk.payloads, chunk.format)
            self._held.add(run, starts_run=chunk.starts_run)

    def receive_plain(
        self, data: bytes, length: int, format: AudioFormat, times: Sequence[float]
    ) -> bool:
        """Take in messages of `length` samples each as one, if nothing is unusual.

        What `receive` does for each of them costs several times as much. Returns
        False, and has done nothing, if they have to be taken one by one.
        """
        total = length * len(times)
        if (
            format is not self._converter.format
            or not self._converter.is_identity
            or not self._has_room(total)
            or not self._budget.covers(total, times[-1])
            or not self._clock.receive_steady(length, times)
        ):
            return False
        self._budget.spend(total, times[-1])
        self.counts.received += len(times)
        self._queue.add_run(total, (data,), format, starts_run=False)
        return True

    def receive_break(self) -> None:
        """Take note that the connection broke; a pause from here on is no silence."""
        self._causes[self._clock.received] = GapCause.DISCONNECTED

    def receive_digit(self, digit: str, duration_ms: int) -> None:
        """Take in a digit, at the end of the audio so far."""
        length = duration_ms * self._rate // 1000
        self._note(Digit(self._clock.received, digit, length))

    def receive_change(self, what: str) -> None:
        """Take in a change of the sender, at the end of the audio so far."""
        self._note(SourceChange(self._clock.received, what))

    def take(self, now: float) -> list[TrackEvent]:
        """Return the events whose positions are final."""
        self.handle_timer(now)
        return self._queue.take()

    def finish(self, now: float, *, pad: bool) -> None:
        """Make everything final, and with `pad` add a pause that lasts until now."""
        self._clock.finish()
        self._release()
        missing = self._clock.missing(now) if pad else 0
        if missing:
            self._queue.add_gap(missing, GapCause.SILENCE)

    def get_timer(self) -> float | None:
        """Return when `handle_timer` has something to decide."""
        return self._clock.get_timer()

    def handle_timer(self, now: float) -> None:
        """Decide what is due."""
        self._clock.handle_timer(now)
        self._release()

    def _change_format(self, format: AudioFormat) -> None:
        before = self._converter.format
        if format == before:
            self._converter.format = format
            return
        self._converter = _LengthConverter(format, self._rate)
        # A byte order that was found out is no change of the sender's.
        if _describe(format) != _describe(before):
            self.receive_change(f"format {_describe(format)}")

    def _has_room(self, length: int) -> bool:
        samples = self._queue.samples + self._held.samples + length
        return samples <= self._max_samples and not (
            self._queue.is_full or self._held.is_full
        )

    def _drop(self, before: int, length: int, reason: str) -> None:
        self._drops[reason] += 1
        if not length:
            return
        if self._clock.unsettled_from is None:
            self._queue.add_gap(length, GapCause.DROPPED)
        else:
            self._held.add(Gap(before, length, GapCause.DROPPED))

    def _note(self, note: Digit | SourceChange) -> None:
        if not self._has_room(0):
            self._drops["held_too_long"] += 1
        elif self._clock.unsettled_from is None:
            self._queue.add_note(note)
        else:
            self._held.add(note)

    def _release(self) -> None:
        """Queue what the clock has decided about, with the pauses where they were."""
        pads = self._clock.take_pads()
        if not self._held and not pads:
            return
        for pad in pads:
            self._release_until(pad.before)
            self._queue_pad(pad)
        self._release_until(self._clock.unsettled_from)

    def _release_until(self, limit: int | None) -> None:
        for event, starts_run in self._held.take(limit):
            if isinstance(event, Run):
                self._queue.add_run(
                    event.length, event.payloads, event.format, starts_run=starts_run
                )
            elif isinstance(event, Gap):
                self._queue.add_gap(event.length, event.cause)
            else:
                self._queue.add_note(event)

    def _queue_pad(self, pad: Pad) -> None:
        cause = self._causes.pop(pad.before, GapCause.SILENCE)
        self._queue.add_gap(pad.length, cause)


class _HeldEvents:
    """Events behind a border; `start` counts received samples, pads left out."""

    _MAX_EVENTS = 4096

    def __init__(self) -> None:
        self.samples = 0
        """In the runs that are held."""
        self._events: deque[tuple[TrackEvent, bool]] = deque()

    def __len__(self) -> int:
        return len(self._events)

    @property
    def is_full(self) -> bool:
        """Return whether only gaps may be added, which then join their neighbours."""
        return len(self._events) >= self._MAX_EVENTS

    def add(self, event: TrackEvent, *, starts_run: bool = False) -> None:
        last = self._events[-1][0] if self._events else None
        if isinstance(event, Run):
            self.samples += event.length
        elif isinstance(event, Gap) and isinstance(last, Gap) and self.is_full:
            event = replace(last, length=last.length + event.length)
            self._events.pop()
        self._events.append((event, starts_run))

    def take(self, limit: int | None) -> list[tuple[TrackEvent, bool]]:
        """Return the events that start before `limit`, or all."""
        taken: list[tuple[TrackEvent, bool]] = []
        while self._events and (limit is None or self._events[0][0].start < limit):
            event, starts_run = self._events.popleft()
            if isinstance(event, Run):
                self.samples -= event.length
            taken.append((event, starts_run))
        return taken


class _LengthConverter:
    """Lengths in one format as lengths at the track's rate; errors do not add up."""

    def __init__(self, format: AudioFormat, track_rate: int) -> None:
        self.format = format
        self._rate = format.clock_rate
        self._track_rate = track_rate
        self._given = 0
        self._returned = 0

    @property
    def is_identity(self) -> bool:
        return self._rate == self._track_rate

    def convert(self, length: int) -> int:
        if self.is_identity:
            return length
        self._given += length
        due = self._given * self._track_rate // self._rate - self._returned
        self._returned += due
        return due


def _describe(format: AudioFormat) -> str:
    channels = " stereo" if format.channels == 2 else ""
    return f"{format.codec} {format.sample_rate} Hz{channels}"
