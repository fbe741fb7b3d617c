"""What the platform reports: `signalwire.event` payloads as typed values.

Every event keeps its raw `params`, so nothing that the platform says is lost; the typed
fields are what call control and tapping need. Types not known here become a plain
`RelayEvent`. Numbers may come as text and members may be missing: a typed field then
holds the number, or its empty value.

Implements the RELAY events `calling.call.*` and `calling.error`. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Self

from relay_client.devices import TapDevice
from relay_client.jsonrpc import JsonObject, as_code, as_object

AUTHORIZATION_STATE = "signalwire.authorization.state"

EVENT_CALL_STATE = "calling.call.state"
EVENT_CALL_RECEIVE = "calling.call.receive"
EVENT_CALL_CONNECT = "calling.call.connect"
EVENT_CALL_DIAL = "calling.call.dial"
EVENT_CALL_TAP = "calling.call.tap"
EVENT_CALLING_ERROR = "calling.error"


@dataclass(frozen=True)
class RelayEvent:
    """Anything that the platform reports."""

    event_type: str
    params: JsonObject = field(repr=False)
    """As received. Never shown: it may hold a tap address that grants access."""
    call_id: str = ""
    timestamp: float = 0.0
    """When the platform says it happened. Its unit varies: do not compute with it."""
    node_id: str = ""
    tag: str = ""
    context: str = ""

    @classmethod
    def from_payload(cls, payload: JsonObject) -> Self:
        """Return the event in the parameters of a `signalwire.event`."""
        params = as_object(payload.get("params"))
        return cls(
            event_type=_text(payload, "event_type"),
            params=params,
            call_id=_text(params, "call_id"),
            timestamp=_number(payload.get("timestamp", params.get("timestamp"))),
            node_id=_text(params, "node_id"),
            tag=_text(params, "tag"),
            context=_context(params, payload),
            **cls._own_fields(params),
        )

    @classmethod
    def _own_fields(cls, params: JsonObject) -> dict[str, Any]:
        """Return the fields that a subclass adds."""
        del params
        return {}


@dataclass(frozen=True)
class PeerLeg:
    """The leg at the other end of a bridge, as an event names it."""

    call_id: str
    node_id: str = ""
    tag: str = ""
    device: JsonObject = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class CallStateEvent(RelayEvent):
    """A leg changed its state."""

    call_state: str = ""
    end_reason: str = ""
    direction: str = ""
    device: JsonObject = field(default_factory=dict, repr=False)
    peer: PeerLeg | None = None

    @classmethod
    def _own_fields(cls, params: JsonObject) -> dict[str, Any]:
        return {
            "call_state": _text(params, "call_state"),
            "end_reason": _text(params, "end_reason"),
            "direction": _text(params, "direction"),
            "device": as_object(params.get("device")),
            "peer": _peer(params),
        }


@dataclass(frozen=True)
class CallReceiveEvent(RelayEvent):
    """A call came in for one of our contexts."""

    call_state: str = ""
    direction: str = ""
    device: JsonObject = field(default_factory=dict, repr=False)
    project_id: str = field(default="", repr=False)
    segment_id: str = ""

    @classmethod
    def _own_fields(cls, params: JsonObject) -> dict[str, Any]:
        return {
            "call_state": _text(params, "call_state") or "created",
            "direction": _text(params, "direction") or "inbound",
            "device": as_object(params.get("device")),
            "project_id": _text(params, "project_id"),
            "segment_id": _text(params, "segment_id"),
        }


@dataclass(frozen=True)
class ConnectEvent(RelayEvent):
    """A bridge between two legs changed its state."""

    connect_state: str = ""
    failed_reason: str = ""
    peer: PeerLeg | None = None

    @classmethod
    def _own_fields(cls, params: JsonObject) -> dict[str, Any]:
        return {
            "connect_state": _text(params, "connect_state"),
            "failed_reason": _text(params, "failed_reason"),
            "peer": _peer(params),
        }


@dataclass(frozen=True)
class DialEvent(RelayEvent):
    """A dial got further. It names no `call_id` of its own: see `winner`."""

    dial_state: str = ""
    call: JsonObject = field(default_factory=dict, repr=False)
    reason: str = ""
    winner: PeerLeg | None = None
    """The leg that answered."""

    @classmethod
    def _own_fields(cls, params: JsonObject) -> dict[str, Any]:
        return {
            "dial_state": _text(params, "dial_state"),
            "call": as_object(params.get("call")),
            "reason": _text(params, "reason"),
            "winner": _leg(as_object(params.get("call"))),
        }


@dataclass(frozen=True)
class TapEvent(RelayEvent):
    """A tap started or ended."""

    control_id: str = ""
    state: str = ""
    tap: JsonObject = field(default_factory=dict)
    device: JsonObject = field(default_factory=dict, repr=False)
    """Where the tap is sent, as received."""
    destination: TapDevice | None = None
    """`device`, read leniently."""

    @classmethod
    def _own_fields(cls, params: JsonObject) -> dict[str, Any]:
        device = as_object(params.get("device"))
        return {
            "control_id": _text(params, "control_id"),
            "state": _text(params, "state"),
            "tap": as_object(params.get("tap")),
            "device": device,
            "destination": TapDevice.from_wire(device),
        }


@dataclass(frozen=True)
class CallingErrorEvent(RelayEvent):
    """The platform reports a fault that belongs to no request."""

    code: int = 0
    message: str = ""

    @classmethod
    def _own_fields(cls, params: JsonObject) -> dict[str, Any]:
        return {
            "code": as_code(params.get("code")),
            "message": _text(params, "message"),
        }


EVENT_CLASSES: Mapping[str, type[RelayEvent]] = MappingProxyType(
    {
        EVENT_CALL_STATE: CallStateEvent,
        EVENT_CALL_RECEIVE: CallReceiveEvent,
        EVENT_CALL_CONNECT: ConnectEvent,
        EVENT_CALL_DIAL: DialEvent,
        EVENT_CALL_TAP: TapEvent,
        EVENT_CALLING_ERROR: CallingErrorEvent,
    }
)


def parse_event(payload: JsonObject) -> RelayEvent:
    """Return the event in the parameters of a `signalwire.event`, typed if known."""
    event_class = EVENT_CLASSES.get(_text(payload, "event_type"), RelayEvent)
    return event_class.from_payload(payload)


def _text(members: JsonObject, key: str) -> str:
    value = members.get(key)
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) else ""


def _context(params: JsonObject, payload: JsonObject) -> str:
    # `protocol` is what older servers call the context.
    return (
        _text(params, "context")
        or _text(payload, "context")
        or _text(params, "protocol")
    )


def _number(value: object) -> float:
    if not isinstance(value, int | float | str):
        return 0.0
    try:
        return float(value)
    except (ValueError, OverflowError):
        return 0.0


def _peer(params: JsonObject) -> PeerLeg | None:
    return _leg(as_object(params.get("peer")))


def _leg(members: JsonObject) -> PeerLeg | None:
    call_id = _text(members, "call_id")
    if not call_id:
        return None
    return PeerLeg(
        call_id,
        node_id=_text(members, "node_id"),
        tag=_text(members, "tag"),
        device=as_object(members.get("device")),
    )
