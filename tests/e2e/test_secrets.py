"""What lets a tap in is told to the platform, and to nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from relay_client.simulator import commands
from relay_client.simulator.commands import Command
from relay_client.simulator.errors import CommandError
from server.addresses import TapUri
from server.taps.tap import Transport
from tests.e2e.rig import rig
from tests.e2e.test_ends import WS, api


async def test_a_platform_that_repeats_the_address_of_a_tap_gives_no_token_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    async def refuse(command: Command) -> None:
        uri = command.request.params["device"]["params"]["uri"]
        told.append(uri.rpartition("/")[2])
        raise CommandError(400, f"cannot connect to {uri}")

    monkeypatch.setattr(commands, "_handler", lambda *_: refuse)
    async with rig(tmp_path, tap_uri=WS) as here:
        elsewhere = TapUri("wss", "h.example", 443, "/audio")
        here.server.destinations._uris[Transport.WS] = elsewhere
        status, body = await api(
            here, "POST", "/api/v1/taps", json={"call_id": "a", "node_id": "b"}
        )
        (recording,) = await here.recordings(1)
        _, taps = await api(here, "GET", "/api/v1/taps")
    assert status == 502
    (token,) = told
    for text in (body, taps, recording.verdict.reason):
        assert "cannot connect to wss://h.example/audio/***" in text
        assert token not in text
