"""Takes pictures of the pages, of simulated calls, at three widths and in both themes.

Run it as `python -m tests.screenshots [folder]`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from relay_client import Call
from server.library.recording import Recording
from tests.e2e.browser import Page, browser_page
from tests.e2e.rig import Rig, rig
from tests.screenshots.calls import DESK, calls

SIZES = {"phone": (390, 844, 2.0), "laptop": (1280, 800, 1.0), "wide": (1920, 1080, 1)}
HELD = 2
"""Calls that are still up while the pictures are taken."""
PAUSE_S = 1.5
CHANGES = (
    {"tags": ["billing", "follow up"], "note": "Asked for a copy of the invoice."},
    {"tags": ["complaint"], "legal_hold": True},
)
"""What people add to the longest recordings."""


async def take(folder: Path) -> None:
    """Place the calls, wait for their recordings and look at every page."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        async with (
            rig(work / "recordings", direction="stereo") as here,
            browser_page(work / "profile") as page,
        ):
            base = f"http://{here.server.http_address}"
            await page.watch()
            await page.show_as(1280, 800)
            await page.open(f"{base}/")
            recordings = await _record(here, page, work)
            await _picture_all(page, base, recordings, folder)
            if page.trouble:
                raise SystemExit("\n".join(page.trouble))


async def _record(here: Rig, page: Page, work: Path) -> list[Recording]:
    """Have the calls recorded, one of them paused for a while; longest first."""
    tapper, relay = here.server.tapper, here.server.relay
    assert tapper is not None
    assert relay is not None
    placed = list(calls(work))
    ways = {request.from_number: transport for transport, request in placed}

    @relay.on_call
    async def handle(call: Call) -> None:
        await tapper.handle_call(call, transport=ways[call.from_number])

    for _, request in placed:
        here.place(request)
    await here.receiving(2 * len(placed))
    await _pause(page, placed[0][1].from_number)
    recordings = await here.recordings(len(placed), timeout=120)
    longest = sorted(recordings, key=lambda each: -each.duration_s)
    for one, change in zip(longest, CHANGES, strict=False):
        await _ask(page, "PATCH", f"/api/v1/recordings/{one.id}", change)
    for _, request in placed[:HELD]:
        here.place(replace(request, seconds=None))
    await here.receiving(2 * HELD)
    return longest


async def _pause(page: Page, caller: str) -> None:
    ids: list[str] = []
    while len(ids) < 2:
        # What is told is up to a second old.
        taps = await _ask(page, "GET", "/api/v1/taps")
        ids = [tap["control_id"] for tap in taps["items"] if tap["from"] == caller]
        await asyncio.sleep(0.2)
    for verb in ("pause", "resume"):
        for control_id in ids:
            await _ask(page, "POST", f"/api/v1/taps/{control_id}/{verb}")
        await asyncio.sleep(PAUSE_S)


async def _ask(page: Page, method: str, path: str, body: object = None) -> Any:
    headers = {"Content-Type": "application/json"}
    options: dict[str, Any] = {"method": method, "headers": headers}
    if body is not None:
        options["body"] = json.dumps(body)
    return await page.evaluate(
        f"fetch({json.dumps(path)}, {json.dumps(options)}).then((each) => each.json())"
    )


async def _picture_all(
    page: Page, base: str, recordings: list[Recording], folder: Path
) -> None:
    paths = {
        "now": "/",
        "recordings": "/recordings",
        "nothing": f"/recordings?q={DESK}000",
        "recording": f"/recordings/{recordings[0].id}#t=4.2",
    }
    for size, (width, height, scale) in SIZES.items():
        for theme in ("light", "dark"):
            await page.show_as(width, height, is_dark=theme == "dark", scale=scale)
            for name, path in paths.items():
                await page.open(base + path)
                await _settle(page)
                picture = await page.screenshot()
                target = folder / f"{name}-{size}-{theme}.png"
                await asyncio.to_thread(target.write_bytes, picture)


async def _settle(page: Page) -> None:
    """Wait until nothing that was asked for is still to come."""
    await page.until("performance.getEntriesByType('resource').length > 5")
    seen = -1
    while (count := await page.evaluate(_ASKED)) != seen:
        seen = count
        await asyncio.sleep(0.4)


_ASKED = """performance.getEntriesByType('resource')
    .filter((each) => each.name.includes('/recordings')).length"""

if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "screenshots")
    target.mkdir(parents=True, exist_ok=True)
    asyncio.run(take(target))
