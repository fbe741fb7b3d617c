"""A serving process takes as many files as it may have."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest

from server import process


def test_the_limit_of_open_files_is_raised_to_the_hard_one() -> None:
    # In a process of its own, because the hard limit cannot be raised again.
    script = (
        "import resource; from server.process import raise_file_limit\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 900))\n"
        "assert raise_file_limit() == 900\n"
        "assert resource.getrlimit(resource.RLIMIT_NOFILE) == (900, 900)\n"
        "assert raise_file_limit() == 900\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_too_low_a_limit_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(process, "raise_file_limit", lambda: 1000)
    monkeypatch.setattr(process, "gc", _NoCollector())
    with caplog.at_level(logging.WARNING):
        process.prepare(400)
        assert not caplog.text
        process.prepare(4000)
    assert "1000 files" in caplog.text


def test_cycles_are_looked_for_when_it_is_quiet_and_not_all_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process, "gc", _NoCollector())
    interval = process.COLLECT_INTERVAL_S
    collector = process.QuietCollector()
    # It was done when the process was prepared.
    assert not collector.observe(0, 100.0)
    assert not collector.observe(process.QUIET_TAPS + 1, 101.0 + interval)
    assert collector.observe(process.QUIET_TAPS, 102.0 + interval)
    assert not collector.observe(0, 103.0 + interval)
    assert collector.observe(0, 102.0 + 2 * interval)


class _NoCollector:
    """The collector of the tests stays as it is."""

    def collect(self) -> None: ...

    def freeze(self) -> None: ...

    def set_threshold(self, *_: int) -> None: ...


def test_open_files_are_counted() -> None:
    before, limit = process.open_files()
    with open(os.devnull, "rb"):
        assert process.open_files() == (before + 1, limit)
    assert before < limit


def test_where_there_is_no_file_left_to_look_with_none_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process, "_DESCRIPTORS", "/nowhere")
    count, limit = process.open_files()
    assert count == limit > 0
