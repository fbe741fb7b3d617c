"""The task that looks after the library."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from server import upkeep_task
from server.config import load_settings
from server.library.retention import RetentionRules
from server.library.store import Library
from server.metrics import Metrics
from server.upkeep_task import look_after, retention_rules
from tests.server.library.builders import publish


def deleted(metrics: Metrics) -> dict[str, float]:
    text = metrics.render()[0].decode()
    return {
        sample.labels["cause"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "tapdeck_recordings_deleted_total"
    }


def test_rules_are_those_of_the_settings() -> None:
    flags = {
        "retention_days": "30",
        "retention_tags": "billing=365, evidence=keep",
        "retention_max_gb": "1.5",
        "retention_min_free_gb": "20",
    }
    settings = load_settings(file=None, environ={}, flags=flags)

    assert retention_rules(settings) == RetentionRules(
        days=30,
        tag_days={"billing": 365, "evidence": None},
        max_bytes=1_500_000_000,
        min_free_bytes=20_000_000_000,
    )
    assert retention_rules(load_settings(file=None, environ={}, flags={})).are_none


class Told(Metrics):
    """Metrics that say when they are told of a deletion."""

    def __init__(self) -> None:
        super().__init__(lambda: ())
        self.told = asyncio.Event()

    def deleted(self, cause: str) -> None:
        super().deleted(cause)
        self.told.set()


async def test_it_deletes_counts_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep_task, "TURN_S", 0.0)
    flags = {"retention_max_gb": "1e-9"}
    settings = load_settings(file=None, environ={}, flags=flags)
    library, metrics = Library(tmp_path), Told()
    library.open()
    task = asyncio.create_task(look_after(library, settings, metrics))

    for minute in range(2):
        publish(library, minutes=minute)
        async with asyncio.timeout(20):
            await metrics.told.wait()
        metrics.told.clear()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert deleted(metrics) == {"size": 2}
    assert len(library) == 0


async def test_what_nobody_brought_back_goes_when_its_time_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep_task, "PURGE_LEAST_S", 0.01)
    monkeypatch.setattr(upkeep_task, "PURGE_MOST_S", 0.01)
    flags = {"undo_s": "600"}
    settings = load_settings(file=None, environ={}, flags=flags)
    library = Library(tmp_path)
    library.open()
    due, young = publish(library).id, publish(library, minutes=1).id
    for each in (due, young):
        library.set_aside(each)
    then = time.time() - 601
    os.utime(library.layout.deleted(due), (then, then))
    purge, has_gone = library.purge, threading.Event()

    def watched(before: float) -> tuple[str, ...]:
        if gone := purge(before):
            has_gone.set()
        return gone

    monkeypatch.setattr(library, "purge", watched)
    task = asyncio.create_task(look_after(library, settings, Metrics(lambda: ())))

    assert await asyncio.to_thread(has_gone.wait, 20)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert library.bring_back(young) is not None
    assert library.bring_back(due) is None


@pytest.mark.parametrize(
    "error", [OSError(5, "Input/output error"), RuntimeError("a bug")]
)
async def test_a_purge_that_fails_is_tried_again(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    monkeypatch.setattr(upkeep_task, "PURGE_LEAST_S", 0.0)
    monkeypatch.setattr(upkeep_task, "PURGE_MOST_S", 0.0)
    library, turns = Library(tmp_path), threading.Semaphore(0)
    library.open()

    def fail(_: float) -> tuple[str, ...]:
        turns.release()
        raise error

    monkeypatch.setattr(library, "purge", fail)
    settings = load_settings(file=None, environ={}, flags={})
    task = asyncio.create_task(look_after(library, settings, Metrics(lambda: ())))
    for _ in range(3):
        assert await asyncio.to_thread(turns.acquire, timeout=20)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert "what was deleted" in caplog.text


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(5, "Input/output error"), "cannot look after the recordings"),
        (RuntimeError("a bug"), "looking after the recordings failed"),
    ],
)
async def test_a_turn_that_fails_does_not_end_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    words: str,
) -> None:
    monkeypatch.setattr(upkeep_task, "TURN_S", 0.0)
    library, turns = Library(tmp_path), threading.Semaphore(0)

    def fail(**_: object) -> bool:
        turns.release()
        raise error

    monkeypatch.setattr(library, "tend", fail)
    settings = load_settings(file=None, environ={}, flags={})
    task = asyncio.create_task(look_after(library, settings, Metrics(lambda: ())))
    for _ in range(3):
        assert await asyncio.to_thread(turns.acquire, timeout=20)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert words in caplog.text
