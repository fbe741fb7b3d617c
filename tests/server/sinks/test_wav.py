"""The WAV is true about time, and other programs agree."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile

from server.audio import Samples
from server.codecs.g711 import decode_alaw, decode_mulaw
from server.library import wav_layout
from server.library.wav_layout import Encoding, WavLayout
from server.sinks.wav import WavWriter

MONO = WavLayout(8000, 1)
MULAW = WavLayout(8000, 1, Encoding.MULAW)
ALAW = WavLayout(8000, 1, Encoding.ALAW)


def ramp(count: int, first: int = 1) -> Samples:
    return np.arange(first, first + count, dtype=np.int16).reshape(-1, 1)


def test_blocks_land_at_their_positions_with_silence_between(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with WavWriter(path, MONO) as writer:
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
    with WavWriter(path, WavLayout(8000, 2)) as writer:
        writer.write(200_001, np.full((10, 2), 7, dtype=np.int16))
    with wave.open(str(path)) as reader:
        assert reader.getnchannels() == 2
        assert reader.getnframes() == 200_011


def test_a_position_is_never_written_twice(tmp_path: Path) -> None:
    with WavWriter(tmp_path / "a.wav", MONO) as writer:
        writer.write(0, ramp(100))
        with pytest.raises(ValueError, match="position 99 is already written"):
            writer.write(99, ramp(1))
        assert writer.position == 100


def test_an_existing_file_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"precious")
    with pytest.raises(OSError, match="File exists"):
        WavWriter(path, MONO)
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

    with WavWriter(path, MONO) as writer:
        monkeypatch.setattr(os, "pwrite", counted)
        writer.write(8000 * 600, ramp(8000))
        writer.pad_to(8000 * 1200)
        assert writes == [16_000]
    assert path.stat().st_size == MONO.audio_at + 2 * 8000 * 1200
    assert path.stat().st_blocks * 512 < 100_000


def test_a_write_cut_short_is_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.wav"
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: pwrite(fd, data[:33], at))
    with WavWriter(path, MONO) as writer:
        writer.write(0, ramp(100))
    samples, _ = soundfile.read(path, dtype="int16")
    np.testing.assert_array_equal(samples, ramp(100).ravel())


def test_what_is_still_written_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    writer = WavWriter(path, MONO)
    writer.write(0, ramp(100))
    samples, _ = soundfile.read(path, dtype="int16")
    np.testing.assert_array_equal(samples, ramp(100).ravel())
    writer.close()


def test_a_writer_given_up_leaves_no_file_open(tmp_path: Path) -> None:
    writer = WavWriter(tmp_path / "a.wav", MONO)
    opened = len(os.listdir("/proc/self/fd"))
    del writer
    assert len(os.listdir("/proc/self/fd")) == opened - 1


class FullDisk:
    """A disk that takes so many bytes more, and then refuses, until it is freed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
        self.room: int | None = room
        self._pwrite = os.pwrite
        monkeypatch.setattr(os, "pwrite", self.pwrite)

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        if self.room is None:
            return self._pwrite(fd, data, offset)
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = self._pwrite(fd, data[: self.room], offset)
        self.room -= written
        return written


