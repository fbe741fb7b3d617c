"""A finished recording is a WAV that every program opens, with a document beside."""

from __future__ import annotations

import json
import shutil
import subprocess
import wave
from collections.abc import Callable
from pathlib import Path

import soundfile

from relay_client.simulator import CallRequest, MediaOptions
from tests.e2e.rig import rig
from tests.e2e.test_ends import WS
from tests.e2e.test_shapes import record
from tests.e2e.together import together

Format = tuple[int, int, int]
"""Sampling rate, channels, samples."""


def read_by_wave(path: Path) -> Format:
    with wave.open(str(path)) as file:
        assert file.getsampwidth() == 2
        return file.getframerate(), file.getnchannels(), file.getnframes()


def read_by_soundfile(path: Path) -> Format:
    found = soundfile.info(path)
    assert (found.format, found.subtype) == ("WAV", "PCM_16")
    return found.samplerate, found.channels, found.frames


def read_by_sox(path: Path) -> Format:
    rate, channels, samples = (
        int(_output("sox", "--info", option, str(path)))
        for option in ("-r", "-c", "-s")
    )
    return rate, channels, samples


def read_by_ffprobe(path: Path) -> Format:
    text = _output(
        *("ffprobe", "-v", "error", "-show_streams", "-of", "json"), str(path)
    )
    (stream,) = json.loads(text)["streams"]
    assert stream["codec_name"] == "pcm_s16le"
    return int(stream["sample_rate"]), stream["channels"], stream["duration_ts"]


def _output(*command: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=20
    )
    # A damaged header is only a warning to some.
    assert not done.stderr
    return done.stdout


PROGRAMS = {"sox": read_by_sox, "ffprobe": read_by_ffprobe}
READERS: list[Callable[[Path], Format]] = [
    read_by_wave,
    read_by_soundfile,
    *(reader for name, reader in PROGRAMS.items() if shutil.which(name)),
]


@together("read", READERS)
async def test_a_recording_opens(
    tmp_path: Path, read: Callable[[Path], Format]
) -> None:
    media = [
        MediaOptions(),
        MediaOptions(codec="L16", rate=16000),
        MediaOptions(codec="OPUS"),
        MediaOptions(container="media-stream", codec="L16", rate=44100),
    ]
    async with rig(tmp_path, tap_uri=WS, direction="speak") as here:
        requests = [CallRequest(seconds=0.7, media=each) for each in media]
        for _, (recording,) in await record(here, *requests):
            path = here.server.library.audio_path(recording.id)
            assert path is not None
            assert path.parent == tmp_path / f"{recording.started_at:%Y/%m/%d}"
            assert read(path) == (
                recording.sample_rate,
                recording.channels,
                recording.samples,
            )
            beside = json.loads(path.with_suffix(".json").read_text())
            assert beside["id"] == recording.id == path.stem
            assert beside["samples"] == recording.samples > 0
        assert not list((tmp_path / ".partial").iterdir())
