"""A server that is killed loses less than a second of each tap, and no verdict."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.e2e.killing import judge, killed_server
from tests.e2e.rig import until


async def test_a_kill_costs_less_than_a_second_and_no_verdict(tmp_path: Path) -> None:
    async with killed_server(tmp_path) as server:
        await server.start()
        server.begin(websockets=3, rtp=3)
        await until(lambda: server.sending(1.5) == 6, 60)
        killed_at, logs = await server.kill()
        assert len(logs) == 6
        leftovers = server.leftovers()
        assert leftovers
        await server.start()
        await until(lambda: not server.leftovers(), 60)
        recordings = server.recordings()
        outcome = await asyncio.to_thread(judge, tmp_path, killed_at, logs, recordings)
        assert outcome.violations == []
        assert len(outcome.losses_s) == 6
        assert "were under way when a server ended" in server.log
        assert "Traceback" not in server.log
        # And all of that once more changes nothing.
        await server.kill()
        await server.start()
        assert server.recordings() == recordings
