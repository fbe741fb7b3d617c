"""The WAV is true about time, and other programs agree."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile

from server.audio import Samples
from server.sinks.wav import WavWriter


def ramp(count: int, first: int = 1) -> Samples:
    return np.arange(first, first + count, dtype=np.int16).reshape(-1, 1)


def test_blocks_land_at_their_positions_with_silence_between(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with WavWriter(path, sample_rate=8000, channels=1) as writer:
        writer.write(0, ramp(100))
        writer.write(250, ramp(50, 1000))
        writer.pad_to(400)
    samples, rate = soundfile.read(path, dtype="int16")
    expected = np.zeros(400, dtype=np.int16)
    expected[:100] = ramp(100).ravel()
    expected[250:300] = ramp(50, 1000).ravel()
    assert rate == 8000
    np.testing.assert_array_equal(samples, expected)


def test_a_gap_longer_than_its_buffer_is_exact(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with WavWriter(path, sample_rate=8000, channels=2) as writer:
        writer.write(200_001, np.full((10, 2), 7, dtype=np.int16))
    with wave.open(str(path)) as reader:
        assert reader.getnchannels() == 2
        assert reader.getnframes() == 200_011


def test_a_position_is_never_written_twice(tmp_path: Path) -> None:
    with WavWriter(tmp_path / "a.wav", sample_rate=8000, channels=1) as writer:
        writer.write(0, ramp(100))
        with pytest.raises(ValueError, match="position 99 is already written"):
            writer.write(99, ramp(1))
        assert writer.position == 100


def test_an_existing_file_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"precious")
    with pytest.raises(OSError, match="File exists"):
        WavWriter(path, sample_rate=8000, channels=1)
    assert path.read_bytes() == b"precious"
