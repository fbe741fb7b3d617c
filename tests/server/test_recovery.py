"""What a killed server left becomes a recording, or is kept and told of."""

from __future__ import annotations

import errno
import json
import os
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import soundfile

from server import recovery as recovery_module
from server.audio import AudioBlock, Digit, Gap, GapCause, Outcome
from server.library import store
from server.library.announced import AnnouncedTap
from server.library.files import write_synced
from server.library.interrupted import Interrupted
from server.library.recording import Recording
from server.library.store import Library
from server.library.wav_layout import WavLayout
from server.recovery import MAX_AHEAD_S, Recovery
from server.sinks.joining import JOINING_SUFFIX
from server.sinks.partial import PartialRecording
from server.sinks.wav import WavWriter
from tests.server.library.builders import NOON, recording
from tests.server.sinks.test_runner import INFO


@pytest.fixture
def library(tmp_path: Path) -> Library:
    found = Library(tmp_path)
    found.open()
    return found


def killed(
    library: Library,
    *,
    samples: int = 800,
    encoding: str = "pcm16",
    tap: str = "",
    masked: int = 0,
) -> str:
    """Leave what a server leaves that is killed in the middle of a recording."""
    recording_id = library.new_id(NOON)
    info = replace(
        INFO,
        recording_id=recording_id,
        call_id="call-1",
        started_at=NOON.timestamp(),
        encoding=encoding,
        announced_id=tap,
    )
    partial = PartialRecording(library.layout, info)
    partial.open()
    if samples:
        partial.note(Gap(100, 200, GapCause.LOST))
        partial.note(Digit(400, "5", 80))
        # Told of before the audio that follows it, which never came.
        partial.note(Gap(samples, 1000, GapCause.SILENCE))
        if masked:
            partial.note(Gap(samples + 1000, masked, GapCause.MASKED))
        block = np.arange(samples, dtype=np.int16).reshape(-1, 1)
        encoded = bytes(i % 251 for i in range(samples))
        partial.write(AudioBlock(0, block, encoded))
    partial.settle()
    return recording_id


def announced(library: Library) -> AnnouncedTap:
    tap = AnnouncedTap(
        id=library.new_id(NOON),
        control_id="c",
        call_id="call-1",
        node_id="node-1",
        direction="both",
        transport="rtp",
        origin="relay",
        created_at=NOON,
    )
    tap.write(library.layout.announced(tap.id))
    return tap


def restarted(library: Library) -> tuple[Library, Recovery, list[Interrupted]]:
    again = Library(library.root)
    again.open()
    recovery = Recovery(again)
    return again, recovery, recovery.scan()


async def recovered(library: Library) -> Library:
    """Start again, let everything be finished, and start again once more."""
    again, recovery, _ = restarted(library)
    await recovery.run()
    assert recovery.due == 0
    last, recovery, interrupted = restarted(again)
    assert (interrupted, recovery.due) == ([], 0)
    assert len(last) == len(again)
    return last


def partials(library: Library) -> list[str]:
    return sorted(path.name for path in library.layout.partial_folder.iterdir())


def found(library: Library, recording_id: str) -> Recording:
    document = library.get(recording_id)
    assert document is not None
    return document


async def test_what_was_interrupted_says_so_and_has_its_audio(library: Library) -> None:
    recording_id = killed(library)
    library = await recovered(library)
    document = found(library, recording_id)
    assert document.state is Outcome.PARTIAL
    assert document.end_reason == "interrupted"
    assert "(interrupted)" in document.verdict.reason
    assert (document.call_id, document.samples) == ("call-1", 800)
    assert document.ended_at == NOON + timedelta(seconds=0.1)
    assert [(gap.start_s, gap.length_s) for gap in document.gaps] == [(0.0125, 0.025)]
    assert [digit.digit for digit in document.digits] == ["5"]
    path = library.audio_path(recording_id)
    assert path is not None
    samples, _ = soundfile.read(path, dtype="int16")
    np.testing.assert_array_equal(samples, np.arange(800))
    assert partials(library) == []
    assert not [each for each in library.verify() if not each.ok]