@pytest.mark.parametrize("room", [0, 1, 50, 51, 199])
@pytest.mark.parametrize("layout", [MONO, MULAW], ids=["pcm16", "native"])
def test_a_refused_write_leaves_whole_samples_and_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int, layout: WavLayout
) -> None:
    path = tmp_path / "a.wav"
    step = layout.step
    first, second, third = bytes([1, 2] * 50), bytes([3, 4] * 100), bytes([5, 6] * 50)
    with WavWriter(path, layout) as writer:
        writer.write(0, first)
        end = len(first) // step
        with monkeypatch.context() as patch:
            FullDisk(patch, room)
            with pytest.raises(OSError, match="No space"):
                writer.write(end, second)
        kept = room // step
        assert writer.position == end + kept
        assert path.stat().st_size == layout.audio_at + writer.position * step
        end += len(second) // step
        writer.write(end, third)
    data = path.read_bytes()[layout.audio_at :]
    silence = layout.silence * (len(second) // step - kept)
    assert data == first + second[: kept * step] + silence + third


def test_a_file_that_cannot_be_begun_is_not_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.wav"
    with monkeypatch.context() as patch:
        FullDisk(patch, 20)
        with pytest.raises(OSError, match="No space"):
            WavWriter(path, MONO)
    WavWriter(path, MONO).close()


@pytest.mark.parametrize(
    ("layout", "silence"), [(MULAW, b"\xff"), (ALAW, b"\xd5")], ids=["mulaw", "alaw"]
)
def test_g711_is_kept_to_the_byte_and_its_silence_is_silent(
    tmp_path: Path, layout: WavLayout, silence: bytes
) -> None:
    path = tmp_path / "a.wav"
    every = bytes(range(256))
    with WavWriter(path, layout) as writer:
        writer.write(0, every)
        writer.write(200_001, every)
        writer.pad_to(300_001)
    gap = silence * (200_001 - 256)
    data = every + gap + every + silence * (300_001 - 200_257)
    # Chunks have even lengths, so one byte more follows.
    assert path.read_bytes()[layout.audio_at :] == data + b"\0"
    samples, _ = soundfile.read(path, dtype="int16")
    decode = decode_mulaw if layout is MULAW else decode_alaw
    np.testing.assert_array_equal(samples, decode(data))


def test_a_file_is_gone_on_with_where_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    writer = WavWriter(path, MONO)
    writer.write(0, ramp(100))
    writer.abandon()
    with path.open("ab") as file:
        file.write(b"!")
    with WavWriter(path, MONO, resume=True) as writer:
        assert writer.position == 100
        writer.write(150, ramp(50, 1000))
    samples, _ = soundfile.read(path, dtype="int16")
    expected = np.zeros(200, dtype=np.int16)
    expected[:100] = ramp(100).ravel()
    expected[150:] = ramp(50, 1000).ravel()
    np.testing.assert_array_equal(samples, expected)


@pytest.mark.parametrize("layout", [MONO, MULAW], ids=["pcm16", "native"])
def test_beyond_4_gib_it_is_rf64_and_others_read_it(
    tmp_path: Path, layout: WavLayout
) -> None:
    """Sparse, so that nothing of that size is written."""
    path = tmp_path / "a.wav"
    position = 2**32 // layout.step
    with WavWriter(path, layout) as writer:
        writer.write(0, b"\x01\x02" * 100)
    # What a long tap would have come to; G.711 has no holes of its own.
    os.truncate(path, layout.file_size(position))
    with WavWriter(path, layout, resume=True) as writer:
        writer.write(position, b"\x03\x04" * 100)
        count = writer.position
    assert path.stat().st_size > 2**32
    with path.open("rb") as file:
        assert file.read(4) == b"RF64"
    info = soundfile.info(path)
    assert (info.format, info.frames) == ("RF64", count)
    tail, _ = soundfile.read(path, start=position, dtype="int16")
    if layout is MONO:
        np.testing.assert_array_equal(tail, np.full(100, 0x0403))
    else:
        np.testing.assert_array_equal(tail, decode_mulaw(b"\x03\x04" * 100))
    assert frames_by_ffprobe(path) in (count, None)


@pytest.mark.parametrize("layout", [MONO, MULAW], ids=["pcm16", "native"])
def test_sox_reads_rf64_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: WavLayout
) -> None:
    """Of a small file, because it reads all of what it counts."""
    monkeypatch.setattr(wav_layout, "MAX_RIFF_BYTES", 1000)
    path = tmp_path / "a.wav"
    with WavWriter(path, layout) as writer:
        writer.write(0, b"\x01\x02" * 1000)
        count = writer.position
    assert path.read_bytes()[:4] == b"RF64"
    assert frames_by_sox(path) in (count, None)


def frames_by_sox(path: Path) -> int | None:
    if shutil.which("sox") is None:
        return None
    return int(output_of("sox", "--info", "-s", str(path)))


def frames_by_ffprobe(path: Path) -> int | None:
    if shutil.which("ffprobe") is None:
        return None
    entries = ("-show_entries", "stream=duration_ts", "-of", "csv=p=0")
    return int(output_of("ffprobe", "-v", "error", *entries, str(path)))


def output_of(*command: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=60
    )
    assert not done.stderr
    return done.stdout


@pytest.mark.parametrize("layout", [MONO, MULAW, ALAW], ids=lambda each: each.encoding)
def test_other_programs_read_every_encoding(tmp_path: Path, layout: WavLayout) -> None:
    path = tmp_path / "a.wav"
    with WavWriter(path, layout) as writer:
        writer.write(0, bytes(range(200)) * layout.step)
        writer.pad_to(1001)
    assert soundfile.info(path).frames == 1001
    for found in (frames_by_sox(path), frames_by_ffprobe(path)):
        assert found in (1001, None)
