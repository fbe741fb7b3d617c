"""The WAV is true about time, and other programs agree."""

from __future__ import annotations

import os
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


def test_silence_takes_no_room_and_audio_one_write_a_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.wav"
    writes: list[int] = []
    pwrite = os.pwrite

    def counted(fd: int, data: bytes, offset: int) -> int:
        writes.append(len(data))
        return pwrite(fd, data, offset)

    with WavWriter(path, sample_rate=8000, channels=1) as writer:
        monkeypatch.setattr(os, "pwrite", counted)
        writer.write(8000 * 600, ramp(8000))
        writer.pad_to(8000 * 1200)
        assert writes == [16_000]
    assert path.stat().st_size == 44 + 2 * 8000 * 1200
    assert path.stat().st_blocks * 512 < 100_000


def test_a_write_cut_short_is_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.wav"
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: pwrite(fd, data[:33], at))
    with WavWriter(path, sample_rate=8000, channels=1) as writer:
        writer.write(0, ramp(100))
    samples, _ = soundfile.read(path, dtype="int16")
    np.testing.assert_array_equal(samples, ramp(100).ravel())


def test_what_is_still_written_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    writer = WavWriter(path, sample_rate=8000, channels=1)
    writer.write(0, ramp(100))
    samples, _ = soundfile.read(path, dtype="int16")
    np.testing.assert_array_equal(samples, ramp(100).ravel())
    writer.close()


def test_a_writer_given_up_leaves_no_file_open(tmp_path: Path) -> None:
    writer = WavWriter(tmp_path / "a.wav", sample_rate=8000, channels=1)
    opened = len(os.listdir("/proc/self/fd"))
    del writer
    assert len(os.listdir("/proc/self/fd")) == opened - 1


def test_more_than_a_wav_can_hold_is_refused(tmp_path: Path) -> None:
    with WavWriter(tmp_path / "a.wav", sample_rate=8000, channels=1) as writer:
        with pytest.raises(ValueError, match="4 GiB"):
            writer.write(2**31, ramp(1))
        with pytest.raises(ValueError, match="4 GiB"):
            writer.pad_to(2**31)
        assert writer.position == 0
