"""Many recordings as one ZIP."""

from __future__ import annotations

import io
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.audio import Outcome
from server.library import archive as archive_module
from server.library.archive import MISSING_NAME, PIECE_BYTES, archive, unknown_ids
from server.library.store import Library
from tests.server.library.builders import publish, recording, write_partial

SILENT_ID = "20261122T120000123Z-abcdefgh"


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = Library(tmp_path / "recordings")
    library.open()
    return library


def opened(pieces: Iterator[bytes]) -> zipfile.ZipFile:
    package = zipfile.ZipFile(io.BytesIO(b"".join(pieces)))
    assert package.testzip() is None
    return package


def test_audio_and_documents_are_to_the_byte_what_is_kept(library: Library) -> None:
    ids = [publish(library, minutes=minute).id for minute in range(3)]

    package = opened(archive(library, ids))

    assert package.namelist() == [
        f"{each}{s}" for each in ids for s in (".wav", ".json")
    ]
    for each in ids:
        audio = library.layout.audio(each).read_bytes()
        document = library.layout.document(each).read_bytes()
        assert package.read(f"{each}.wav") == audio
        assert package.read(f"{each}.json") == document
    for entry in package.infolist():
        assert entry.compress_type == zipfile.ZIP_STORED
        assert entry.date_time[:4] == (2026, 11, 22, 12)


def test_other_programs_read_it(library: Library, tmp_path: Path) -> None:
    unzip = shutil.which("unzip") or shutil.which("bsdtar")
    if unzip is None:
        pytest.skip("neither unzip nor bsdtar is here")
    path = tmp_path / "recordings.zip"
    path.write_bytes(b"".join(archive(library, [publish(library).id])))

    option = "-tqq" if unzip.endswith("unzip") else "-tf"
    assert subprocess.run([unzip, option, path], timeout=20).returncode == 0


def test_a_recording_without_audio_is_its_document(library: Library) -> None:
    library.publish(recording(SILENT_ID, state=Outcome.MISSING), has_audio=False)

    assert opened(archive(library, [SILENT_ID])).namelist() == [f"{SILENT_ID}.json"]


def test_it_comes_in_small_pieces_whatever_the_size(library: Library) -> None:
    started = publish(library).started_at
    large = library.new_id(started)
    write_partial(library, large, 10 * PIECE_BYTES)
    library.publish(recording(large))

    sizes = [len(piece) for piece in archive(library, [large])]

    assert sum(sizes) > 20 * PIECE_BYTES
    assert max(sizes) < PIECE_BYTES + 1024


def test_what_is_deleted_meanwhile_is_named(library: Library) -> None:
    ids = [publish(library, minutes=minute).id for minute in range(3)]
    pieces = archive(library, ids)
    first = next(pieces)
    library.delete(ids[1])
    library.set_aside(ids[2])

    package = opened(iter([first, *pieces]))

    assert package.namelist() == [f"{ids[0]}.wav", f"{ids[0]}.json", MISSING_NAME]
    assert package.read(MISSING_NAME).decode().split() == ids[1:]


def test_a_file_beyond_4_gib_is_no_trouble(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = publish(library)
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 1000)

    package = opened(archive(library, [kept.id]))

    assert package.getinfo(f"{kept.id}.wav").extract_version == 45


def test_whoever_leaves_early_leaves_nothing_open(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_module, "PIECE_BYTES", 100)
    pieces = archive(library, [publish(library).id])
    next(pieces)

    # A file that is left open is a warning, and warnings are errors here.
    pieces.close()
    assert list(pieces) == []


def test_a_time_before_there_were_zips_is_the_first_of_them(library: Library) -> None:
    recording_id = "19700101T000000000Z-abcdefgh"
    library.publish(recording(recording_id, state=Outcome.MISSING), has_audio=False)

    (entry,) = opened(archive(library, [recording_id])).infolist()

    assert entry.date_time == (1980, 1, 1, 0, 0, 0)


def test_what_is_unknown_is_told(library: Library) -> None:
    kept = publish(library).id

    assert unknown_ids(library, [kept, SILENT_ID]) == [SILENT_ID]
