"""Every sample that was sent is at its place in the WAV; every other one is zero."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from relay_client.simulator import CallRequest, MediaOptions
from server.audio import GapCause
from tests.e2e.rig import reference, rig, sent_by

SPEECH = "tone:440@0.4"
PROMPT = "tone:1130@0.3"

ROUGH = {"loss": 5.0, "reorder": 5.0, "duplicate": 2.0}


@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
@pytest.mark.parametrize("chunk", ["ptime", "random", "odd"])
async def test_websocket(tmp_path: Path, codec: str, chunk: str) -> None:
    media = MediaOptions(chunk=chunk)  # type: ignore[arg-type]  # parametrised
    async with rig(tmp_path, tap_uri="ws://127.0.0.1:1/tap", codec=codec) as here:
        call = here.place(
            CallRequest(speak=SPEECH, listen=PROMPT, seconds=3, media=media)
        )
        (recording,) = await here.recordings(1)
        expected = reference(sent_by(call), codec)
        np.testing.assert_array_equal(here.audio(recording), expected)
    assert recording.state == "complete", recording.verdict
    assert recording.codec == codec
    assert recording.transport == "ws"
    assert not recording.gaps


@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
async def test_rtp(tmp_path: Path, codec: str) -> None:
    async with rig(tmp_path, tap_uri="rtp://127.0.0.1:1", codec=codec) as here:
        call = here.place(CallRequest(speak=SPEECH, listen=PROMPT, seconds=3))
        (recording,) = await here.recordings(1)
        expected = reference(sent_by(call), codec)
        np.testing.assert_array_equal(here.audio(recording), expected)
    assert recording.state == "complete", recording.verdict
    assert recording.packets.received == len(expected) / 160
    assert recording.packets.lost == 0


@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
@pytest.mark.parametrize("seed", [1, 2])
async def test_rtp_with_loss_reordering_and_duplicates_across_both_wraps(
    tmp_path: Path, codec: str, seed: int
) -> None:
    media = MediaOptions(sequence=65_500, timestamp=2**32 - 8_000, **ROUGH)
    async with rig(tmp_path, tap_uri="rtp://127.0.0.1:1", codec=codec) as here:
        call = here.place(
            CallRequest(speak=SPEECH, listen=PROMPT, seconds=6, media=media, seed=seed)
        )
        (recording,) = await here.recordings(1)
        sent = sent_by(call)
        audio = here.audio(recording)
        expected = reference(sent, codec)
        np.testing.assert_array_equal(audio[: len(expected)], expected)
    lost = [entry for entry in sent if not entry.delivered]
    assert lost
    assert recording.packets.duplicate > 0
    assert recording.packets.reordered > 0
    assert recording.state == "partial"
    # Only the very ends can be lost without anything to show it.
    inner = [entry for entry in lost if sent[0].start < entry.start < sent[-1].start]
    gap_s = sum(g.length_s for g in recording.gaps if g.cause is GapCause.LOST)
    assert gap_s == pytest.approx(0.02 * len(inner), abs=0.021)
    assert abs(len(audio) - 160 * len(sent)) <= 2 * 160


@pytest.mark.parametrize("ptime", [10, 30, 60, 120])
async def test_rtp_with_any_packet_length(tmp_path: Path, ptime: int) -> None:
    async with rig(tmp_path, tap_uri="rtp://127.0.0.1:1", ptime=str(ptime)) as here:
        call = here.place(CallRequest(speak=SPEECH, listen=PROMPT, seconds=1.2))
        (recording,) = await here.recordings(1)
        expected = reference(sent_by(call), "PCMU")
        np.testing.assert_array_equal(here.audio(recording), expected)
    assert recording.packets.received == len(expected) / (8 * ptime)
