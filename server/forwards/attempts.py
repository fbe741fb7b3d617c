"""How often a destination failed in a row, how long to leave it alone, what to log.

A series of failures begins with the first and ends when a connection has lasted for
STEADY_S, or with the forward. A line is written about its first failure and about its
end; whatever lies between is counted.

Pure.
"""

from __future__ import annotations

STEADY_S = 10.0
"""A connection that lasts so long has worked: attempts are counted anew."""
FIRST_DELAY_S, MAX_DELAY_S = 0.5, 30.0


class Attempts:
    """The attempts of one forward.

    Args:
        most: How many may come to nothing in a row.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._in_a_row = 0
        self._error = ""

    def failed(self, error: str, connected_s: float) -> str:
        """Note that an attempt came to nothing, or that its connection was lost.

        Args:
            error: Why.
            connected_s: How long there was a connection.

        Returns:
            A line to be logged; empty if this failure is only counted.
        """
        before = self.ended() if connected_s >= STEADY_S else ""
        self._in_a_row += 1
        self._error = error
        if self.is_used_up:
            return f"given up after {self._in_a_row} attempts: {error}"
        if self._in_a_row > 1:
            return ""
        return f"{error}; trying again{before and f' ({before})'}"

    def ended(self) -> str:
        """End the series; return a line about it, empty if the first said it all."""
        count, self._in_a_row = self._in_a_row, 0
        return f"{count} attempts before failed: {self._error}" if count > 1 else ""

    @property
    def is_used_up(self) -> bool:
        """Whether there have been as many as there may be."""
        return self._in_a_row >= self._most

    @property
    def delay_s(self) -> float:
        """How long to wait before the next."""
        doublings = min(max(self._in_a_row - 1, 0), 10)
        return min(MAX_DELAY_S, FIRST_DELAY_S * (1 << doublings))
