"""Disks that are full, or do not answer for a while, during taps."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from relay_client.simulator import CallRequest
from server.audio import GapCause, Outcome
from server.library.recording import Recording
from server.sinks.writers import WRITER_THREADS
from tests.e2e.rig import Audio, Rig, reference, rig, sent_by, until

SIZE = "16m"
RATE = 8000


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount one, or skip where that is not allowed."""
    folder.mkdir()
    command = ("mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder))
    if shutil.which("mount") is None or sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root may mount a file system")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a file system cannot be mounted here: {done.stderr}")
    try:
        yield folder
    finally:
        subprocess.run(("umount", "-l", str(folder)), check=True)


def fill(disk: Path) -> Path:
    """Leave no room on it, to the last byte."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                continue
    return ballast


def check(here: Rig, recording: Recording, sent: Audio) -> float:
    """Compare a recording with what was sent; return how much was dropped."""
    audio = here.audio(recording)
    is_dropped = np.zeros(len(audio), dtype=bool)
    for gap in recording.gaps:
        assert gap.cause is GapCause.DROPPED
        start = round(gap.start_s * RATE)
        end = start + round(gap.length_s * RATE)
        # Each moment is told of once.
        assert not is_dropped[start:end].any()
        is_dropped[start:end] = True
    assert not audio[is_dropped].any()
    assert len(audio) == len(sent)
    np.testing.assert_array_equal(audio[~is_dropped], sent[~is_dropped])
    return float(is_dropped.sum()) / RATE


async def test_what_a_full_disk_refuses_is_told_and_recording_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    uri = "ws://127.0.0.1:1/tap"
    with small_disk(tmp_path / "disk") as disk:
        async with rig(disk, tap_uri=uri, direction="speak") as here:
            before = here.simulator.place_call(CallRequest(seconds=None))
            await here.receiving(1)
            await until(lambda: len(sent_by(before)) > 60)
            ballast = fill(disk)
            # One that begins while there is no room, and one that ends.
            during = here.simulator.place_call(CallRequest(seconds=None))
            ending = here.simulator.place_call(CallRequest(seconds=None))
            await here.receiving(3)
            await until(lambda: here.server.writers.refused.total() > 4)
            await until(lambda: len(sent_by(ending)) > 60)
            await ending.hang_up()
            await until(lambda: here.server.deck.finishing == 1)
            told = {each.call_id: each for each in here.server.deck.statuses()}
            assert told[ending.call_id].has_ended
            assert len(told) == 3
            await until(lambda: "cannot be kept yet" in caplog.text)
            assert len(here.server.library) == 0
            ballast.unlink()
            (kept,) = await here.recordings(1, timeout=30)
            assert (kept.call_id, kept.state) == (ending.call_id, Outcome.FAILED)
            assert "disk full" in kept.verdict.reason
            marks = [len(sent_by(call)) for call in (before, during)]
            await until(lambda: len(sent_by(during)) > marks[1] + 100)
            await asyncio.gather(before.hang_up(), during.hang_up())
            recordings = {each.call_id: each for each in await here.recordings(3)}
            for call in (before, during):
                recording = recordings[call.call_id]
                sent = reference(sent_by(call), "PCMU")
                dropped_s = check(here, recording, sent)
                # Room was made two seconds before the end, and is seen in one.
                assert 0.3 < dropped_s < len(sent) / RATE - 0.9
                assert recording.state is Outcome.PARTIAL
                assert "could not be kept (disk full)" in recording.verdict.reason
            assert not [each for each in here.server.library.verify() if not each.ok]
            assert not list((disk / ".partial").iterdir())
    assert "write_disk_full: " in caplog.text
    assert "Traceback" not in caplog.text


async def test_taps_that_fill_the_disk_themselves_do_no_harm(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        async with rig(disk, tap_uri="ws://127.0.0.1:1/tap", direction="speak") as here:
            # Room for a second or two of ten taps.
            ballast = fill(disk)
            os.truncate(ballast, ballast.stat().st_size - 200_000)
            calls = [
                here.simulator.place_call(CallRequest(seconds=None)) for _ in range(10)
            ]
            await here.receiving(10)
            await until(lambda: here.server.writers.refused.total() > 20)
            ballast.unlink()
            marks = [len(sent_by(call)) for call in calls]
            await until(
                lambda: all(
                    len(sent_by(call)) > mark + 100
                    for call, mark in zip(calls, marks, strict=True)
                )
            )
            await asyncio.gather(*(call.hang_up() for call in calls))
            recordings = {each.call_id: each for each in await here.recordings(10)}
            dropped = [
                check(here, recordings[call.call_id], reference(sent_by(call), "PCMU"))
                for call in calls
            ]
            assert any(dropped)


async def test_writers_that_stall_for_5_s_cost_nothing(tmp_path: Path) -> None:
    uri = "ws://127.0.0.1:1/tap"
    async with rig(tmp_path, tap_uri=uri, direction="speak") as here:
        calls = [here.simulator.place_call(CallRequest(seconds=None)) for _ in range(4)]
        await here.receiving(4)
        answers = threading.Event()
        stalled = threading.Semaphore(0)

        def stall() -> None:
            stalled.release()
            answers.wait(30)

        for _ in range(WRITER_THREADS):
            here.server.writers.channel().put(stall, 0)
        for _ in range(WRITER_THREADS):
            assert await asyncio.to_thread(stalled.acquire, timeout=10)
        marks = [len(sent_by(call)) for call in calls]
        await until(
            lambda: all(
                len(sent_by(call)) >= mark + 5 * 50
                for call, mark in zip(calls, marks, strict=True)
            )
        )
        answers.set()
        await asyncio.gather(*(call.hang_up() for call in calls))
        recordings = {each.call_id: each for each in await here.recordings(4)}
        for call in calls:
            recording = recordings[call.call_id]
            assert recording.state is Outcome.COMPLETE, recording.verdict
            sent = reference(sent_by(call), "PCMU")
            np.testing.assert_array_equal(here.audio(recording), sent)
