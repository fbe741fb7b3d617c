"""The recorder leaves one finished recording, or what is needed to say why not."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import soundfile

from server.audio import AudioBlock, Digit, Gap, GapCause, Outcome, SourceChange
from server.codecs.g711 import decode_mulaw
from server.library import store
from server.library.store import Library
from server.library.wav_layout import Encoding, WavLayout
from server.sinks import disk
from server.sinks import partial as partial_module
from server.sinks import recorder as recorder_module
from server.sinks.recorder import (
    MAX_GAPS,
    MAX_PENDING_S,
    Recorder,
    RecorderOptions,
    describe,
)
from server.sinks.runner import SinkRunner
from server.sinks.wav import WavWriter
from server.sinks.writers import WriterPool
from tests.server.sinks.test_runner import INFO, SUMMARY

STARTED = datetime(2026, 11, 22, 16, 0, 0, 250_000, tzinfo=UTC)


async def test_a_recording_appears_finished_and_as_long_as_its_track(
    tmp_path: Path,
) -> None:
    library = Library(tmp_path)
    library.open()
    recording_id = library.new_id(STARTED)
    info = replace(INFO, recording_id=recording_id, started_at=STARTED.timestamp())
    writers = WriterPool()
    recorder = Recorder(library, writers)
    await recorder.open(info)
    await recorder.write(AudioBlock(800, np.full((800, 1), 5, dtype=np.int16)))
    assert library.get(recording_id) is None
    gaps = (Gap(0, 800, GapCause.LOST), Gap(1600, 400, GapCause.SILENCE))
    summary = replace(SUMMARY, length=2000, gaps=gaps, outcome=Outcome.PARTIAL)
    await recorder.close(summary)

    await writers.close()
    recording = library.get(recording_id)
    assert recording is not None
    assert recording.state is Outcome.PARTIAL
    assert recording.duration_s == 0.25
    assert [(gap.start_s, gap.length_s) for gap in recording.gaps] == [
        (0.0, 0.1),
        (0.2, 0.05),
    ]
    path = library.audio_path(recording_id)
    assert path is not None
    samples, _ = soundfile.read(path, dtype="int16")
    expected = np.zeros(2000, dtype=np.int16)
    expected[800:1600] = 5
    np.testing.assert_array_equal(samples, expected)


def test_digits_and_changes_are_told_in_seconds() -> None:
    summary = replace(
        SUMMARY, digits=[Digit(4000, "5", 800)], changes=[SourceChange(8000, "SSRC 1")]
    )
    recording = describe(INFO, summary)
    assert (recording.digits[0].start_s, recording.digits[0].length_s) == (0.5, 0.1)
    assert (recording.changes[0].start_s, recording.changes[0].what) == (1.0, "SSRC 1")


def test_gaps_beyond_the_bound_are_counted() -> None:
    gaps = [Gap(2 * n, 1, GapCause.LOST) for n in range(MAX_GAPS + 3)]
    recording = describe(INFO, replace(SUMMARY, gaps=gaps))
    assert len(recording.gaps) == MAX_GAPS
    assert recording.gaps_omitted == 3


async def test_what_a_disk_refuses_is_told_and_the_rest_is_at_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = Library(tmp_path)
    library.open()
    writers = WriterPool(threads=1)
    recording_id = library.new_id(STARTED)
    recorder = Recorder(library, writers)
    await recorder.open(replace(INFO, recording_id=recording_id))
    await recorder.write(block_of(1, at=0))
    assert await recorder.settle() == []
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", no_space)
        await recorder.write(block_of(2, at=800))
        await recorder.write(block_of(3, at=1600))
        # One span, though two blocks; asked again, it is not told again.
        refused = [Gap(800, 1600, GapCause.DROPPED, "disk full")]
        assert await recorder.settle() == refused
        assert await recorder.settle() == []
    await recorder.write(block_of(4, at=2400))
    assert await recorder.settle() == []
    await recorder.close(replace(SUMMARY, length=3200, gaps=refused))
    assert writers.refused == {"write_disk_full": 2}
    await writers.close()
    assert audio_of(library, recording_id) == [1] * 800 + [0] * 1600 + [4] * 800


async def test_a_disk_that_is_full_from_the_start_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = Library(tmp_path)
    library.open()
    writers = WriterPool(threads=1)
    recording_id = library.new_id(STARTED)
    recorder = Recorder(library, writers)
    monkeypatch.setattr(partial_module, "CREATE_INTERVAL_S", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", no_space)
        await recorder.open(replace(INFO, recording_id=recording_id))
        await recorder.write(block_of(1, at=0))
        assert await recorder.settle() == [Gap(0, 800, GapCause.DROPPED, "disk full")]
    await recorder.write(block_of(2, at=800))
    await recorder.close(replace(SUMMARY, length=1600))
    await writers.close()
    assert audio_of(library, recording_id) == [0] * 800 + [2] * 800


async def test_finishing_waits_for_room_and_gives_up_when_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = Library(tmp_path)
    library.open()
    writers = WriterPool(threads=1)
    monkeypatch.setattr(disk, "FIRST_PAUSE_S", 0.01)
    recorders = [Recorder(library, writers) for _ in range(2)]
    ids = [library.new_id(STARTED) for _ in recorders]
    for recorder, recording_id in zip(recorders, ids, strict=True):
        await recorder.open(replace(INFO, recording_id=recording_id))
        await recorder.write(block_of(1, at=0))
        await recorder.settle()
    asked = threading.Semaphore(0)

    def refuse(*_: object) -> None:
        asked.release()
        no_space()

    summary = replace(SUMMARY, length=800)
    with monkeypatch.context() as patch:
        patch.setattr(store, "write_synced", refuse)
        finishing = [asyncio.ensure_future(each.close(summary)) for each in recorders]
        for _ in recorders:
            assert await asyncio.to_thread(asked.acquire, timeout=10)
        finishing[1].cancel()
        with pytest.raises(asyncio.CancelledError):
            await finishing[1]
    async with asyncio.timeout(10):
        await finishing[0]
    await writers.close()
    assert audio_of(library, ids[0]) == [1] * 800
    # The other is left for the next start.
    assert library.get(ids[1]) is None
    assert library.layout.unfinished()[ids[1]] >= {".wav", ".journal"}


async def test_a_writer_that_stalls_costs_nothing_within_the_bound(
    tmp_path: Path,
) -> None:
    """More than 5 s of audio comes while a writer thread does nothing at all."""
    library = Library(tmp_path)
    library.open()
    writers = WriterPool(threads=1)
    recording_id = library.new_id(STARTED)
    info = replace(INFO, recording_id=recording_id)
    runner = SinkRunner(Recorder(library, writers), info)
    disk_answers = threading.Event()
    writers.channel().put(lambda: assert_true(disk_answers.wait(10)), 0)
    runner.start()
    noise = np.arange(30 * 8000, dtype=np.int16).reshape(-1, 1)
    for at in range(0, len(noise), 4000):
        assert runner.put(AudioBlock(at, noise[at : at + 4000]))
        await asyncio.sleep(0)
    assert runner.queued > 5 * 8000
    disk_answers.set()
    async with asyncio.timeout(10):
        assert await runner.settle() == []
        await runner.close(replace(SUMMARY, length=len(noise)))
    await writers.close()
    assert audio_of(library, recording_id) == noise.ravel().tolist()


async def test_g711_is_kept_as_it_came_where_that_is_wanted(tmp_path: Path) -> None:
    library = Library(tmp_path)
    library.open()
    writers = WriterPool(threads=1)
    recording_id = library.new_id(STARTED)
    recorder = Recorder(library, writers)
    await recorder.open(replace(INFO, recording_id=recording_id, encoding="native"))
    every = bytes(range(256))
    samples = decode_mulaw(every).reshape(-1, 1)
    await recorder.write(AudioBlock(0, samples, every))
    await recorder.close(replace(SUMMARY, length=300))
    await writers.close()
    recording, path = library.get(recording_id), library.audio_path(recording_id)
    assert recording is not None
    assert path is not None
    assert recording.encoding == "native"
    layout = WavLayout(8000, 1, Encoding.MULAW)
    assert path.read_bytes()[layout.audio_at :] == every + b"\xff" * 44


async def test_power_cuts_are_thought_of_where_that_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = Library(tmp_path)
    library.open()
    writers = WriterPool(threads=1)
    synced: list[str] = []
    audio_synced = threading.Event()
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        synced.append(path.suffix or path.name)
        if path.suffix == ".wav":
            audio_synced.set()
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(recorder_module, "SETTLE_S", 0.01)
    recorder = Recorder(library, writers, RecorderOptions(durable=True))
    await recorder.open(replace(INFO, recording_id=library.new_id(STARTED)))
    # The first line of the journal, and that there is a file.
    assert synced == [".journal", ".partial"]
    await recorder.write(block_of(1, at=0))
    assert await asyncio.to_thread(audio_synced.wait, 10)
    await recorder.close(replace(SUMMARY, length=800))
    await writers.close()


def block_of(value: int, *, at: int) -> AudioBlock:
    return AudioBlock(at, np.full((800, 1), value, dtype=np.int16))


def no_space(*_: object) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def assert_true(value: bool) -> None:
    assert value


def audio_of(library: Library, recording_id: str) -> list[int]:
    path = library.audio_path(recording_id)
    assert path is not None
    samples, _ = soundfile.read(path, dtype="int16")
    found: list[int] = samples.tolist()
    return found


async def test_a_disk_far_behind_makes_the_recorder_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = Library(tmp_path)
    library.open()
    writers = WriterPool(threads=1)
    recorder = Recorder(library, writers)
    await recorder.open(replace(INFO, recording_id=library.new_id(STARTED)))
    answers = threading.Event()
    monkeypatch.setattr(WavWriter, "write", lambda *_: answers.wait(10))
    second = np.zeros((8000, 1), dtype=np.int16)
    for n in range(int(MAX_PENDING_S)):
        await recorder.write(AudioBlock(n * 8000, second))
    waiting = asyncio.ensure_future(
        recorder.write(AudioBlock(int(MAX_PENDING_S) * 8000, second))
    )
    await asyncio.sleep(0)
    assert not waiting.done()
    answers.set()
    async with asyncio.timeout(10):
        await waiting
        await recorder.close(SUMMARY)
    await writers.close()
