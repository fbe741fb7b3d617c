"""Every way in which a tap ends, with its reason, and one document for each track."""

from __future__ import annotations

import asyncio
import random
import socket
from collections import Counter
from contextlib import closing
from functools import partial
from pathlib import Path

import aiohttp
import numpy as np
import pytest

import server.options
from relay_client import Call
from relay_client.simulator import CallRequest, FaultOptions, MediaOptions, SimCall
from server.audio import Outcome
from server.library.recording import Recording
from server.taps.limits import TapLimits
from tests.e2e.judging import delivered
from tests.e2e.rig import Rig, reference, rig, sent_by, until
from tests.e2e.test_shapes import record
from tests.e2e.together import together

WS = "ws://127.0.0.1:1/tap"
RTP = "rtp://127.0.0.1:1"

OVER_BOTH = together("tap_uri", [WS, RTP])


async def the_recording(here: Rig, call: SimCall) -> Recording:
    """Wait for the one document of a call."""
    await until(lambda: call.call_id in {each.call_id for each in here.finished()})
    (found,) = [each for each in here.finished() if each.call_id == call.call_id]
    return found


async def api(here: Rig, method: str, path: str, **kwargs: object) -> tuple[int, str]:
    """Call the HTTP API; return status and body."""
    url = f"http://{here.server.http_address}{path}"
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, url, **kwargs) as response,  # type: ignore[arg-type]
    ):
        return response.status, await response.text()


@OVER_BOTH
async def test_ends_that_the_platform_tells_of(tmp_path: Path, tap_uri: str) -> None:
    async with rig(tmp_path, tap_uri=tap_uri) as here:
        stopped, hung_up, cut_short = (
            here.place(CallRequest(seconds=None)),
            here.place(CallRequest(seconds=1)),
            here.place(CallRequest(seconds=None, media=MediaOptions(seconds=1))),
        )
        await here.hears(stopped)
        (tap,) = stopped.taps.values()
        status, _ = await api(here, "DELETE", f"/api/v1/taps/{tap.control_id}")
        assert status == 200
        assert tap.is_finished
        assert not stopped.is_over
        wanted = [(stopped, "stopped"), (hung_up, "hangup"), (cut_short, "finished")]
        for call, reason in wanted:
            recording = await the_recording(here, call)
            assert recording.end_reason == reason
            assert recording.state is Outcome.COMPLETE, recording.verdict
            assert recording.verdict.complete
            expected = reference(sent_by(call), "PCMU")
            np.testing.assert_array_equal(here.audio(recording), expected)
        verdicts = [(await the_recording(here, call)).verdict for call, _ in wanted]
        assert [verdict.reason for verdict in verdicts] == [
            "Stopped on request. Nothing was lost.",
            "The call ended. Nothing was lost.",
            "The platform ended the tap. Nothing was lost.",
        ]


async def test_a_websocket_that_closes_ends_its_tap(tmp_path: Path) -> None:
    """However it closes, and though the platform says nothing of it."""
    faults = FaultOptions(no_finished=True)
    media = [MediaOptions(seconds=1, end=end) for end in ("close", "abort")]
    async with rig(tmp_path, tap_uri=WS) as here:
        requests = [
            CallRequest(seconds=None, media=each, faults=faults) for each in media
        ]
        closed, aborted = await record(here, *requests)
        for call, (recording,) in (closed, aborted):
            expected = reference(sent_by(call), "PCMU")
            np.testing.assert_array_equal(here.audio(recording), expected)
            assert recording.end_reason == "closed"
            assert recording.state is Outcome.COMPLETE
        assert "1006" in aborted[1][0].verdict.reason


