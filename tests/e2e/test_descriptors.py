"""A server that runs out of descriptors refuses new taps and harms no old one."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp

from tests.e2e.killing import STATIC, killed_server
from tests.e2e.rig import until

MESSAGE = b"\x12" * 160


async def test_new_taps_are_refused_while_old_ones_go_on(tmp_path: Path) -> None:
    async with killed_server(tmp_path) as server, AsyncExitStack() as stack:
        server.max_files = 120
        await server.start()
        http = await stack.enter_async_context(aiohttp.ClientSession())
        url = f"http://127.0.0.1:{server.http_port}/tap/{STATIC}"
        taps: list[aiohttp.ClientWebSocketResponse] = []
        refusal, status = "", 0
        while not refusal:
            assert len(taps) < 60
            # As taps come: not all of them between two measurements.
            await asyncio.sleep(0.1)
            try:
                taps.append(await stack.enter_async_context(http.ws_connect(url)))
                await taps[-1].send_bytes(MESSAGE)
            except aiohttp.WSServerHandshakeError as error:
                status = error.status
                async with http.get(f"http://127.0.0.1:{server.http_port}/readyz") as r:
                    refusal = await r.text()
        assert status == 503
        assert "of 120 open files are left" in refusal
        assert "no further taps for now: only" in server.log
        for tap in taps:
            for _ in range(50):
                await tap.send_bytes(MESSAGE)
            await tap.close()
        await until(lambda: len(server.recordings()) == len(taps), 30)
        for recording in server.recordings():
            assert recording.packets.received == 51
            assert recording.state == "complete", recording.verdict
        assert "Traceback" not in server.log
