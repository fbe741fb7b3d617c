"""Imports point one way, and the pure packages touch neither clock nor network."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

LEAVES = {"server.audio", "server.errors", "server.addresses", "server.tags"}
"""Modules of shared words; anybody may import them, and they import each other only."""

LAYERS: dict[str, set[str]] = {
    "relay_client": {"relay_client"},
    "server.rtp": LEAVES | {"server.rtp"},
    "server.codecs": LEAVES | {"server.codecs"},
    "server.sinks": LEAVES | {"server.sinks", "server.library"},
    "server.library": LEAVES | {"server.library"},
    "server.forwards": LEAVES
    | {
        "server.forwards",
        "server.codecs",
        "server.rtp",
        "server.taps.status",
        "server.log",
    },
    "server.webrtc": LEAVES | {"server.webrtc", "server.codecs"},
    "server.events": LEAVES | {"server.events"},
    "server.taps": LEAVES | {"server.taps", "server.rtp", "server.codecs"},
    "server.quality": LEAVES
    | {"server.quality", "server.codecs.g711", "server.library.evidence"},
    "server.masks": LEAVES,
    "server.track": LEAVES
    | {
        "server.masks",
        "server.codecs",
        "server.quality",
        "server.sinks",
        "server.library",
    },
    "server.streams": LEAVES
    | {
        "server.track",
        "server.quality",
        "server.taps",
        "server.rtp",
        "server.codecs",
        "server.sinks",
        "server.library",
        "server.log",
    },
    "server.transports": LEAVES
    | {
        "server.transports",
        "server.streams",
        "server.forwards",
        "server.webrtc",
        "server.events",
        "server.track",
        "server.taps",
        "server.rtp",
        "server.codecs",
        "server.sinks",
        "server.library",
        "server.metrics",
        "server.log",
    },
}
"""What each package may import of ours. Those not named are above all of these."""

PURE = (
    "server/rtp",
    "server/codecs",
    "server/quality",
    "server/taps",
    "server/events",
    "server/audio.py",
    "server/masks.py",
    "server/webrtc/playout.py",
    "server/webrtc/mixdown.py",
    "server/webrtc/offer.py",
    "server/tags.py",
)
IMPURE = {"asyncio", "socket", "threading", "time", "logging", "ssl", "aiohttp"}


def modules(*folders: str) -> list[Path]:
    found: list[Path] = []
    for folder in folders:
        path = ROOT / folder
        found += [path] if path.is_file() else sorted(path.rglob("*.py"))
    return found


def sans_io_client() -> list[Path]:
    """Return the modules of the client that the coverage gate holds to be pure."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    shell = set(pyproject["tool"]["coverage"]["run"]["omit"])
    found = sorted((ROOT / "relay_client").glob("*.py"))
    return [path for path in found if str(path.relative_to(ROOT)) not in shell]


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imports(path: Path) -> Iterator[str]:
    """Return the full names that a module imports, wherever it does so."""
    package = name_of(path if path.stem == "__init__" else path.parent)
    return imported_names(path.read_text(encoding="utf-8"), package)


def imported_names(source: str, package: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            above = parts[: len(parts) - node.level + 1] if node.level else []
            module = ".".join([*above, *filter(None, [node.module])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def belongs(name: str, packages: set[str]) -> bool:
    return any(name == each or name.startswith(f"{each}.") for each in packages)


def is_ours(name: str) -> bool:
    return belongs(name, {"server", "relay_client", "tests"})


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_imports_nothing_above_or_beside_it(layer: str) -> None:
    folder = layer.replace(".", "/")
    paths = modules(folder if (ROOT / folder).is_dir() else f"{folder}.py")
    assert paths
    wrong = [
        f"{name_of(path)} imports {name}"
        for path in paths
        for name in imports(path)
        if is_ours(name) and not belongs(name, LAYERS[layer])
    ]
    assert wrong == []


@pytest.mark.parametrize("leaf", sorted(LEAVES))
def test_shared_words_import_nothing_of_ours(leaf: str) -> None:
    (path,) = modules(f"{leaf.replace('.', '/')}.py")
    assert [name for name in imports(path) if is_ours(name)] == []


def test_the_server_uses_the_public_names_of_the_client_only() -> None:
    public = {"relay_client", "relay_client.simulator"}
    wrong = [
        f"{name_of(path)} imports {name}"
        for path in modules("server")
        for name in imports(path)
        if name.startswith("relay_client.") and name.rpartition(".")[0] not in public
    ]
    assert wrong == []


def test_only_the_demo_and_the_simulator_command_use_the_simulator() -> None:
    users = {
        name_of(path)
        for path in modules("server")
        if any(name.startswith("relay_client.simulator") for name in imports(path))
    }
    assert users <= {"server.demo", "server.simulate"}


@pytest.mark.parametrize(
    "path",
    [*modules(*PURE), *sans_io_client()],
    ids=name_of,
)
def test_pure_modules_touch_neither_clock_nor_network(path: Path) -> None:
    assert {name.partition(".")[0] for name in imports(path)} & IMPURE == set()


def test_imports_are_seen_in_every_form() -> None:
    source = """
import a.b
from c import d
def late():
    from . import e
    from .x import f
    from ..y import g
"""
    found = set(imported_names(source, package="server.rtp"))
    assert found == {"a.b", "c.d", "server.rtp.e", "server.rtp.x.f", "server.y.g"}
