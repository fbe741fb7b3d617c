"""What a tap has sent, exactly: the truth that a recording is compared with."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

MAX_SECONDS = 30 * 60
"""Of audio remembered for one tap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioSpan:
    """A run of audio at its place in a tap."""

    track: int
    """0, or 1 for the second of two simultaneous RTP sources or stream tracks."""
    ssrc: int | None
    """None over WebSocket."""
    start: int
    """Position from the tap's first sample, in samples at `sample_rate`."""
    samples: int
    sample_rate: int
    payload: bytes
    """Encoded audio only, with no header of any kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentAudio(AudioSpan):
    """A run of audio that was due, and what became of it."""

    delivered: bool
    """False if it was lost on purpose or the destination did not take it."""
    sent_at: float
    """Monotonic seconds."""


class SentLog:
    """The last half hour of what one tap has sent."""

    def __init__(self, max_seconds: float = MAX_SECONDS) -> None:
        self._max_seconds = max_seconds
        self._entries: deque[SentAudio] = deque()
        self._seconds = 0.0
        self.spans = 0
        self.delivered = 0
        self.forgotten = 0
        self.end_s = 0.0
        """Seconds from the tap's first sample to the end of the last run."""

    def add(self, span: AudioSpan, *, delivered: bool, sent_at: float) -> None:
        """Remember one run, and forget the oldest when there are too many."""
        entry = SentAudio(
            track=span.track,
            ssrc=span.ssrc,
            start=span.start,
            samples=span.samples,
            sample_rate=span.sample_rate,
            payload=span.payload,
            delivered=delivered,
            sent_at=sent_at,
        )
        self._entries.append(entry)
        self._seconds += entry.samples / entry.sample_rate
        self.spans += 1
        self.end_s = max(self.end_s, (span.start + span.samples) / span.sample_rate)
        self.delivered += delivered
        while self._seconds > self._max_seconds and len(self._entries) > 1:
            oldest = self._entries.popleft()
            self._seconds -= oldest.samples / oldest.sample_rate
            self.forgotten += 1

    @property
    def entries(self) -> list[SentAudio]:
        """A copy, in the order of sending."""
        return list(self._entries)
