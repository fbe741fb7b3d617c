"""The taps that the API tells of."""

from __future__ import annotations

import json
import time
from pathlib import Path

from server.audio import PCMU_8000
from server.taps.announcement import Announcement
from server.taps.tap import EndReason, TapDirection, TapOrigin, Transport
from tests.e2e.rig import rig, until
from tests.e2e.test_ends import WS, api


async def test_taps_are_listed_live_ones_first_and_the_newest_before_all(
    tmp_path: Path,
) -> None:
    async with rig(tmp_path, tap_uri=WS) as here:
        server = here.server
        taps = [
            server.rendezvous.announce(
                Announcement(
                    transport=Transport.WS,
                    direction=TapDirection.BOTH,
                    origin=TapOrigin.RELAY,
                    expected=PCMU_8000,
                ),
                now=time.monotonic(),
                wall=time.time(),
            )
            for _ in range(4)
        ]
        ids = [tap.control_id for tap in taps]
        taps[3].end(EndReason.STOPPED, time.monotonic())
        await until(lambda: len(server.deck.recent) == 1)
        _, whole = await api(here, "GET", "/api/v1/taps")
        _, some = await api(here, "GET", "/api/v1/taps?limit=2")
    document = json.loads(whole)
    assert (document["live"], document["total"]) == (3, 4)
    listed = [each["control_id"] for each in document["items"]]
    assert listed == [ids[2], ids[1], ids[0], ids[3]]
    assert [each["control_id"] for each in json.loads(some)["items"]] == listed[:2]
