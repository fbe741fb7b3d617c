"""The journal tells after a crash what was known before it."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.audio import (
    Codec,
    Counted,
    Digit,
    Gap,
    GapCause,
    Late,
    PacketCounts,
    SourceChange,
    StreamInfo,
    TrackNote,
)
from server.library import journal as journal_module
from server.library.journal import (
    Journal,
    end_of_masks,
    gaps_within,
    parse_journal,
    read_journal,
)
from tests.server.library.builders import HOSTILE
from tests.server.sinks.test_runner import INFO

NOTES: list[TrackNote] = [
    Gap(8000, 160, GapCause.LOST),
    Digit(9000, "5", 800),
    SourceChange(9600, "SSRC 0x1234abcd"),
    Gap(9700, 100, GapCause.DROPPED, "disk full"),
]


def written(path: Path, info: StreamInfo = INFO) -> bytes:
    journal = Journal(path)
    journal.begin(info)
    for note in NOTES:
        journal.note(note)
    journal.flush()
    return path.read_bytes()


def test_everything_that_was_noted_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    written(path)
    content = read_journal(path)
    assert content is not None
    assert content.info == INFO
    facts = content.facts
    assert [*facts.gaps, *facts.digits, *facts.changes] == [
        NOTES[0],
        NOTES[3],
        NOTES[1],
        NOTES[2],
    ]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_from_the_wire_are_only_text(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.journal"
    info = StreamInfo(**{**asdict(INFO), "call_id": name, "codec": Codec.OPUS})
    written(path, info)
    content = read_journal(path)
    assert content is not None
    assert content.info == info


def test_late_packets_are_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    journal = Journal(path)
    journal.begin(INFO)
    journal.note(Late(160, 80))
    journal.flush()
    content = read_journal(path)
    assert content is not None
    assert content.facts.late == [Late(160, 80)]


def test_the_packets_are_those_that_were_noted_last(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    journal = Journal(path)
    journal.begin(INFO)
    last = Counted(160_000, PacketCounts(1000, 5, 4, 3, 2, jitter_ms=1.25))
    for note in (Counted(800, PacketCounts(5)), last):
        journal.note(note)
    journal.flush()
    # What arrived has arrived, though the audio never came to the disk.
    journal.resume(100_000)
    journal.flush()
    content = read_journal(path)
    assert content is not None
    assert content.facts.counted == last


def test_what_is_noted_before_the_file_is_there_is_not_void(tmp_path: Path) -> None:
    """A full disk lets a server that was started again go on only later."""
    path = tmp_path / "a.journal"
    journal = Journal(path)
    journal.begin(INFO)
    journal.note(Gap(900, 100, GapCause.MASKED))
    journal.flush()
    again = Journal(path)
    again.note(Gap(800, 300, GapCause.DISCONNECTED))
    again.resume(800)
    again.flush()
    content = read_journal(path)
    assert content is not None
    assert content.facts.gaps == [Gap(800, 300, GapCause.DISCONNECTED)]


@pytest.mark.parametrize(
    ("gaps", "end"),
    [
        ([], 800),
        ([Gap(100, 50, GapCause.MASKED)], 800),
        ([Gap(800, 100, GapCause.MASKED)], 900),
        ([Gap(700, 200, GapCause.MASKED)], 900),
        ([Gap(900, 50, GapCause.MASKED), Gap(800, 100, GapCause.SILENCE)], 950),
        ([Gap(800, 100, GapCause.MASKED), Gap(900, 50, GapCause.LOST)], 900),
        ([Gap(800, 100, GapCause.DROPPED)], 800),
        ([Gap(801, 100, GapCause.MASKED)], 800),
    ],
    ids=[
        "none",
        "in the audio",
        "behind it",
        "from within",
        "behind silence",
        "and loss",
        "another",
        "far from it",
    ],
)
def test_masks_go_on_behind_the_audio(gaps: list[Gap], end: int) -> None:
    assert end_of_masks(gaps, 800) == end


def test_one_that_is_not_there_tells_nothing(tmp_path: Path) -> None:
    assert read_journal(tmp_path / "a.journal") is None


@given(cut=st.integers(min_value=0, max_value=2000), noise=st.binary(max_size=20))
def test_a_damaged_end_spoils_nothing_before_it(
    tmp_path_factory: pytest.TempPathFactory, cut: int, noise: bytes
) -> None:
    path = tmp_path_factory.mktemp("journal") / "a.journal"
    data = written(path)
    whole = data[:cut].count(b"\n")
    content = parse_journal((data[:cut] + b"\x00" + noise).split(b"\n"))
    if whole == 0:
        assert content is None
        return
    assert content is not None
    facts = content.facts
    found = len(facts.gaps) + len(facts.digits) + len(facts.changes)
    assert found == whole - 1


@given(lines=st.lists(st.binary(max_size=60), max_size=10))
def test_any_bytes_are_survived(lines: list[bytes]) -> None:
    assert parse_journal(lines) is None


@pytest.mark.parametrize(
    "line",
    [
        {"what": "gap", "start": -1, "length": 1, "cause": "lost"},
        {"what": "gap", "start": 1, "length": 1, "cause": "whatever"},
        {"what": "a later kind", "start": 1},
        {"what": "begin", "info": {"recording_id": "x"}},
        ["what"],
    ],
)
def test_a_line_that_makes_no_sense_is_passed_over(
    tmp_path: Path, line: object
) -> None:
    path = tmp_path / "a.journal"
    data = written(path) + json.dumps(line).encode() + b"\n"
    content = parse_journal(data.split(b"\n"))
    assert content is not None
    assert content.info == INFO
    assert len(content.facts.gaps) == 2


def test_of_an_earlier_version_what_is_missing_has_its_default(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    first = json.loads(written(path).split(b"\n")[0])
    del first["info"]["origin"], first["info"]["encoding"]
    first["info"]["something later"] = 5
    content = parse_journal([json.dumps(first).encode()])
    assert content is not None
    assert content.info == INFO


def test_a_full_disk_costs_no_line_and_leaves_no_half_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.journal"
    journal = Journal(path)
    journal.begin(INFO)
    before = path.read_bytes()
    journal.note(NOTES[0])
    write = os.write
    room = [10]

    def pinched(fd: int, data: bytes) -> int:
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(fd, data[: room.pop()])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", pinched)
        with pytest.raises(OSError, match="No space"):
            journal.flush()
    assert path.read_bytes() == before
    journal.flush()
    content = read_journal(path)
    assert content is not None
    assert content.facts.gaps == [NOTES[0]]


def test_it_does_not_grow_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "MAX_LINES", 3)
    path = tmp_path / "a.journal"
    assert written(path).count(b"\n") == 4
    journal = Journal(path)
    for _ in range(5):
        journal.note(NOTES[0])
    journal.flush()
    assert path.read_bytes().count(b"\n") == 4 + 3


def test_gaps_are_put_in_order_and_end_with_the_file() -> None:
    gaps = [
        Gap(50, 100, GapCause.SILENCE),
        Gap(10, 10, GapCause.LOST),
        Gap(20, 10, GapCause.LOST),
        Gap(25, 10, GapCause.DROPPED, "disk full"),
        Gap(200, 10, GapCause.LOST),
    ]
    assert gaps_within(gaps, 60) == [
        Gap(10, 20, GapCause.LOST),
        Gap(30, 5, GapCause.DROPPED, "disk full"),
        Gap(50, 10, GapCause.SILENCE),
    ]
