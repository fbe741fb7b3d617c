"""The last events, by number: what listeners read from, and come back to.

Every listener reads here at its own pace and keeps nothing but its place, so that the
memory of all of them together is bounded by this. Who is slower than that has missed
events, and can tell by its place being gone.

Pure: no input or output, no clock.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from server.events.frames import frame
from server.events.kinds import Kind

MAX_EVENTS = 5000
MAX_BYTES = 8 << 20

_ID = re.compile(r"([0-9a-z]{1,32})-(0|[1-9][0-9]{0,17})")


@dataclass(frozen=True, slots=True)
class Kept:
    """One event as it is sent, and what it is chosen by."""

    kind: Kind
    control_id: str
    frame: bytes


class History:
    """The last events of this run of the server, numbered from 1.

    Args:
        run: Tells this run from every other, in digits and small letters.
        max_events: How many are kept.
        max_bytes: How large they may be together.
    """

    def __init__(
        self, run: str, *, max_events: int = MAX_EVENTS, max_bytes: int = MAX_BYTES
    ) -> None:
        self._run = run
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._events: dict[int, Kept] = {}
        self._bytes = 0
        self.last = 0
        """Number of the latest event; 0 before the first."""

    def add(self, kind: Kind, control_id: str, data: str) -> None:
        """Keep an event, and let go of the oldest ones if there are too many."""
        self.last += 1
        event = Kept(kind, control_id, frame(kind, data, self.id_of(self.last)))
        self._events[self.last] = event
        self._bytes += len(event.frame)
        while len(self._events) > self._max_events or self._bytes > self._max_bytes:
            oldest = next(iter(self._events))
            self._bytes -= len(self._events.pop(oldest).frame)

    def get(self, number: int) -> Kept | None:
        """Return an event, or None if it is gone or has not happened."""
        return self._events.get(number)

    def reaches_back_to(self, number: int) -> bool:
        """Tell whether everything behind the event of this number is here."""
        return self.last - len(self._events) <= number <= self.last

    def id_of(self, number: int) -> str:
        """Return the id that clients know an event by."""
        return f"{self._run}-{number}"

    def number_of(self, event_id: str) -> int | None:
        """Return the number of an event of this run; None if the id is of no such."""
        match = _ID.fullmatch(event_id)
        if match is None or match[1] != self._run:
            return None
        return int(match[2])
