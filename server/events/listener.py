"""One listener: where it is in the history, and what it is sent next.

    begins     -> a snapshot, or where it says that it was
    goes on    -> every event behind its place that it wants, in order
    fell behind, or its place is unknown -> `missed`, a snapshot, and on from there

A snapshot is of the moment of some event, and what follows it is every event after
that one: nothing is lost or told twice between the two.

Pure: every method takes `now`, monotonic seconds.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from server.events.frames import frame, keepalive
from server.events.history import History
from server.events.kinds import MISSED, SNAPSHOT, PassingKind
from server.events.wanted import Wanted

MAX_BATCH_BYTES = 64 * 1024
"""Sent at a time; one event more may go beyond it."""

MAX_PASSING = 2000
"""Events that pass and wait for one listener: 2 s of the levels of 100 taps."""

_MISSED = (
    '{"reason": "What came after the last event that you know of is not kept any more, '
    'or its id is of another run of this server."}'
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that is live, as it was once events up to `number` had happened."""

    number: int
    data: str


class Listener:
    """One client of the stream.

    Args:
        history: What it reads.
        wanted: What it is told.
        last_id: Of the last event that it knows of; empty if it begins.
        snapshot: Gives what is live, at `now`.
        wake: Called when there is something to take.
        drops: Where what it does not take is counted.
    """

    def __init__(
        self,
        history: History,
        wanted: Wanted,
        last_id: str,
        *,
        snapshot: Callable[[Wanted, float], Snapshot],
        wake: Callable[[], None],
        drops: Counter[str],
    ) -> None:
        self.wanted = wanted
        self.wake = wake
        self._history = history
        self._snapshot = snapshot
        self._drops = drops
        self._passing: deque[bytes] = deque()
        self._is_new = not last_id
        known = history.number_of(last_id)
        # No history reaches back to this one.
        self._place = -1 if known is None else known

    def told(self, kind: str, control_id: str) -> None:
        """Wake up if an event that was kept is wanted."""
        if self.wanted.admits(kind, control_id):
            self.wake()

    def pass_by(self, kind: PassingKind, control_id: str, sent: bytes) -> None:
        """Take an event that is not kept; the oldest such one goes if many wait."""
        if not self.wanted.admits_passing(kind, control_id):
            return
        if len(self._passing) >= MAX_PASSING:
            self._passing.popleft()
            self._drops["event_levels_not_taken"] += 1
        self._passing.append(sent)
        self.wake()

    def take(self, now: float) -> bytes:
        """Return what is to be sent next; nothing if there is nothing."""
        parts = [] if self._is_in_place() else self._begin(now)
        size = sum(map(len, parts))
        while size < MAX_BATCH_BYTES and self._place < self._history.last:
            self._place += 1
            event = self._history.get(self._place)
            assert event is not None
            if self.wanted.admits(event.kind, event.control_id):
                parts.append(event.frame)
                size += len(event.frame)
        parts += self._passing
        self._passing.clear()
        return b"".join(parts)

    def keepalive(self) -> bytes:
        """Return what is sent when there is nothing to send.

        It tells the place, which moves on also past events that are not wanted: after
        a long time without any that are, its client is not taken for one that is late.
        """
        return keepalive(self._history.id_of(max(0, self._place)))

    def _is_in_place(self) -> bool:
        return self._history.reaches_back_to(self._place)

    def _begin(self, now: float) -> list[bytes]:
        parts = []
        if not self._is_new:
            parts.append(frame(MISSED, _MISSED))
            self._drops["event_listener_missed"] += 1
        self._is_new = False
        snapshot = self._snapshot(self.wanted, now)
        self._place = snapshot.number
        parts.append(
            frame(SNAPSHOT, snapshot.data, self._history.id_of(snapshot.number))
        )
        return parts
