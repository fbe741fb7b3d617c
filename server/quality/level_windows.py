"""How loud each channel is from moment to moment, for meters that people look at.

Windows lie side by side on the track, the first one at position 0, whatever lengths the
audio comes in. One that a gap cuts short tells of what was there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from server.audio import Samples
from server.quality.meter import decibels


@dataclass(frozen=True, slots=True)
class Levels:
    """One window."""

    start: int
    """Position of the window on the track."""
    rms_dbfs: tuple[float, ...]
    """For each channel; 0 is the power of a square wave at full scale, so that a sine
    at full scale is -3.01."""
    peak_dbfs: tuple[float, ...]


class LevelWindows:
    """Measures one track.

    Args:
        channels: Of the samples.
        length: Of a window, in samples.
    """

    def __init__(self, channels: int, length: int) -> None:
        self._length = length
        self._number = 0
        self._count = 0
        self._squares = np.zeros(channels)
        self._peaks = np.zeros(channels, np.int32)

    def receive(self, start: int, samples: Samples) -> Iterator[Levels]:
        """Take in audio and yield each window that is over.

        Args:
            start: Position on the track; never decreases.
            samples: Shape (n, channels).
        """
        at = 0
        while at < len(samples):
            number, inside = divmod(start + at, self._length)
            if number != self._number:
                yield from self._finish()
                self._number = number
            part = samples[at : at + self._length - inside]
            self._measure(part.astype(np.int32))
            at += len(part)
            if inside + len(part) == self._length:
                yield from self._finish()

    def _measure(self, part: npt.NDArray[np.int32]) -> None:
        self._count += len(part)
        # 32 bits hold one square, not their sum.
        self._squares += np.square(part).sum(axis=0, dtype=np.float64)
        np.maximum(self._peaks, np.abs(part).max(axis=0), out=self._peaks)

    def _finish(self) -> Iterator[Levels]:
        if self._count:
            powers = np.sqrt(self._squares / self._count)
            yield Levels(
                self._number * self._length,
                tuple(map(decibels, powers.tolist())),
                tuple(map(decibels, self._peaks.tolist())),
            )
        self._count = 0
        self._squares[:] = 0
        self._peaks[:] = 0
