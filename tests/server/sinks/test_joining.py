"""The files of several tracks become the channels of one."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import soundfile

from server.audio import Codec
from server.library.recording import Recording
from server.library.store import Library
from server.library.wav_layout import Encoding, WavLayout
from server.sinks import joining
from server.sinks.joining import join, joined_id
from server.sinks.wav import WavWriter
from tests.server.library.builders import NOON, recording

RATE = 8000


def a_library(directory: Path) -> Library:
    library = Library(directory)
    library.open()
    return library


def a_part(
    library: Library,
    direction: str,
    samples: np.ndarray,
    *,
    late_s: float = 0.0,
    encoding: Encoding = Encoding.PCM16,
) -> Recording:
    """Write a finished file and return its document."""
    started_at = NOON + timedelta(seconds=late_s)
    part = recording(
        library.new_id(started_at),
        direction=direction,
        control_id=f"tap-{direction}",
        started_at=started_at,
        samples=len(samples),
        duration_s=len(samples) / RATE,
        encoding="pcm16" if encoding is Encoding.PCM16 else "native",
        codec=Codec.PCMU.value,
    )
    path = library.partial_path(part.id)
    with WavWriter(path, WavLayout(RATE, 1, encoding)) as writer:
        if encoding is not Encoding.PCM16:
            writer.write(0, samples.astype(np.uint8).tobytes())
        elif len(samples):
            writer.write(0, samples[:, None])
    library.keep_draft(part)
    return part


def read(library: Library, made: Recording) -> np.ndarray:
    path = library.audio_path(made.id)
    assert path is not None
    samples, rate = soundfile.read(path, dtype="int16", always_2d=True)
    assert rate == RATE
    return np.asarray(samples)


@pytest.mark.parametrize("chunk", [64, 1 << 18])
def test_each_part_is_in_its_channel_at_its_time(
    tmp_path: Path, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joining, "_CHUNK", chunk)
    library = a_library(tmp_path)
    left = np.arange(1, 1001, dtype=np.int16)
    right = np.arange(-2000, 0, dtype=np.int16)
    parts = [
        a_part(library, "listen", right, late_s=0.05),
        a_part(library, "speak", left),
    ]
    made = join(library, parts)
    audio = read(library, made)
    assert audio.shape == (2400, 2)
    np.testing.assert_array_equal(audio[:1000, 0], left)
    assert not audio[1000:, 0].any()
    assert not audio[:400, 1].any()
    np.testing.assert_array_equal(audio[400:, 1], right)
    assert [path.name for path in (tmp_path / ".partial").iterdir()] == []
    assert len(library) == 1
    (finding,) = library.verify([made.id])
    assert finding.ok, finding.problem


def test_native_bytes_stay_as_they_are(tmp_path: Path) -> None:
    library = a_library(tmp_path)
    codes = np.arange(200) % 255
    made = join(
        library,
        [
            a_part(library, "speak", codes, encoding=Encoding.MULAW),
            a_part(library, "listen", codes, late_s=0.01, encoding=Encoding.MULAW),
        ],
    )
    path = library.audio_path(made.id)
    assert path is not None
    layout = WavLayout(RATE, 2, Encoding.MULAW)
    raw = np.fromfile(path, np.uint8, offset=layout.audio_at)[: 280 * 2].reshape(-1, 2)
    np.testing.assert_array_equal(raw[:200, 0], codes)
    assert set(raw[200:, 0]) == set(raw[:80, 1]) == {0xFF}
    np.testing.assert_array_equal(raw[80:, 1], codes)


def test_a_part_without_a_sample_is_silence(tmp_path: Path) -> None:
    library = a_library(tmp_path)
    nothing = np.zeros(0, np.int16)
    made = join(
        library,
        [
            a_part(library, "speak", np.ones(100, np.int16)),
            a_part(library, "listen", nothing),
        ],
    )
    assert not read(library, made)[:, 1].any()


def test_a_disk_that_refuses_leaves_the_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = a_library(tmp_path)
    parts = [
        a_part(library, side, np.ones(100, np.int16)) for side in ("speak", "listen")
    ]
    before = sorted(path.name for path in (tmp_path / ".partial").iterdir())

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", full)
        with pytest.raises(OSError, match="No space"):
            join(library, parts)
    left = {path.name for path in (tmp_path / ".partial").iterdir()}
    assert set(before) <= left
    made = join(library, parts)
    assert read(library, made).shape == (100, 2)


def test_a_file_that_is_not_ours_is_not_touched(tmp_path: Path) -> None:
    library = a_library(tmp_path)
    parts = [
        a_part(library, side, np.ones(100, np.int16)) for side in ("speak", "listen")
    ]
    path = library.partial_path(parts[0].id)
    path.write_bytes(b"RIFF" + bytes(100))
    with pytest.raises(ValueError, match="not a file of ours"):
        join(library, parts)
    assert path.exists()


def test_many_channels_are_possible(tmp_path: Path) -> None:
    library = a_library(tmp_path)
    parts = [
        replace(a_part(library, "both", np.full(50, n, np.int16)), track=n)
        for n in range(3)
    ]
    audio = read(library, join(library, parts))
    assert audio[0].tolist() == [0, 1, 2]


def test_what_was_published_before_a_crash_is_not_made_again(tmp_path: Path) -> None:
    library = a_library(tmp_path)
    parts = [
        a_part(library, side, np.ones(100, np.int16)) for side in ("speak", "listen")
    ]
    files = {
        path: path.read_bytes()
        for part in parts
        for path in (tmp_path / ".partial").glob(f"{part.id}.*")
    }
    made = join(library, parts)
    for path, data in files.items():
        path.write_bytes(data)
    assert join(library, parts[::-1]) == made
    assert len(library) == 1
    assert list((tmp_path / ".partial").iterdir()) == []


def test_an_id_is_that_of_its_parts() -> None:
    ids = ["20261124T120000000Z-aaaaaaaa", "20261124T120001000Z-bbbbbbbb"]
    made = joined_id(ids)
    assert made == joined_id(ids[::-1])
    assert made != joined_id(ids[:1])
    assert made.startswith("20261124T120000000Z-")
    assert len(made) == len(ids[0])
