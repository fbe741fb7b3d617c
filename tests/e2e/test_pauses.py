"""What is said in a pause is kept by no server: not by the next one after a kill."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from relay_client.simulator import CallRequest, MediaOptions, SentAudio, SimCall
from server.audio import GapCause, Outcome
from server.library.recording import Recording
from tests.e2e.killing import KilledServer, killed_server
from tests.e2e.rig import reference, sent_by, until
from tests.e2e.test_continuity import RATE, covers
from tests.e2e.together import together

SECOND = 50
"""Packets."""

ON_BOTH = together("transport", ["ws", "rtp"])


@asynccontextmanager
async def a_server(
    directory: Path, transport: str, *, grace_s: int
) -> AsyncIterator[KilledServer]:
    async with killed_server(
        directory,
        TAPDECK_ACCEPT="any",
        TAPDECK_SECRET="a-secret-that-signs-tokens",
        TAPDECK_RECONNECT_GRACE_S=str(grace_s),
        TAPDECK_IDLE_TIMEOUT_S="10",
    ) as server:
        server.relay_transport = transport
        await server.start()
        yield server
        assert "Traceback" not in server.log


async def ask(server: KilledServer, method: str, path: str) -> Any:
    url = f"http://127.0.0.1:{server.http_port}/api/v1/taps{path}"
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, url) as response,
    ):
        assert response.status == 200, await response.text()
        return await response.json()


async def the_tap(server: KilledServer, *states: str) -> Any:
    """Wait for the one tap that is live and in one of these states."""
    async with asyncio.timeout(60):
        while True:
            page = await ask(server, "GET", "")
            found = [each for each in page["items"] if each["state"] in states]
            if found:
                (tap,) = found
                return tap
            await asyncio.sleep(0.1)


def place(server: KilledServer, *, start_delay: float = 0.0) -> SimCall:
    media = MediaOptions(reconnect_for=60, start_delay=start_delay)
    return server.simulator.place_call(CallRequest(seconds=None, media=media))


async def sends(call: SimCall, packets: int) -> None:
    """Wait until a call has sent so many more."""
    target = len(sent_by(call)) + packets
    await until(lambda: len(sent_by(call)) >= target, 60)


async def pause(server: KilledServer, call: SimCall, tap: Any) -> list[SentAudio]:
    """Pause a tap; return all that was sent before it was asked for."""
    before = sent_by(call)
    answer = await ask(server, "POST", f"/{tap['control_id']}/pause")
    assert answer["paused"]
    return before


async def end_after_resuming(
    server: KilledServer, call: SimCall
) -> tuple[list[Recording], list[SentAudio]]:
    """Let recording go on for two seconds and end the call.

    Return the recordings with audio, and what was sent after `resume` was asked for.
    """
    tap = await the_tap(server, "receiving")
    assert tap["paused"]
    await sends(call, SECOND)
    before = len(sent_by(call))
    answer = await ask(server, "POST", f"/{tap['control_id']}/resume")
    assert not answer["paused"]
    await sends(call, 2 * SECOND)
    await call.hang_up()
    await until(lambda: not server.leftovers(), 90)
    recordings = [each for each in server.recordings() if each.has_audio]
    return recordings, sent_by(call)[before:]


def assert_only_after(
    server: KilledServer, recording: Recording, after: list[SentAudio], heard: int = 0
) -> None:
    """Compare a recording that was paused up to `after`, but for its first samples."""
    audio = server.audio(recording)
    end = max(
        round((gap.start_s + gap.length_s) * RATE)
        for gap in recording.gaps
        if gap.cause is GapCause.MASKED
    )
    assert not audio[heard:end].any()
    kept = reference(after, "PCMU")
    assert RATE < len(audio) - end <= len(kept)
    np.testing.assert_array_equal(audio[end:], kept[-(len(audio) - end) :])
    assert "were kept out on request" in recording.verdict.reason
    assert covers(recording)


@ON_BOTH
async def test_a_pause_before_the_first_audio_outlives_a_kill(
    tmp_path: Path, transport: str
) -> None:
    async with a_server(tmp_path, transport, grace_s=15) as server:
        call = place(server, start_delay=8)
        tap = await the_tap(server, "waiting")
        assert await pause(server, call, tap) == []
        await server.kill(hang_up=False)
        await server.start()
        assert "1 taps are paused from before" in server.log
        recordings, after = await end_after_resuming(server, call)
        assert_only_after(server, recordings[-1], after)
        assert recordings[-1].gaps[0].start_s == 0
        assert not any(server.audio(each).any() for each in recordings[:-1])


@ON_BOTH
async def test_a_pause_outlives_a_kill_that_its_recording_does_not(
    tmp_path: Path, transport: str
) -> None:
    """The server is away for longer than the grace time."""
    async with a_server(tmp_path, transport, grace_s=1) as server:
        call = place(server)
        tap = await the_tap(server, "receiving")
        await sends(call, SECOND)
        before = await pause(server, call, tap)
        await sends(call, 3 * SECOND)
        await server.kill(hang_up=False)
        await asyncio.sleep(2)
        await server.start()
        (first, last), after = await end_after_resuming(server, call)
        assert (first.end_reason, first.state) == ("interrupted", Outcome.PARTIAL)
        (masked,) = [gap for gap in first.gaps if gap.cause is GapCause.MASKED]
        audio, start = server.audio(first), round(masked.start_s * RATE)
        # Two packets may have been under way when the pause was asked for.
        heard = reference(sent_by(call), "PCMU")[:start]
        assert len(reference(before, "PCMU")) - RATE < start
        np.testing.assert_array_equal(audio[:start], heard)
        assert not audio[start:].any()
        assert masked.start_s + masked.length_s == pytest.approx(first.duration_s)
        assert masked.length_s > 1
        assert covers(first)
        assert_only_after(server, last, after)
        assert last.gaps[0].start_s == 0


@ON_BOTH
async def test_a_pause_goes_on_in_the_recording_that_goes_on(
    tmp_path: Path, transport: str
) -> None:
    async with a_server(tmp_path, transport, grace_s=15) as server:
        call = place(server)
        tap = await the_tap(server, "receiving")
        await sends(call, SECOND)
        await pause(server, call, tap)
        await sends(call, 2 * SECOND)
        for _ in range(2):
            await server.kill(hang_up=False)
            await server.start()
            assert "may go on within" in server.log
            again = await the_tap(server, "receiving")
            assert again["control_id"] == tap["control_id"]
            assert again["paused"]
            await sends(call, 2 * SECOND)
        (recording,), after = await end_after_resuming(server, call)
        start = round(recording.gaps[0].start_s * RATE)
        assert_only_after(server, recording, after, start)
        causes = [gap.cause for gap in recording.gaps]
        masked, away = GapCause.MASKED, GapCause.DISCONNECTED
        assert causes == [masked, away, masked, away, masked]


async def test_what_was_resumed_is_not_paused_after_a_kill(tmp_path: Path) -> None:
    async with a_server(tmp_path, "ws", grace_s=15) as server:
        call = place(server)
        tap = await the_tap(server, "receiving")
        await pause(server, call, tap)
        await ask(server, "POST", f"/{tap['control_id']}/resume")
        await server.kill(hang_up=False)
        await server.start()
        again = await the_tap(server, "receiving")
        assert not again["paused"]
        assert "paused from before" not in server.log
