"""Whether a track gets one second of audio a second.

Audio that is read at the wrong rate comes at twice the pace or half of it, evenly, for
ever. Backlogs, bursts and stalls change the pace as well, and never evenly: so the pace
of each second is compared with that of the seconds before it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

GROSS = 0.2
"""A pace that is off by this share is believed after `GROSS_SECONDS`: 8 kHz for 16 kHz,
or two channels for one."""
GROSS_SECONDS = 2
FINE = 0.04
"""A pace that is off by this share is believed after `FINE_SECONDS`: 44.1 kHz for 48.
No clock is as wrong as that, and no sender catches up so evenly for so long."""
FINE_SECONDS = 5
RIGHT = 0.02
"""A second that is off by less is right."""
RIGHT_SECONDS = 3
GROSS_EVENNESS = 0.1
"""How much the pace of single seconds may differ from their mean, as a share of it."""
FINE_EVENNESS = 0.05
MIN_INTERVAL_S = 0.5
"""Two looks closer together say nothing: a packet more or less weighs too much."""
MAX_INTERVAL_S = 3.0
"""After a longer pause everything begins anew."""


@dataclass(frozen=True, slots=True)
class Pace:
    """An even pace over the last seconds."""

    factor: float
    """Seconds of audio a second."""
    since_s: float
    """Media time at which it began."""

    @property
    def is_right(self) -> bool:
        """Whether it is what the sampling rate says."""
        return abs(self.factor - 1) < FINE


class PaceMeter:
    """Finds out the pace of one track. All times in seconds."""

    def __init__(self) -> None:
        self._arrived_at: float | None = None
        self._media_s = 0.0
        self._side = 0
        """Of the last seconds: 1 too fast, -1 too slow, 0 right."""
        self._paces: deque[float] = deque(maxlen=FINE_SECONDS)
        """Of the last seconds that were on the same side."""
        self._starts: deque[float] = deque(maxlen=FINE_SECONDS)
        """Media times at which they began."""

    def observe(self, arrived_at: float, media_s: float) -> Pace | None:
        """Take in when the audio up to a place in the media time arrived.

        Returns:
            The pace, if it has been even for long enough to tell.
        """
        before, self._media_s, last = self._media_s, media_s, self._arrived_at
        if last is None:
            self._arrived_at = arrived_at
            return None
        elapsed = arrived_at - last
        if elapsed < MIN_INTERVAL_S:
            self._media_s = before
            return None
        self._arrived_at = arrived_at
        if elapsed > MAX_INTERVAL_S:
            self._restart(0)
            return None
        return self._add((media_s - before) / elapsed, before)

    def _restart(self, side: int) -> None:
        self._side = side
        self._paces.clear()
        self._starts.clear()

    def _add(self, pace: float, start_s: float) -> Pace | None:
        side = 0 if abs(pace - 1) < RIGHT else 1 if pace > 1 else -1
        if side != self._side:
            self._restart(side)
        self._paces.append(pace)
        self._starts.append(start_s)
        if not side:
            is_right = len(self._paces) >= RIGHT_SECONDS
            return Pace(1.0, self._starts[-RIGHT_SECONDS]) if is_right else None
        gross = self._even_pace(GROSS_SECONDS, GROSS, GROSS_EVENNESS)
        return gross or self._even_pace(FINE_SECONDS, FINE, FINE_EVENNESS)

    def _even_pace(self, seconds: int, least: float, evenness: float) -> Pace | None:
        """Return the pace of the last seconds if it is even, and off by `least`."""
        if len(self._paces) < seconds:
            return None
        paces = list(self._paces)[-seconds:]
        mean = sum(paces) / seconds
        if abs(mean - 1) < least:
            return None
        if any(abs(pace - mean) > evenness * mean for pace in paces):
            return None
        return Pace(mean, self._starts[-seconds])
