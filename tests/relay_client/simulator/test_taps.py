"""Taps on the RELAY side: section 5 of the protocol notes, and its faults."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from relay_client.simulator import (
    CallRequest,
    FaultOptions,
    MediaOptions,
    SimCall,
    Simulator,
    SimulatorOptions,
)
from tests.relay_client.simulator.probe import (
    Probe,
    RtpDestination,
    WsDestination,
    eventually,
    leg,
    rtp_device,
    tap_params,
    ws_device,
)

TAP = "calling.call.tap"


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(SimulatorOptions()) as found:
        yield found


@pytest.fixture
async def probe(simulator: Simulator) -> AsyncIterator[Probe]:
    async with Probe(simulator) as found:
        await found.connect("default")
        yield found


@pytest.fixture
async def destination() -> AsyncIterator[WsDestination]:
    async with WsDestination() as found:
        yield found


async def answered(
    simulator: Simulator, probe: Probe, faults: FaultOptions | None = None
) -> SimCall:
    call = simulator.place_call(CallRequest(faults=faults))
    await probe.answer(call)
    return call


def tap_states(probe: Probe) -> list[str]:
    return [params["state"] for params in probe.events(TAP)]


def types_in_order(probe: Probe) -> list[str]:
    """What came, replies as `reply`, states and taps by what they say."""
    found = []
    for frame in probe.frames:
        if "result" in frame:
            found.append("reply")
        elif frame["method"] == "signalwire.event":
            params = frame["params"]["params"]
            found.append(params.get("state") or params.get("call_state") or "")
    return found


async def test_reply_then_tapping_then_finished(
    simulator: Simulator, probe: Probe, destination: WsDestination
) -> None:
    call = await answered(simulator, probe)
    params = tap_params(call, destination.device, direction="listen")
    reply = await probe.call("calling.tap", params)
    tapping = await probe.event(TAP, state="tapping")
    stopped = await probe.call("calling.tap.stop", leg(call, control_id="tap-1"))
    finished = await probe.event(TAP, state="finished")

    assert reply["result"] == {
        "code": "200",
        "message": "Tapping",
        "call_id": call.call_id,
        "control_id": "tap-1",
    }
    assert tapping["tap"] == {"type": "audio", "params": {"direction": "listen"}}
    assert tapping["device"] == destination.device
    assert stopped["result"]["control_id"] == "tap-1"
    assert finished["control_id"] == "tap-1"
    order = types_in_order(probe)
    assert order[-4:] == ["reply", "tapping", "reply", "finished"]


async def test_hang_up_finishes_the_taps_between_ending_and_ended(
    simulator: Simulator, probe: Probe, destination: WsDestination
) -> None:
    call = await answered(simulator, probe)
    tap = await probe.tap(call, destination.device)
    await probe.event(TAP, state="tapping")
    await call.hang_up()
    await probe.event("calling.call.state", call_state="ended")

    assert types_in_order(probe)[-3:] == ["ending", "finished", "ended"]
    assert tap.is_finished


async def test_several_taps_of_one_leg_need_their_own_control_ids(
    simulator: Simulator, probe: Probe, destination: WsDestination
) -> None:
    call = await answered(simulator, probe)
    for control_id in ("a", "b"):
        await probe.tap(call, destination.device, control_id=control_id)
    again = tap_params(call, destination.device, control_id="a")
    reply = await probe.call("calling.tap", again)
    await eventually(lambda: len(destination.connections) == 2)

    assert reply["result"]["code"] == "409"


async def test_an_unanswered_call_cannot_be_tapped(
    simulator: Simulator, probe: Probe, destination: WsDestination
) -> None:
    call = simulator.place_call()
    await probe.event("calling.call.receive")
    reply = await probe.call("calling.tap", tap_params(call, destination.device))

    assert reply["result"]["code"] == "400"


async def test_stopping_what_is_not_tapped_is_a_404(
    simulator: Simulator, probe: Probe, destination: WsDestination
) -> None:
    call = await answered(simulator, probe)
    unknown = await probe.call("calling.tap.stop", leg(call, control_id="x"))
    await probe.tap(call, destination.device)
    await probe.call("calling.tap.stop", leg(call, control_id="tap-1"))
    await probe.event(TAP, state="finished")
    again = await probe.call("calling.tap.stop", leg(call, control_id="tap-1"))

    assert unknown["result"]["code"] == "404"
    assert again["result"]["code"] == "404"


@pytest.mark.parametrize(
    "wrong",
    [
        {"tap": {"type": "audio"}},
        {"tap": {"type": "video", "params": {}}},
        {"tap": {"type": "audio", "params": {"direction": "hear"}}},
        {"tap": None},
        {"control_id": ""},
        {"control_id": 3},
        {"device": {"type": "carrier pigeon", "params": {}}},
        {"device": {"type": "ws", "params": {"uri": "http://a"}}},
        {"device": {"type": "ws", "params": {"uri": "ws://"}}},
        {"device": {"type": "ws", "params": {"uri": "ws://a:99999"}}},
        {"device": {"type": "ws", "params": {"uri": "ws://a", "codec": "Pcmu"}}},
        {"device": {"type": "rtp", "params": {"addr": "example.org", "port": 1}}},
        {"device": {"type": "rtp", "params": {"addr": "1.2.3.4", "port": 0}}},
        {"device": {"type": "rtp", "params": {"addr": "1.2.3.4", "port": "1"}}},
        {"device": {"type": "rtp", "params": {"addr": "::1", "port": 1}}},
        {"device": rtp_device(1, ptime=25)},
        {"device": rtp_device(1, ptime=130)},
    ],
)
async def test_what_does_not_fit_the_schema_is_refused(
    simulator: Simulator, probe: Probe, wrong: dict[str, Any]
) -> None:
    call = await answered(simulator, probe)
    params = {**tap_params(call, ws_device("ws://127.0.0.1:9/")), **wrong}
    reply = await probe.call("calling.tap", params)

    assert reply["error"] == {"code": -32602, "message": "Invalid CallTapParams"}
    assert not call.taps


async def test_unknown_keys_are_ignored(
    simulator: Simulator, probe: Probe, destination: WsDestination
) -> None:
    call = await answered(simulator, probe)
    params = {**tap_params(call, destination.device), "status_url": "http://x/y"}
    reply = await probe.call("calling.tap", params)

    assert reply["result"]["code"] == "200"


async def test_private_addresses_are_refused_only_on_request(probe: Probe) -> None:
    async with (
        Simulator(SimulatorOptions(refuse_private=True)) as strict,
        Probe(strict) as other,
    ):
        await other.connect("default")
        call = await answered(strict, other)
        private = await other.call("calling.tap", tap_params(call, rtp_device(40000)))

    assert private["result"]["code"] == "400"


async def test_rtp_names_its_source_before_it_sends(
    simulator: Simulator, probe: Probe
) -> None:
    async with RtpDestination() as destination:
        call = await answered(simulator, probe)
        params = tap_params(call, rtp_device(destination.port, ptime=30))
        reply = await probe.call("calling.tap", params)
        await eventually(lambda: bool(destination.sources))

    params = reply["result"]["source_device"]["params"]
    assert (params["addr"], params["port"]) in destination.sources
    assert (params["codec"], params["ptime"], params["rate"]) == ("PCMU", 30, 8000)


@pytest.mark.parametrize("chosen", ["other", "absent"])
async def test_source_device_can_be_wrong_or_absent(
    simulator: Simulator, probe: Probe, chosen: Any
) -> None:
    async with RtpDestination() as destination:
        call = await answered(simulator, probe, FaultOptions(source_device=chosen))
        params = tap_params(call, rtp_device(destination.port))
        reply = await probe.call("calling.tap", params)
        await eventually(lambda: bool(destination.sources))

    device = reply["result"].get("source_device")
    if chosen == "absent":
        assert device is None
    else:
        assert ("127.0.0.1", device["params"]["port"]) not in destination.sources


async def test_a_dead_udp_destination_changes_nothing(
    simulator: Simulator, probe: Probe
) -> None:
    async with RtpDestination() as destination:
        port = destination.port
    call = await answered(simulator, probe)
    tap = await probe.tap(call, rtp_device(port))
    await eventually(lambda: len(tap.sent) > 5)

    assert tap.state == "tapping"


async def test_an_unreachable_websocket_is_an_early_finished(
    simulator: Simulator, probe: Probe
) -> None:
    call = await answered(simulator, probe)
    params = tap_params(call, ws_device("ws://127.0.0.1:9/tap/x"))
    reply = await probe.call("calling.tap", params)
    await probe.event(TAP, state="finished")

    assert reply["result"]["code"] == "200"
    assert tap_states(probe) == ["finished"]


async def test_an_unreachable_websocket_can_be_an_error_reply(
    simulator: Simulator, probe: Probe, destination: WsDestination
) -> None:
    call = await answered(simulator, probe, FaultOptions(unreachable="error"))
    params = tap_params(call, ws_device("ws://127.0.0.1:9/tap/x"))
    reply = await probe.call("calling.tap", params)
    reachable = await probe.tap(call, destination.device, control_id="tap-2")
    await probe.event(TAP, state="tapping")

    assert reply["result"]["code"] == "400"
    assert tap_states(probe) == ["tapping"]
    assert reachable.state == "tapping"


async def test_a_destination_that_is_no_websocket_is_refused(
    simulator: Simulator, probe: Probe
) -> None:
    call = await answered(simulator, probe)
    uri = f"ws://{simulator.host}/simulator/calls"
    await probe.call("calling.tap", tap_params(call, ws_device(uri)))
    await probe.event(TAP, state="finished")

    assert tap_states(probe) == ["finished"]


async def test_tapping_can_be_missing(
    simulator: Simulator, probe: Probe, destination: WsDestination
) -> None:
    call = await answered(simulator, probe, FaultOptions(no_tapping=True))
    await probe.tap(call, destination.device)
    await eventually(lambda: bool(destination.connections))
    await eventually(lambda: bool(destination.connections[0].binary))
    await probe.call("calling.tap.stop", leg(call, control_id="tap-1"))
    await probe.event(TAP, state="finished")

    assert tap_states(probe) == ["finished"]


async def test_tapping_can_come_after_the_audio(
    simulator: Simulator, probe: Probe, destination: WsDestination
) -> None:
    call = await answered(simulator, probe, FaultOptions(tapping_delay=0.2))
    await probe.tap(call, destination.device)
    await eventually(lambda: bool(destination.connections))
    await eventually(lambda: bool(destination.connections[0].binary))
    before = tap_states(probe)
    await probe.event(TAP, state="tapping")

    assert before == []


async def test_finished_can_be_missing(
    simulator: Simulator, probe: Probe, destination: WsDestination
) -> None:
    call = await answered(simulator, probe, FaultOptions(no_finished=True))
    tap = await probe.tap(call, destination.device)
    await probe.event(TAP, state="tapping")
    await probe.call("calling.tap.stop", leg(call, control_id="tap-1"))
    await tap.wait_finished()
    await probe.call("signalwire.ping", {})

    assert tap_states(probe) == ["tapping"]


async def test_finished_can_come_before_the_reply(
    simulator: Simulator, probe: Probe, destination: WsDestination
) -> None:
    call = await answered(simulator, probe, FaultOptions(finished_before_reply=True))
    await probe.tap(call, destination.device)

    assert types_in_order(probe)[-2:] == ["finished", "reply"]
    assert destination.connections == []


async def test_tapping_and_audio_can_come_before_the_reply(
    simulator: Simulator, probe: Probe, destination: WsDestination
) -> None:
    call = await answered(simulator, probe, FaultOptions(event_before_reply=True))
    await probe.tap(call, destination.device)

    assert types_in_order(probe)[-2:] == ["tapping", "reply"]


async def test_ended_can_come_before_finished(
    simulator: Simulator, probe: Probe, destination: WsDestination
) -> None:
    call = await answered(simulator, probe, FaultOptions(ended_before_finished=True))
    await probe.tap(call, destination.device)
    await probe.event(TAP, state="tapping")
    await call.hang_up()
    await probe.event(TAP, state="finished")

    assert types_in_order(probe)[-3:] == ["ending", "ended", "finished"]


async def test_numbers_can_be_strings_in_events(
    simulator: Simulator, probe: Probe
) -> None:
    async with RtpDestination() as destination:
        call = await answered(simulator, probe, FaultOptions(numbers_as_strings=True))
        await probe.tap(call, rtp_device(destination.port))
        tapping = await probe.event(TAP, state="tapping")

    assert tapping["device"]["params"]["port"] == str(destination.port)
    assert tapping["device"]["params"]["ptime"] == "20"


async def test_taps_go_on_while_the_control_connection_is_down(
    simulator: Simulator, probe: Probe, destination: WsDestination
) -> None:
    call = await answered(simulator, probe)
    tap = await probe.tap(call, destination.device)
    await eventually(lambda: bool(tap.sent))
    simulator.drop_connections()
    await eventually(probe.closed.is_set)
    count = len(tap.sent)
    await eventually(lambda: len(tap.sent) > count + 3)

    assert tap.state == "tapping"


async def test_a_tap_ends_by_itself_after_its_seconds(
    simulator: Simulator, probe: Probe, destination: WsDestination
) -> None:
    call = simulator.place_call(CallRequest(media=MediaOptions(seconds=0.1)))
    await probe.answer(call)
    await probe.tap(call, destination.device)
    await probe.event(TAP, state="finished")

    assert call.is_answered


async def test_the_call_clock_lets_later_taps_hear_the_present(
    simulator: Simulator, probe: Probe, destination: WsDestination
) -> None:
    # Noise, which is nowhere the same, as a tone is after some packets.
    media = MediaOptions(clock="call")
    call = simulator.place_call(CallRequest(speak="noise", listen="noise", media=media))
    await probe.answer(call)
    first = await probe.tap(call, destination.device, control_id="a")
    await eventually(lambda: len(first.sent) > 5)
    second = await probe.tap(call, destination.device, control_id="b")
    await eventually(lambda: len(second.sent) > 5)

    assert first.sent[0].payload != second.sent[0].payload
    assert second.sent[0].start == 0
