"""Every sample that was sent is at its place in the WAV; every other one is zero.

Calls of one test run at the same time through one server, as they do in life.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from relay_client.simulator import (
    CallRequest,
    FaultOptions,
    MediaOptions,
    SentAudio,
    SimCall,
)
from server.audio import GapCause
from server.library.recording import Recording
from tests.e2e.rig import Rig, reference, rig, sent_by
from tests.e2e.together import together

SPEECH = "tone:440@0.4"
PROMPT = "tone:1130@0.3"

CODECS = together("codec", ["PCMU", "PCMA"])


async def record(here: Rig, *requests: CallRequest) -> list[tuple[SimCall, Recording]]:
    """Place calls at once and return each with its only recording."""
    calls = [here.place(request) for request in requests]
    recordings = {r.call_id: r for r in await here.recordings(len(calls), timeout=40)}
    return [(call, recordings[call.call_id]) for call in calls]


def a_request(media: MediaOptions, *, seconds: float = 3, seed: int = 0) -> CallRequest:
    return CallRequest(
        speak=SPEECH, listen=PROMPT, seconds=seconds, media=media, seed=seed
    )


@CODECS
async def test_websocket(tmp_path: Path, codec: str) -> None:
    chunks: list[Literal["ptime", "random", "odd"] | int] = ["ptime", "random", "odd"]
    headers: list[Literal["json", "plain", "none"]] = ["json", "plain", "none"]
    media = [MediaOptions(chunk=chunk) for chunk in [*chunks, 320, 37]]
    media += [MediaOptions(header=header) for header in headers]
    media += [MediaOptions(container="wav"), MediaOptions(pace="burst")]
    async with rig(tmp_path, tap_uri="ws://127.0.0.1:1/tap", codec=codec) as here:
        for call, recording in await record(here, *map(a_request, media)):
            expected = reference(sent_by(call), codec)
            np.testing.assert_array_equal(here.audio(recording), expected)
            assert recording.state == "complete", recording.verdict
            assert (recording.codec, recording.transport) == (codec, "ws")
            assert not recording.gaps


@CODECS
async def test_rtp(tmp_path: Path, codec: str) -> None:
    media = [
        MediaOptions(),
        MediaOptions(csrcs=3, extension=2, padding=7),
        MediaOptions(rtcp="same", rtcp_interval=0.2, bye=True),
        MediaOptions(rtcp="next", rtcp_interval=0.2, bye=True),
        MediaOptions(sequence=65_535, timestamp=2**32 - 160),
    ]
    media += [MediaOptions(ptime=ptime) for ptime in (10, 30, 60, 120)]
    async with rig(tmp_path, tap_uri="rtp://127.0.0.1:1", codec=codec) as here:
        for call, recording in await record(here, *map(a_request, media)):
            expected = reference(sent_by(call), codec)
            np.testing.assert_array_equal(here.audio(recording), expected)
            assert recording.state == "complete", recording.verdict
            assert (recording.codec, recording.transport) == (codec, "rtp")
            assert recording.packets.lost == 0


@CODECS
async def test_rtp_with_loss_reordering_and_duplicates_across_both_wraps(
    tmp_path: Path, codec: str
) -> None:
    media = MediaOptions(
        loss=5, reorder=5, duplicate=2, sequence=65_500, timestamp=2**32 - 8_000
    )
    requests = [a_request(media, seconds=6, seed=seed) for seed in range(10)]
    async with rig(tmp_path, tap_uri="rtp://127.0.0.1:1", codec=codec) as here:
        for call, recording in await record(here, *requests):
            sent = sent_by(call)
            audio = here.audio(recording)
            expected = reference(sent, codec)
            # Behind the last packet that arrived there is at most silence.
            np.testing.assert_array_equal(audio[: len(expected)], expected)
            assert not audio[len(expected) :].any()
            assert abs(len(audio) - 160 * len(sent)) <= 2 * 160
            _check_evidence(sent_by(call), recording)


def _check_evidence(sent: list[SentAudio], recording: Recording) -> None:
    heard = [entry.start // 160 for entry in sent if entry.delivered]
    lost = heard[-1] + 1 - heard[0] - len(heard)
    assert lost > 0
    assert recording.state == "partial"
    assert recording.packets.lost == lost
    assert recording.packets.duplicate > 0
    assert recording.packets.reordered > 0
    gap_s = sum(g.length_s for g in recording.gaps if g.cause is GapCause.LOST)
    assert gap_s == pytest.approx(0.02 * lost)


async def test_one_port_for_each_tap(tmp_path: Path) -> None:
    """Ports tell taps apart even where the platform names no source, or a wrong one."""
    sources: list[Literal["real", "other", "absent"]] = ["real", "other", "absent"]
    requests = [
        CallRequest(seconds=2, faults=FaultOptions(source_device=source))
        for source in sources
    ]
    first = random.randrange(42_000, 60_000)
    async with rig(
        tmp_path,
        tap_uri="rtp://127.0.0.1:1",
        rtp_listen=f"127.0.0.1:{first}-{first + 9}",
    ) as here:
        for call, recording in await record(here, *requests):
            expected = reference(sent_by(call), "PCMU")
            np.testing.assert_array_equal(here.audio(recording), expected)
