"""Links to recordings and archives of them, from a terminal."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from server.cli import main
from server.library.recording import Recording
from server.library.store import Library
from tests.server.library.builders import HOSTILE, publish, recording

SILENT_ID = "20261122T120000123Z-abcdefgh"


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("TAPDECK_RECORDINGS_DIR", "TAPDECK_HTTP_LISTEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def library() -> Library:
    library = Library(Path("recordings"))
    library.open()
    return library


@pytest.fixture
def kept(library: Library) -> Recording:
    return publish(library, note="a complaint")


def names(path: str) -> list[str]:
    with zipfile.ZipFile(path) as package:
        assert package.testzip() is None
        return package.namelist()


class TestPlayLink:
    @pytest.mark.parametrize(
        ("flags", "start", "end"),
        [
            ([], "http://127.0.0.1:8080/", ""),
            (["--at", "83.25"], "http://127.0.0.1:8080/", "#t=83.25"),
            (["--http-listen", "0.0.0.0:81"], "http://localhost:81/", ""),
            (["--http-listen", "[::1]:81"], "http://[::1]:81/", ""),
            (["--url", "https://deck.example/x/"], "https://deck.example/x/", ""),
        ],
    )
    def test_is_where_a_browser_plays_it(
        self,
        kept: Recording,
        capsys: pytest.CaptureFixture[str],
        flags: list[str],
        start: str,
        end: str,
    ) -> None:
        assert main(["recordings", "play-link", kept.id, *flags]) == 0
        expected = f"{start}recordings/{kept.id}{end}\n"
        assert capsys.readouterr().out == expected

    @pytest.mark.parametrize("name", [SILENT_ID, *HOSTILE])
    def test_of_what_has_no_audio_is_code_1(
        self, library: Library, capsys: pytest.CaptureFixture[str], name: str
    ) -> None:
        library.publish(recording(SILENT_ID), has_audio=False)
        assert main(["recordings", "play-link", "--", name]) == 1
        errors = capsys.readouterr().err
        assert errors.startswith("tapdeck: There is no audio of ")
        assert errors.rstrip("\n").isprintable()

    @pytest.mark.parametrize(
        "flags", [["--url", "deck.example"], ["--url", "javascript:x"], ["--at", "-1"]]
    )
    def test_refuses_what_is_no_address_or_place(
        self, kept: Recording, flags: list[str]
    ) -> None:
        assert main(["recordings", "play-link", kept.id, *flags]) == 2


class TestExport:
    def test_writes_what_is_named(
        self, library: Library, kept: Recording, capsys: pytest.CaptureFixture[str]
    ) -> None:
        publish(library, minutes=1)
        assert main(["recordings", "export", kept.id, kept.id]) == 0
        assert names("recordings.zip") == [f"{kept.id}.wav", f"{kept.id}.json"]
        assert "recordings.zip: 1 recordings, " in capsys.readouterr().out
        assert not list(Path().glob("*.part"))

    def test_writes_what_is_found(self, library: Library, kept: Recording) -> None:
        publish(library, minutes=1)
        flags = ["--search", "Complaint", "--output", "some.zip"]
        assert main(["recordings", "export", *flags]) == 0
        assert names("some.zip") == [f"{kept.id}.wav", f"{kept.id}.json"]

    def test_of_nothing_writes_nothing(
        self, kept: Recording, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["recordings", "export", "--search", "nobody"]) == 0
        assert capsys.readouterr().out == "No recordings are like that.\n"
        assert not Path("recordings.zip").exists()

    def test_replaces_no_file(self, kept: Recording) -> None:
        Path("recordings.zip").write_text("mine")
        assert main(["recordings", "export", kept.id]) == 2
        assert Path("recordings.zip").read_text() == "mine"

    @pytest.mark.parametrize("arguments", [[], [SILENT_ID, "--search", "x"]])
    def test_wants_names_or_a_search(
        self, kept: Recording, arguments: list[str]
    ) -> None:
        assert main(["recordings", "export", *arguments]) == 2

    @pytest.mark.parametrize("name", [SILENT_ID, *HOSTILE])
    def test_of_what_is_not_there_is_code_1(
        self, kept: Recording, capsys: pytest.CaptureFixture[str], name: str
    ) -> None:
        assert main(["recordings", "export", kept.id, "--", name]) == 1
        assert capsys.readouterr().err.startswith("tapdeck: There is no recording ")
        assert not Path("recordings.zip").exists()

    def test_says_what_the_disk_refuses(
        self, kept: Recording, capsys: pytest.CaptureFixture[str]
    ) -> None:
        output = "nowhere/a.zip"
        assert main(["recordings", "export", kept.id, "--output", output]) == 2
        errors = capsys.readouterr().err
        assert errors == f"tapdeck: Cannot write {output}: No such file or directory.\n"
