"""How loud a track is, and whether it is cut off at full scale."""

from __future__ import annotations

import math

import numpy as np

from server.audio import Codec, Samples

MIN_RUN = 3
"""Samples at full scale in a row that count as clipped. A wave that is merely loud
touches full scale once or twice at its top."""

MIN_DBFS = -100.0
"""What stands for the level of digital silence; one step of 16 bits is -90.3 dB."""

_FULL_SCALE = 32768

_HIGHEST = {Codec.PCMU: 32124, Codec.PCMA: 32256}
"""The largest value that G.711 decodes to, scaled to 16 bits (tables 1a and 2a)."""


def full_scale(codec: Codec) -> int:
    """Return the least magnitude that is the end of the scale of a codec."""
    return _HIGHEST.get(codec, 32767)


class LevelMeter:
    """Measures the audio that arrived; gaps are not in it.

    Args:
        channels: Of the samples.
        highest: From this magnitude on a sample is at full scale.
    """

    def __init__(self, channels: int, highest: int) -> None:
        self.peak = 0
        """Largest absolute sample so far."""
        self.clipped = 0
        """Samples so far that are in runs of at least `MIN_RUN` at full scale."""
        self._highest = highest
        self._squares = 0.0
        self._count = 0
        self._runs = [0] * channels
        """How many samples at full scale each channel has just ended with."""

    def receive(self, samples: Samples, squares: float) -> None:
        """Take in a window.

        Args:
            samples: Shape (n, channels), at least one.
            squares: The sum of their squares, which somebody has computed already.
        """
        self._squares += squares
        self._count += samples.size
        # The methods `max` and `min` take twice as long.
        flat = samples.reshape(-1)
        peak = max(int(np.maximum.reduce(flat)), -int(np.minimum.reduce(flat)))
        self.peak = max(self.peak, peak)
        if peak >= self._highest:
            self._count_clipped(samples)
        elif any(self._runs):
            self._runs = [0] * len(self._runs)

    @property
    def level_dbfs(self) -> float | None:
        """Mean power in dB; 0 is the power of a square wave at full scale."""
        if not self._count:
            return None
        return decibels(math.sqrt(self._squares / self._count))

    @property
    def peak_dbfs(self) -> float | None:
        """Largest sample in dB of full scale."""
        return decibels(self.peak) if self._count else None

    def _count_clipped(self, samples: Samples) -> None:
        for channel, run in enumerate(self._runs):
            column = samples[:, channel]
            # -32768 has no positive counterpart in 16 bits, so no `abs`.
            is_full = (column >= self._highest) | (column <= -self._highest)
            edges = np.flatnonzero(np.diff(is_full, prepend=False, append=False))
            lengths = np.diff(edges)[::2]
            if is_full[0]:
                lengths[0] += run
                self.clipped -= _counted(run)
            self.clipped += int(lengths[lengths >= MIN_RUN].sum())
            self._runs[channel] = int(lengths[-1]) if is_full[-1] else 0


def decibels(amplitude: float) -> float:
    """Return an amplitude in 16-bit steps as dB of full scale."""
    if not amplitude:
        return MIN_DBFS
    return max(20 * math.log10(amplitude / _FULL_SCALE), MIN_DBFS)


def _counted(run: int) -> int:
    return run if run >= MIN_RUN else 0
