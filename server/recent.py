"""The taps that ended last, which the API goes on showing for a while.

A recording that is made of several tracks gets its id when the last of their taps is
over; what is told of the others then names it too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace

from server.taps.status import TapStatus

MAX_RECENT = 200


class RecentTaps:
    """Ended taps, the latest first."""

    def __init__(self) -> None:
        self._ended: deque[TapStatus] = deque(maxlen=MAX_RECENT)
        self._joined: dict[str, str] = {}
        """Which recording the tracks of lately joined ones became part of."""

    def __len__(self) -> int:
        return len(self._ended)

    def __iter__(self) -> Iterator[TapStatus]:
        return reversed(self._ended)

    def add(self, status: TapStatus) -> TapStatus:
        """Add a tap that has just ended; return it as it is shown from now on."""
        shown = self.renamed(status)
        self._ended.append(shown)
        return shown

    def renamed(self, status: TapStatus) -> TapStatus:
        """Return a tap with the recordings that its own became part of."""
        ids = [self._joined.get(each, each) for each in status.recording_ids]
        return replace(status, recording_ids=tuple(dict.fromkeys(ids)))

    def joined(self, ids: Sequence[str], into: str) -> None:
        """Take note that recordings have become one, which has an id of its own."""
        for at, status in enumerate(self._ended):
            if not set(ids).isdisjoint(status.recording_ids):
                self._ended[at] = replace(status, recording_ids=(into,))
        self._joined.update(dict.fromkeys(ids, into))
        while len(self._joined) > 2 * MAX_RECENT:
            del self._joined[next(iter(self._joined))]
