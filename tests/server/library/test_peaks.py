"""Peaks against a naive computation, and their files against whatever may happen."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from server.audio import Samples
from server.library import peak_files
from server.library.files import give_name
from server.library.layout import PEAKS_SUFFIX
from server.library.peak_files import make_peaks, peaks_of, read_peaks
from server.library.peaks import (
    MOST_AT_ZOOM_0,
    PART_HEAD,
    Pairs,
    PeakBuilder,
    Peaks,
    PeakShape,
)
from server.library.store import Library
from server.library.wav_layout import UNKNOWN, Encoding, WavLayout
from tests.server.library.builders import publish


def noise(samples: int, channels: int) -> Samples:
    found = np.random.default_rng(samples).integers(
        -(2**15), 2**15, (samples, channels)
    )
    return found.astype(np.int16)


def naive(samples: Samples, size: int) -> Pairs:
    ends = [
        [[part[:, at].min(), part[:, at].max()] for at in range(samples.shape[1])]
        for start in range(0, len(samples), size)
        if len(part := samples[start : start + size])
    ]
    return np.array(ends, np.int16).reshape(-1, samples.shape[1], 2)


def build(samples: Samples, rate: int, block: int) -> Peaks:
    builder = PeakBuilder(PeakShape(len(samples), samples.shape[1], rate))
    for start in range(0, len(samples), block):
        builder.add(samples[start : start + block])
    return builder.finish()


@pytest.mark.parametrize("samples", [0, 1, 63, 64, 65, 32_768, 32_769, 150_001])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_every_zoom_is_what_looking_at_each_sample_gives(
    samples: int, channels: int
) -> None:
    audio = noise(samples, channels)

    peaks = build(audio, 8000, block=64 * 100)

    assert len(peaks.levels) == peaks.shape.zooms
    for zoom, level in enumerate(peaks.levels):
        assert level.dtype == np.int16
        np.testing.assert_array_equal(level, naive(audio, peaks.shape.bucket(zoom)))
        assert len(level) == peaks.shape.buckets(zoom)


@pytest.mark.parametrize(
    ("rate", "finest"), [(4000, 64), (8000, 64), (16_000, 128), (48_000, 256)]
)
def test_the_smallest_bucket_is_a_few_milliseconds_at_any_rate(
    rate: int, finest: int
) -> None:
    shape = PeakShape(7200 * rate, 2, rate)

    assert shape.finest == shape.bucket(shape.zooms - 1) == finest
    assert MOST_AT_ZOOM_0 / 4 < shape.buckets(0) <= MOST_AT_ZOOM_0


def test_a_part_says_what_it_is() -> None:
    audio = noise(200_000, 2)
    peaks = build(audio, 8000, block=6400)

    part = peaks.part(1, 10, 30)

    head = PART_HEAD.unpack_from(part)
    assert head == (b"TDPK", 2, 3, 8000, 256, 200_000, 10)
    pairs = np.frombuffer(part, "<i2", offset=PART_HEAD.size).reshape(-1, 2, 2)
    np.testing.assert_array_equal(pairs, naive(audio, 256)[10:30])


def test_there_is_nothing_behind_the_last_bucket() -> None:
    peaks = build(noise(100, 1), 8000, block=64)

    assert len(peaks.part(0, 0, 10**9)) == PART_HEAD.size + 2 * 4
    assert len(peaks.part(0, 2, 10**9)) == PART_HEAD.size


@pytest.mark.parametrize("subtype", ["PCM_16", "ULAW", "ALAW"])
@pytest.mark.parametrize("kind", ["WAV", "RF64"])
def test_a_file_gives_what_its_samples_give(
    subtype: str, kind: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(600_000, 2), 8000, subtype, format=kind)
    audio, _ = soundfile.read(path, dtype="int16")

    peaks = make_peaks(path)

    for zoom, level in enumerate(peaks.levels):
        np.testing.assert_array_equal(level, naive(audio, peaks.shape.bucket(zoom)))


@pytest.mark.parametrize("encoding", Encoding)
def test_our_own_files_are_read(encoding: Encoding, tmp_path: Path) -> None:
    layout = WavLayout(8000, 2, encoding, "left is speak")
    path = tmp_path / "a.wav"
    audio = os.urandom(1000 * layout.step)
    path.write_bytes(layout.header(1000) + audio + layout.trailer)

    assert make_peaks(path).shape == PeakShape(1000, 2, 8000)
    assert UNKNOWN not in make_peaks(path).levels[0]


class TestFiles:
    @pytest.fixture
    def audio(self, tmp_path: Path) -> Path:
        path = tmp_path / "a.wav"
        soundfile.write(path, noise(100_000, 2), 8000)
        return path

    @pytest.fixture
    def partial(self, tmp_path: Path) -> Path:
        return tmp_path / "partial.peaks"

    def test_they_are_made_once(self, audio: Path, partial: Path) -> None:
        assert read_peaks(audio) is None

        made = peaks_of(audio, partial)
        kept = read_peaks(audio)

        assert kept is not None
        assert kept.shape == made.shape
        for zoom in range(made.shape.zooms):
            assert kept.part(zoom, 0, 10**6) == made.part(zoom, 0, 10**6)
        assert not partial.exists()

    @pytest.mark.parametrize(
        "damage",
        [
            lambda data: b"",
            lambda data: data[:-1],
            lambda data: data + b"\0",
            lambda data: b"x" + data[1:],
        ],
    )
    def test_what_does_not_fit_is_made_anew(
        self, audio: Path, partial: Path, damage: object
    ) -> None:
        peaks_of(audio, partial)
        path = audio.with_suffix(PEAKS_SUFFIX)
        whole = path.read_bytes()
        assert callable(damage)
        path.write_bytes(damage(whole))

        peaks_of(audio, partial)

        assert path.read_bytes() == whole

    def test_other_audio_has_other_peaks(self, audio: Path, partial: Path) -> None:
        peaks_of(audio, partial)
        soundfile.write(audio, noise(100_001, 2), 8000)

        assert peaks_of(audio, partial).shape.samples == 100_001

    def test_where_they_cannot_be_kept_they_are_told_all_the_same(
        self, audio: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        peaks = peaks_of(audio, tmp_path / "nowhere" / "partial.peaks")

        assert peaks.shape.samples == 100_000
        assert read_peaks(audio) is None
        assert "cannot be kept" in caplog.text

    def test_peaks_of_what_was_deleted_meanwhile_do_not_stay(
        self, audio: Path, partial: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def delete_then_give_name(source: Path, target: Path) -> None:
            audio.unlink()
            give_name(source, target)

        monkeypatch.setattr(peak_files, "give_name", delete_then_give_name)

        peaks_of(audio, partial)

        assert not audio.with_suffix(PEAKS_SUFFIX).exists()


class TestInALibrary:
    @pytest.fixture
    def library(self, tmp_path: Path) -> Library:
        library = Library(tmp_path)
        library.open()
        return library

    def made(self, library: Library) -> Path:
        """Return the peaks of a recording that has some."""
        audio = library.audio_path(publish(library).id)
        assert audio is not None
        peaks_of(audio, library.root / "partial.peaks")
        return audio.with_suffix(PEAKS_SUFFIX)

    def test_they_go_with_the_recording(self, library: Library) -> None:
        path = self.made(library)

        assert library.delete(path.stem)

        assert not path.exists()

    def test_they_are_no_recording_and_count_as_room(self, library: Library) -> None:
        path = self.made(library)
        before = library.catalogue.ask(lambda index: index.oldest(10))

        library.tend()

        (after,) = library.catalogue.ask(lambda index: index.oldest(10))
        assert len(library) == 1
        assert after.disk_bytes == before[0].disk_bytes + path.stat().st_size

    def test_verify_finds_wrong_ones_and_removes_them(self, library: Library) -> None:
        path = self.made(library)
        assert [each.ok for each in library.verify()] == [True]
        path.write_bytes(path.read_bytes()[:-1] + b"\1")

        (found,) = library.verify()
        (repaired,) = library.verify(repair=True)

        assert not found.ok
        assert "peaks" in found.problem
        assert repaired.ok
        assert repaired.repaired
        assert not path.exists()
        assert [each.problem for each in library.verify()] == [""]
