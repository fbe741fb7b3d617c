"""config.example.toml has every key, explained, with its default."""

from __future__ import annotations

import re
from pathlib import Path

from server.config import SETTINGS, load_settings

EXAMPLE = Path(__file__).parent.parent / "config.example.toml"
TEXT = EXAMPLE.read_text(encoding="utf-8")

_KEY = re.compile(r"^#(?=\w+ = )", re.MULTILINE)


def test_as_it_is_it_changes_nothing() -> None:
    assert load_settings(file=EXAMPLE, environ={}, flags={}) == load_settings(
        file=None, environ={}, flags={}
    )


def test_with_every_key_in_force_it_changes_nothing_either(tmp_path: Path) -> None:
    file = tmp_path / "tapdeck.toml"
    file.write_text(_KEY.sub("", TEXT), encoding="utf-8")
    assert load_settings(file=file, environ={}, flags={}) == load_settings(
        file=None, environ={}, flags={}
    )


def test_the_example_of_a_rule_is_one(tmp_path: Path) -> None:
    file = tmp_path / "tapdeck.toml"
    lines = [line[4:] for line in TEXT.splitlines() if line.startswith("#    ")]
    file.write_text("\n".join(lines), encoding="utf-8")
    (rule,) = load_settings(file=file, environ={}, flags={}).forward_rules
    assert rule.name == "transcripts"
    assert "context support" in str(rule.match)


def test_it_has_every_key_once_in_the_order_of_the_code() -> None:
    keys = re.findall(r"^#(\w+) = ", TEXT, re.MULTILINE)
    assert keys == list(SETTINGS)


def test_above_each_key_is_what_it_means_and_its_variable() -> None:
    for paragraph in TEXT.strip().split("\n\n")[1:]:
        *comment, assignment = paragraph.splitlines()
        info = SETTINGS[assignment.removeprefix("#").partition(" ")[0]]
        words = " ".join(line.removeprefix("# ") for line in comment)
        assert info.description.lower() in words.lower()
        assert words.endswith(f"[{info.environment}]")
