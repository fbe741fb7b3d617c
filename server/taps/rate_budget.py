"""How much audio a sender may send: real time several times over, and bursts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrackLimits:
    """What one track may take."""

    max_rate_factor: float = 8.0
    """Audio that is kept in the long run, as a multiple of real time."""
    burst_s: float = 60.0
    """Audio that may come at once beyond that."""
    held_s: float = 60.0
    """Audio that may wait to be taken."""


class RateBudget:
    """A token bucket in samples, which fills at a multiple of real time."""

    def __init__(self, limits: TrackLimits, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._refill_rate = limits.max_rate_factor * sample_rate
        self._most = limits.burst_s * sample_rate
        self._left = self._most
        self._spent_at: float | None = None

    def covers(self, length: int, now: float) -> bool:
        """Return whether there is room for all of `length` samples that came `now`."""
        elapsed = now - self._spent_at if self._spent_at is not None else 0.0
        return length <= min(self._most, self._left + elapsed * self._refill_rate)

    def spend(self, length: int, now: float) -> int:
        """Return the room for `length` samples that came `now`: all, or less.

        Audio beyond the budget gets no more room than the time since the audio before
        it. Gaps in its place then grow no faster than real time, so that nobody can
        fill a disk with the silence that stands for what was refused.
        """
        elapsed = now - self._spent_at if self._spent_at is not None else 0.0
        self._spent_at = now
        self._left = min(self._most, self._left + elapsed * self._refill_rate)
        if length > self._left:
            return min(length, round(elapsed * self._sample_rate))
        self._left -= length
        return length
