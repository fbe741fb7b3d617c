"""What goes wrong between the platform and our client costs no audio and no document.

The faults are those of section 10.1 of the RELAY notes, played by the simulator.
"""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import server.options
from relay_client import ConnectionState, RelayClient
from relay_client.simulator import (
    CallRequest,
    ConnectionFaults,
    FaultOptions,
    SimCall,
    Simulator,
)
from relay_client.timing import Timing
from server.audio import Outcome
from server.library.recording import Recording
from tests.e2e.rig import Rig, reference, rig, sent_by, until
from tests.e2e.test_ends import OVER_BOTH, RTP, WS, the_recording
from tests.e2e.test_shapes import record
from tests.e2e.together import together

IMPATIENT = Timing(
    request_timeout=1,
    ping_interval=0.5,
    ping_timeout=0.5,
    backoff_min=0.3,
    stop_grace=0.5,
)


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the server's client notice within a second what else takes half a minute."""
    client = partial(RelayClient, timing=IMPATIENT)
    monkeypatch.setattr(server.options, "RelayClient", client)


def assert_exact(here: Rig, call: SimCall, recording: Recording) -> None:
    expected = reference(sent_by(call), "PCMU")
    np.testing.assert_array_equal(here.audio(recording), expected)


@OVER_BOTH
async def test_odd_replies_and_events_cost_nothing(
    tmp_path: Path, tap_uri: str
) -> None:
    faults = [
        FaultOptions(event_before_reply=True),
        FaultOptions(event_before_reply=True, reply_delay=0.7),
        FaultOptions(duplicate_events=True),
        FaultOptions(unknown_events=True),
        FaultOptions(numbers_as_strings=True),
        FaultOptions(initial_state="ringing"),
        FaultOptions(no_tapping=True),
        FaultOptions(tapping_delay=0.6),
        FaultOptions(nested_result=True),
        FaultOptions(reply_delay=0.3),
        FaultOptions(no_finished=True),
        FaultOptions(ended_before_finished=True),
        FaultOptions(no_ended=True),
        FaultOptions(error_on=("tap.stop",)),
        FaultOptions(error_on=("tap.stop",), error_style="jsonrpc"),
    ]
    async with rig(tmp_path, tap_uri=tap_uri) as here:
        requests = [CallRequest(seconds=1.5, faults=each) for each in faults]
        for call, (recording,) in await record(here, *requests):
            assert_exact(here, call, recording)
            assert recording.state is Outcome.COMPLETE, recording.verdict
            assert recording.end_reason == "hangup", call.faults


async def test_a_tap_that_is_over_before_it_was_accepted(tmp_path: Path) -> None:
    async with rig(tmp_path, tap_uri=WS) as here:
        faults = FaultOptions(finished_before_reply=True)
        call = here.place(CallRequest(seconds=None, faults=faults))
        recording = await the_recording(here, call)
        assert recording.state is Outcome.MISSING
        assert recording.end_reason == "finished"


@pytest.mark.usefixtures("_impatient")
@OVER_BOTH
async def test_a_reply_that_never_comes_ends_no_tap(
    tmp_path: Path, tap_uri: str
) -> None:
    """The platform taps and its reply is lost; on a port of its own RTP is found."""
    async with rig(tmp_path, tap_uri=tap_uri, rtp_listen="127.0.0.1:0") as here:
        faults = FaultOptions(drop_reply_on=("tap", "tap.stop"))
        call = here.place(CallRequest(seconds=3, faults=faults))
        recording = await the_recording(here, call)
        assert recording.end_reason == "hangup"
        if tap_uri == WS:
            assert recording.state is Outcome.COMPLETE, recording.verdict
            assert_exact(here, call, recording)
        else:
            # Without the reply nobody says whose audio it is on a shared port.
            assert recording.state is Outcome.MISSING


@pytest.mark.usefixtures("_impatient")
async def test_a_stop_without_any_answer_still_ends_the_tap(tmp_path: Path) -> None:
    faults = FaultOptions(drop_reply_on=("tap.stop",), no_finished=True)
    async with rig(tmp_path, tap_uri=WS) as here:
        call = here.place(CallRequest(seconds=None, faults=faults))
        await here.receiving()
        (tap,) = here.server.rendezvous.taps.values()
        assert here.server.tapper is not None
        await here.server.tapper.stop(tap)
        recording = await the_recording(here, call)
        assert recording.end_reason in ("stopped", "closed")
        assert_exact(here, call, recording)


