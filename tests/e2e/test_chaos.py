"""Faults at random, alone and together: some of `python -m tests.bench.chaos`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.chaos import run_batch

CALLS = 40


@pytest.mark.alone
async def test_whatever_goes_wrong_the_file_tells_the_truth(tmp_path: Path) -> None:
    judgements = await run_batch(tmp_path, seed=2026, calls=CALLS)
    assert len(judgements) == CALLS
    assert [text for _, judged in judgements for text in judged.problems] == []
