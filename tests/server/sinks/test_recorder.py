"""The recorder leaves one finished recording, or what is needed to say why not."""

from __future__ import annotations

import asyncio
import errno
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import soundfile

from server.audio import AudioBlock, Digit, Gap, GapCause, Outcome, SourceChange
from server.library.store import Library
from server.sinks.recorder import MAX_GAPS, MAX_PENDING_S, Recorder, describe
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


async def test_a_disk_that_refuses_breaks_the_recorder_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = Library(tmp_path)
    library.open()
    writers = WriterPool(threads=1)
    broken, sound = Recorder(library, writers), Recorder(library, writers)
    ids = [library.new_id(STARTED) for _ in range(2)]
    for recorder, recording_id in zip((broken, sound), ids, strict=True):
        await recorder.open(replace(INFO, recording_id=recording_id))
    block = AudioBlock(0, np.full((800, 1), 5, dtype=np.int16))

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(WavWriter, "write", refuse)
        await broken.write(block)
    await sound.write(block)
    summary = replace(SUMMARY, length=800)
    with pytest.raises(OSError, match="No space left"):
        await broken.close(summary)
    await sound.close(summary)
    await writers.close()
    assert library.get(ids[0]) is None
    assert library.get(ids[1]) is not None


async def test_a_disk_far_behind_makes_the_recorder_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = Library(tmp_path)
    library.open()
    writers = WriterPool(threads=1)
    recorder = Recorder(library, writers)
    await recorder.open(replace(INFO, recording_id=library.new_id(STARTED)))
    disk = threading.Event()
    monkeypatch.setattr(WavWriter, "write", lambda *_: disk.wait(10))
    second = np.zeros((8000, 1), dtype=np.int16)
    for n in range(int(MAX_PENDING_S)):
        await recorder.write(AudioBlock(n * 8000, second))
    waiting = asyncio.ensure_future(
        recorder.write(AudioBlock(int(MAX_PENDING_S) * 8000, second))
    )
    await asyncio.sleep(0)
    assert not waiting.done()
    disk.set()
    async with asyncio.timeout(10):
        await waiting
        await recorder.close(SUMMARY)
    await writers.close()
