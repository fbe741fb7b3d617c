"""Audio that sounds wrong raises a named warning, live and in the document."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from relay_client.simulator import CallRequest, MediaOptions, SimCall
from server.library.recording import Recording
from tests.e2e.rig import Rig, rig, sent_by, until
from tests.e2e.test_ends import WS, api
from tests.e2e.together import together
from tests.voices import to_int16, voice

RTP = "rtp://127.0.0.1:1"
RATE = 16_000
SECONDS = 5.5
MAX_AUDIO_S = 3.0


@dataclass(frozen=True)
class Voices:
    """Files of two people talking; made once, since that holds up an event loop."""

    speak: str
    listen: str

    def call(self, media: MediaOptions) -> CallRequest:
        return CallRequest(
            speak=self.speak, listen=self.listen, seconds=SECONDS, media=media
        )


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Voices:
    directory = tmp_path_factory.mktemp("voices")
    for seed, pitch in ((1, 110), (2, 215)):
        samples = to_int16(voice(SECONDS + 2, RATE, pitch=pitch, seed=seed))
        soundfile.write(directory / f"{seed}.wav", samples, RATE)
    return Voices(str(directory / "1.wav"), str(directory / "2.wav"))


Fault = tuple[str, MediaOptions, dict[str, str]]

MISREAD: Sequence[Fault] = (
    (
        "byte_order",
        MediaOptions(codec="L16", rate=8000, byte_order="little"),
        {"l16_byte_order": "big"},
    ),
    (
        "byte_order",
        MediaOptions(codec="L16", rate=16000, byte_order="big"),
        {"l16_byte_order": "little"},
    ),
    ("law", MediaOptions(codec="PCMA", announce_codec="PCMU"), {}),
    ("law", MediaOptions(codec="PCMU", announce_codec="PCMA"), {}),
    ("law", MediaOptions(codec="PCMA", header="none"), {"codec": "PCMU"}),
)
# Servers that start hold up each other's audio, which blurs its pace: so only few do.
# Nor is any audio held until its byte order has been found out.
LITTLE = {"l16_byte_order": "little"}
WRONG_PACE: Sequence[Fault] = (
    ("rate", MediaOptions(codec="L16", rate=8000, announce_rate=16000), LITTLE),
    ("rate", MediaOptions(codec="L16", rate=16000, announce_rate=8000), LITTLE),
    ("interleaved", MediaOptions(codec="PCMU", interleave=True), {}),
    (
        "interleaved",
        MediaOptions(codec="L16", rate=8000, announce_rate=16000, interleave=True),
        LITTLE,
    ),
)


async def hear_warning(here: Rig, call: SimCall, name: str) -> float:
    """Wait for a warning; return the seconds of audio that had been sent by then."""

    def is_raised() -> bool:
        return name in {
            warning
            for status in here.server.deck.statuses()
            if status.call_id == call.call_id
            for warning in status.warnings
        }

    await until(is_raised)
    return sent_by(call)[-1].sent_at - sent_by(call)[0].sent_at


async def the_recording(here: Rig) -> Recording:
    (recording,) = await here.recordings(1)
    return recording


@together("fault", MISREAD)
async def test_misread_audio_is_heard_within_three_seconds(
    tmp_path: Path, voices: Voices, fault: Fault
) -> None:
    await assert_heard(tmp_path, voices, fault, within=MAX_AUDIO_S)


@together("fault", WRONG_PACE)
async def test_a_wrong_pace_is_noticed(
    tmp_path: Path, voices: Voices, fault: Fault
) -> None:
    # A stall of this machine makes a second uneven, which is then not counted.
    await assert_heard(tmp_path, voices, fault, within=MAX_AUDIO_S + 2)


async def assert_heard(
    tmp_path: Path, voices: Voices, fault: Fault, *, within: float
) -> None:
    name, media, settings = fault
    async with rig(tmp_path / "out", options=None, tap_uri=WS, **settings) as here:
        call = here.place(voices.call(media))
        assert await hear_warning(here, call, name) <= within
        recording = await the_recording(here)
        assert recording.warnings == (name,)
        assert recording.quality is not None
        assert recording.quality.mos_estimate is None


@together("codec", ["PCMU", "PCMA"])
async def test_noise_in_place_of_a_call(tmp_path: Path, codec: str) -> None:
    async with rig(tmp_path / "out", tap_uri=RTP, codec=codec) as here:
        request = CallRequest(speak="noise:0.9", listen="silence", seconds=SECONDS)
        call = here.place(request)
        assert await hear_warning(here, call, "noise") <= MAX_AUDIO_S
        assert (await the_recording(here)).warnings == ("noise",)


@together(
    "media",
    [
        MediaOptions(codec="PCMU"),
        MediaOptions(codec="PCMA", pace="jitter", jitter=0.1),
        MediaOptions(codec="L16", rate=16000),
        MediaOptions(codec="OPUS"),
        MediaOptions(pace="burst", burst=0.5),
    ],
)
async def test_a_normal_call_has_quality_and_no_warning(
    tmp_path: Path, voices: Voices, media: MediaOptions
) -> None:
    async with rig(tmp_path / "out", tap_uri=WS) as here:
        here.place(voices.call(media))
        recording = await the_recording(here)
        assert recording.warnings == ()
        quality = recording.quality
        assert quality is not None
        assert quality.loss_percent == 0
        assert quality.mos_estimate == pytest.approx(4.41)
        audio = here.audio(recording).astype(float) / 32768
        level = 10 * np.log10(np.square(audio).mean())
        assert quality.level_dbfs == pytest.approx(level, abs=0.6)
        peak = 20 * np.log10(np.abs(audio).max())
        assert quality.peak_dbfs == pytest.approx(peak, abs=0.1)


async def test_loss_is_in_the_quality(tmp_path: Path, voices: Voices) -> None:
    async with rig(tmp_path / "out", tap_uri=RTP) as here:
        here.place(voices.call(MediaOptions(loss=10, reorder=5)))
        recording = await the_recording(here)
        quality = recording.quality
        assert quality is not None
        packets = recording.packets
        share = packets.lost / (packets.lost + packets.received)
        assert quality.loss_percent == pytest.approx(100 * share, abs=1)
        assert quality.mos_estimate is not None
        assert quality.mos_estimate < 3
        assert recording.warnings == ()


async def test_a_live_warning_is_in_the_api_and_the_log(
    tmp_path: Path, voices: Voices, caplog: pytest.LogCaptureFixture
) -> None:
    media = MediaOptions(codec="PCMA", announce_codec="PCMU")
    async with rig(tmp_path / "out", tap_uri=WS) as here:
        call = here.place(voices.call(media))
        await hear_warning(here, call, "law")
        _, text = await api(here, "GET", "/api/v1/taps")
        taps = json.loads(text)["items"]
        assert [tap["warnings"] for tap in taps] == [["law"]]
        assert "Sounds as if A-law were read" in caplog.text
        await the_recording(here)
