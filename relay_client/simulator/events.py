"""The inner parameters of RELAY events (sections 4 and 5 of the protocol notes)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay_client.simulator.wire import Json

if TYPE_CHECKING:
    from relay_client.simulator.calls import SimCall
    from relay_client.simulator.tap import SimTap

_NUMBER_KEYS = ("port", "ptime", "rate")


def receive_event(call: SimCall) -> Json:
    """Return `calling.call.receive` (section 4.3)."""
    return {
        "call_id": call.call_id,
        "node_id": call.node_id,
        "segment_id": call.segment_id,
        "project_id": call.session.project if call.session else "",
        "context": call.context,
        "tag": call.tag,
        "direction": call.direction,
        "call_state": call.state,
        "device": call.device,
    }


def state_event(call: SimCall) -> Json:
    """Return `calling.call.state` (sections 4.2 and 4.7)."""
    found: Json = {
        "call_id": call.call_id,
        "node_id": call.node_id,
        "segment_id": call.segment_id,
        "tag": call.tag,
        "direction": call.direction,
        "call_state": call.state,
        "device": call.device,
    }
    if call.created_by:
        found["created_by"] = call.created_by
    if call.end_reason:
        found["end_reason"] = call.end_reason
    if call.peer is not None:
        found["peer"] = {"call_id": call.peer.call_id, "node_id": call.peer.node_id}
    return found


def dial_event(node_id: str, tag: str, state: str, winner: SimCall | None) -> Json:
    """Return `calling.call.dial`; it has no `call_id` of its own (section 4.7)."""
    found: Json = {"node_id": node_id, "tag": tag, "dial_state": state}
    if winner is not None:
        found["call"] = {**_leg(winner), "dial_winner": True}
    elif state == "failed":
        found["call"] = {}
    return found


def connect_event(
    call: SimCall, state: str, peer: SimCall | None, reason: str = ""
) -> Json:
    """Return `calling.call.connect` (section 4.8)."""
    found: Json = {
        "call_id": call.call_id,
        "node_id": call.node_id,
        "tag": peer.tag if peer else call.tag,
        "connect_state": state,
    }
    if peer is not None:
        found["peer"] = _leg(peer)
    if reason:
        found["failed_reason"] = reason
    return found


def tap_event(tap: SimTap) -> Json:
    """Return `calling.call.tap`; its device is the destination (section 5.4)."""
    return {
        "call_id": tap.call.call_id,
        "node_id": tap.call.node_id,
        "control_id": tap.control_id,
        "state": tap.state,
        "tap": {"type": "audio", "params": {"direction": tap.direction}},
        "device": tap.request.device,
    }


def play_event(call: SimCall, control_id: str, state: str) -> Json:
    """Return `calling.call.play` (section 4.9)."""
    return {
        "call_id": call.call_id,
        "node_id": call.node_id,
        "control_id": control_id,
        "state": state,
    }


def with_numbers_as_strings(params: Json) -> Json:
    """Return a copy whose device has text where numbers belong (section 5.4)."""
    device = params.get("device")
    if not isinstance(device, dict) or not isinstance(device.get("params"), dict):
        return params
    inner = {
        key: str(value) if key in _NUMBER_KEYS else value
        for key, value in device["params"].items()
    }
    return {**params, "device": {**device, "params": inner}}


def unknown_events(call: SimCall) -> list[tuple[str, Json]]:
    """Return events that a client must acknowledge and ignore (section 2.3)."""
    known = {"call_id": call.call_id, "node_id": call.node_id}
    return [
        ("calling.call.horoscope", {**known, "state": "rising"}),
        ("", {}),
        ("calling.call.state", {"call_id": "nobody", "call_state": "answered"}),
        ("calling.call.state", {**known, "call_state": "pondering"}),
        ("calling.call.tap", {**known, "control_id": "foreign", "state": "tapping"}),
    ]


def _leg(call: SimCall) -> Json:
    return {
        "call_id": call.call_id,
        "node_id": call.node_id,
        "tag": call.tag,
        "device": call.device,
    }