@pytest.mark.usefixtures("_impatient")
async def test_a_connection_that_closes_instead_of_a_reply(tmp_path: Path) -> None:
    faults = FaultOptions(close_on=("tap",))
    async with rig(tmp_path, tap_uri=WS) as here:
        call = here.place(CallRequest(seconds=1, faults=faults))
        recording = await the_recording(here, call)
        assert recording.state is Outcome.FAILED
        assert recording.end_reason == "refused"
        await until(lambda: _is_ready(here))


@pytest.mark.usefixtures("_impatient")
@together("how", ["drop", "restart", "no restart", "half open"])
async def test_audio_goes_on_while_relay_is_away(tmp_path: Path, how: str) -> None:
    """The recording is complete, and once RELAY is back it is told of the end."""
    async with rig(tmp_path, tap_uri=RTP, idle_timeout_s="3") as here:
        calls = [here.place(CallRequest(seconds=None)) for _ in range(3)]
        await here.receiving(3)
        await _interrupt(here.simulator, how)
        await until(lambda: here.simulator.counts["authenticated"] >= 2)
        await until(lambda: _is_ready(here))
        for call in calls:
            await call.hang_up()
        for call in calls:
            recording = await the_recording(here, call)
            assert_exact(here, call, recording)
            if how == "restart":
                # A new session does not control the calls of the old one.
                assert recording.end_reason == "idle"
            else:
                assert recording.state is Outcome.COMPLETE, recording.verdict
                assert recording.end_reason == "hangup"


async def _interrupt(simulator: Simulator, how: str) -> None:
    if how == "drop":
        simulator.drop_connections()
    elif how == "half open":
        simulator.set_connection_faults(ConnectionFaults(half_open=True))
        await asyncio.sleep(1.2)
        simulator.set_connection_faults(ConnectionFaults())
    else:
        simulator.disconnect_clients(restart=how == "restart")


@pytest.mark.usefixtures("_impatient")
@OVER_BOTH
async def test_a_call_that_ended_while_relay_was_away(
    tmp_path: Path, tap_uri: str
) -> None:
    async with rig(tmp_path, tap_uri=tap_uri) as here:
        call = here.place(CallRequest(seconds=None))
        await here.receiving()
        await until(lambda: len(sent_by(call)) > 40)
        here.simulator.drop_connections()
        await call.hang_up()
        recording = await the_recording(here, call)
        assert_exact(here, call, recording)
        assert recording.state is Outcome.COMPLETE, recording.verdict
        assert recording.end_reason in ("hangup", "closed")


@together("source", ["absent", "other"])
async def test_rtp_on_a_shared_port_belongs_to_who_was_named(
    tmp_path: Path, source: str
) -> None:
    """Nothing is learned from a datagram: without a name it is nobody's, and counted.

    With a port for each tap the audio is found: see `test_sample_exact`.
    """
    async with rig(tmp_path, tap_uri=RTP) as here:
        faults = FaultOptions(source_device=source)  # type: ignore[arg-type]
        named = here.place(CallRequest(seconds=1.5))
        unnamed = here.place(CallRequest(seconds=1.5, faults=faults))
        recording = await the_recording(here, named)
        assert_exact(here, named, recording)
        recording = await the_recording(here, unnamed)
        assert recording.state is Outcome.MISSING
        assert not recording.has_audio


async def test_the_tap_comes_before_the_connection_onward(tmp_path: Path) -> None:
    """So that the bridged conversation is heard from its first word."""
    async with rig(
        tmp_path, tap_uri=WS, connect_to="+15550101234", connect_from="+15550109999"
    ) as here:
        call = here.place(CallRequest(seconds=1.5))
        await until(lambda: call.is_bridged)
        recording = await the_recording(here, call)
        assert recording.state is Outcome.COMPLETE, recording.verdict
        asked = [
            entry
            for entry in here.simulator.journal
            if entry.sender == "client" and entry.method.startswith("calling.")
        ]
        assert [entry.method for entry in asked] == [
            "calling.answer",
            "calling.tap",
            "calling.connect",
        ]
        (((device,),),) = [e.frame["params"]["devices"] for e in asked[-1:]]
        assert device["params"]["to_number"] == "+15550101234"
        assert device["params"]["from_number"] == "+15550109999"


def _is_ready(here: Rig) -> bool:
    relay = here.server.relay
    return relay is not None and relay.state is ConnectionState.READY
