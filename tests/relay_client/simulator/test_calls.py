"""Calls: sections 4 of the protocol notes."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from typing import Any

import pytest

from relay_client.simulator import (
    CallRequest,
    ConnectionFaults,
    DialOptions,
    FaultOptions,
    NoSubscriberError,
    OptionsError,
    Simulator,
    SimulatorOptions,
)
from tests.relay_client.simulator.probe import Probe, eventually, leg

STATE = "calling.call.state"


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    dial = DialOptions(answer_after=0.02, no_answer_after=0.05)
    async with Simulator(SimulatorOptions(dial=dial)) as found:
        yield found


@pytest.fixture
async def probe(simulator: Simulator) -> AsyncIterator[Probe]:
    async with Probe(simulator) as found:
        await found.connect("default")
        yield found


def phone(number: str, **more: Any) -> dict[str, Any]:
    params = {"from_number": "+15550001111", "to_number": number, **more}
    return {"type": "phone", "params": params}


def states(probe: Probe, call_id: str) -> list[str]:
    return [
        params["call_state"]
        for params in probe.events(STATE)
        if params["call_id"] == call_id
    ]


async def test_an_inbound_call_is_offered_answered_and_ended(
    simulator: Simulator, probe: Probe
) -> None:
    call = simulator.place_call(
        CallRequest(from_number="+15550000001", to_number="+15550000002", seconds=0.1)
    )
    await probe.answer(call)
    await call.wait_ended()
    await probe.event(STATE, call_state="ended", end_reason="hangup")

    offer = probe.events("calling.call.receive")[0]
    assert offer["call_state"] == "created"
    assert offer["direction"] == "inbound"
    assert offer["context"] == "default"
    assert offer["node_id"] == call.node_id
    assert offer["device"] == {
        "type": "phone",
        "params": {"from_number": "+15550000001", "to_number": "+15550000002"},
    }
    assert states(probe, call.call_id) == ["answered", "ending", "ended"]


async def test_a_sip_caller_has_a_sip_device(
    simulator: Simulator, probe: Probe
) -> None:
    simulator.place_call(CallRequest(from_number="sip:a@example.org"))
    offer = await probe.event("calling.call.receive")

    assert offer["device"]["type"] == "sip"
    assert offer["device"]["params"]["from"] == "sip:a@example.org"


async def test_answering_twice_is_harmless(simulator: Simulator, probe: Probe) -> None:
    call = simulator.place_call()
    await probe.answer(call)
    again = await probe.call("calling.answer", leg(call))

    assert again["result"] == {"code": "200", "message": "Answered"}
    assert states(probe, call.call_id) == ["answered"]


async def test_a_call_goes_to_exactly_one_of_several_clients(
    simulator: Simulator, probe: Probe
) -> None:
    async with Probe(simulator) as other:
        await other.connect("default")
        for _ in range(4):
            simulator.place_call()
        offers = "calling.call.receive"
        await eventually(
            lambda: len(probe.events(offers)) + len(other.events(offers)) == 4
        )

        assert len(probe.events(offers)) == len(other.events(offers)) == 2


async def test_a_passed_call_is_offered_to_another_client(
    simulator: Simulator, probe: Probe
) -> None:
    async with Probe(simulator) as other:
        await other.connect("default")
        call = simulator.place_call()
        first, second = probe, other
        await eventually(lambda: call.session is not None)
        if not probe.events("calling.call.receive"):
            await eventually(
                lambda: bool(
                    probe.events("calling.call.receive")
                    or other.events("calling.call.receive")
                )
            )
        if other.events("calling.call.receive"):
            first, second = other, probe
        reply = await first.call("calling.pass", leg(call))
        await second.answer(call)
        refused = await first.call("calling.end", leg(call))

    assert reply["result"] == {"code": "200", "message": "Passing call"}
    assert refused["result"]["code"] == "409"


async def test_nobody_there_waits_or_is_refused(simulator: Simulator) -> None:
    with pytest.raises(NoSubscriberError):
        simulator.place_call(CallRequest(context="empty", wait=0))
    call = simulator.place_call(CallRequest(context="later", wait=20))
    async with Probe(simulator) as probe:
        await probe.connect("later")
        await probe.answer(call)


async def test_an_unanswered_call_ends(simulator: Simulator, probe: Probe) -> None:
    call = simulator.place_call(CallRequest(ring_seconds=0.05))
    await probe.event(STATE, call_state="ended", end_reason="noAnswer")

    assert states(probe, call.call_id) == ["ending", "ended"]


@pytest.mark.parametrize("source", ["tone:x", "tone:440@7", "/no/such/file.wav"])
async def test_impossible_audio_is_refused(simulator: Simulator, source: str) -> None:
    with pytest.raises(OptionsError, match="source"):
        simulator.place_call(CallRequest(speak=source))


@pytest.mark.parametrize("reason", ["busy", "decline", "hangup"])
async def test_end_tells_its_reason(
    simulator: Simulator, probe: Probe, reason: str
) -> None:
    call = simulator.place_call()
    await probe.event("calling.call.receive")
    reply = await probe.call("calling.end", leg(call, reason=reason))
    await probe.event(STATE, call_state="ended", end_reason=reason)

    assert reply["result"] == {"code": "200", "message": "Disconnecting call"}


async def test_refusals_have_their_codes(simulator: Simulator, probe: Probe) -> None:
    call = simulator.place_call()
    await probe.event("calling.call.receive")
    unknown = await probe.call("calling.answer", {"node_id": "n", "call_id": "c"})
    misplaced = await probe.call("calling.answer", leg(call) | {"node_id": "n"})
    unnamed = await probe.call("calling.answer", {"node_id": "n"})
    early = await probe.call("calling.hold", leg(call))
    strange = await probe.call("calling.end", leg(call, reason="boredom"))
    await probe.call("calling.end", leg(call))
    await call.wait_ended()
    gone = await probe.call("calling.answer", leg(call))

    assert unknown["result"]["code"] == "404"
    assert misplaced["result"]["code"] == "404"
    assert unnamed["error"] == {"code": -32602, "message": "Invalid CallAnswerParams"}
    assert early["result"]["code"] == "400"
    assert strange["error"]["code"] == -32602
    assert gone["result"]["code"] == "410"


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("calling.hold", "Call on hold"),
        ("calling.unhold", "Call off hold"),
        ("calling.transfer", "Transferring"),
        ("calling.send_digits", "Sending Digits"),
        ("calling.join_conference", "Joining conference"),
        ("calling.leave_conference", "Leaving conference"),
        ("calling.refer", "Starting SIP REFER"),
        ("calling.denoise", "Denoiser on"),
        ("calling.echo", "Echo started"),
    ],
)
async def test_other_commands_are_answered_plausibly(
    simulator: Simulator, probe: Probe, method: str, message: str
) -> None:
    call = simulator.place_call()
    await probe.answer(call)
    reply = await probe.call(method, leg(call, control_id="x", digits="1"))

    assert reply["result"] == {"code": "200", "message": message}


async def test_play_begins_and_finishes(simulator: Simulator, probe: Probe) -> None:
    call = simulator.place_call()
    await probe.answer(call)
    silence = {"type": "silence", "params": {"duration": 0.05}}
    reply = await probe.call("calling.play", leg(call, control_id="p", play=[silence]))
    await probe.event("calling.call.play", control_id="p", state="finished")
    missing = await probe.call("calling.play", leg(call, control_id="p"))

    assert reply["result"]["code"] == "200"
    assert [found["state"] for found in probe.events("calling.call.play")] == [
        "playing",
        "finished",
    ]
    assert missing["error"]["code"] == -32602


async def test_play_can_be_stopped(simulator: Simulator, probe: Probe) -> None:
    call = simulator.place_call()
    await probe.answer(call)
    silence = {"type": "silence", "params": {"duration": 60}}
    params = leg(call, control_id="p", play=[silence])
    await probe.call("calling.play", params)
    twice = await probe.call("calling.play", params)
    await probe.call("calling.play.stop", leg(call, control_id="p"))
    await probe.event("calling.call.play", state="finished")
    again = await probe.call("calling.play.stop", leg(call, control_id="p"))

    assert twice["result"]["code"] == "409"
    assert again["result"]["code"] == "404"


async def test_dial_has_one_winner_and_cancels_the_others(
    simulator: Simulator, probe: Probe
) -> None:
    devices = [[phone("+15550002222"), phone("+15550003333")]]
    reply = await probe.call("calling.dial", {"tag": "d-1", "devices": devices})
    answered = await probe.event("calling.call.dial", dial_state="answered")
    await probe.event(STATE, call_state="ended", end_reason="cancel")

    assert reply["result"] == {"code": "200", "message": "Dialing"}
    assert "call_id" not in answered
    winner = answered["call"]
    assert winner["dial_winner"] is True
    assert winner["device"] == devices[0][0]
    assert states(probe, winner["call_id"]) == ["created", "ringing", "answered"]
    events = probe.events(STATE)
    assert {params["tag"] for params in events} == {"d-1"}
    assert {params["direction"] for params in events} == {"outbound"}


async def test_dial_goes_through_its_groups_and_fails_at_last(
    simulator: Simulator, probe: Probe
) -> None:
    devices = [[phone("+15550002486")], [phone("+15550002603")], [phone("+1480")]]
    await probe.call("calling.dial", {"tag": "d", "devices": devices})
    failed = await probe.event("calling.call.dial", dial_state="failed")

    reasons = [
        params["end_reason"]
        for params in probe.events(STATE)
        if params["call_state"] == "ended"
    ]
    assert failed["call"] == {}
    assert reasons == ["busy", "decline", "noAnswer"]


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"tag": "d"},
        {"tag": "d", "devices": []},
        {"tag": "d", "devices": [phone("+1")]},
        {"tag": "d", "devices": [[{"type": "phone", "params": {}}]]},
        {"tag": "d", "devices": [[{"type": "call", "params": {"call_id": "c"}}]]},
        {"devices": [[phone("+1")]]},
    ],
)
async def test_dial_without_what_it_needs_is_a_schema_error(
    probe: Probe, params: dict[str, Any]
) -> None:
    reply = await probe.call("calling.dial", params)

    assert reply["error"] == {"code": -32602, "message": "Invalid CallDialParams"}


async def test_a_dial_can_be_cut_in_the_middle(
    simulator: Simulator, probe: Probe
) -> None:
    simulator.set_connection_faults(ConnectionFaults(close_mid_dial=True))
    await probe.call("calling.dial", {"tag": "d", "devices": [[phone("+1555")]]})
    await eventually(probe.closed.is_set)

    assert len(simulator.calls) == 1


async def test_connect_bridges_a_new_leg_and_disconnect_takes_it_apart(
    simulator: Simulator, probe: Probe
) -> None:
    call = simulator.place_call(CallRequest(speak="tone:300", listen="tone:500"))
    await probe.answer(call)
    params = leg(call, tag="agent", devices=[[phone("+15553330000")]])
    reply = await probe.call("calling.connect", params)
    connected = await probe.event(
        "calling.call.connect", call_id=call.call_id, connect_state="connected"
    )
    twice = await probe.call("calling.connect", params)
    peer = simulator.calls[connected["peer"]["call_id"]]
    apart = await probe.call("calling.disconnect", leg(call))
    await probe.event(
        "calling.call.connect", call_id=call.call_id, connect_state="disconnected"
    )
    not_connected = await probe.call("calling.disconnect", leg(call))

    assert reply["result"] == {"code": "200", "message": "connecting"}
    assert twice["result"]["code"] == "409"
    assert apart["result"] == {"code": "200", "message": "Disconnecting"}
    assert not_connected["result"]["code"] == "400"
    assert (peer.speak, peer.listen) == ("tone:500", "tone:300")
    assert peer.is_answered
    assert call.is_answered
    created = probe.events(STATE)[1]
    assert created["tag"] == "agent"
    assert created["peer"] == {"call_id": call.call_id, "node_id": call.node_id}


async def test_a_failed_connect_says_why_and_can_be_tried_again(
    simulator: Simulator, probe: Probe
) -> None:
    call = simulator.place_call()
    await probe.answer(call)
    params = leg(call, devices=[[phone("+15553330486")]])

    def reasons() -> list[str]:
        return [
            params["failed_reason"]
            for params in probe.events("calling.call.connect")
            if params["connect_state"] == "failed"
        ]

    def has_failed(times: int) -> bool:
        return len(reasons()) == times

    for count in (1, 2):
        await probe.call("calling.connect", params)
        await eventually(functools.partial(has_failed, count))

    assert reasons() == ["busy", "busy"]


async def test_two_legs_that_exist_can_be_bridged(
    simulator: Simulator, probe: Probe
) -> None:
    calls = [simulator.place_call() for _ in range(2)]
    for call in calls:
        await probe.answer(call)
    device = {"type": "call", "params": leg(calls[1])}
    unknown = {"type": "call", "params": {"node_id": "n", "call_id": "c"}}
    missing = await probe.call("calling.connect", leg(calls[0], devices=[[unknown]]))
    await probe.call("calling.connect", leg(calls[0], devices=[[device]]))
    await probe.event("calling.call.connect", connect_state="connected")
    await probe.call("calling.end", leg(calls[1]))
    await probe.event(
        "calling.call.connect",
        call_id=calls[0].call_id,
        connect_state="disconnected",
    )

    assert missing["result"]["code"] == "404"
    assert calls[0].is_answered


async def test_an_ended_call_leaves_no_bridge_behind(
    simulator: Simulator, probe: Probe
) -> None:
    call = simulator.place_call()
    await probe.answer(call)
    await probe.call("calling.connect", leg(call, devices=[[phone("+15553330000")]]))
    await probe.call("calling.end", leg(call))
    await call.wait_ended()
    await eventually(
        lambda: all(
            not found.is_connecting and not found.is_bridged
            for found in simulator.calls.values()
        )
    )

    await eventually(
        lambda: all(
            found.is_over
            for found in simulator.calls.values()
            if found.end_reason == "cancel"
        )
    )


@pytest.mark.parametrize("style", ["result", "jsonrpc"])
async def test_any_verb_can_be_refused_some_times(
    simulator: Simulator, probe: Probe, style: Any
) -> None:
    faults = FaultOptions(
        error_on=("answer",), error_code=503, error_times=2, error_style=style
    )
    call = simulator.place_call(CallRequest(faults=faults))
    await probe.event("calling.call.receive")
    replies = [await probe.call("calling.answer", leg(call)) for _ in range(3)]

    if style == "jsonrpc":
        assert [found["error"]["code"] for found in replies[:2]] == [503, 503]
    else:
        assert [found["result"]["code"] for found in replies[:2]] == ["503", "503"]
    assert replies[2]["result"]["code"] == "200"


async def test_a_reply_can_be_dropped_while_the_command_is_done(
    simulator: Simulator, probe: Probe
) -> None:
    call = simulator.place_call(
        CallRequest(faults=FaultOptions(drop_reply_on=("answer",)))
    )
    await probe.event("calling.call.receive")
    frame_id = await probe.request("calling.answer", leg(call))
    await probe.event(STATE, call_state="answered")

    assert all(frame.get("id") != frame_id for frame in probe.frames)


async def test_events_can_come_before_the_reply(
    simulator: Simulator, probe: Probe
) -> None:
    faults = FaultOptions(event_before_reply=True, reply_delay=0.02)
    call = simulator.place_call(CallRequest(faults=faults))
    await probe.event("calling.call.receive")
    await probe.call("calling.answer", leg(call))

    assert probe.frames[-1]["result"]["code"] == "200"
    assert states(probe, call.call_id) == ["answered"]


async def test_a_verb_can_be_met_by_a_closed_connection(
    simulator: Simulator, probe: Probe
) -> None:
    call = simulator.place_call(CallRequest(faults=FaultOptions(close_on=("answer",))))
    await probe.event("calling.call.receive")
    await probe.request("calling.answer", leg(call))
    await eventually(probe.closed.is_set)

    assert not call.is_answered


async def test_results_can_be_nested_as_they_used_to_be(
    simulator: Simulator, probe: Probe
) -> None:
    call = simulator.place_call(CallRequest(faults=FaultOptions(nested_result=True)))
    await probe.event("calling.call.receive")
    reply = await probe.call("calling.answer", leg(call))

    assert reply["result"] == {"result": {"code": "200", "message": "Answered"}}


async def test_events_can_be_doubled_and_surrounded_by_unknown_ones(
    simulator: Simulator, probe: Probe
) -> None:
    faults = FaultOptions(
        duplicate_events=True, unknown_events=True, initial_state="ringing"
    )
    call = simulator.place_call(CallRequest(faults=faults))
    await eventually(lambda: len(probe.events("calling.call.receive")) == 2)

    assert probe.events("calling.call.receive")[0]["call_state"] == "ringing"
    assert probe.events("calling.call.horoscope")
    assert probe.events("")
    assert call.state == "ringing"


async def test_ended_can_be_missing(simulator: Simulator, probe: Probe) -> None:
    call = simulator.place_call(CallRequest(faults=FaultOptions(no_ended=True)))
    await probe.answer(call)
    await probe.call("calling.end", leg(call))
    await call.wait_ended()
    await probe.call("signalwire.ping", {})

    assert states(probe, call.call_id) == ["answered", "ending"]
