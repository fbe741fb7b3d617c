"""Which live taps somebody listens to, and whose turn it is to be passed on.

Pure: no input or output, no clock.
"""

from __future__ import annotations

FEW = 50
"""Up to so many are passed on at every tick; of more, half, so that hundreds do not
make one long tick. Then audio waits for two ticks at most."""


class Attended:
    """The control ids of taps that somebody may listen to."""

    def __init__(self) -> None:
        # A dictionary keeps its order, and so nobody's turn is passed over.
        self._every: dict[str, int] = {}

    def add(self, control_id: str, every: int = 1) -> None:
        """Note that somebody listens to a tap, at every tick or every few."""
        self._every[control_id] = min(every, self._every.get(control_id, every))

    def discard(self, control_id: str) -> None:
        """Note that nobody listens to a tap any more."""
        self._every.pop(control_id, None)

    def turn(self, tick: int) -> tuple[str, ...]:
        """Return those that are to be passed on at this tick."""
        least = 1 if len(self._every) <= FEW else 2
        return tuple(
            control_id
            for turn, (control_id, every) in enumerate(self._every.items())
            if (tick + turn) % max(every, least) == 0
        )
