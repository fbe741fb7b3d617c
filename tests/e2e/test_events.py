"""The event stream of a whole server, over real sockets."""

from __future__ import annotations

from pathlib import Path

from relay_client.simulator import CallRequest
from tests.e2e.event_client import listening
from tests.e2e.rig import rig


async def test_the_life_of_a_tap_is_told(tmp_path: Path) -> None:
    async with rig(tmp_path) as here, listening(here, "levels=1&progress=1") as client:
        await client.hears("snapshot")
        here.place(CallRequest(speak="tone:440", listen="tone:440", seconds=2))
        await client.hears("tap.ended")
        for each in client.told:
            print(each.name, each.id, str(each.data)[:200])
