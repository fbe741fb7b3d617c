"""The documented tap example, run by the official SDK, ends as a WAV of Tapdeck's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from relay_client.simulator import CallRequest
from server.app import TapServer
from server.config import load_settings
from tests.e2e.rig import Rig, loudness_at, reference, sent_by
from tests.interop.test_official_sdk import OFFICIAL, OURS, run_example, tls_simulator

pytestmark = pytest.mark.interop

STATIC = "a-fixed-address-for-the-sdk"


@pytest.mark.parametrize("client", [OFFICIAL, OURS])
async def test_the_tapped_audio_is_in_the_wav(tmp_path: Path, client: str) -> None:
    settings = load_settings(
        file=None,
        environ={},
        flags={
            "http_listen": "127.0.0.1:0",
            "rtp_listen": "127.0.0.1:0",
            "recordings_dir": str(tmp_path / "recordings"),
            "static_tokens": STATIC,
        },
    )
    async with tls_simulator(tmp_path) as simulator, TapServer(settings) as server:
        rig = Rig(simulator, server)
        call = simulator.place_call(
            CallRequest(context="office", speak="tone:440", listen="tone:880")
        )
        uri = f"ws://{server.http_address}/tap/{STATIC}"
        status, said, errors = await run_example(simulator, uri, client=client)
        assert status == 0, errors
        assert "finished" in [step["step"] for step in said]
        (recording,) = await rig.recordings(1)
        audio = rig.audio(recording)
        np.testing.assert_array_equal(audio, reference(sent_by(call), "PCMU"))
    assert recording.state == "complete", recording.verdict
    assert loudness_at(audio, 8000, 440) > 0.1
    assert loudness_at(audio, 8000, 880) > 0.1
