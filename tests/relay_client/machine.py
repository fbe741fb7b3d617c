"""Drives the protocol machine with a clock of its own, as a connection would."""

from __future__ import annotations

import json
import random
from itertools import count
from typing import Any, TypeVar

from relay_client.outcomes import ProtocolEvent
from relay_client.protocol import RelayProtocol
from relay_client.relay_session import Credentials, RelaySession
from relay_client.states import ConnectionState
from relay_client.timing import Timing

Json = dict[str, Any]
_Event = TypeVar("_Event")

PROTOCOL = "signalwire_sig_1_PROJECT"


class Machine:
    """A protocol machine, the texts that it sent, and the events that it gave out."""

    def __init__(self, *, contexts: tuple[str, ...] = ("office",), **timing: Any):
        ids = count(1)
        self.now = 1000.0
        self.protocol = RelayProtocol(
            RelaySession(
                Credentials(project="PROJECT", token="TOKEN"),
                agent="agent/1",
                contexts=contexts,
            ),
            timing=Timing(**timing),
            rng=random.Random(1),
            new_id=lambda: f"id-{next(ids)}",
        )

    def is_in(self, state: ConnectionState) -> bool:
        """Return whether the machine is in this state."""
        return self.protocol.state is state

    def sent(self) -> list[Json]:
        """Return what was sent since the last look."""
        return [json.loads(text) for text in self.protocol.data_to_send()]

    def events(self) -> list[ProtocolEvent]:
        """Return what was given out since the last look."""
        events = []
        while (event := self.protocol.next_event()) is not None:
            events.append(event)
        return events

    def only(self, kind: type[_Event]) -> _Event:
        """Return the one event of this kind since the last look."""
        (event,) = [event for event in self.events() if isinstance(event, kind)]
        return event

    def none(self, kind: type[object]) -> bool:
        """Return whether there was no event of this kind since the last look."""
        return not any(isinstance(event, kind) for event in self.events())

    def wait(self, seconds: float) -> None:
        """Let time pass, firing the timer whenever it is due."""
        end = self.now + seconds
        while (at := self.protocol.get_timer()) is not None and at <= end:
            self.now = max(self.now, at)
            self.protocol.handle_timer(self.now)
        self.now = end

    def wait_for_retry(self) -> float:
        """Let time pass until the next attempt; return how long that took."""
        before, at = self.now, self.protocol.get_timer()
        assert at is not None
        self.wait(at - before)
        return at - before

    def receive(self, message: Json) -> None:
        """Bring a message in."""
        self.protocol.receive_text(json.dumps({"jsonrpc": "2.0", **message}), self.now)

    def push(self, method: str, params: Json | None = None) -> Json:
        """Bring a request of the server in and return the machine's reply."""
        message: Json = {"id": "s-1", "method": method}
        self.receive(message if params is None else {**message, "params": params})
        return next(frame for frame in self.sent() if frame["id"] == "s-1")

    def event(self, event_type: str, **params: Any) -> None:
        """Bring an event in."""
        self.push("signalwire.event", {"event_type": event_type, "params": params})

    def open(self) -> Json:
        """Open the socket; return the frame that authenticates."""
        self.protocol.connection_opened(self.now)
        (frame,) = self.sent()
        return frame

    def accept(self, frame: Json, **members: Any) -> None:
        """Accept the credentials."""
        self.receive({"id": frame["id"], "result": {"protocol": PROTOCOL, **members}})

    def refuse(self, frame: Json, message: str = "401 Unauthorized") -> None:
        """Refuse the credentials."""
        error = {"code": -32002, "message": message}
        self.receive({"id": frame["id"], "error": error})

    def lose(self) -> None:
        """Have the socket close."""
        self.protocol.connection_lost("closed with 1006", self.now)

    def request(self, method: str = "calling.answer", **params: Any) -> str:
        """Make a request and return its id."""
        return self.protocol.request(method, params, self.now)


def ready_machine(**kwargs: Any) -> Machine:
    """Return a machine that is connected and authenticated."""
    machine = Machine(**kwargs)
    machine.protocol.start(machine.now)
    machine.accept(machine.open())
    machine.events()
    return machine
