"""The recorder leaves one finished recording, or what is needed to say why not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import soundfile

from server.audio import AudioBlock, Digit, Gap, GapCause, Outcome, SourceChange
from server.library.store import Library
from server.sinks.recorder import MAX_GAPS, Recorder, describe
from tests.server.sinks.test_runner import INFO, SUMMARY

STARTED = datetime(2026, 11, 22, 16, 0, 0, 250_000, tzinfo=UTC)


async def test_a_recording_appears_finished_and_as_long_as_its_track(
    tmp_path: Path,
) -> None:
    library = Library(tmp_path)
    library.open()
    recording_id = library.new_id(STARTED)
    info = replace(INFO, recording_id=recording_id, started_at=STARTED.timestamp())
    recorder = Recorder(library)
    await recorder.open(info)
    await recorder.write(AudioBlock(800, np.full((800, 1), 5, dtype=np.int16)))
    assert library.get(recording_id) is None
    gaps = (Gap(0, 800, GapCause.LOST), Gap(1600, 400, GapCause.SILENCE))
    await recorder.close(replace(SUMMARY, length=2000, gaps=gaps, outcome="partial"))

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
