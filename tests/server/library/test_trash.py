"""Recordings that were deleted and can be brought back."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from server.library.annotation import Annotation
from server.library.errors import RecordingOnHold
from server.library.index import RecordingQuery
from server.library.store import Library
from tests.server.library.builders import HOSTILE, publish

DAY = "2026/11/22"


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = Library(tmp_path / "recordings")
    library.open()
    return library


def reopened(library: Library) -> Library:
    again = Library(library.root)
    again.open()
    return again


def listed(library: Library) -> list[str]:
    return [one.id for one in library.list(RecordingQuery()).items]


def tree(library: Library) -> dict[str, bytes]:
    return {
        path.relative_to(library.root).as_posix(): path.read_bytes()
        for path in library.root.rglob("*")
        if path.is_file() and not path.name.startswith(".index.sqlite")
    }


def make_older(library: Library, recording_id: str, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(library.root / ".deleted" / recording_id, (then, then))


def test_it_is_gone_at_once_and_comes_back_whole(library: Library) -> None:
    kept, other = publish(library, note="a"), publish(library, minutes=1)
    (library.root / DAY / f"{kept.id}.flac").write_bytes(b"copy")
    before = tree(library)

    assert library.set_aside(kept.id)

    assert library.get(kept.id) is None
    assert library.audio_path(kept.id) is None
    assert listed(library) == listed(reopened(library)) == [other.id]
    assert all(finding.ok for finding in library.verify())
    assert library.annotate(kept.id, Annotation(note="b")) is None
    assert not library.set_aside(kept.id)
    assert not library.delete(kept.id)

    assert library.bring_back(kept.id) == kept
    assert tree(library) == before
    assert listed(library) == [other.id, kept.id]
    assert all(finding.ok for finding in library.verify())


def test_to_ask_again_is_safe(library: Library) -> None:
    kept = publish(library)
    library.set_aside(kept.id)

    assert [library.bring_back(kept.id) for _ in range(3)] == [kept] * 3
    assert listed(library) == [kept.id]


@pytest.mark.parametrize("name", ["20261122T120000123Z-abcdefgh", *HOSTILE])
def test_what_was_never_there_does_not_come_back(library: Library, name: str) -> None:
    before = tree(library)

    assert library.bring_back(name) is None
    assert not library.set_aside(name)
    assert tree(library) == before


def test_what_is_on_hold_is_not_set_aside(library: Library) -> None:
    kept = publish(library, legal_hold=True)

    with pytest.raises(RecordingOnHold):
        library.set_aside(kept.id)

    assert library.get(kept.id) == kept


def test_it_goes_when_its_time_is_over_and_not_before(library: Library) -> None:
    ids = [publish(library, minutes=minute).id for minute in range(3)]
    for each in ids[:2]:
        library.set_aside(each)
    make_older(library, ids[0], 601)
    make_older(library, ids[1], 599)
    before = time.time() - 600

    assert library.purge(before) == (ids[0],)
    assert library.purge(before) == ()
    assert library.bring_back(ids[0]) is None
    assert library.bring_back(ids[1]) is not None
    assert not any(ids[0] in name for name in tree(library))
    assert listed(library) == [ids[2], ids[1]]


def test_a_restart_keeps_the_promise(library: Library) -> None:
    kept = publish(library)
    library.set_aside(kept.id)
    make_older(library, kept.id, 300)

    again = reopened(library)

    assert listed(again) == []
    assert again.purge(time.time() - 600) == ()
    assert again.bring_back(kept.id) == kept
    assert listed(again) == listed(reopened(again)) == [kept.id]


def test_a_deletion_that_a_crash_cut_short_is_finished(library: Library) -> None:
    kept = publish(library)
    folder = library.root / ".deleted" / kept.id
    folder.mkdir(parents=True)
    (library.root / DAY / f"{kept.id}.json").rename(folder / f"{kept.id}.json")

    again = reopened(library)

    assert all(finding.ok for finding in again.verify())
    assert listed(again) == []
    assert again.bring_back(kept.id) == kept


def test_an_undoing_that_a_crash_cut_short_has_its_time_anew(library: Library) -> None:
    kept = publish(library)
    library.set_aside(kept.id)
    folder = library.root / ".deleted" / kept.id
    make_older(library, kept.id, 10_000)
    (folder / f"{kept.id}.wav").rename(library.root / DAY / f"{kept.id}.wav")

    again = reopened(library)

    assert again.purge(time.time() - 600) == ()
    assert again.bring_back(kept.id) == kept


def test_a_disk_that_refuses_leaves_all_as_it_was(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = publish(library)
    before = tree(library)
    replace = os.replace

    def refuse(source: Path, target: Path) -> None:
        if source.suffix == ".wav" and ".deleted" in target.parts:
            raise PermissionError(13, "Permission denied")
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(PermissionError):
        library.set_aside(kept.id)

    assert tree(library) == before
    assert library.get(kept.id) == kept
    assert listed(library) == [kept.id]


def test_what_others_put_there_is_left_alone(library: Library) -> None:
    kept = publish(library)
    library.set_aside(kept.id)
    foreign = library.root / ".deleted" / kept.id / "notes.txt"
    foreign.write_text("mine")
    (library.root / ".deleted" / "elsewhere").mkdir()
    make_older(library, kept.id, 10)

    assert library.purge(time.time()) == (kept.id,)
    assert library.purge(time.time() + 10) == ()
    assert foreign.read_text() == "mine"