async def test_a_websocket_that_falls_silent_is_recorded_until_the_end(
    tmp_path: Path,
) -> None:
    media = MediaOptions(seconds=1, end="silent")
    async with rig(tmp_path, tap_uri=WS) as here:
        told = here.place(CallRequest(seconds=None, media=media))
        untold = here.place(
            CallRequest(seconds=3, media=media, faults=FaultOptions(no_finished=True))
        )
        recording = await the_recording(here, told)
        assert recording.end_reason == "finished"
        assert recording.duration_s == pytest.approx(1, abs=0.1)
        recording = await the_recording(here, untold)
        assert recording.end_reason == "hangup"
        assert recording.duration_s == pytest.approx(3, abs=0.15)


async def test_a_source_that_nobody_controls_ends_when_it_is_idle(
    tmp_path: Path,
) -> None:
    payload = bytes(range(160))
    async with rig(tmp_path, accept="any", idle_timeout_s="1") as here:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for n in range(50):
                header = (
                    b"\x80\x00" + n.to_bytes(2, "big") + (n * 160).to_bytes(4, "big")
                )
                target = ("127.0.0.1", here.server.rtp.ports[0])
                sender.sendto(header + b"fred" + payload, target)
        (recording,) = await here.recordings(1)
        assert recording.end_reason == "idle"
        assert recording.origin == "foreign"
        assert recording.samples == 50 * 160
        assert recording.state is Outcome.COMPLETE, recording.verdict


async def test_a_tap_that_the_platform_refuses_has_failed(tmp_path: Path) -> None:
    faults = [
        FaultOptions(error_on=("tap",), error_code=500),
        FaultOptions(error_on=("tap",), error_code=403, error_style="jsonrpc"),
        FaultOptions(error_on=("tap",), error_code=-32602, error_style="jsonrpc"),
        FaultOptions(error_on=("tap",), error_code=400, nested_result=True),
    ]
    async with rig(tmp_path, tap_uri=WS) as here:
        requests = [CallRequest(seconds=1, faults=each) for each in faults]
        for call, (recording,) in await record(here, *requests):
            assert recording.state is Outcome.FAILED
            assert recording.end_reason == "refused"
            assert str(call.faults.error_code) in recording.verdict.reason
            assert not recording.has_audio


async def test_a_call_whose_tap_is_refused_is_connected_onward_all_the_same(
    tmp_path: Path,
) -> None:
    async with rig(tmp_path, tap_uri=WS, connect_to="+15550101234") as here:
        faults = FaultOptions(error_on=("tap",))
        call = here.place(CallRequest(seconds=None, faults=faults))
        await until(lambda: call.is_bridged)
        assert (await the_recording(here, call)).state is Outcome.FAILED


@together("unreachable", ["finished", "error"])
async def test_a_destination_out_of_reach_is_said_to_be_so(
    tmp_path: Path, unreachable: str
) -> None:
    async with rig(tmp_path, tap_uri=WS) as here:
        with closing(socket.socket()) as taken:
            taken.bind(("127.0.0.1", 0))  # and does not listen
            here.server.destinations.use_local(taken.getsockname()[1], 1)
            faults = FaultOptions(unreachable=unreachable)  # type: ignore[arg-type]
            call = here.place(CallRequest(seconds=None, faults=faults))
            recording = await the_recording(here, call)
        assert recording.state in (Outcome.MISSING, Outcome.FAILED)
        assert "reach" in recording.verdict.reason
        assert "?." not in recording.verdict.reason


@OVER_BOTH
async def test_a_tap_that_never_gets_audio_is_missing(
    tmp_path: Path, tap_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.options, "TapLimits", partial(TapLimits, sign=0.5))
    nothing = MediaOptions(dtx=((0, 3600),))
    async with rig(tmp_path, tap_uri=tap_uri) as here:
        quiet = here.place(CallRequest(seconds=1.5, media=nothing))
        unconfirmed = here.place(
            CallRequest(
                seconds=None, media=nothing, faults=FaultOptions(no_tapping=True)
            )
        )
        for call, reason in ((unconfirmed, "no_audio"), (quiet, "hangup")):
            recording = await the_recording(here, call)
            assert recording.state is Outcome.MISSING
            assert recording.end_reason == reason
            assert "no audio came" in recording.verdict.reason.lower()
        (tap,) = unconfirmed.taps.values()
        assert tap.is_finished
        assert not here.server.rendezvous.taps


