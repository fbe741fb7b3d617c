"""The library on a real disk."""

from __future__ import annotations

import errno
import json
import logging
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from server.audio import Outcome
from server.errors import StartupError
from server.library.annotation import Annotation
from server.library.errors import RecordingExists, RecordingOnHold
from server.library.index import RecordingQuery
from server.library.recording import Verdict
from server.library.store import Library
from tests.server.library.builders import (
    HOSTILE,
    NOON,
    publish,
    recording,
    write_partial,
)


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


def delete_index(library: Library) -> None:
    for path in library.root.glob(".index.sqlite*"):
        path.unlink()


def files(library: Library) -> set[str]:
    """Return every file but those of the index, which can be deleted at any time."""
    return {
        path.relative_to(library.root).as_posix()
        for path in library.root.rglob("*")
        if path.is_file() and not path.name.startswith(".index.sqlite")
    }


def test_opening_creates_what_is_needed_and_leaves_nothing(library: Library) -> None:
    assert (library.root / ".partial").is_dir()
    assert files(library) == set()


@pytest.mark.parametrize("place", ["a file", "/proc/tapdeck"])
def test_a_place_that_cannot_be_written_to_is_named(place: str, tmp_path: Path) -> None:
    (tmp_path / "a file").touch()

    with pytest.raises(StartupError, match=r"recordings directory .* cannot be used"):
        Library(tmp_path / place).open()


def test_loading_alone_changes_nothing_on_disk(tmp_path: Path) -> None:
    library = Library(tmp_path / "not there")

    library.load()

    assert listed(library) == []
    assert not library.root.exists()


def test_a_published_recording_is_listed_with_its_audio(library: Library) -> None:
    kept = publish(library)

    assert listed(library) == [kept.id]
    assert files(library) == {
        f"2026/11/22/{kept.id}.wav",
        f"2026/11/22/{kept.id}.json",
    }
    assert library.get(kept.id) == kept
    path = library.audio_path(kept.id)
    assert path is not None
    assert path.stat().st_size == 44 + 2 * 800
    assert len(library) == 1


def test_a_recording_outlives_the_server(library: Library) -> None:
    kept = publish(library)

    again = reopened(library)

    assert again.get(kept.id) == kept
    assert listed(again) == [kept.id]


def test_one_without_audio_is_only_a_document(library: Library) -> None:
    recording_id = library.new_id(NOON)
    missing = recording(
        recording_id,
        samples=0,
        duration_s=0.0,
        codec="",
        sample_rate=0,
        channels=0,
        state=Outcome.MISSING,
        verdict=Verdict(False, "no audio ever came"),
    )

    kept = library.publish(missing, has_audio=False)

    assert not kept.has_audio
    assert files(library) == {f"2026/11/22/{recording_id}.json"}
    assert library.audio_path(recording_id) is None
    assert [finding.ok for finding in library.verify()] == [True]


def test_nothing_that_is_kept_is_replaced(library: Library) -> None:
    kept = publish(library)
    before = library.audio_path(kept.id)
    assert before is not None
    content = before.read_bytes()
    write_partial(library, kept.id, samples=10)

    with pytest.raises(RecordingExists, match=kept.id):
        library.publish(recording(kept.id, call_id="another"))

    assert before.read_bytes() == content
    assert library.get(kept.id) == kept


def test_audio_without_a_document_is_not_replaced_either(library: Library) -> None:
    recording_id = library.new_id(NOON)
    orphan = library.root / "2026/11/22" / f"{recording_id}.wav"
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(b"somebody's")
    write_partial(library, recording_id)

    with pytest.raises(RecordingExists):
        library.publish(recording(recording_id))

    assert orphan.read_bytes() == b"somebody's"
    assert library.partial_path(recording_id).exists()


def test_without_its_audio_nothing_is_published(library: Library) -> None:
    with pytest.raises(FileNotFoundError):
        library.publish(recording(library.new_id(NOON)))

    assert listed(library) == []
    assert not (library.root / "2026").exists()


