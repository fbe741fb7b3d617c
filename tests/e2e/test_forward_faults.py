"""Destinations of every bad kind beside taps that are recorded, and nothing is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from server.forwards import websocket
from server.transports.http_json import forward_json
from tests.e2e.destinations import (
    KINDS,
    Destinations,
    Forward,
    Stage,
    contradictions,
    destinations,
    is_as_told,
    request_for,
)
from tests.e2e.rig import Rig, reference, rig, sent_by, until
from tests.e2e.test_forwards import a_call

TAPS = 20
EACH = 5
PATIENCE_S = 2.0
"""Of connecting and sending, so that the test need not wait for that of the server."""
DELAY_S = 1.0


async def test_no_destination_costs_the_recordings_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "SEND_TIMEOUT_S", PATIENCE_S)
    monkeypatch.setattr(websocket, "CONNECT_TIMEOUT_S", 2 * PATIENCE_S)
    async with (
        destinations(DELAY_S) as there,
        rig(tmp_path, forward_allow="127.0.0.1") as here,
    ):
        calls = [here.simulator.place_call(a_call(600)) for _ in range(TAPS)]
        await here.receiving(TAPS)
        paths = await begin_forwards(here, there)
        await wait_for(here, paths, "early")
        there.lose()
        await wait_for(here, paths, "late")
        await asyncio.gather(*(call.hang_up() for call in calls))
        recordings = await here.recordings(TAPS, timeout=60)
        await until(lambda: not here.server.deck.live, timeout=30)
        forwards = forwards_of(here, paths)
        assert wrong(forwards, "over") == {}
        assert await contradictions(there, forwards) == []

    by_call = {each.call_id: each for each in recordings}
    for call in calls:
        recording = by_call[call.call_id]
        assert recording.gaps == ()
        assert np.array_equal(here.audio(recording), reference(sent_by(call), "PCMU"))


async def begin_forwards(here: Rig, there: Destinations) -> dict[str, str]:
    """Begin all; return the path of each by its id."""
    taps = [each.control_id for each in here.server.deck.statuses()]
    base = f"http://127.0.0.1:{here.server.http_port}/api/v1/taps"
    paths = {}
    async with aiohttp.ClientSession() as session:
        for at in range(EACH * len(KINDS)):
            kind = KINDS[at % len(KINDS)]
            body = request_for(kind, there.ports[kind], str(at))
            url = f"{base}/{taps[at % len(taps)]}/forwards"
            async with session.post(url, json=body) as response:
                assert response.status == 201, await response.text()
                forward_id = (await response.json())["forward_id"]
            paths[forward_id] = f"/{kind}/{at}"
    return paths


def forwards_of(here: Rig, paths: dict[str, str]) -> dict[str, Forward]:
    """Return each forward as the API shows it, by its path."""
    return {
        paths[each.forward_id]: dict(forward_json(each))
        for status in here.server.deck.statuses()
        for each in status.forwards
    }


def wrong(forwards: dict[str, Forward], stage: Stage) -> dict[str, Forward]:
    """Return those of which something else is told than is true."""
    return {
        path: forward
        for path, forward in forwards.items()
        if not is_as_told(path.split("/")[1], stage, forward)
    }


async def wait_for(here: Rig, paths: dict[str, str], stage: Stage) -> None:
    """Wait until all is as it should be, each at one moment at least."""
    left = set(paths.values())

    def is_right() -> bool:
        forwards = forwards_of(here, paths)
        assert all(each["queued_ms"] <= 20_000 for each in forwards.values())
        left.difference_update(forwards.keys() - wrong(forwards, stage).keys())
        return not left

    try:
        await until(is_right, timeout=60)
    except TimeoutError:
        forwards = forwards_of(here, paths)
        pytest.fail(f"{stage}: {[forwards[path] for path in sorted(left)]}")
