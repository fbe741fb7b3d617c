"""A client for SignalWire RELAY: calls and taps over one WebSocket."""

from relay_client.actions import TapAction, TapState
from relay_client.call import Call
from relay_client.client import RelayClient
from relay_client.devices import TapDevice, TapDirection
from relay_client.errors import (
    ArgumentError,
    AuthenticationError,
    CallEndedError,
    CallLimitError,
    CallLostError,
    ConfigurationError,
    ConnectionLostError,
    DialError,
    QueueFullError,
    RelayError,
    RequestTimeoutError,
    TapError,
)
from relay_client.events import (
    EVENT_CALL_CONNECT,
    EVENT_CALL_DIAL,
    EVENT_CALL_RECEIVE,
    EVENT_CALL_STATE,
    EVENT_CALL_TAP,
    EVENT_CALLING_ERROR,
    CallingErrorEvent,
    CallReceiveEvent,
    CallStateEvent,
    ConnectEvent,
    DialEvent,
    PeerLeg,
    RelayEvent,
    TapEvent,
    parse_event,
)
from relay_client.legs import CallState
from relay_client.states import ConnectionState, StateChange
from relay_client.timing import Timing

__all__ = [
    "EVENT_CALLING_ERROR",
    "EVENT_CALL_CONNECT",
    "EVENT_CALL_DIAL",
    "EVENT_CALL_RECEIVE",
    "EVENT_CALL_STATE",
    "EVENT_CALL_TAP",
    "ArgumentError",
    "AuthenticationError",
    "Call",
    "CallEndedError",
    "CallLimitError",
    "CallLostError",
    "CallReceiveEvent",
    "CallState",
    "CallStateEvent",
    "CallingErrorEvent",
    "ConfigurationError",
    "ConnectEvent",
    "ConnectionLostError",
    "ConnectionState",
    "DialError",
    "DialEvent",
    "PeerLeg",
    "QueueFullError",
    "RelayClient",
    "RelayError",
    "RelayEvent",
    "RequestTimeoutError",
    "StateChange",
    "TapAction",
    "TapDevice",
    "TapDirection",
    "TapError",
    "TapEvent",
    "TapState",
    "Timing",
    "parse_event",
]