def test_publishing_can_be_tried_again(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk refuses the document's name after the audio has its own."""
    recording_id = library.new_id(NOON)
    write_partial(library, recording_id)
    link = os.link

    def refuse_documents(source: Path, target: Path) -> None:
        if target.suffix == ".json":
            raise OSError(errno.ENOSPC, "no space")
        link(source, target)

    monkeypatch.setattr(os, "link", refuse_documents)
    with pytest.raises(OSError, match="no space"):
        library.publish(recording(recording_id))
    assert listed(library) == []
    assert [one.id for one in library.leftovers()] == [recording_id]

    monkeypatch.setattr(os, "link", link)
    library.publish(recording(recording_id))

    assert listed(library) == [recording_id]
    assert library.leftovers() == ()
    assert all(finding.ok for finding in library.verify())


def test_a_disk_without_hard_links_will_do(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.EPERM, "not permitted")

    monkeypatch.setattr(os, "link", refuse)
    kept = publish(library)
    (library.root / "2026/11/22" / f"{kept.id}.json").unlink()
    write_partial(library, kept.id, samples=10)

    with pytest.raises(RecordingExists):
        library.publish(kept)

    path = library.audio_path(kept.id)
    assert path is not None
    assert path.stat().st_size > 1000


def test_a_deleted_recording_is_gone_for_good(library: Library) -> None:
    kept, other = publish(library), publish(library, minutes=1)

    assert library.delete(kept.id)

    assert not library.delete(kept.id)
    assert library.get(kept.id) is None
    assert library.audio_path(kept.id) is None
    assert listed(library) == listed(reopened(library)) == [other.id]
    assert not any(kept.id in name for name in files(library))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_id_finds_nothing_and_touches_nothing(
    library: Library, name: str
) -> None:
    publish(library)
    before = files(library)

    assert library.get(name) is None
    assert library.audio_path(name) is None
    assert not library.delete(name)
    (finding,) = library.verify([name])
    assert not finding.ok
    with pytest.raises(ValueError, match="not a recording id"):
        library.partial_path(name)
    with pytest.raises(ValueError, match="not a recording id"):
        library.publish(recording(name))
    assert files(library) == before


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_kept_as_data(library: Library, name: str) -> None:
    kept = publish(library, call_id=name, from_number=name, origin=name)

    assert reopened(library).get(kept.id) == kept
    assert files(library) == {
        f"2026/11/22/{kept.id}.wav",
        f"2026/11/22/{kept.id}.json",
    }


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"id": 1}',
        json.dumps(
            {**recording("20261122T120000123Z-abcdefgh").to_json()},
        ).encode(),
    ],
)
def test_a_damaged_document_hides_one_recording_only(
    library: Library, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad = publish(library), publish(library, minutes=1)
    (library.root / "2026/11/22" / f"{bad.id}.json").write_bytes(damage)

    with caplog.at_level(logging.WARNING):
        again = reopened(library)

    assert listed(again) == [good.id]
    assert bad.id in caplog.text
    findings = {finding.id: finding for finding in again.verify()}
    assert findings[good.id].ok
    assert findings[bad.id].problem.startswith("damaged document: ")


def test_a_document_without_end_is_not_read(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(library)
    monkeypatch.setattr("server.library.document.MAX_DOCUMENT_BYTES", 100)
    delete_index(library)

    assert listed(reopened(library)) == []


def test_a_document_removed_by_hand_is_no_error(library: Library) -> None:
    kept = publish(library)
    (library.root / "2026/11/22" / f"{kept.id}.json").unlink()

    assert library.get(kept.id) is None


def test_verify_is_content_with_what_was_published(library: Library) -> None:
    kept = [publish(library, minutes=minute) for minute in range(3)]

    findings = list(library.verify())

    assert [finding.id for finding in findings] == [one.id for one in kept]
    assert all(finding.ok and not finding.problem for finding in findings)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"samples": 801}, "samples is 800, the document says 801"),
        ({"sample_rate": 16000}, "sample_rate is 8000, the document says 16000"),
        ({"channels": 2}, "channels is 1, the document says 2"),
        ({"duration_s": 0.2}, "the audio lasts 0.100 s, the document says 0.200 s"),
    ],
)
def test_verify_says_what_differs(
    library: Library, changes: dict[str, Any], problem: str
) -> None:
    kept = publish(library, **changes)

    (finding,) = library.verify([kept.id])

    assert not finding.ok
    assert finding.problem == problem


def test_verify_finds_missing_halves(library: Library) -> None:
    mute, orphan, silent = (publish(library, minutes=minute) for minute in range(3))
    day = library.root / "2026/11/22"
    (day / f"{mute.id}.wav").unlink()
    (day / f"{orphan.id}.json").unlink()
    document = json.loads((day / f"{silent.id}.json").read_text())
    (day / f"{silent.id}.json").write_text(json.dumps({**document, "has_audio": False}))

    problems = {finding.id: finding.problem for finding in library.verify()}

    assert problems == {
        mute.id: "the audio is missing",
        orphan.id: "audio without a document; "
        "the index lists it, and there is no document",
        silent.id: "there is audio, which the document says there is not; "
        "the index says something else",
    }


