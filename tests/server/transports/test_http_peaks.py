"""Peaks over real HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from server.library.peaks import PART_HEAD
from server.library.recording import Recording
from server.transports.http_query import MAX_BUCKETS
from tests.server.library.builders import NOON, publish, recording
from tests.server.transports.http_fakes import Deck, problem, running

TWO_HOURS_S = 7200
LOOK_S = 0.002


@pytest.fixture
async def deck(tmp_path: Path) -> AsyncIterator[Deck]:
    async with running(tmp_path / "recordings") as deck:
        yield deck


def path_of(one: Recording) -> str:
    return f"/api/v1/recordings/{one.id}/peaks"


def publish_long(deck: Deck, seconds: int, channels: int = 2) -> Recording:
    """Publish noise of this length."""
    recording_id = deck.library.new_id(NOON)
    minute = np.random.default_rng(1).integers(-9000, 9000, (480_000, channels))
    with soundfile.SoundFile(
        deck.library.partial_path(recording_id), "w", 8000, channels, format="WAV"
    ) as wav:
        for start in range(0, seconds, 60):
            wav.write(minute[: 8000 * min(60, seconds - start)].astype(np.int16))
    return deck.library.publish(
        recording(
            recording_id,
            channels=channels,
            duration_s=float(seconds),
            samples=seconds * 8000,
        )
    )


async def test_all_of_a_recording_is_a_few_numbers(deck: Deck) -> None:
    response = await deck.client.get(path_of(publish_long(deck, 90)))

    assert response.status == 200
    assert response.content_type == "application/octet-stream"
    body = await response.read()
    assert PART_HEAD.unpack_from(body) == (b"TDPK", 2, 4, 8000, 4096, 720_000, 0)
    assert len(body) == PART_HEAD.size + 176 * 2 * 2 * 2


async def test_a_window_of_a_zoom_is_answered(deck: Deck) -> None:
    kept = publish_long(deck, 90)

    response = await deck.client.get(path_of(kept) + "?zoom=3&from=100&to=200")

    body = await response.read()
    assert PART_HEAD.unpack_from(body)[4:] == (64, 720_000, 100)
    assert len(body) == PART_HEAD.size + 100 * 8


async def test_one_answer_is_never_too_long(deck: Deck) -> None:
    kept = publish_long(deck, 600, channels=1)

    response = await deck.client.get(path_of(kept) + f"?zoom=4&to={10**12 - 1}")

    assert len(await response.read()) == PART_HEAD.size + MAX_BUCKETS * 4


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("zoom=1", "zoom"),
        ("zoom=-1", "zoom"),
        ("zoom=x", "zoom"),
        ("from=-1", "from"),
        ("from=5&to=4", "to"),
        ("to=1e9", "to"),
        ("at=5", "at"),
        ("zoom=0&zoom=0", "zoom"),
    ],
)
async def test_what_is_wrong_is_named(deck: Deck, query: str, field: str) -> None:
    kept = publish(deck.library)

    response = await deck.client.get(f"{path_of(kept)}?{query}")

    assert response.status == 400
    assert (await problem(response))["field"] == field


@pytest.mark.parametrize("name", ["x", "..%2f..%2fetc", "20261122T161702123Z-k3v4x2aq"])
async def test_what_is_not_there_has_none(deck: Deck, name: str) -> None:
    response = await deck.client.get(f"/api/v1/recordings/{name}/peaks")

    assert response.status == 404
    await problem(response)


async def test_damaged_audio_is_said_to_be(deck: Deck) -> None:
    kept = publish(deck.library)
    audio = deck.library.audio_path(kept.id)
    assert audio is not None
    audio.write_bytes(b"no audio")

    response = await deck.client.get(path_of(kept))

    assert response.status == 503
    assert "damaged" in (await problem(response))["detail"]


async def test_two_hours_are_looked_at_in_two_seconds_and_block_nobody(
    deck: Deck,
) -> None:
    kept = await asyncio.to_thread(publish_long, deck, TWO_HOURS_S)
    began = time.thread_time()
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(LOOK_S)
            turns += 1

    counting = asyncio.create_task(count())
    started = time.perf_counter()
    response = await deck.client.get(path_of(kept))
    took_s = time.perf_counter() - started
    counting.cancel()

    assert response.status == 200
    assert took_s <= 2.0
    # The loop went round all the while, and its thread did none of the work.
    assert turns > took_s / LOOK_S / 20
    assert time.thread_time() - began < took_s / 2 + 0.1
    again = time.perf_counter()
    await (await deck.client.get(path_of(kept) + "?zoom=6&from=500000")).read()
    assert time.perf_counter() - again <= 1.0
