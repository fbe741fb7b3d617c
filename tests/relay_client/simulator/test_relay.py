"""Connections and sessions: sections 1 to 3 of the protocol notes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from relay_client.simulator import (
    CallRequest,
    ConnectionFaults,
    Simulator,
    SimulatorOptions,
)
from tests.relay_client.simulator.probe import Probe, eventually, leg

OPTIONS = SimulatorOptions(
    project="project-1", token="PT-token-1", ping_interval=0.05, restart_delay=0.02
)


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(OPTIONS) as found:
        yield found


@pytest.mark.parametrize("path", ["", "/", "/api/relay/ws"])
async def test_relay_answers_on_any_path(simulator: Simulator, path: str) -> None:
    async with Probe(simulator, path) as probe:
        reply = await probe.connect()

    result = reply["result"]
    assert "code" not in result
    assert result["protocol"].startswith("signalwire_")
    assert result["protocol"].split("_")[1] == result["authorization"]["signature"]
    assert result["authorization"]["project_id"] == "project-1"
    assert "@" in result["identity"]


async def test_authorization_state_is_pushed_soon(simulator: Simulator) -> None:
    async with Probe(simulator) as probe:
        await probe.connect()
        event = await probe.event("signalwire.authorization.state")

    assert event["authorization_state"].count(":") == 1


async def test_the_first_request_must_be_connect(simulator: Simulator) -> None:
    async with Probe(simulator) as probe:
        reply = await probe.call("signalwire.receive", {"contexts": ["a"]})

    assert reply["error"]["code"] == -32002


@pytest.mark.parametrize(
    "wrong",
    [
        {"authentication": {"project": "project-1", "token": "other"}},
        {"authentication": {"project": "other", "token": "PT-token-1"}},
        {"authentication": {"project": "project-1"}},
        {"authentication": {"jwt_token": "x"}},
        {"authentication": None},
        {"version": {"major": 1}},
        {"version": None},
    ],
)
async def test_wrong_credentials_are_refused_and_the_socket_closed(
    simulator: Simulator, wrong: dict[str, object]
) -> None:
    async with Probe(simulator) as probe:
        reply = await probe.connect(**wrong)
        await eventually(probe.closed.is_set)

    assert reply["error"]["code"] == -32002
    assert "401" in reply["error"]["message"]
    assert simulator.counts["rejected"] == 1


async def test_rejections_can_be_ordered_and_end_by_themselves(
    simulator: Simulator,
) -> None:
    simulator.set_connection_faults(
        ConnectionFaults(reject_auth=2, reject_code=-32401, close_after_reject=False)
    )
    async with Probe(simulator) as probe:
        codes = [(await probe.connect())["error"]["code"] for _ in range(2)]
        accepted = await probe.connect()

    assert codes == [-32401, -32401]
    assert "result" in accepted


async def test_a_known_protocol_resumes_the_session_with_its_calls(
    simulator: Simulator,
) -> None:
    async with Probe(simulator) as probe:
        first = await probe.connect("office")
        call = simulator.place_call(CallRequest(context="office"))
        await probe.answer(call)
    async with Probe(simulator) as probe:
        protocol = first["result"]["protocol"]
        second = await probe.connect(protocol=protocol)
        await probe.call("calling.end", leg(call))
        await probe.event("calling.call.state", call_state="ended")

    assert second["result"]["protocol"] == protocol
    assert simulator.counts["resumed"] == 1


async def test_an_unknown_or_forgotten_protocol_begins_a_new_session(
    simulator: Simulator,
) -> None:
    async with Probe(simulator) as probe:
        first = await probe.connect(protocol="signalwire_x_y_z")
    simulator.set_connection_faults(ConnectionFaults(forget_sessions=True))
    async with Probe(simulator) as probe:
        second = await probe.connect(protocol=first["result"]["protocol"])

    assert first["result"]["protocol"] != "signalwire_x_y_z"
    assert second["result"]["protocol"] != first["result"]["protocol"]


@pytest.mark.parametrize("replay", [True, False])
async def test_unacknowledged_events_are_replayed_only_where_asked(
    simulator: Simulator, *, replay: bool
) -> None:
    simulator.set_connection_faults(ConnectionFaults(replay_unacked=replay))
    async with Probe(simulator) as probe:
        first = await probe.connect("office")
        call = simulator.place_call(CallRequest(context="office"))
        probe.acks = False
        await probe.event("calling.call.receive")
    assert simulator.unacked_events > 0
    async with Probe(simulator) as probe:
        await probe.connect(protocol=first["result"]["protocol"])
        await eventually(lambda: simulator.unacked_events == 0)
        replayed = probe.events("calling.call.receive")

    assert [found["call_id"] for found in replayed] == (
        [call.call_id] if replay else []
    )


async def test_events_are_counted_when_acknowledged(simulator: Simulator) -> None:
    async with Probe(simulator) as probe:
        await probe.connect()
        await eventually(lambda: simulator.counts["acks"] == 1)

    assert simulator.unacked_events == 0


async def test_pings_are_sent_and_pongs_counted(simulator: Simulator) -> None:
    async with Probe(simulator) as probe:
        await probe.connect()
        await eventually(lambda: simulator.counts["pongs"] >= 2)
        probe.pongs = False
        await eventually(lambda: simulator.counts["missing_pongs"] >= 1)


async def test_pings_can_be_stopped(simulator: Simulator) -> None:
    simulator.set_connection_faults(ConnectionFaults(stop_pings=True))
    async with Probe(simulator) as probe:
        await probe.connect()
        with pytest.raises(TimeoutError):
            await eventually(lambda: simulator.counts["pings"] > 0, timeout=0.2)


async def test_a_clients_ping_is_answered(simulator: Simulator) -> None:
    async with Probe(simulator) as probe:
        await probe.connect()
        bare = await probe.call("signalwire.ping", {})
        stamped = await probe.call("signalwire.ping", {"timestamp": 12.5})

    assert bare["result"] == {}
    assert stamped["result"] == {"timestamp": 12.5}


@pytest.mark.parametrize("restart", [True, False])
async def test_disconnect_comes_before_the_close(
    simulator: Simulator, *, restart: bool
) -> None:
    async with Probe(simulator) as probe:
        await probe.connect()
        simulator.disconnect_clients(restart=restart)
        await eventually(probe.closed.is_set)

    last = [f for f in probe.frames if f.get("method") == "signalwire.disconnect"]
    assert last[0]["params"] == {"restart": restart}


async def test_a_connection_can_be_dropped_right_after_authentication(
    simulator: Simulator,
) -> None:
    simulator.set_connection_faults(ConnectionFaults(drop_after_auth=1))
    async with Probe(simulator) as probe:
        reply = await probe.connect()
        await eventually(probe.closed.is_set)
    async with Probe(simulator) as probe:
        again = await probe.connect()

    assert "result" in reply
    assert "result" in again


async def test_connections_can_be_dropped_at_any_time(simulator: Simulator) -> None:
    async with Probe(simulator) as probe:
        await probe.connect()
        simulator.drop_connections()
        await eventually(probe.closed.is_set)


@pytest.mark.parametrize(
    "faults", [ConnectionFaults(silent=True), ConnectionFaults(half_open=True)]
)
async def test_a_silent_or_half_open_platform_answers_nothing(
    simulator: Simulator, faults: ConnectionFaults
) -> None:
    async with Probe(simulator) as probe:
        await probe.connect()
        simulator.set_connection_faults(faults)
        frame_id = await probe.request("signalwire.ping", {})
        with pytest.raises(TimeoutError):
            await eventually(
                lambda: any(f.get("id") == frame_id for f in probe.frames), timeout=0.2
            )
        assert not probe.closed.is_set()
        # A half-open platform would not answer the close either.
        simulator.drop_connections()


async def test_contexts_are_added_and_taken_away(simulator: Simulator) -> None:
    async with Probe(simulator) as probe:
        await probe.connect("a")
        received = await probe.call("signalwire.receive", {"contexts": ["b"]})
        for context in ("a", "b"):
            call = simulator.place_call(CallRequest(context=context, wait=0))
            await probe.event("calling.call.receive", call_id=call.call_id)
        taken = await probe.call("signalwire.unreceive", {"contexts": ["a"]})
        later = simulator.place_call(CallRequest(context="a", wait=0.05))
        await later.wait_ended()
        empty = await probe.call("signalwire.receive", {"contexts": []})

    assert received["result"] == {"code": "200", "message": "Receiving events"}
    assert taken["result"] == {"code": "200", "message": "Unreceiving events"}
    assert later.end_reason == "noAnswer"
    assert empty["error"]["code"] == -32602


async def test_unknown_methods_keys_and_garbage_do_no_harm(
    simulator: Simulator,
) -> None:
    async with Probe(simulator) as probe:
        await probe.connect(eventing=["x"], topics=["y"])
        unknown = await probe.call("calling.fly", {"call_id": "c", "node_id": "n"})
        assert probe._socket is not None
        for garbage in ("{", "[]", "3", '{"id": 1}', '{"method": 3}'):
            await probe._socket.send_str(garbage)
        await probe._socket.send_bytes(b"\x00")
        await probe.call("signalwire.ping", {})

    assert unknown["error"]["code"] == -32601
    assert simulator.counts["unreadable"] == 5


async def test_the_journal_has_both_sides_and_no_secrets(
    simulator: Simulator,
) -> None:
    async with Probe(simulator) as probe:
        await probe.connect("office")
        await eventually(lambda: simulator.unacked_events == 0)

    first, second, third = simulator.journal[:3]
    assert (first.sender, first.method) == ("client", "signalwire.connect")
    assert second.sender == "platform"
    assert third.event_type == "signalwire.authorization.state"
    assert third.event_params == {"authorization_state": "***"}
    text = json.dumps([entry.frame for entry in simulator.journal])
    assert "PT-token-1" not in text
    assert "project-1" not in text


async def test_the_same_seed_gives_the_same_identifiers() -> None:
    found = []
    for _ in range(2):
        async with Simulator(OPTIONS) as simulator, Probe(simulator) as probe:
            reply = await probe.connect("office")
            call = simulator.place_call(CallRequest(context="office"))
            found.append((reply["result"]["protocol"], call.call_id, call.node_id))

    assert found[0] == found[1]
