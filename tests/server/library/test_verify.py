"""Every damage is found, and the index is put right."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from server.library.index import RecordingQuery
from server.library.recording import Recording
from server.library.store import Library
from server.library.verify import Finding
from tests.server.library.builders import NOON, publish, recording, write_partial


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = Library(tmp_path)
    library.open()
    return library


def audio(library: Library, one: Recording) -> Path:
    return library.root / "2026/11/22" / f"{one.id}.wav"


def document(library: Library, one: Recording) -> Path:
    return library.root / "2026/11/22" / f"{one.id}.json"


def change_index(library: Library, statement: str) -> None:
    with sqlite3.connect(library.root / ".index.sqlite") as connection:
        connection.execute(statement)
    connection.close()


def listed(library: Library) -> list[str]:
    return [one.id for one in library.list(RecordingQuery()).items]


def flip_a_byte(library: Library, one: Recording) -> None:
    data = bytearray(audio(library, one).read_bytes())
    data[-7] ^= 1
    audio(library, one).write_bytes(data)


def truncate(library: Library, one: Recording) -> None:
    data = audio(library, one).read_bytes()
    audio(library, one).write_bytes(data[:-100])


def append(library: Library, one: Recording) -> None:
    with audio(library, one).open("ab") as file:
        file.write(b"more")


def remove_the_document(library: Library, one: Recording) -> None:
    document(library, one).unlink()


def remove_the_audio(library: Library, one: Recording) -> None:
    audio(library, one).unlink()


def remove_both(library: Library, one: Recording) -> None:
    audio(library, one).unlink()
    document(library, one).unlink()


def change_the_document(library: Library, one: Recording) -> None:
    text = document(library, one).read_text()
    document(library, one).write_text(text.replace("call-1", "call-2"))


def remove_the_row(library: Library, one: Recording) -> None:
    change_index(library, "DELETE FROM recordings")


DAMAGES: list[tuple[Callable[[Library, Recording], None], str]] = [
    (flip_a_byte, "the file is not the one that was recorded: its SHA-256 differs"),
    (truncate, "the file has 1544 bytes, the document says 1644"),
    (append, "the file has 1648 bytes, the document says 1644"),
    (remove_the_document, "audio without a document"),
    (remove_the_audio, "the audio is missing"),
    (remove_both, "the index lists it, and there is no document"),
    (change_the_document, "the index says something else"),
    (remove_the_row, "the index does not list it"),
]
NAMES = [damage.__name__ for damage, _ in DAMAGES]
OF_THE_INDEX = (remove_both, change_the_document, remove_the_row)


@pytest.mark.parametrize(("damage", "problem"), DAMAGES, ids=NAMES)
def test_each_damage_is_found_and_what_is_whole_is_not_blamed(
    library: Library, damage: Callable[[Library, Recording], None], problem: str
) -> None:
    one = publish(library)
    damage(library, one)
    whole = publish(library, minutes=1)

    first, second = library.verify()

    assert (first.id, first.ok, first.repaired) == (one.id, False, False)
    assert problem in first.problem
    assert second == Finding(whole.id, True)


@pytest.mark.parametrize(("damage", "problem"), DAMAGES, ids=NAMES)
def test_repair_puts_the_index_right_and_leaves_files_alone(
    library: Library, damage: Callable[[Library, Recording], None], problem: str
) -> None:
    one, whole = publish(library), publish(library, minutes=1)
    damage(library, one)
    before = {path: path.read_bytes() for path in library.root.rglob(f"{one.id}.*")}

    found = {each.id: each for each in library.verify(repair=True)}
    again = {each.id: each for each in library.verify()}

    assert problem in found[one.id].problem
    assert found[whole.id].ok
    assert found[one.id].ok is (damage in OF_THE_INDEX)
    assert all("index" not in each.problem for each in again.values())
    for path, data in before.items():
        assert path.read_bytes() == data
    has_document = document(library, one).exists()
    assert listed(library) == [whole.id, *([one.id] if has_document else [])]


def test_repair_makes_search_find_what_the_document_says(library: Library) -> None:
    one = publish(library)
    change_the_document(library, one)
    assert listed_with(library, "call-2") == []

    assert [each.repaired for each in library.verify([one.id], repair=True)] == [True]

    assert listed_with(library, "call-2") == [one.id]
    assert listed_with(library, "call-1") == []


def listed_with(library: Library, text: str) -> list[str]:
    return [one.id for one in library.list(RecordingQuery(text=text)).items]


def test_a_document_from_before_hashes_were_kept_is_fine(library: Library) -> None:
    one = publish(library)
    kept = json.loads(document(library, one).read_text())
    del kept["sha256"], kept["size_bytes"]
    document(library, one).write_text(json.dumps(kept))

    (finding,) = library.verify(repair=True)

    assert finding.ok


@pytest.mark.parametrize(
    ("form", "subtype"),
    [
        ("WAV", "ULAW"),
        ("WAV", "ALAW"),
        ("WAV", "PCM_16"),
        ("RF64", "PCM_16"),
        ("RF64", "ULAW"),
    ],
)
def test_every_form_that_is_recorded_can_be_verified(
    library: Library, form: str, subtype: str
) -> None:
    recording_id = library.new_id(NOON)
    samples = np.arange(800, dtype=np.int16)
    path = library.partial_path(recording_id)
    soundfile.write(path, samples, 8000, format=form, subtype=subtype)
    one = library.publish(recording(recording_id, encoding="native"))

    assert list(library.verify()) == [Finding(one.id, True)]
    flip_a_byte(library, one)
    (finding,) = library.verify()
    assert finding.problem.endswith("its SHA-256 differs")


def test_size_and_hash_are_those_of_the_file(library: Library) -> None:
    recording_id = library.new_id(NOON)
    write_partial(library, recording_id)

    kept = library.publish(
        replace(recording(recording_id), sha256="what somebody else says")
    )

    # Of the ramp that `write_partial` writes, by sha256sum.
    assert kept.size_bytes == 1644
    assert len(kept.sha256) == 64
    assert library.get(recording_id) == kept


def test_what_is_being_published_is_not_taken_for_half_a_recording(
    library: Library,
) -> None:
    one = publish(library)
    partial = library.partial_path(one.id)
    partial.hardlink_to(audio(library, one))
    document(library, one).unlink()

    assert [each.ok for each in library.verify()] == [True]
    partial.unlink()
    assert [each.ok for each in library.verify()] == [False]


def test_what_cannot_be_read_is_a_finding(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = publish(library)

    def refuse(_: Path) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("server.library.verify.sha256_of", refuse)

    assert list(library.verify()) == [
        Finding(one.id, False, "cannot be read: Permission denied")
    ]
