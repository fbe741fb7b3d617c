"""How long to wait before the next attempt to connect.

Each wait is drawn from an interval that doubles from attempt to attempt, so that a
fleet of clients does not return to a restarted server all at once.

Pure: the source of randomness is a parameter.
"""

from __future__ import annotations

import random


class Backoff:
    """Waits of 1-2 s, 2-4 s, 4-8 s … up to 15-30 s with the default limits."""

    def __init__(self, rng: random.Random, *, minimum: float, maximum: float) -> None:
        self._rng = rng
        self._minimum = minimum
        self._maximum = maximum
        self._floor = minimum

    def next_wait(self) -> float:
        """Return the seconds to wait now; the following wait will be longer."""
        wait = self._rng.uniform(self._floor, 2 * self._floor)
        self._floor = max(self._minimum, min(2 * self._floor, self._maximum / 2))
        return min(wait, self._maximum)

    def reset(self) -> None:
        """Start afresh: the connection has proved itself."""
        self._floor = self._minimum
