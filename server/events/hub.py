"""Where events come together and listeners come to hear them.

Pure: no input or output; methods that need the time take `now`, monotonic seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from server.events.frames import frame
from server.events.history import History
from server.events.kinds import Kind, PassingKind
from server.events.listener import Listener, Snapshot
from server.events.wanted import Wanted

MAX_LISTENERS = 200

SNAPSHOT_AGE_S = 1.0
"""For which a snapshot of all taps is told to whoever comes: after a break of the
network all pages are back at once, and each gets what happened since as well."""


class TooManyListenersError(Exception):
    """There is no room for another one."""


class EventHub:
    """All events of one server, and all who listen.

    Args:
        history: Keeps the last events.
        live: Gives, as JSON, the live taps of these control ids; of none, all.
    """

    def __init__(
        self, history: History, live: Callable[[frozenset[str]], str] = lambda _: "{}"
    ) -> None:
        self._history = history
        self.live = live
        self._listeners: dict[Listener, None] = {}
        self._snapshot: Snapshot | None = None
        self._snapshot_at = 0.0
        self.is_closed = False
        """Whether listeners are to go once they have taken what there is."""
        self.drops: Counter[str] = Counter()
        """What was not told, by reason."""

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)

    def publish(self, kind: Kind, control_id: str, data: str) -> None:
        """Tell everybody, also those who come back later.

        Args:
            kind: What happened.
            control_id: Of the tap that it happened to.
            data: JSON without a line break.
        """
        self._history.add(kind, control_id, data)
        for listener in self._listeners:
            listener.told(kind, control_id)

    def pass_by(self, kind: PassingKind, control_id: str, data: str) -> None:
        """Tell those who want to know now."""
        sent = frame(kind, data)
        for listener in self._listeners:
            listener.pass_by(kind, control_id, sent)

    def choices(self, kind: PassingKind) -> Iterator[frozenset[str]]:
        """Yield, for each who wants events that pass, of which taps; of none, all."""
        for listener in self._listeners:
            if kind in listener.wanted.passing:
                yield listener.wanted.control_ids

    def join(self, wanted: Wanted, last_id: str, wake: Callable[[], None]) -> Listener:
        """Let somebody listen.

        Raises:
            TooManyListenersError: There is no room.
        """
        if len(self._listeners) >= MAX_LISTENERS:
            self.drops["event_listener_refused"] += 1
            raise TooManyListenersError
        listener = Listener(
            self._history,
            wanted,
            last_id,
            snapshot=self._take_snapshot,
            wake=wake,
            drops=self.drops,
        )
        self._listeners[listener] = None
        return listener

    def leave(self, listener: Listener) -> None:
        """Let a listener go."""
        del self._listeners[listener]

    def close(self) -> None:
        """Let all listeners go, once they have taken what there is."""
        self.is_closed = True
        for listener in self._listeners:
            listener.wake()

    def _take_snapshot(self, wanted: Wanted, now: float) -> Snapshot:
        if wanted.control_ids:
            return Snapshot(self._history.last, self.live(wanted.control_ids))
        last = self._snapshot
        if (
            last is None
            or now - self._snapshot_at >= SNAPSHOT_AGE_S
            or not self._history.reaches_back_to(last.number)
        ):
            last = Snapshot(self._history.last, self.live(frozenset()))
            self._snapshot, self._snapshot_at = last, now
        return last
