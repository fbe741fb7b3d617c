"""The README is true: its settings, its commands, its examples, its links."""

from __future__ import annotations

import ast
import itertools
import json
import re
import shlex
from pathlib import Path

import pytest

from server.audio import Outcome
from server.cli import build_parser
from server.config import SETTINGS, load_settings
from server.tap_calls import tap_calls

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)]+)\)")
_VARIABLE = re.compile(r"\b(?:TAPDECK|SIGNALWIRE)_[A-Z0-9_]*[A-Z0-9]\b")


def blocks(language: str) -> list[str]:
    return [text for kind, text in _BLOCK.findall(README) if kind == language]


def shell_commands() -> list[list[str]]:
    """Return the commands in shell blocks, without the variables set before them."""
    commands = []
    for block in blocks("sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line)
            while words and re.match(r"[A-Z_]+=", words[0]):
                words.pop(0)
            commands.append(words)
    return commands


def makefile_targets() -> set[str]:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z-]+):", text, re.MULTILINE))


def test_the_first_screen_has_the_two_commands() -> None:
    first_screen = "\n".join(README.splitlines()[:25])
    assert "make demo" in first_screen
    assert "make serve" in first_screen


def test_the_table_of_settings_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| `((?:TAPDECK|SIGNALWIRE)_.*) \|$", README, re.MULTILINE)
    expected = [
        f"{info.environment}` | {f'`{info.default}`' if info.default else ''} | "
        f"{info.description}"
        for info in SETTINGS.values()
    ]
    assert rows == expected


def test_flags_of_the_platforms_variables_are_those_of_the_code() -> None:
    flags = [
        info.flag
        for info in SETTINGS.values()
        if info.environment.startswith("SIGNALWIRE_")
    ]
    assert f"ones are {', '.join(f'`{flag}`' for flag in flags)}." in README


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_only_variables_that_exist_are_named(page: Path) -> None:
    known = {info.environment for info in SETTINGS.values()}
    assert set(_VARIABLE.findall(page.read_text(encoding="utf-8"))) <= known


def test_every_command_is_one_that_exists() -> None:
    programs = {words[0] for words in shell_commands()}
    assert programs == {"make", "docker", "curl"}
    for words in shell_commands():
        if words[0] == "make":
            assert words[1] in makefile_targets()


def test_the_arguments_of_make_serve_are_understood() -> None:
    (serve,) = [words for words in shell_commands() if words[:2] == ["make", "serve"]]
    arguments = shlex.split(serve[2].removeprefix("ARGS="))
    parsed = build_parser().parse_args(["serve", *arguments])
    assert load_settings(file=None, environ={}, flags={"tap_uri": parsed.tap_uri})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_tapdeck_command_in_the_text_is_understood(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    commands = re.findall(r"`tapdeck ([^`]+)`", text)
    assert commands or page.name in {
        "architecture.md",
        "benchmark.md",
        "events.md",
        "forwarding.md",
        "websocket-ingest.md",
    }
    for command in commands:
        assert build_parser().parse_args(shlex.split(command)).command


def test_the_container_is_run_with_what_exists() -> None:
    (words,) = [words for words in shell_commands() if words[:2] == ["docker", "run"]]
    pairs = list(itertools.pairwise(words))
    given = {value.partition("=")[0] for option, value in pairs if option == "-e"}
    assert given <= {info.environment for info in SETTINGS.values()}
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    volume = next(value for option, value in pairs if option == "-v")
    assert f"VOLUME {volume.partition(':')[2]}" in dockerfile
    for port in (value.partition(":")[2] for option, value in pairs if option == "-p"):
        assert re.search(rf"^EXPOSE .*\b{port}\b", dockerfile, re.MULTILINE)


class TestTapExamples:
    settings = load_settings(
        file=None,
        environ={},
        flags={
            "tap_uri": "wss://media.example.com/tap",
            "static_tokens": "aaaaaaaaaaaaaaaa",
        },
    )

    def test_are_what_the_doctor_prints(self) -> None:
        calls = tap_calls(self.settings)
        assert f"{calls.relay}\n" in blocks("python")
        assert f"{calls.swml}\n" in blocks("json")
        assert f"{calls.rest}\n" in blocks("sh")

    def test_the_relay_call_is_python(self) -> None:
        (call,) = blocks("python")
        module = ast.parse(call, type_comments=False, mode="exec")
        assert isinstance(module.body[0], ast.Expr)

    def test_the_swml_is_json_with_the_tap_before_the_connect(self) -> None:
        (document,) = blocks("json")
        steps = json.loads(document)["sections"]["main"]
        assert [next(iter(step)) for step in steps] == ["answer", "tap", "connect"]

    def test_the_body_of_the_request_is_json(self) -> None:
        (curl,) = [words for words in shell_commands() if words[0] == "curl"]
        body = json.loads(curl[curl.index("-d") + 1])
        assert body["command"] == "calling.tap"
        assert body["params"]["device"]["type"] == "ws"


def test_the_states_of_a_recording_are_those_of_the_code() -> None:
    (row,) = [line for line in README.splitlines() if "`verdict`" in line]
    named = re.findall(r"`(\w+)`", row.split("|")[2])
    assert set(named) == {state.value for state in Outcome}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    for target in _LINK.findall(page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target.partition("#")[0]).exists(), target