async def test_a_tap_of_a_call_that_is_gone_is_refused(tmp_path: Path) -> None:
    async with rig(tmp_path, tap_uri=WS) as here:
        gone = here.place(CallRequest(seconds=0.2))
        await gone.wait_ended()
        first = await the_recording(here, gone)
        never = {"call_id": "never-was", "node_id": gone.node_id}
        ended = {"call_id": gone.call_id, "node_id": gone.node_id}
        for wanted in (never, ended):
            status, body = await api(here, "POST", "/api/v1/taps", json=wanted)
            assert status == 404, body
            assert "is over" in body
        recordings = await here.recordings(3)
        for recording in recordings:
            if recording != first:
                assert recording.state is Outcome.FAILED
                assert recording.end_reason == "refused"


async def test_each_tap_leaves_one_document_whatever_happens(tmp_path: Path) -> None:
    """Taken at random from what may go wrong, over both transports at once."""
    chance = random.Random(11)
    transports = {"+15550000001": "ws", "+15550000002": "rtp"}
    async with rig(tmp_path, tap_uri=WS) as here:
        tapper, relay = here.server.tapper, here.server.relay
        assert tapper is not None
        assert relay is not None

        @relay.on_call
        async def handle(call: Call) -> None:
            await tapper.handle_call(call, transport=transports[call.from_number])

        calls = [here.place(_any_call(chance, list(transports))) for _ in range(60)]
        async with asyncio.TaskGroup() as group:
            for call in calls:
                group.create_task(call.wait_ended(20))
        await until(
            lambda: not here.server.rendezvous.taps and not here.server.deck.live
        )
        asked = [
            str(entry.frame["params"]["control_id"])
            for entry in here.simulator.journal
            if entry.sender == "client" and entry.method == "calling.tap"
        ]
        documents = Counter(each.control_id for each in here.finished())
        assert Counter(asked) == documents
        assert len(asked) >= 50
        states = Counter(each.state for each in here.finished())
        assert {Outcome.COMPLETE, Outcome.MISSING, Outcome.FAILED} <= set(states)
        partial_files = tmp_path / ".partial"
        assert not list(partial_files.glob("*"))


def _any_call(chance: random.Random, numbers: list[str]) -> CallRequest:
    faults = chance.choice(
        [
            FaultOptions(),
            FaultOptions(no_finished=True),
            FaultOptions(no_tapping=True, no_finished=True),
            FaultOptions(event_before_reply=True, duplicate_events=True),
            FaultOptions(finished_before_reply=True),
            FaultOptions(error_on=("tap",)),
            FaultOptions(error_on=("tap.stop",)),
            FaultOptions(unknown_events=True, numbers_as_strings=True),
            FaultOptions(ended_before_finished=True),
            FaultOptions(source_device="other"),
        ]
    )
    media = chance.choice(
        [
            MediaOptions(),
            MediaOptions(dtx=((0, 60),)),
            MediaOptions(seconds=0.5),
            MediaOptions(end="abort"),
            MediaOptions(end="silent", seconds=0.3),
            MediaOptions(start_delay=0.7),
        ]
    )
    return CallRequest(
        from_number=chance.choice(numbers),
        seconds=chance.choice([0.05, 0.6, 1.2]),
        media=media,
        faults=faults,
    )


async def test_the_end_of_a_stream_of_messages_is_its_end(tmp_path: Path) -> None:
    """The `stop` message of a media stream, where the platform is silent about it."""
    media = MediaOptions(container="media-stream", seconds=1)
    faults = FaultOptions(no_finished=True)
    async with rig(tmp_path, tap_uri=WS, direction="speak") as here:
        request = CallRequest(seconds=None, media=media, faults=faults)
        ((call, (recording,)),) = await record(here, request)
        assert recording.end_reason == "closed"
        expected = reference(delivered(call), "PCMU")
        np.testing.assert_array_equal(here.audio(recording), expected)
