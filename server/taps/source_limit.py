"""How many taps one source may have at a time; pure."""

from __future__ import annotations

from collections import Counter


class SourceLimit:
    """Counts live taps by where they come from."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._counts: Counter[str] = Counter()
        self._sources: dict[str, str] = {}

    @property
    def reason(self) -> str:
        """Why a source gets no further tap, in a sentence."""
        return f"{self._most} taps of this source are live, which is the limit."

    def is_full(self, source: str) -> bool:
        """Return whether a source has all the taps that it may have.

        Of a source that is not known (empty) nothing is counted.
        """
        return bool(self._most and source) and self._counts[source] >= self._most

    def add(self, control_id: str, source: str) -> None:
        """Count a tap."""
        if source:
            self._sources[control_id] = source
            self._counts[source] += 1

    def discard(self, control_id: str) -> None:
        """Stop counting a tap that is over."""
        source = self._sources.pop(control_id, "")
        if source:
            self._counts[source] -= 1
            if not self._counts[source]:
                del self._counts[source]