async def test_a_torn_sample_is_cut_off(library: Library) -> None:
    recording_id = killed(library)
    with library.partial_path(recording_id).open("ab") as file:
        file.write(b"\x7f")
    library = await recovered(library)
    assert found(library, recording_id).samples == 800


async def test_native_audio_is_recovered_to_the_byte(library: Library) -> None:
    recording_id = killed(library, samples=801, encoding="native")
    library = await recovered(library)
    document = found(library, recording_id)
    assert (document.encoding, document.samples) == ("native", 801)
    path = library.audio_path(recording_id)
    assert path is not None
    expected = bytes(i % 251 for i in range(801)) + b"\0"
    assert path.read_bytes()[-802:] == expected


@pytest.mark.parametrize("size", [0, 10, 80])
async def test_a_tap_without_a_sample_on_the_disk_has_failed(
    library: Library, size: int
) -> None:
    recording_id = killed(library, samples=0)
    os.truncate(library.partial_path(recording_id), size)
    library = await recovered(library)
    document = found(library, recording_id)
    assert (document.state, document.has_audio) == (Outcome.FAILED, False)
    assert "before any audio was on the disk" in document.verdict.reason
    assert partials(library) == []


async def test_a_journal_alone_is_a_recording_that_failed(library: Library) -> None:
    recording_id = killed(library)
    library.partial_path(recording_id).unlink()
    library = await recovered(library)
    document = found(library, recording_id)
    assert (document.state, document.call_id) == (Outcome.FAILED, "call-1")
    assert partials(library) == []


async def test_a_damaged_header_is_made_from_the_journal(library: Library) -> None:
    recording_id = killed(library)
    with library.partial_path(recording_id).open("r+b") as file:
        file.write(bytes(80))
    library = await recovered(library)
    path = library.audio_path(recording_id)
    assert path is not None
    assert soundfile.info(path).frames == 800


async def test_without_a_journal_the_header_tells_what_it_can(library: Library) -> None:
    recording_id = killed(library)
    library.layout.journal(recording_id).write_bytes(b'{"what": "beg')
    library = await recovered(library)
    document = found(library, recording_id)
    assert (document.state, document.samples) == (Outcome.PARTIAL, 800)
    assert (document.sample_rate, document.call_id) == (8000, "")
    assert document.started_at == NOON
    assert partials(library) == []


async def test_what_nobody_understands_is_kept_and_told_of(library: Library) -> None:
    recording_id = library.new_id(NOON)
    library.partial_path(recording_id).write_bytes(b"precious, somehow" * 20)
    library = await recovered(library)
    document = found(library, recording_id)
    kept = f"{recording_id}.wav.kept"
    assert (document.state, document.has_audio) == (Outcome.FAILED, False)
    assert kept in document.verdict.reason
    assert partials(library) == [kept]
    data = (library.layout.partial_folder / kept).read_bytes()
    assert data == b"precious, somehow" * 20


async def test_a_draft_without_its_audio_is_kept(library: Library) -> None:
    recording_id = library.new_id(NOON)
    draft = library.partial_path(recording_id).with_suffix(".json")
    draft.write_text(json.dumps(recording(recording_id).to_json()))
    library = await recovered(library)
    assert partials(library) == [f"{recording_id}.json.kept"]


async def test_a_tap_without_audio_is_missing(library: Library) -> None:
    tap = announced(library)
    library = await recovered(library)
    document = found(library, tap.id)
    assert (document.state, document.end_reason) == (Outcome.MISSING, "interrupted")
    assert "(interrupted)" in document.verdict.reason
    assert (document.control_id, document.call_id) == ("c", "call-1")
    assert partials(library) == []


async def test_a_damaged_record_of_a_tap_still_gives_a_verdict(
    library: Library,
) -> None:
    tap = announced(library)
    os.truncate(library.layout.announced(tap.id), 20)
    library = await recovered(library)
    assert found(library, tap.id).state is Outcome.FAILED


async def test_a_tap_whose_audio_had_come_has_one_document(library: Library) -> None:
    tap = announced(library)
    recording_id = killed(library, tap=tap.id)
    assert not library.layout.announced(tap.id).exists()
    # As if the server had been killed between the two.
    tap.write(library.layout.announced(tap.id))
    library = await recovered(library)
    assert len(library) == 1
    assert found(library, recording_id).state is Outcome.PARTIAL
    assert partials(library) == []


