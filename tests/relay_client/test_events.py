"""Events as the platform sends them, and as it might."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay_client.events import (
    EVENT_CLASSES,
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

PHONE = {"type": "phone", "params": {"from_number": "+1", "to_number": "+2"}}


def payload(event_type: str, **params: Any) -> dict[str, Any]:
    return {"event_type": event_type, "timestamp": 1786600020.5, "params": params}


def test_a_call_state_event_is_typed() -> None:
    event = parse_event(
        payload(
            "calling.call.state",
            call_id="c-2",
            node_id="n-1",
            tag="agent",
            call_state="ended",
            end_reason="hangup",
            direction="outbound",
            device=PHONE,
            peer={"call_id": "c-1", "node_id": "n-1"},
        )
    )
    assert isinstance(event, CallStateEvent)
    assert (event.call_id, event.node_id, event.tag) == ("c-2", "n-1", "agent")
    assert (event.call_state, event.end_reason) == ("ended", "hangup")
    assert event.timestamp == 1786600020.5
    assert event.peer == PeerLeg("c-1", "n-1")


def test_an_inbound_call_has_its_defaults() -> None:
    event = parse_event(payload("calling.call.receive", call_id="c-1"))
    assert isinstance(event, CallReceiveEvent)
    assert (event.direction, event.call_state) == ("inbound", "created")


@pytest.mark.parametrize(
    ("inner", "outer"),
    [
        ({"context": "office"}, {}),
        ({}, {"context": "office"}),
        ({"protocol": "office"}, {}),
    ],
)
def test_the_context_is_found_wherever_it_is(
    inner: dict[str, str], outer: dict[str, str]
) -> None:
    event = parse_event({**payload("calling.call.receive", **inner), **outer})
    assert event.context == "office"


def test_a_connect_event_names_the_peer() -> None:
    peer = {"call_id": "c-2", "node_id": "n-2", "tag": "t", "device": PHONE}
    event = parse_event(
        payload("calling.call.connect", connect_state="connected", peer=peer)
    )
    assert isinstance(event, ConnectEvent)
    assert event.peer == PeerLeg("c-2", "n-2", "t", PHONE)


@pytest.mark.parametrize("winner", [True, "true"])
def test_a_dial_event_names_the_winner(winner: object) -> None:
    call = {"call_id": "c-A", "node_id": "n-1", "dial_winner": winner}
    event = parse_event(
        payload("calling.call.dial", tag="d-42", dial_state="answered", call=call)
    )
    assert isinstance(event, DialEvent)
    assert (event.call_id, event.tag) == ("", "d-42")
    assert event.winner == PeerLeg("c-A", "n-1")


@pytest.mark.parametrize("members", [{}, {"call": {}}, {"call": None}])
def test_a_failed_dial_has_no_winner(members: dict[str, Any]) -> None:
    event = parse_event(payload("calling.call.dial", dial_state="failed", **members))
    assert isinstance(event, DialEvent)
    assert event.winner is None


def test_a_tap_event_may_have_numbers_as_text() -> None:
    device = {
        "type": "rtp",
        "params": {"addr": "8.8.8.8", "port": "1234", "ptime": "20"},
    }
    event = parse_event(
        payload("calling.call.tap", control_id="t", state="tapping", device=device)
    )
    assert isinstance(event, TapEvent)
    assert event.device == device
    assert event.destination is not None
    assert (event.destination.port, event.destination.ptime) == (1234, 20)


def test_a_fault_of_the_platform_is_typed() -> None:
    event = parse_event(payload("calling.error", code="500", message="oops"))
    assert isinstance(event, CallingErrorEvent)
    assert (event.code, event.message) == (500, "oops")


def test_an_unknown_event_keeps_everything() -> None:
    event = parse_event(payload("calling.call.hologram", call_id="c-1", depth=3))
    assert type(event) is RelayEvent
    assert event.event_type == "calling.call.hologram"
    assert event.params == {"call_id": "c-1", "depth": 3}


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [("12.5", 12.5), ("soon", 0.0), (None, 0.0), (10**400, 0.0)],
)
def test_timestamps_are_read_leniently(timestamp: object, expected: float) -> None:
    event = parse_event({"event_type": "x", "timestamp": timestamp})
    assert event.timestamp == expected


def test_numeric_identifiers_become_text() -> None:
    assert parse_event(payload("x", call_id=17)).call_id == "17"


def test_secrets_are_not_in_the_repr() -> None:
    device = {"type": "ws", "params": {"uri": "wss://h/SECRET"}}
    for event_type in EVENT_CLASSES:
        event = parse_event(
            payload(
                event_type, device=device, project_id="SECRET", call={"d": "SECRET"}
            )
        )
        assert "SECRET" not in repr(event)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["call_id", "device", "type", "params", "peer", "port", "call"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@given(st.sampled_from(sorted(EVENT_CLASSES)), JSON)
def test_no_payload_raises(event_type: str, params: Any) -> None:
    event = parse_event({"event_type": event_type, "params": params})
    assert event.event_type == event_type