def test_verify_finds_cut_and_broken_audio(library: Library) -> None:
    cut, broken = publish(library), publish(library, minutes=1)
    for one, size in ((cut, 844), (broken, 20)):
        os.truncate(library.root / "2026/11/22" / f"{one.id}.wav", size)

    problems = {finding.id: finding.problem for finding in library.verify()}

    assert problems[cut.id].startswith("samples is 400, the document says 800")
    assert problems[broken.id].startswith("the audio cannot be read: ")


def test_verify_says_that_an_id_is_unknown(library: Library) -> None:
    (finding,) = library.verify(["20261122T120000123Z-abcdefgh"])

    assert (finding.ok, finding.problem) == (False, "no such recording")


def test_audio_of_a_crash_is_reported_and_left_alone(library: Library) -> None:
    recording_id = library.new_id(NOON)
    write_partial(library, recording_id)

    (leftover,) = reopened(library).leftovers()

    assert leftover.id == recording_id
    assert leftover.size_bytes == 44 + 2 * 800
    assert leftover.path == library.partial_path(recording_id)
    assert leftover.path.exists()


def test_threads_may_use_it_at_once(library: Library) -> None:
    """Whoever lists while others publish and delete sees only whole recordings."""
    problems: list[str] = []

    def publish_and_delete(minute: int) -> None:
        for _ in range(10):
            publish(library, minutes=minute)
            library.delete(publish(library, minutes=minute).id)

    def look(stop: threading.Event) -> None:
        while not stop.is_set():
            ids = listed(library)
            if ids != sorted(ids, reverse=True):
                problems.append("out of order")

    stop = threading.Event()
    viewer = threading.Thread(target=look, args=(stop,))
    writers = [
        threading.Thread(target=publish_and_delete, args=(minute,))
        for minute in range(3)
    ]
    for thread in (viewer, *writers):
        thread.start()
    for thread in writers:
        thread.join(30)
    stop.set()
    viewer.join(30)

    assert not problems
    assert len(listed(library)) == 30
    assert listed(reopened(library)) == listed(library)


def test_what_people_add_is_kept_whole_and_durable(library: Library) -> None:
    kept = publish(library)
    changed = library.annotate(kept.id, Annotation(tags=("vip",), note="a"))

    assert changed == replace(kept, tags=("vip",), note="a")
    assert library.get(kept.id) == reopened(library).get(kept.id) == changed
    assert not list((library.root / ".partial").iterdir())
    assert all(finding.ok for finding in library.verify())


def test_a_change_that_the_disk_refuses_changes_nothing(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = publish(library)

    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="no space"):
        library.annotate(kept.id, Annotation(note="lost"))
    monkeypatch.undo()

    assert library.get(kept.id) == kept
    assert (library.root / ".partial" / f"{kept.id}.json.new").exists()
    assert reopened(library).get(kept.id) == kept
    assert not list((library.root / ".partial").iterdir())


def test_a_change_that_changes_nothing_writes_nothing(library: Library) -> None:
    kept = publish(library)
    path = library.root / "2026/11/22" / f"{kept.id}.json"
    before = path.stat().st_ino

    assert library.annotate(kept.id, Annotation(note="")) == kept
    assert path.stat().st_ino == before


def test_changes_at_once_are_all_kept(library: Library) -> None:
    kept = publish(library)
    changes = [
        Annotation(tags=("vip",)),
        Annotation(note="a"),
        Annotation(legal_hold=True),
    ]
    threads = [
        threading.Thread(target=library.annotate, args=(kept.id, change))
        for change in changes
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    expected = replace(kept, tags=("vip",), note="a", legal_hold=True)
    assert library.get(kept.id) == expected


def test_a_recording_on_hold_is_not_deleted(library: Library) -> None:
    kept = publish(library, legal_hold=True)

    with pytest.raises(RecordingOnHold, match=kept.id):
        library.delete(kept.id)

    assert library.audio_path(kept.id) is not None
    library.annotate(kept.id, Annotation(legal_hold=False))
    assert library.delete(kept.id)


def test_one_whose_document_is_damaged_is_not_deleted(library: Library) -> None:
    """It may have been on hold."""
    kept = publish(library, legal_hold=True)
    (library.root / "2026/11/22" / f"{kept.id}.json").write_bytes(b"{")

    assert not library.delete(kept.id)
    assert library.audio_path(kept.id) is not None


def test_copies_go_with_the_recording(library: Library) -> None:
    kept, other = publish(library), publish(library, minutes=1)
    day = library.root / "2026/11/22"
    for one in (kept, other):
        for suffix in ("flac", "opus"):
            (day / f"{one.id}.{suffix}").write_bytes(b"copy")

    library.delete(kept.id)

    assert {path.name.partition(".")[0] for path in day.iterdir()} == {other.id}
    assert all(finding.ok for finding in library.verify())
