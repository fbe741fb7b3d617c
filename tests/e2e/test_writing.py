"""How recordings are written, as the settings say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from relay_client.simulator import CallRequest, FormatChange, MediaOptions
from server.audio import Outcome
from server.library.wav_layout import Encoding, WavLayout
from tests.e2e.rig import reference, rig, sent_by, until

WS = "ws://127.0.0.1:1/tap"


@pytest.mark.parametrize(
    ("codec", "encoding"), [("PCMU", Encoding.MULAW), ("PCMA", Encoding.ALAW)]
)
async def test_native_recordings_hold_the_bytes_that_were_sent(
    tmp_path: Path, codec: str, encoding: Encoding
) -> None:
    async with rig(
        tmp_path, tap_uri=WS, codec=codec, wav_encoding="native", copies="flac,opus"
    ) as here:
        call = here.place(CallRequest(seconds=1.0))
        (recording,) = await here.recordings(1)
        assert (recording.state, recording.encoding) == (Outcome.COMPLETE, "native")
        sent = sent_by(call)
        data = b"".join(entry.payload for entry in sent)
        path = here.server.library.audio_path(recording.id)
        assert path is not None
        audio_at = WavLayout(8000, 1, encoding).audio_at
        assert path.read_bytes()[audio_at : audio_at + len(data)] == data
        np.testing.assert_array_equal(here.audio(recording), reference(sent, codec))
        await until(lambda: path.with_suffix(".opus").exists())
        flac, _ = soundfile.read(path.with_suffix(".flac"), dtype="int16")
        np.testing.assert_array_equal(flac, here.audio(recording))


async def test_a_native_recording_has_one_law_whatever_follows(tmp_path: Path) -> None:
    media = MediaOptions(change=FormatChange(at=0.5, codec="PCMA"))
    uri = "rtp://127.0.0.1:1"
    async with rig(tmp_path, tap_uri=uri, wav_encoding="native") as here:
        call = here.place(CallRequest(seconds=1.2, media=media))
        (recording,) = await here.recordings(1)
        assert recording.encoding == "native"
        audio, sent = here.audio(recording), sent_by(call)
        before = reference([e for e in sent if e.start < 4000], "PCMU")
        np.testing.assert_array_equal(audio[:4000], before)
        after = reference([e for e in sent if e.start >= 4000], "PCMA")
        error = abs(audio[4000:].astype(int) - after)
        # Half a step of the coarsest segment, and of the finest where it is quiet.
        assert (error <= np.maximum(abs(after.astype(int)) / 32, 8)).all()


@pytest.mark.parametrize(
    ("limit", "detail"),
    [({"max_duration_s": "1"}, "1 s"), ({"max_recording_bytes": "16000"}, "16000 by")],
    ids=["duration", "size"],
)
async def test_a_tap_that_reaches_a_limit_is_stopped_and_its_file_is_whole(
    tmp_path: Path, limit: dict[str, str], detail: str
) -> None:
    flags = {"tap_uri": WS, "direction": "speak", **limit}
    async with rig(tmp_path, options=None, **flags) as here:
        call = here.simulator.place_call(CallRequest(seconds=None))
        (recording,) = await here.recordings(1)
        assert (recording.end_reason, recording.state) == ("limit", Outcome.PARTIAL)
        assert f"The limit for one recording was reached: {detail}" in (
            recording.verdict.reason
        )
        assert 1.0 <= recording.duration_s < 2.0
        audio = here.audio(recording)
        sent = reference(sent_by(call), "PCMU")[: len(audio)]
        np.testing.assert_array_equal(audio[: len(sent)], sent)
        await until(lambda: all(tap.is_finished for tap in call.taps.values()))
        stops = [e for e in here.simulator.journal if e.method == "calling.tap.stop"]
        assert stops
        assert not call.is_over


async def test_power_cuts_cost_nothing_else(tmp_path: Path) -> None:
    async with rig(tmp_path, tap_uri=WS, durability="power") as here:
        call = here.place(CallRequest(seconds=2.2))
        (recording,) = await here.recordings(1)
        assert recording.state is Outcome.COMPLETE
        expected = reference(sent_by(call), "PCMU")
        np.testing.assert_array_equal(here.audio(recording), expected)
