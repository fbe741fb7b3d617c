"""The command line: what it understands, what it calls, what it says and returns."""

from __future__ import annotations

import errno
import importlib
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile

from server.audio import Outcome
from server.cli import main
from server.config import SETTINGS, ListenAddress, Settings
from server.errors import StartupError
from server.library.recording import Recording, Verdict
from server.library.store import Library

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("TAPDECK_", "SIGNALWIRE_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


class Called:
    """Stands for a function of another module; keeps what it was called with."""

    def __init__(self, result: int | BaseException = 0) -> None:
        self.arguments: tuple[Any, ...] = ()
        self.keywords: dict[str, Any] = {}
        self._result = result

    def __call__(self, *arguments: Any, **keywords: Any) -> int:
        self.arguments, self.keywords = arguments, keywords
        if isinstance(self._result, BaseException):
            raise self._result
        return self._result


@pytest.fixture
def replaced(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts a stand-in in the place of one function of a lazily imported module."""

    def replace(module: str, function: str, called: Called) -> Called:
        stand_in = ModuleType(module)
        setattr(stand_in, function, called)
        monkeypatch.setitem(sys.modules, module, stand_in)
        return called

    return replace


def errors(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


class TestHelp:
    def test_of_the_program_names_every_command(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["--help"]) == 0
        text = capsys.readouterr().out
        for command in ("serve", "demo", "simulate", "recordings", "doctor"):
            assert f"    {command}" in text
        assert "examples:" in text

    @pytest.mark.parametrize("command", ["serve", "doctor"])
    def test_of_a_command_with_settings_names_every_one(
        self, capsys: pytest.CaptureFixture[str], command: str
    ) -> None:
        assert main([command, "--help"]) == 0
        text = capsys.readouterr().out
        for info in SETTINGS.values():
            assert f"{info.flag} " in text
            assert f"[{info.environment}" in text.replace("\n", "")

    def test_imports_nothing_heavy(self) -> None:
        code = (
            "import sys; from server.cli import main; main(['--help']); "
            "sys.exit(len({'numpy', 'aiohttp', 'av', 'rich'} & {*sys.modules}))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False
        )
        assert done.stderr.decode() == ""
        assert done.returncode == 0

    def test_the_version_is_one_line(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["--version"]) == 0
        assert capsys.readouterr().out.startswith("tapdeck ")

    def test_the_module_is_the_same_program(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "server", "--version"],
            cwd=ROOT,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0
        assert done.stdout.startswith(b"tapdeck ")


class TestMistakes:
    @pytest.mark.parametrize(
        ("arguments", "part"),
        [
            ([], "COMMAND"),
            (["sevre"], "invalid choice: 'sevre'"),
            (["serve", "--tap-url", "x"], "did you mean --tap-uri?"),
            (["serve", "--ptim=20"], "did you mean --ptime?"),
            (["demo", "--seconds", "0"], "above 0 and at most 3600"),
            (["demo", "--seconds", "soon"], "invalid"),
            (["demo", "now"], "now is not understood by `tapdeck demo`."),
            (["simulate", "--listen", "8089"], "must be HOST:PORT"),
            (["simulate", "--tls-cert", "c.pem"], "--tls-key"),
            (
                ["simulate", "--tls-cert", "c.pem", "--tls-key", "k.pem"],
                "--tls-cert is c.pem, which cannot be read.",
            ),
            (["recordings", "list", "--limit", "0"], "must be 1 or more"),
            (["recordings", "list"], "There is no directory recordings"),
            (["serve", "--config", "none.toml"], "Cannot read the config file"),
            (["serve", "--relay-ca-file", "none.pem"], "which cannot be read"),
            (["recordings", "prune", "--retention-tags", "a"], "a list of TAG=DAYS"),
            (["recordings", "prune", "--retention-days", "0"], "from 1 to 36500"),
            (["serve", "--project-id", "p"], "half of the credentials"),
        ],
    )
    def test_are_one_sentence_and_code_2(
        self, capsys: pytest.CaptureFixture[str], arguments: list[str], part: str
    ) -> None:
        assert main(arguments) == 2
        (line,) = errors(capsys)
        assert line.startswith("tapdeck: ")
        assert part in line

    def test_several_are_a_sentence_each(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["serve", "--ptime", "5", "--codec", "x"]) == 2
        assert [line.split()[1] for line in errors(capsys)] == ["codec", "ptime"]


class TestServe:
    def test_passes_the_settings_of_all_sources_on(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, replaced: Any
    ) -> None:
        called = replaced("server.app", "serve", Called())
        file = tmp_path / "tapdeck.toml"
        file.write_text("max_taps = 5\nptime = 30\n")
        monkeypatch.setenv("TAPDECK_PTIME", "40")
        arguments = ["serve", "--config", str(file), "--codec", "opus"]
        assert main([*arguments, "--allow-private-rtp"]) == 0
        (settings,) = called.arguments
        assert isinstance(settings, Settings)
        assert (settings.max_taps, settings.ptime, settings.codec) == (5, 40, "OPUS")
        assert settings.allow_private_rtp

    @pytest.mark.parametrize(
        "error",
        [StartupError("The port is taken."), OSError(errno.EADDRINUSE, "in use")],
    )
    def test_what_stops_a_start_is_one_sentence_and_code_3(
        self, capsys: pytest.CaptureFixture[str], replaced: Any, error: Exception
    ) -> None:
        replaced("server.app", "serve", Called(error))
        assert main(["serve"]) == 3
        (line,) = errors(capsys)
        assert line in ("tapdeck: The port is taken.", "tapdeck: Cannot start: in use.")

    def test_a_bug_is_not_dressed_up(self, replaced: Any) -> None:
        replaced("server.app", "serve", Called(OSError(errno.EBADF, "bad file")))
        with pytest.raises(OSError, match="bad file"):
            main(["serve"])

    def test_an_interrupt_has_its_own_code(self, replaced: Any) -> None:
        replaced("server.app", "serve", Called(KeyboardInterrupt()))
        assert main(["serve"]) == 130


class TestDemo:
    def test_needs_no_arguments(self, replaced: Any) -> None:
        called = replaced("server.demo", "demo", Called(1))
        assert main(["demo"]) == 1
        assert called.keywords == {
            "seconds": 10.0,
            "exit_when_done": False,
            "recordings_dir": Path("recordings"),
            "http_listen": ListenAddress("127.0.0.1", 8080),
        }

    def test_takes_places_from_the_environment_and_no_account(
        self, monkeypatch: pytest.MonkeyPatch, replaced: Any
    ) -> None:
        called = replaced("server.demo", "demo", Called())
        monkeypatch.setenv("TAPDECK_RECORDINGS_DIR", "elsewhere")
        monkeypatch.setenv("SIGNALWIRE_PROJECT_ID", "half of the credentials")
        flags = ["--exit", "--seconds", "2.5", "--http-listen", "127.0.0.1:0"]
        assert main(["demo", *flags]) == 0
        assert called.keywords == {
            "seconds": 2.5,
            "exit_when_done": True,
            "recordings_dir": Path("elsewhere"),
            "http_listen": ListenAddress("127.0.0.1", 0),
        }

    def test_the_function_that_is_called_takes_these(self) -> None:
        module = importlib.import_module("server.demo")
        assert {"seconds", "exit_when_done", "recordings_dir", "http_listen"} <= set(
            module.demo.__annotations__
        )


class TestSimulate:
    def test_passes_address_and_tls_on(self, tmp_path: Path, replaced: Any) -> None:
        for name in ("c.pem", "k.pem"):
            (tmp_path / name).touch()

        async def simulate(*arguments: Any, **keywords: Any) -> int:
            return called(*arguments, **keywords)

        called = Called()
        replaced("server.simulate", "simulate", simulate)
        flags = ["--listen", "127.0.0.1:0", "--tls-cert", "c.pem", "--tls-key", "k.pem"]
        assert main(["simulate", *flags]) == 0
        assert called.arguments == (ListenAddress("127.0.0.1", 0),)
        assert called.keywords == {"tls_cert": Path("c.pem"), "tls_key": Path("k.pem")}


class TestDoctor:
    def test_is_given_all_sources(self, replaced: Any) -> None:
        called = replaced("server.doctor", "examine", Called(2))
        assert main(["doctor", "--config", "f.toml", "--ptime", "20"]) == 2
        assert called.keywords["file"] == Path("f.toml")
        assert called.keywords["flags"] == {"ptime": "20"}
        assert called.keywords["environ"] is os.environ


class TestRecordings:
    @pytest.fixture
    def kept(self, tmp_path: Path) -> Recording:
        library = Library(tmp_path / "recordings")
        library.open()
        started_at = datetime(2026, 11, 22, 16, 3, 1, tzinfo=UTC)
        recording = Recording(
            id=library.new_id(started_at),
            call_id="call-1",
            node_id="node-1",
            control_id="control-1",
            direction="both",
            transport="ws",
            codec="PCMU",
            sample_rate=8000,
            channels=1,
            started_at=started_at,
            duration_s=1.5,
            samples=12_000,
            state=Outcome.COMPLETE,
            verdict=Verdict(complete=True, reason="nothing is missing"),
            from_number="+1555\x1b[2J[red]",
            to_number="+15550100002",
        )
        path = library.partial_path(recording.id)
        soundfile.write(path, np.zeros(12_000, np.int16), 8000, format="WAV")
        return library.publish(recording)

    def test_list_shows_one_uncut_line_each(
        self, capsys: pytest.CaptureFixture[str], kept: Recording
    ) -> None:
        assert main(["recordings", "list"]) == 0
        heading, line = capsys.readouterr().out.splitlines()
        assert heading.split()[:2] == ["ID", "STARTED"]
        for part in (kept.id, "2026-11-22 16:03:01", "complete", "1.5", "nothing is"):
            assert part in line

    def test_list_shows_names_from_the_wire_as_text(
        self, capsys: pytest.CaptureFixture[str], kept: Recording
    ) -> None:
        assert kept.from_number.startswith("+1555")
        assert main(["recordings", "list"]) == 0
        assert "+1555?[2J[red]" in capsys.readouterr().out

    @pytest.mark.usefixtures("kept")
    def test_list_can_be_narrowed(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["recordings", "list", "nobody", "--limit", "5"]) == 0
        assert capsys.readouterr().out == "No recordings in recordings.\n"

    def test_show_writes_the_document_and_where_the_audio_is(
        self, capsys: pytest.CaptureFixture[str], kept: Recording
    ) -> None:
        assert main(["recordings", "show", kept.id]) == 0
        document, _, audio = capsys.readouterr().out.rpartition("audio: ")
        assert json.loads(document)["call_id"] == "call-1"
        assert Path(audio.strip()).is_file()
        assert "\x1b" not in document

    @pytest.mark.usefixtures("kept")
    def test_show_of_what_is_not_there_is_code_1(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["recordings", "show", "../x"]) == 1
        assert errors(capsys) == ["tapdeck: There is no recording '../x'."]

    def test_verify_of_what_is_whole_is_code_0(
        self, capsys: pytest.CaptureFixture[str], kept: Recording
    ) -> None:
        assert main(["recordings", "verify"]) == 0
        assert main(["recordings", "verify", kept.id]) == 0
        assert capsys.readouterr().out == "1 checked, 0 damaged.\n" * 2

    def test_verify_of_what_is_damaged_is_code_1(
        self, capsys: pytest.CaptureFixture[str], kept: Recording, tmp_path: Path
    ) -> None:
        library = Library(tmp_path / "recordings")
        library.load()
        audio = library.audio_path(kept.id)
        assert audio is not None
        audio.write_bytes(audio.read_bytes()[:-100])
        assert main(["recordings", "verify"]) == 1
        found, summary = capsys.readouterr().out.splitlines()
        assert found.startswith(f"{kept.id}: ")
        assert summary == "1 checked, 1 damaged."

    def test_verify_repairs_the_index_when_asked_to(
        self, capsys: pytest.CaptureFixture[str], kept: Recording
    ) -> None:
        document = Path("recordings/2026/11/22") / f"{kept.id}.json"
        document.write_text(document.read_text().replace("call-1", "call-2"))

        codes = [
            main(["recordings", "verify", *flags])
            for flags in ([], ["--repair"], ["--repair"])
        ]

        assert codes == [1, 0, 0]
        assert capsys.readouterr().out.splitlines() == [
            f"{kept.id}: the index says something else",
            "1 checked, 1 damaged.",
            f"{kept.id}: the index says something else; the index is repaired",
            "1 checked, 0 damaged, 1 repaired in the index.",
            "1 checked, 0 damaged.",
        ]

    def test_verify_works_where_nothing_can_be_written(
        self, capsys: pytest.CaptureFixture[str], kept: Recording
    ) -> None:
        for path in Path("recordings").glob(".index.sqlite*"):
            path.unlink()
        before = sorted(Path("recordings").rglob("*"))

        assert main(["recordings", "verify"]) == 0
        assert main(["recordings", "list"]) == 0

        assert kept.id in capsys.readouterr().out
        assert sorted(Path("recordings").rglob("*")) == before

    def test_prune_says_first_and_deletes_then(
        self, capsys: pytest.CaptureFixture[str], kept: Recording
    ) -> None:
        prune = ["recordings", "prune", "--retention-max-gb", "1e-9"]

        assert main([*prune, "--dry-run"]) == 0
        first = capsys.readouterr().out.splitlines()
        assert Path(f"recordings/2026/11/22/{kept.id}.wav").exists()
        assert main(prune) == 0
        second = capsys.readouterr().out.splitlines()

        assert first[0] == f"{kept.id}: oldest of more than 1 B of recordings"
        assert first[0] == second[0]
        assert first[1].startswith("1 recordings would be deleted, ")
        assert second[1].startswith("1 recordings deleted, ")
        assert not list(Path("recordings/2026").rglob("*.*"))
        assert main(["recordings", "list"]) == 0

    def test_prune_says_what_it_cannot_delete_and_is_code_1(
        self,
        capsys: pytest.CaptureFixture[str],
        kept: Recording,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied")

        prune = ["recordings", "prune", "--retention-max-gb", "1e-9"]
        assert main([*prune, "--dry-run"]) == 0
        monkeypatch.setattr("server.library.store.Library.delete", refuse)
        capsys.readouterr()
        assert main(prune) == 1

        said = capsys.readouterr()
        assert said.err == (
            f"tapdeck: {kept.id} cannot be deleted: Permission denied.\n"
        )
        assert said.out.splitlines()[0] == "0 recordings deleted, 0 B."

    def test_prune_without_rules_keeps_everything_and_looks_ahead(
        self, capsys: pytest.CaptureFixture[str], kept: Recording
    ) -> None:
        assert main(["recordings", "prune"]) == 0
        lines = capsys.readouterr().out.splitlines()

        assert lines[:2] == [
            "No retention is set: everything is kept.",
            "0 recordings deleted, 0 B.",
        ]
        assert lines[2].startswith("At the rate of the last 7 days, ")
        assert "the disk is full" in lines[3]
        assert Path(f"recordings/2026/11/22/{kept.id}.wav").exists()

    @pytest.mark.usefixtures("kept")
    def test_a_reader_that_goes_away_is_no_error(self, tmp_path: Path) -> None:
        read, write = os.pipe()
        os.close(read)
        with os.fdopen(write, "wb") as broken:
            done = subprocess.run(
                [sys.executable, "-m", "server", "recordings", "list"],
                cwd=ROOT,
                env={**os.environ, "TAPDECK_RECORDINGS_DIR": str(tmp_path)},
                stdout=broken,
                stderr=subprocess.PIPE,
                check=False,
            )
        assert done.stderr == b""
        assert done.returncode == 0