async def test_copies_that_were_being_made_are_forgotten(library: Library) -> None:
    recording_id = library.new_id(NOON)
    library.partial_path(recording_id).with_suffix(".flac").write_bytes(b"fLaC")
    library = await recovered(library)
    assert partials(library) == []
    assert len(library) == 0


class Killed(BaseException):
    """The server is gone."""


@pytest.fixture(params=range(12))
def step(request: pytest.FixtureRequest) -> int:
    number: int = request.param
    return number


STEPS = ("link", "unlink", "fsync", "rename", "replace", "ftruncate", "pwrite")


def kill_at(patch: pytest.MonkeyPatch, step: int) -> list[str]:
    """Be killed before the step of this number that changes something on the disk."""
    done: list[str] = []
    for name in STEPS:
        original = getattr(os, name)

        def stepped(*args: object, _do=original, _name=name, **kw: object) -> object:  # type: ignore[no-untyped-def]
            if len(done) == step:
                raise Killed
            done.append(_name)
            return _do(*args, **kw)

        patch.setattr(os, name, stepped)
    return done


async def test_a_kill_while_publishing_changes_nothing(
    library: Library, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """What was decided is what is published, whichever step was the last."""
    recording_id = library.new_id(NOON)
    info = replace(INFO, recording_id=recording_id)
    partial = PartialRecording(library.layout, info)
    partial.open()
    partial.write(AudioBlock(0, np.ones((800, 1), np.int16)))
    partial.settle()
    partial.complete(800)
    with monkeypatch.context() as patch:
        kill_at(patch, step)
        with suppress(Killed):
            library.publish(recording(recording_id))
    library = await recovered(library)
    document = found(library, recording_id)
    assert (document.samples, document.has_audio) == (800, True)
    # Before the draft was whole nobody could know how it was to end.
    assert document.verdict.complete or step == 0
    assert library.audio_path(recording_id) is not None
    assert partials(library) == []


async def test_a_kill_while_recovering_is_harmless(
    library: Library, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    ids = [killed(library), killed(library, samples=0), announced(library).id]
    odd = library.new_id(NOON)
    library.partial_path(odd).write_bytes(b"precious, somehow" * 20)
    _, recovery, _ = restarted(library)
    with monkeypatch.context() as patch:
        kill_at(patch, step)
        for recording_id in [*ids, odd]:
            try:
                recovery.finish(recording_id)
            except Killed:
                continue
    library = await recovered(library)
    assert [found(library, each).end_reason for each in ids] == ["interrupted"] * 3
    assert found(library, odd).state is Outcome.FAILED
    assert partials(library) == [f"{odd}.wav.kept"]
    assert not [each for each in library.verify() if not each.ok]


async def test_what_can_be_gone_on_with_is_listed_and_may_be_taken(
    library: Library,
) -> None:
    recording_id = killed(library)
    again, recovery, (interrupted,) = restarted(library)
    assert interrupted.recording_id == recording_id
    assert interrupted.info.call_id == "call-1"
    assert interrupted.samples == 800
    assert interrupted.facts.gaps[0] == Gap(100, 200, GapCause.LOST)
    assert interrupted.last_write_at > 0
    recovery.take(interrupted)
    await recovery.run()
    assert len(again) == 0
    # Gone on with, and then killed again.
    partial = PartialRecording(again.layout, interrupted.info, resume=True)
    partial.open()
    partial.note(Gap(800, 200, GapCause.DISCONNECTED))
    partial.write(AudioBlock(1000, np.full((100, 1), 7, np.int16)))
    partial.settle()
    library = await recovered(again)
    document = found(library, recording_id)
    assert document.samples == 1100
    # What the first had told of the time after its end is void.
    assert [(gap.start_s, gap.length_s, gap.cause) for gap in document.gaps] == [
        (0.0125, 0.025, GapCause.LOST),
        (0.1, 0.025, GapCause.DISCONNECTED),
    ]


async def test_what_nobody_goes_on_with_is_finished_later(library: Library) -> None:
    recording_id = killed(library)
    again, recovery, (interrupted,) = restarted(library)
    recovery.take(interrupted)
    await recovery.run()
    recovery.put_back(interrupted)
    await recovery.run()
    assert found(again, recording_id).samples == 800


async def test_a_disk_that_refuses_is_asked_again(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording_id = killed(library)
    monkeypatch.setattr(recovery_module, "FIRST_PAUSE_S", 0.0)
    attempts: list[Path] = []

    def pinched(path: Path, data: bytes) -> None:
        attempts.append(path)
        if len(attempts) < 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_synced(path, data)

    monkeypatch.setattr(store, "write_synced", pinched)
    library = await recovered(library)
    assert len(attempts) == 3
    assert found(library, recording_id).samples == 800


async def test_a_file_that_was_being_joined_is_no_recording(library: Library) -> None:
    half = library.new_id(NOON)
    path = library.partial_path(half)
    with WavWriter(path, WavLayout(8000, 2)) as writer:
        writer.write(0, np.ones((50, 2), np.int16))
    draft = path.with_suffix(JOINING_SUFFIX)
    draft.write_bytes(path.read_bytes())
    library = await recovered(library)
    assert len(library) == 0
    assert partials(library) == []


async def test_what_is_behind_a_complete_file_is_no_audio(library: Library) -> None:
    recording_id = killed(library)
    path = library.partial_path(recording_id)
    layout = WavLayout(8000, 1)
    with path.open("r+b") as file:
        file.write(layout.header(500))
    library = await recovered(library)
    assert found(library, recording_id).samples == 500


async def test_two_that_cannot_be_one_are_published_apart(library: Library) -> None:
    parts = [
        replace(
            recording(library.new_id(NOON)),
            call_id="call-1",
            direction=direction,
            control_id=f"tap-{direction}",
            started_at=NOON,
            samples=100,
        )
        for direction in ("speak", "listen")
    ]
    for part in parts:
        with WavWriter(library.partial_path(part.id), WavLayout(8000, 1)) as writer:
            writer.write(0, np.ones((100, 1), np.int16))
        library.keep_draft(part)
    library.partial_path(parts[0].id).write_bytes(b"RIFF" + bytes(300))
    library = await recovered(library)
    assert {found(library, part.id).id for part in parts} == {p.id for p in parts}


async def test_a_pause_is_in_the_file_and_the_evidence(library: Library) -> None:
    """No audio is written in it: how long it was, the journal alone tells."""
    recording_id = killed(library, masked=16_000)
    _, _, (interrupted,) = restarted(library)
    assert (interrupted.samples, interrupted.length) == (800, 17_800)
    library = await recovered(library)
    document = found(library, recording_id)
    assert document.samples == 17_800
    assert [(gap.start_s, gap.length_s, gap.cause) for gap in document.gaps] == [
        (0.0125, 0.025, GapCause.LOST),
        (0.1, 0.125, GapCause.SILENCE),
        (0.225, 2.0, GapCause.MASKED),
    ]
    assert "0.15 s of it are missing" in document.verdict.reason
    assert "2.00 s were kept out on request" in document.verdict.reason
    path = library.audio_path(recording_id)
    assert path is not None
    samples, _ = soundfile.read(path, dtype="int16")
    np.testing.assert_array_equal(samples[:800], np.arange(800))
    assert len(samples) == 17_800
    assert not samples[800:].any()
    assert not [each for each in library.verify() if not each.ok]


async def test_a_journal_that_tells_of_years_is_not_believed(library: Library) -> None:
    recording_id = killed(library, masked=1 << 40)
    written_at = NOON.timestamp() + 10
    os.utime(library.partial_path(recording_id), (written_at, written_at))
    os.utime(library.layout.journal(recording_id), (written_at, written_at))
    library = await recovered(library)
    assert found(library, recording_id).samples == (10 + MAX_AHEAD_S) * 8000


async def test_a_pause_with_nothing_to_write_is_no_absence(library: Library) -> None:
    recording_id = killed(library)
    audio = library.partial_path(recording_id)
    os.utime(audio, (1000.0, 1000.0))
    _, _, (interrupted,) = restarted(library)
    assert (
        interrupted.last_write_at
        == library.layout.journal(recording_id).stat().st_mtime
    )
