"""House rules that no linter knows."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAX_LINES = 400
MAX_FUNCTION_LINES = 50

SOURCES = [
    path
    for folder in ("server", "relay_client")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
TESTS = sorted((ROOT / "tests").rglob("*.py"))
TEXTS = [
    *sorted(ROOT.glob("*.md")),
    *sorted(ROOT.glob("*.toml")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *(ROOT / name for name in ("Makefile", "Dockerfile", ".dockerignore", ".ci/run")),
]

# Built from parts so that this file does not fail its own test.
_UNFINISHED = re.compile("|".join(["TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK"]))
_MACHINE_PATH = re.compile(r"(?<![\w.])/(?:home|root|work|Users|opt|mnt)/[\w.]+")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def by_name(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=name_of)


def lines_of_code(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count from the signature to the end, the docstring left out."""
    docstring = ast.get_docstring(function, clean=False) or ""
    last = function.end_lineno or function.lineno
    return last - function.lineno + 1 - len(docstring.splitlines())


@by_name(SOURCES)
def test_a_module_fits_in_the_head(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@by_name([path for path in SOURCES if path.stat().st_size])
def test_a_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


@by_name(SOURCES)
def test_a_function_fits_on_a_screen(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    long = [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and lines_of_code(node) > MAX_FUNCTION_LINES
    ]
    assert long == []


@by_name(SOURCES + TESTS + TEXTS)
def test_nothing_is_left_for_later(path: Path) -> None:
    assert _UNFINISHED.search(path.read_text(encoding="utf-8")) is None


@by_name(SOURCES + TESTS + TEXTS)
def test_no_path_of_somebodys_machine_is_named(path: Path) -> None:
    assert _MACHINE_PATH.search(path.read_text(encoding="utf-8")) is None


@by_name(SOURCES)
def test_logging_formats_only_what_is_written(path: Path) -> None:
    levels = {"debug", "info", "warning", "error", "exception", "critical"}
    eager = [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in levels
        and node.args
        and isinstance(node.args[0], ast.JoinedStr)
    ]
    assert eager == []
