"""The event stream in a real browser, which comes back by itself when it is cut."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from server.transports import http_events
from server.transports.http_events import HttpEvents
from server.transports.http_problem import Handler
from tests.e2e.rig import until
from tests.server.transports.http_fakes import FakeEvents
from tests.server.transports.test_ui_browser import CHROMIUM, QUIET

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")

PAGE = """<!doctype html><script>
const source = new EventSource("/api/v1/events?types=tap.ended");
for (const name of ["snapshot", "missed", "tap.ended"])
  source.addEventListener(name, (event) =>
    fetch("/heard", {method: "POST", body: `${name} ${event.lastEventId}`}));
</script>"""


class Site:
    """A page that listens, what it heard, and the ids that it came with."""

    def __init__(self) -> None:
        self.events = FakeEvents()
        self.heard: list[str] = []
        self.came_with: list[str | None] = []
        self.links: list[asyncio.Transport] = []
        self.app = web.Application(middlewares=[self._note])
        self.app.router.add_get("/", self._page)
        self.app.router.add_post("/heard", self._hear)
        HttpEvents(self.events).add_to(self.app)

    @web.middleware
    async def _note(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path == http_events.PATH:
            self.came_with.append(request.headers.get("Last-Event-ID"))
            assert isinstance(request.transport, asyncio.Transport)
            self.links.append(request.transport)
        return await handler(request)

    async def _page(self, _: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async def _hear(self, request: web.Request) -> web.Response:
        self.heard.append(await request.text())
        return web.Response()


@asynccontextmanager
async def browser(url: str, profile: Path) -> AsyncIterator[None]:
    assert CHROMIUM is not None
    process = await asyncio.create_subprocess_exec(
        *(CHROMIUM, *QUIET, f"--user-data-dir={profile}"),
        *("--remote-debugging-port=0", url),
        stdout=DEVNULL,
        stderr=DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def test_a_browser_goes_on_where_it_was_also_past_what_it_did_not_want(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_events, "KEEPALIVE_S", 0.1)
    monkeypatch.setattr(http_events, "LOOK_S", 0.05)
    site = Site()
    runner = web.AppRunner(site.app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    try:
        async with browser(url, tmp_path):
            await until(lambda: site.heard == ["snapshot run-0"], timeout=60)
            site.events.hub.publish("tap.ended", "a", "{}")
            await until(lambda: site.heard[1:] == ["tap.ended run-1"])
            for _ in range(3):
                site.events.hub.publish("tap.began", "a", "{}")
            # What is not wanted is told to nobody; that it happened shows here only.
            while site.came_with[-1] != "run-4":
                count = len(site.links)
                await asyncio.sleep(0.3)
                site.links[-1].abort()
                await until(lambda: len(site.links) > count)  # noqa: B023
            site.events.hub.publish("tap.ended", "a", "{}")
            await until(lambda: len(site.heard) == 3)
    finally:
        await runner.cleanup()
    assert site.heard == ["snapshot run-0", "tap.ended run-1", "tap.ended run-5"]
