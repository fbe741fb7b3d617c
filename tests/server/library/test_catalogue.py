"""An index that is missing, damaged, of another version or failing costs nothing."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from server.library import catalogue as module
from server.library import reconcile
from server.library.annotation import Annotation
from server.library.document import read_document
from server.library.errors import IndexUnavailable
from server.library.index import RecordingQuery
from server.library.layout import Layout
from server.library.rows import Entry
from server.library.store import Library
from tests.server.library.builders import publish


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = Library(tmp_path / "recordings")
    library.open()
    return library


def reopened(library: Library) -> Library:
    library.catalogue.index.close()
    again = Library(library.root)
    again.open()
    return again


def listed(library: Library) -> list[str]:
    return [one.id for one in library.list(RecordingQuery()).items]


def index_file(library: Library) -> Path:
    return library.root / ".index.sqlite"


def settle(library: Library) -> None:
    """Let the folders be older than what file systems round their times to."""
    for folder in library.root.glob("????/??/??"):
        os.utime(folder, (1_700_000_000, 1_700_000_000))


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the ids of documents that are read into the index from now on."""
    ids: list[str] = []

    def counting(layout: Layout, recording_id: str) -> object:
        ids.append(recording_id)
        return read_document(layout, recording_id)

    monkeypatch.setattr(reconcile, "read_document", counting)
    return ids


def delete(library: Library) -> None:
    for path in library.root.glob(".index.sqlite*"):
        path.unlink()


def overwrite(library: Library) -> None:
    index_file(library).write_bytes(b"no database" * 1000)


def truncate(library: Library) -> None:
    os.truncate(index_file(library), 5000)


def empty(library: Library) -> None:
    os.truncate(index_file(library), 0)


def outdate(library: Library) -> None:
    connection = sqlite3.connect(index_file(library))
    connection.execute("PRAGMA user_version = 7")
    connection.close()


@pytest.mark.parametrize("damage", [delete, overwrite, truncate, empty, outdate])
def test_an_index_that_cannot_be_used_is_made_anew(
    library: Library, damage: Callable[[Library], None]
) -> None:
    kept = [publish(library, minutes=minute).id for minute in range(3)]
    library.catalogue.index.close()
    damage(library)

    again = reopened(library)

    assert listed(again) == kept[::-1]
    assert all(finding == type(finding)(finding.id, True) for finding in again.verify())
    publish(again, minutes=9)
    assert len(again) == 4


@pytest.mark.parametrize("damage", [delete, overwrite, truncate, empty, outdate])
def test_reading_alone_lists_the_files_and_changes_nothing(
    library: Library, damage: Callable[[Library], None]
) -> None:
    kept = publish(library)
    library.catalogue.index.close()
    damage(library)
    before = {path: path.stat() for path in library.root.rglob("*") if path.is_file()}

    reader = Library(library.root)
    reader.load()

    assert listed(reader) == [kept.id]
    after = {path: path.stat() for path in library.root.rglob("*") if path.is_file()}
    assert {path: status.st_mtime_ns for path, status in before.items()} == {
        path: status.st_mtime_ns for path, status in after.items()
    }


def test_another_process_can_read_while_the_server_writes(library: Library) -> None:
    first = publish(library)
    reader = Library(library.root)
    reader.load()
    second = publish(library, minutes=1)

    assert listed(reader) == [second.id, first.id]


def test_a_start_reads_no_document_that_is_known(
    library: Library, read: list[str]
) -> None:
    for minute in range(3):
        publish(library, minutes=minute)
    settle(library)

    reopened(library)

    assert read == []


