"""Copies are made beside the WAV, one at a time, and cost nothing if they fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from server import copies
from server.copies import CopyMaker, write_copy
from server.library.recording import Recording
from server.library.store import Library
from tests.e2e.rig import until
from tests.server.library.builders import publish


@pytest.fixture
def library(tmp_path: Path) -> Library:
    found = Library(tmp_path)
    found.open()
    return found


@asynccontextmanager
async def running(maker: CopyMaker) -> AsyncIterator[None]:
    task = asyncio.create_task(maker.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def copy_of(library: Library, recording: Recording, suffix: str) -> Path:
    return library.layout.audio(recording.id).with_suffix(suffix)


async def test_each_wanted_copy_appears_beside_the_audio(library: Library) -> None:
    maker = CopyMaker(library, ("flac", "opus"))
    recordings = [publish(library, minutes=n) for n in range(2)]
    async with running(maker):
        for recording in recordings:
            maker.add(recording)
        await until(lambda: copy_of(library, recordings[1], ".opus").exists())
    for recording in recordings:
        samples, _ = soundfile.read(copy_of(library, recording, ".flac"), dtype="int16")
        np.testing.assert_array_equal(samples, np.arange(800))
        info = soundfile.info(copy_of(library, recording, ".opus"))
        assert (info.format, info.subtype, info.frames) == ("OGG", "OPUS", 800)
    assert not list(library.layout.partial_folder.iterdir())
    library.delete(recordings[0].id)
    assert not copy_of(library, recordings[0], ".flac").exists()


async def test_one_that_fails_costs_no_other(
    library: Library, caplog: pytest.LogCaptureFixture
) -> None:
    maker = CopyMaker(library, ("flac",))
    broken, gone, good = [publish(library, minutes=n) for n in range(3)]
    library.layout.audio(broken.id).write_bytes(b"RIFF")
    library.delete(gone.id)
    async with running(maker):
        for recording in (broken, gone, good):
            maker.add(recording)
        await until(lambda: copy_of(library, good, ".flac").exists())
    assert f"recording {broken.id}: no flac copy" in caplog.text
    assert gone.id not in caplog.text
    assert not list(library.layout.partial_folder.iterdir())


def test_a_rate_that_opus_does_not_know_is_converted(tmp_path: Path) -> None:
    source, target = tmp_path / "a.wav", tmp_path / "a.opus"
    time = np.arange(44_100) / 44_100
    tone = (10_000 * np.sin(2 * np.pi * 440 * time)).astype(np.int16)
    soundfile.write(source, tone, 44_100)
    write_copy(source, target, "opus", lambda: False)
    info = soundfile.info(target)
    assert info.samplerate == 48_000
    assert abs(info.duration - 1.0) < 0.02


def test_one_that_is_stopped_ends_early(tmp_path: Path) -> None:
    source, target = tmp_path / "a.wav", tmp_path / "a.flac"
    soundfile.write(source, np.zeros(1 << 18, np.int16), 8000)
    answers = iter((False, True))
    write_copy(source, target, "flac", lambda: next(answers))
    assert soundfile.info(target).frames == 1 << 16


async def test_a_copy_that_a_full_disk_cut_short_gets_no_name(
    library: Library, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    recording = publish(library)

    def cut(_source: Path, target: Path, *_: object) -> None:
        soundfile.write(target, np.zeros(100, np.int16), 8000, format="FLAC")

    monkeypatch.setattr(copies, "write_copy", cut)
    maker = CopyMaker(library, ("flac",))
    async with running(maker):
        maker.add(recording)
        await until(lambda: "no flac copy" in caplog.text)
    assert not copy_of(library, recording, ".flac").exists()
    assert not list(library.layout.partial_folder.iterdir())
