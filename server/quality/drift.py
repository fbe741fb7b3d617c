"""How much faster a sender's clock runs than ours.

The transit of audio is its arrival minus its place in the media time. Networks only
ever add to it, so the least transit of each window is what the two clocks alone make
of it, and its slope over the windows is their difference (after Moon, Skelly and
Towsley, "Estimation and removal of clock skew from network delay measurements", 1999).
The slope is the median over all pairs of windows (Theil-Sen), which a few bad windows
cannot move.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from statistics import median

WINDOW_S = 5.0
"""Length of a window at first."""
MAX_WINDOWS = 32
"""When there are so many, every two become one of twice the length."""
MIN_SPAN_S = 30.0
"""There is no answer before the windows span so much."""
MIN_WINDOWS = 4
MAX_STEP_S = 0.02
"""A greater change of the least transit from one window to the next, beyond what
`MAX_DRIFT` explains, is a step: another route, or a pause whose length was guessed."""
MAX_DRIFT = 0.001
"""Clocks of computers differ by far less: 100 ppm are bad ones."""


@dataclass(slots=True)
class _Least:
    """The quickest audio of a window."""

    at: float
    transit: float


class DriftMeter:
    """Estimates the drift of one sender. All times in seconds."""

    def __init__(self) -> None:
        self._windows: list[_Least] = []
        self._current: _Least | None = None
        self._ends_at = 0.0
        self._width = WINDOW_S
        self._steps = 0.0
        """What steps have added to the transit."""

    def observe(self, arrived_at: float, media_s: float) -> None:
        """Take in when the audio up to a place in the media time arrived."""
        transit = arrived_at - media_s
        current = self._current
        if current is not None and arrived_at < self._ends_at:
            if transit < current.transit:
                self._current = _Least(arrived_at, transit)
            return
        if current is not None:
            self._add(current)
        self._current = _Least(arrived_at, transit)
        self._ends_at = arrived_at + self._width

    @property
    def ppm(self) -> float | None:
        """Millionths by which the sender's clock is fast; None if it is too early."""
        windows = self._windows
        if len(windows) < MIN_WINDOWS or windows[-1].at - windows[0].at < MIN_SPAN_S:
            return None
        slopes = [
            (later.transit - earlier.transit) / (later.at - earlier.at)
            for earlier, later in combinations(windows, 2)
        ]
        return -1e6 * median(slopes)

    def _add(self, least: _Least) -> None:
        least.transit -= self._steps
        if self._windows:
            last = self._windows[-1]
            step = least.transit - last.transit
            if abs(step) > MAX_STEP_S + MAX_DRIFT * (least.at - last.at):
                self._steps += step
                least.transit = last.transit
        self._windows.append(least)
        if len(self._windows) == MAX_WINDOWS:
            pairs = zip(self._windows[::2], self._windows[1::2], strict=True)
            self._windows = [min(pair, key=lambda one: one.transit) for pair in pairs]
            self._width *= 2
