"""The gaps of one recording, as many as are worth keeping."""

from __future__ import annotations

from server.audio import Gap, GapCause
from server.library.recording import TimedGap

MAX_GAPS = 10_000
"""Listed in one recording: every second packet lost for almost seven minutes."""


class GapLog:
    """Gathers gaps in order of their start; neighbours of one cause become one.

    Args:
        sample_rate: Of the track that the gaps are on.
        limit: How many are listed; the rest is only counted.
    """

    def __init__(self, sample_rate: int, limit: int = MAX_GAPS) -> None:
        self._sample_rate = sample_rate
        self._limit = limit
        self._listed: list[TimedGap] = []
        self._last: Gap | None = None
        self._count = 0

    def add(self, gap: Gap) -> None:
        """Take note of a gap."""
        last = self._last
        if last and last.cause is gap.cause and last.start + last.length == gap.start:
            self._last = Gap(last.start, last.length + gap.length, gap.cause)
            if self._count <= self._limit:
                self._listed[-1] = self._timed(self._last)
            return
        self._last = gap
        self._count += 1
        if self._count <= self._limit:
            self._listed.append(self._timed(gap))

    @property
    def gaps(self) -> tuple[TimedGap, ...]:
        """The gaps that are listed."""
        return tuple(self._listed)

    @property
    def omitted(self) -> int:
        """How many more there were."""
        return self._count - len(self._listed)

    def length_s(self, cause: GapCause) -> float:
        """Return how much of the listed gaps is of one cause."""
        return sum(gap.length_s for gap in self._listed if gap.cause is cause)

    def _timed(self, gap: Gap) -> TimedGap:
        rate = self._sample_rate
        return TimedGap(
            round(gap.start / rate, 6), round(gap.length / rate, 6), gap.cause
        )
