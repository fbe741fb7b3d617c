"""A RELAY session: what outlives a client's connection (section 2.7)."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Protocol

from relay_client.simulator.ids import IdMaker
from relay_client.simulator.wire import Json, make_request

MAX_UNACKED = 1000
"""Events kept for a client that does not acknowledge; the oldest go first."""


class FrameSender(Protocol):
    """A client's connection, as its session sees it."""

    def send(self, frame: Json) -> None:
        """Send a frame, or drop it if the connection is gone."""
        ...

    def cut(self) -> None:
        """Close the connection with no close frame."""
        ...


class RelaySession:
    """One client's subscriptions, and the events that it has not acknowledged."""

    def __init__(self, *, project: str, ids: IdMaker) -> None:
        self._ids = ids
        self.project = project
        self.space_id = ids.uuid()
        self.signature = ids.signature()
        self.protocol = f"signalwire_{self.signature}_{ids.uuid()}_{project}"
        self.identity = f"{ids.uuid()}@{ids.node_id}"
        self.contexts: set[str] = set()
        self.connection: FrameSender | None = None
        self.events = 0
        self.acks = 0
        self._unacked: OrderedDict[str, Json] = OrderedDict()

    @property
    def is_connected(self) -> bool:
        """Whether a client is there now."""
        return self.connection is not None

    @property
    def unacked(self) -> int:
        """How many events have had no acknowledgement so far."""
        return len(self._unacked)

    def emit(self, event_type: str, params: Json, context: str | None = None) -> None:
        """Send an event, or keep it for a client that is away."""
        body: Json = {
            "event_type": event_type,
            "event_channel": self.protocol,
            "timestamp": round(time.time(), 4),
            "project_id": self.project,
            "space_id": self.space_id,
            "params": params,
        }
        if context is not None:
            body["context"] = context
        frame = make_request(self._ids.uuid(), "signalwire.event", body)
        self.events += 1
        self._unacked[frame["id"]] = frame
        while len(self._unacked) > MAX_UNACKED:
            self._unacked.popitem(last=False)
        if self.connection is not None:
            self.connection.send(frame)

    def acknowledge(self, frame_id: str) -> bool:
        """Note the reply to an event; False if the id is of no event."""
        if self._unacked.pop(frame_id, None) is None:
            return False
        self.acks += 1
        return True

    def resume(self, connection: FrameSender) -> None:
        """Let a new connection take the place of the old one."""
        if self.connection is not None:
            self.connection.cut()
        self.connection = connection

    def replay(self) -> None:
        """Send again what has not been acknowledged."""
        if self.connection is not None:
            for frame in self._unacked.values():
                self.connection.send(frame)

    def forget_unacked(self) -> None:
        """Give up on what has not been acknowledged."""
        self._unacked.clear()
