"""When the next packet may go: in real time, or faster until it has caught up.

What waits is never sent at once: the other end plays it in real time, and what does
not fit into its jitter buffer would be lost there. Nor is there a timetable that one
stall could put out of step for ever: a packet goes when it is there, but not before
half of the one before has been played.

Pure: no input or output, no clock.
"""

from __future__ import annotations

CATCH_UP_SPEED = 2.0
"""In real times."""


class Pacer:
    """Says how long each packet has to wait."""

    def __init__(self) -> None:
        self._free_at = 0.0

    def wait_s(self, now: float) -> float:
        """Return for how long the next packet has to wait."""
        return max(0.0, self._free_at - now)

    def sent(self, length_s: float, now: float) -> None:
        """Take note of a packet that was sent, and of how long it sounds."""
        # From when it was to be sent, so that a timer that rings late costs nothing.
        late = now - self._free_at
        begin = self._free_at if late < length_s / CATCH_UP_SPEED else now
        self._free_at = begin + length_s / CATCH_UP_SPEED