def test_a_folder_that_is_as_it_was_is_not_even_listed(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(library)
    settle(library)
    library.tend()
    scanned: list[Path] = []
    scandir = os.scandir
    day = library.root / "2026/11/22"

    def counting(path: Path) -> object:
        scanned.extend([day] if path == day else [])
        return scandir(path)

    monkeypatch.setattr(os, "scandir", counting)
    library.tend()
    assert scanned == []

    publish(library, minutes=1)
    library.tend()
    assert scanned == [day]


def test_only_what_is_new_or_has_changed_is_read(
    library: Library, read: list[str]
) -> None:
    kept = [publish(library, minutes=minute) for minute in range(3)]
    settle(library)
    library.tend()
    folder = library.root / "2026/11/22"
    document = folder / f"{kept[0].id}.json"
    changed = document.read_text().replace("call-1", "call-2 and more")
    document.rename(folder / "backup")
    document.write_text(changed)

    again = reopened(library)

    assert read == [kept[0].id]
    assert again.list(RecordingQuery(call_id="call-2 and more")).items
    assert not again.list(RecordingQuery(text=kept[0].id, call_id="call-1")).items


@pytest.mark.parametrize("what", ["the document", "the folder", "the year"])
def test_what_somebody_removed_is_no_longer_listed(library: Library, what: str) -> None:
    gone, other = publish(library), publish(library, minutes=24 * 60)
    folder = library.root / "2026/11/22"
    if what == "the document":
        (folder / f"{gone.id}.json").unlink()
    elif what == "the folder":
        shutil.rmtree(folder)
    else:
        shutil.rmtree(library.root / "2026")

    assert listed(reopened(library)) == ([] if what == "the year" else [other.id])


def test_what_was_copied_here_is_listed(library: Library, tmp_path: Path) -> None:
    kept = publish(library)
    other = Library(tmp_path / "other")
    other.open()
    shutil.copytree(library.root / "2026", other.root / "2026")

    assert other.tend()

    assert listed(other) == [kept.id]


def test_a_file_in_the_wrong_folder_is_not_listed(library: Library) -> None:
    kept = publish(library)
    folder = library.root / "2026/11/23"
    folder.mkdir()
    shutil.copy(library.root / "2026/11/22" / f"{kept.id}.json", folder)

    again = reopened(library)

    assert listed(again) == [kept.id]


def test_without_patience_the_rest_is_left_for_later(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "BATCH", 2)
    kept = [publish(library, minutes=minute).id for minute in range(5)]
    library.catalogue.index.close()
    delete(library)
    library.prepare()
    lengths = []
    # A patience of nothing ends before the first document: none is read for ever.
    assert not library.tend(patience_s=0)
    assert listed(library) == []
    due = iter([False, True, False, True, False, False, False])
    monkeypatch.setattr(
        module,
        "reconcile",
        lambda layout, index, is_due: reconcile.reconcile(
            layout, index, is_due=lambda: next(due)
        ),
    )
    while not library.tend():
        lengths.append(len(library))

    assert lengths == [2, 4]
    assert listed(library) == kept[::-1]


def test_a_recording_is_kept_when_the_index_fails(
    library: Library,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(_: Entry) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(library.catalogue.index, "add", full)
    with caplog.at_level(logging.ERROR):
        kept = publish(library)
    changed = library.annotate(kept.id, Annotation(note="kept all the same"))
    monkeypatch.undo()

    assert "database or disk is full; the files are kept" in caplog.text
    assert library.get(kept.id) == changed
    assert listed(library) == []
    assert library.tend()
    assert listed(library) == [kept.id]
    assert library.list(RecordingQuery(text="all the same")).items


def test_a_recording_is_deleted_when_the_index_fails(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = publish(library)

    def fail(_: str) -> bool:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(library.catalogue.index, "discard", fail)
    assert library.delete(kept.id)
    monkeypatch.undo()

    assert library.get(kept.id) is None
    library.tend()
    assert listed(library) == []


def test_an_index_that_breaks_while_it_is_used_is_made_anew(library: Library) -> None:
    kept = publish(library)
    library.catalogue.index.close()
    overwrite(library)

    with pytest.raises(IndexUnavailable, match="the index cannot be read"):
        listed(library)
    assert library.get(kept.id) == kept
    later = publish(library, minutes=1)

    assert library.tend()
    assert listed(library) == [later.id, kept.id]


def test_an_index_that_is_deleted_while_it_is_used_comes_back(library: Library) -> None:
    kept = publish(library)
    delete(library)

    assert library.tend()

    assert listed(library) == [kept.id]
    assert index_file(library).exists()


def test_an_index_that_is_good_is_kept(library: Library) -> None:
    kept = publish(library)
    before = index_file(library).stat().st_ino

    again = reopened(library)

    assert listed(again) == [kept.id]
    assert index_file(library).stat().st_ino == before
