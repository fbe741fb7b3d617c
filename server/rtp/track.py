"""One track of a tap: what is known of it up to a position, and what is yet to be told.

A track outlives the sources that play on it one after another. All of them append here,
so that runs and gaps cover every position from 0 exactly once.
"""

from __future__ import annotations

from operator import attrgetter

from server.audio import (
    AudioFormat,
    Digit,
    Gap,
    GapCause,
    Late,
    PacketCounts,
    Run,
    SourceChange,
    TrackEvent,
)

MAX_BACKLOG = 3000
"""Packets kept for an owner who does not take them: 60 s of 20 ms packets."""

_START = attrgetter("start")


class Track:
    """Positions from 0 to `position`, and the events about them not yet drained."""

    __slots__ = (
        "_events",
        "audio_until",
        "backlog",
        "counts",
        "format",
        "last_audio_at",
        "position",
        "sample_rate",
        "sender_started_at",
        "started_at",
    )

    def __init__(self, audio_format: AudioFormat, started_at: float) -> None:
        self.format = audio_format
        """Of its first audio."""
        self.sample_rate = audio_format.clock_rate
        """Of positions, for ever."""
        self.started_at = started_at
        self.last_audio_at = started_at
        """Arrival of the last audio packet."""
        self.audio_until = started_at
        """The same, plus the time that the packet plays: when the next one is due."""
        self.sender_started_at: float | None = None
        """When position 0 was, seconds since 1970 by the sender's clock (RTCP)."""
        self.position = 0
        self.backlog = 0
        """Packets and notes in the events not yet drained."""
        self.counts = PacketCounts()
        self._events: list[TrackEvent] = []

    @property
    def is_untold(self) -> bool:
        """Whether there is nothing yet that positions could be counted from."""
        return not self.position and not self._events

    def append(
        self, end: int, payloads: list[bytes], audio_format: AudioFormat
    ) -> None:
        """Add the audio from the current position to `end`."""
        self.counts.received += len(payloads)
        length = end - self.position
        # A payload of less than one sample of a slower track leaves nothing to hear.
        if length > 0:
            self._events.append(Run(self.position, length, payloads, audio_format))
            self.position = end
            self.backlog += len(payloads)

    def skip(self, length: int, cause: GapCause) -> None:
        """Move on by `length` without audio; one gap as long as the cause is one."""
        if length <= 0:
            return
        start = self.position
        self.position += length
        last = self._events[-1] if self._events else None
        if isinstance(last, Gap) and last.cause is cause:
            start, length = last.start, last.length + length
            self._events.pop()
        self._events.append(Gap(start, length, cause))

    def note(self, event: Digit | SourceChange | Late) -> None:
        """Add something that takes no position, unless the backlog is full."""
        if self.backlog < MAX_BACKLOG:
            self.backlog += 1
            self._events.append(event)

    def drain(self) -> list[TrackEvent]:
        """Return everything not yet told, by start."""
        events, self._events = self._events, []
        self.backlog = 0
        # A digit is known at its end and belongs at its start.
        events.sort(key=_START)
        return events
