"""What the protocol machine tells its owner, one after the other.

Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from relay_client.errors import RelayError
from relay_client.events import RelayEvent
from relay_client.jsonrpc import JsonObject
from relay_client.states import StateChange


@dataclass(frozen=True, slots=True)
class OpenWanted:
    """Open a WebSocket, then call `connection_opened` or `connection_lost`."""


@dataclass(frozen=True, slots=True)
class CloseWanted:
    """Close the WebSocket; the machine has done with it."""

    reason: str


@dataclass(frozen=True, slots=True)
class RequestDone:
    """A request made with `request` was accepted."""

    request_id: str
    result: JsonObject = field(repr=False)


@dataclass(frozen=True, slots=True)
class RequestFailed:
    """A request made with `request` came to nothing."""

    request_id: str
    error: RelayError


@dataclass(frozen=True, slots=True)
class EventReceived:
    """The platform reported something; it is acknowledged already."""

    event: RelayEvent


@dataclass(frozen=True, slots=True)
class SessionReplaced:
    """After a reconnect the platform gave us another session than before."""


ProtocolEvent = (
    OpenWanted
    | CloseWanted
    | RequestDone
    | RequestFailed
    | EventReceived
    | SessionReplaced
    | StateChange
)
