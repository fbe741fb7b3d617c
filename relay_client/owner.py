"""What calls need of the client that they belong to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from relay_client.events import TapEvent
from relay_client.handlers import HandlerTasks
from relay_client.jsonrpc import JsonObject
from relay_client.timing import Timing

if TYPE_CHECKING:
    from relay_client.call import Call


class CallOwner(Protocol):
    """What a call needs of the client that it belongs to."""

    timing: Timing
    allow_private_rtp: bool
    handlers: HandlerTasks

    async def execute(self, method: str, params: JsonObject) -> JsonObject:
        """Send a request and return its result."""
        ...

    def expect_leg(self, tag: str, call: Call) -> None:
        """Take legs with this tag for `call`'s peers."""
        ...

    def forget(self, call: Call) -> None:
        """Take a call out that is over."""
        ...

    def report_foreign_tap(self, call: Call, event: TapEvent) -> None:
        """Tell the application of a tap that somebody else started."""
        ...


class SwitchboardOwner(CallOwner, Protocol):
    """What the switchboard needs of the client that it belongs to."""

    def incoming(self, call: Call) -> None:
        """Give an inbound call to its handler."""
        ...
