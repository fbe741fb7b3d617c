"""The files that tell which taps are paused."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from server.library.paused import FoundPause, PausedFiles, PausedTap, name_of

TAP = PausedTap("tap-1", "203.0.113.7:4000")
NAME = name_of("tap-1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / ".paused"


def kept(folder: Path) -> dict[str, PausedTap]:
    return {name: found.tap for name, found in PausedFiles(folder).load().items()}


def test_before_the_first_there_is_nothing(folder: Path) -> None:
    assert PausedFiles(folder).load() == {}
    assert not folder.exists()


def test_what_is_kept_is_found_again(folder: Path) -> None:
    PausedFiles(folder).apply({NAME: TAP})
    os.utime(folder / NAME, (1000.0, 1000.0))
    assert PausedFiles(folder).load() == {NAME: FoundPause(TAP, 1000.0)}
    assert [path.name for path in folder.iterdir()] == [NAME]


def test_what_is_dropped_is_gone_and_may_be_dropped_again(folder: Path) -> None:
    files, other = PausedFiles(folder), name_of("tap-2")
    files.apply({NAME: TAP, other: PausedTap("tap-2")})
    for _ in range(2):
        files.apply({NAME: None})
    assert kept(folder) == {other: PausedTap("tap-2")}


def test_a_later_source_takes_the_place_of_none(folder: Path) -> None:
    files = PausedFiles(folder)
    files.apply({NAME: PausedTap("tap-1")})
    files.apply({NAME: TAP})
    assert kept(folder) == {NAME: TAP}


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"control_id": 5, "source": ""}', b"\xff" * 9000, b"[" * 4000],
)
def test_nothing_that_is_damaged_ends_a_pause(folder: Path, content: bytes) -> None:
    PausedFiles(folder).apply({NAME: TAP})
    (folder / NAME).write_bytes(content)
    assert kept(folder) == {NAME: PausedTap()}


def test_only_what_has_the_name_of_a_pause_is_one(folder: Path) -> None:
    PausedFiles(folder).apply({NAME: TAP})
    (folder / f"{NAME}.new").write_bytes(b"{")
    (folder / "notes.txt").write_text("mine")
    assert kept(folder) == {NAME: TAP}
    assert {path.name for path in folder.iterdir()} == {NAME, "notes.txt"}


@pytest.mark.parametrize("control_id", ["../../etc/passwd", "", "a\0b", "\udcff", "é"])
def test_no_control_id_becomes_a_path(folder: Path, control_id: str) -> None:
    assert re.fullmatch("[0-9a-f]{64}", name_of(control_id))
    PausedFiles(folder).apply({name_of(control_id): PausedTap(control_id)})
    assert kept(folder) == {name_of(control_id): PausedTap(control_id)}


def test_a_disk_that_refuses_is_told_of(tmp_path: Path) -> None:
    (tmp_path / ".paused").write_text("no directory")
    with pytest.raises(OSError, match="paused"):
        PausedFiles(tmp_path / ".paused").apply({NAME: TAP})
