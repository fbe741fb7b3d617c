"""Both sides of a call in one file: speak left, listen right, at the same time.

Both sides play the same clicks by the clock of the call, so that how far apart two
clicks are in the file is how far apart the channels are.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from relay_client import Call
from relay_client.simulator import CallRequest, MediaOptions, SimCall
from server.audio import Outcome
from server.library.recording import Recording
from server.taps.tap import TapOrigin
from tests.e2e.killing import killed_server
from tests.e2e.rig import Audio, Rig, rig, until
from tests.e2e.test_ends import RTP, WS
from tests.e2e.together import together

Plan = list[tuple[str, str, float]]
"""Direction, transport, and seconds to wait before, of each tap."""

RATE = 8000
EVERY_S = 0.7
CLICK = 8
PACKET_S = 0.02


@pytest.fixture
def clicks(tmp_path: Path) -> str:
    """Return a file with a click every 0.7 s, which no two are a packet apart."""
    samples = np.zeros(60 * RATE, np.int16)
    for at in np.arange(0.3, 59, EVERY_S):
        samples[round(at * RATE) :][:CLICK] = 20_000
    path = tmp_path / "clicks.wav"
    soundfile.write(path, samples, RATE)
    return str(path)


def clicks_in(audio: Audio) -> list[int]:
    """Return the positions of the clicks."""
    loud = np.flatnonzero(np.abs(audio.astype(int)) > 10_000)
    starts = loud[np.insert(np.diff(loud) > CLICK, 0, True)]
    return [int(at) for at in starts]


def differences(channels: Sequence[Audio]) -> list[int]:
    """Return how many samples each click on the right is behind the one on the left."""
    left, right = map(clicks_in, channels)
    pairs = [(a, min(right, key=lambda b: abs(a - b))) for a in left]
    # The first and the last may be on one side only.
    near = [b - a for a, b in pairs if abs(a - b) < EVERY_S * RATE / 2]
    assert len(near) >= 3
    return near


async def tapped(
    here: Rig, clicks: str, media: MediaOptions, plan: Plan
) -> tuple[SimCall, Recording]:
    """Tap a call as planned (direction, transport, seconds to wait before)."""
    tapper, relay = here.server.tapper, here.server.relay
    assert tapper is not None
    assert relay is not None

    @relay.on_call
    async def handle(call: Call) -> None:
        await call.answer()
        await call.wait_for_answered(timeout=10)
        for direction, transport, wait_s in plan:
            await asyncio.sleep(wait_s)
            await tapper.tap_call(call, TapOrigin.RELAY, direction, transport)

    call = here.simulator.place_call(
        CallRequest(speak=clicks, listen=clicks, seconds=None, media=media)
    )
    await until(lambda: len(call.taps) == 2)
    await until(lambda: all(tap.sent_seconds > 3 for tap in call.taps.values()))
    await call.hang_up()
    (recording,) = await here.recordings(1)
    await until(lambda: not here.server.deck.live)
    assert len(here.server.library) == 1
    return call, recording


PLANS: list[Plan] = [
    [("speak", one, 0.0), ("listen", other, wait_s)]
    for one in ("ws", "rtp")
    for other in ("ws", "rtp")
    for wait_s in (0.0, 0.53)
] + [[("listen", "rtp", 0.0), ("speak", "ws", 0.31)]]


@together("plan", PLANS)
async def test_channels_are_within_a_packet_of_each_other(
    tmp_path: Path, clicks: str, plan: Plan
) -> None:
    media = MediaOptions(clock="call")
    async with rig(tmp_path, tap_uri=WS) as here:
        _, recording = await tapped(here, clicks, media, plan)
        apart = differences(here.channels(recording))
        assert max(map(abs, apart)) <= PACKET_S * RATE, apart
        _check_document(here, recording)


@together("wait_s", [0.0, 0.47])
async def test_over_rtp_from_one_clock_channels_agree_to_the_sample(
    tmp_path: Path, clicks: str, wait_s: float
) -> None:
    media = MediaOptions(clock="call", rtcp="same", rtcp_interval=0.5)
    plan = [("speak", "rtp", 0.0), ("listen", "rtp", wait_s)]
    async with rig(tmp_path, tap_uri=RTP) as here:
        _, recording = await tapped(here, clicks, media, plan)
        assert set(differences(here.channels(recording))) == {0}
        assert recording.sender_clock_s is not None
        _check_document(here, recording)


async def test_a_configured_stereo_tap_is_one_file(tmp_path: Path, clicks: str) -> None:
    media = MediaOptions(clock="call", rtcp="same", rtcp_interval=0.5)
    async with rig(tmp_path, tap_uri=RTP, direction="stereo") as here:
        here.place(CallRequest(speak=clicks, listen=clicks, seconds=3, media=media))
        (recording,) = await here.recordings(1)
        await until(lambda: not here.server.deck.live)
        assert set(differences(here.channels(recording))) == {0}
        _check_document(here, recording)


def _check_document(here: Rig, recording: Recording) -> None:
    assert recording.state is Outcome.COMPLETE, recording.verdict
    assert (recording.direction, recording.channels) == ("stereo", 2)
    assert recording.channel_map == ("speak", "listen")
    assert [part.direction for part in recording.parts] == ["speak", "listen"]
    assert len({part.control_id for part in recording.parts}) == 2
    path = here.server.library.audio_path(recording.id)
    assert path is not None
    with soundfile.SoundFile(path) as file:
        assert file.comment == "channel 1: speak, channel 2: listen"
    for status in here.server.deck.statuses():
        assert status.recording_ids == (recording.id,)
    assert not list((path.parents[3] / ".partial").iterdir())
    (finding,) = here.server.library.verify([recording.id])
    assert finding.ok, finding.problem
    for channel in (0, 1):
        at = 0.0
        for entry in recording.evidence:
            if entry.channel == channel and entry.kind in ("received", "silence"):
                assert entry.start_s == pytest.approx(at, abs=2e-6)
                at = entry.start_s + entry.length_s
        assert at == pytest.approx(recording.duration_s, abs=2e-6)


async def test_other_programs_read_it(tmp_path: Path, clicks: str) -> None:
    media = MediaOptions(clock="call")
    plan = [("speak", "rtp", 0.0), ("listen", "ws", 0.1)]
    async with rig(tmp_path, tap_uri=WS, wav_encoding="native") as here:
        _, recording = await tapped(here, clicks, media, plan)
        path = here.server.library.audio_path(recording.id)
        assert path is not None
        info = soundfile.info(path)
        assert (info.subtype, info.channels, info.frames) == (
            "ULAW",
            2,
            recording.samples,
        )
        assert max(map(abs, differences(here.channels(recording)))) <= PACKET_S * RATE
        await asyncio.to_thread(_check_programs, path)


def _check_programs(path: Path) -> None:
    commands = {"sox": ["--info", "-c"], "ffprobe": ["-v", "error"]}
    for name, options in commands.items():
        if shutil.which(name) is None:
            continue
        done = subprocess.run(
            [name, *options, str(path)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0
        assert not done.stderr


async def test_both_sides_of_a_call_survive_a_kill_as_one_file(
    tmp_path: Path, clicks: str
) -> None:
    async with killed_server(
        tmp_path / "library", TAPDECK_DIRECTION="stereo"
    ) as server:
        await server.start()
        request = CallRequest(
            speak=clicks, listen=clicks, seconds=None, media=MediaOptions(clock="call")
        )
        call = server.simulator.place_call(request)
        await until(lambda: len(call.taps) == 2)
        await until(lambda: all(tap.sent_seconds > 3 for tap in call.taps.values()))
        await server.kill()
        await call.hang_up()
        await server.start()
        await until(lambda: not server.leftovers())
        (recording,) = server.recordings()
        assert recording.channel_map == ("speak", "listen")
        assert recording.end_reason == "interrupted"
        (path,) = server.directory.glob(f"20*/*/*/{recording.id}.wav")
        samples, _ = soundfile.read(path, dtype="int16")
        assert max(map(abs, differences(list(samples.T)))) <= PACKET_S * RATE
        assert "Traceback" not in server.log
