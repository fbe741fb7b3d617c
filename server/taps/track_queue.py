"""Events of one track at their final positions, until they are taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from server.audio import (
    AudioFormat,
    Digit,
    Gap,
    GapCause,
    Late,
    Run,
    SourceChange,
    TrackEvent,
)

_MAX_EVENTS = 4096


class TrackQueue:
    """Puts runs and gaps one behind the other, and joins neighbours of one kind."""

    def __init__(self) -> None:
        self.position = 0
        """Behind everything so far."""
        self.samples = 0
        """In the runs that wait."""
        self._events: list[TrackEvent] = []
        self._last_run: Run | None = None
        """The last event, if that is a run."""
        self._payloads: list[bytes] = []
        """The payloads of the last run, which may grow."""

    @property
    def is_full(self) -> bool:
        """Return whether only gaps may be added, which then join their neighbours."""
        return len(self._events) >= _MAX_EVENTS

    def add_run(
        self,
        length: int,
        payloads: Sequence[bytes],
        format: AudioFormat,
        *,
        starts_run: bool,
    ) -> None:
        """Add audio; with `starts_run`, never to the run before it."""
        last = self._last_run
        if last is not None and _is_same(last.format, format) and not starts_run:
            last.length += length
            self._payloads += payloads
        else:
            self._payloads = list(payloads)
            self._last_run = Run(self.position, length, self._payloads, format)
            self._events.append(self._last_run)
        self.position += length
        self.samples += length

    def add_gap(self, length: int, cause: GapCause) -> None:
        """Add a gap."""
        last = self._events[-1] if self._events else None
        if isinstance(last, Gap) and (last.cause is cause or self.is_full):
            self._events[-1] = replace(last, length=last.length + length)
        else:
            self._events.append(Gap(self.position, length, cause))
        self._last_run = None
        self.position += length

    def add_note(self, note: Digit | SourceChange | Late) -> None:
        """Add what takes no time, at the current position."""
        self._events.append(replace(note, start=self.position))
        self._last_run = None

    def take(self) -> list[TrackEvent]:
        """Return what waits, and forget it."""
        events, self._events = self._events, []
        self._last_run = None
        self.samples = 0
        return events


def _is_same(one: AudioFormat, other: AudioFormat) -> bool:
    # Messages share their format object: comparing fields is the exception.
    return one is other or one == other
