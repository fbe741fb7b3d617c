"""A simulated call on the pages: live, then a recording with a gap, and played."""

from __future__ import annotations

from pathlib import Path

import pytest

from relay_client.simulator import CallRequest, MediaOptions
from tests.e2e.browser import CHROMIUM, browser_page
from tests.e2e.rig import rig

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")

CALLER = "+15550123456"
AUDIO = "document.querySelector('audio')"


async def test_a_call_appears_and_then_its_recording(tmp_path: Path) -> None:
    """A stretch of the audio is not sent: the page says so where it is."""
    call = CallRequest(
        from_number=CALLER,
        speak="tone:440",
        seconds=5,
        media=MediaOptions(dtx=((2, 1.5),)),
    )
    async with (
        rig(
            tmp_path / "recordings", direction="speak", tap_uri="rtp://127.0.0.1:1"
        ) as here,
        browser_page(tmp_path / "profile") as page,
    ):
        await page.watch()
        await page.show_as(1280, 800)
        await page.open(f"http://{here.server.http_address}/")
        await page.until("!document.querySelector('#first-steps').hidden")

        here.place(call)
        await page.until(f"live.innerText.includes('{CALLER}')")
        await page.until("live.innerText.includes('Receiving')")
        await page.until("latest.querySelectorAll('article').length === 1")
        assert CALLER in await page.evaluate("latest.innerText")
        await page.until("live.innerText === ''")

        await page.click("#latest .names")
        await page.until("document.querySelector('#timeline canvas')?.width > 300")
        assert "1.5 s without audio" in await page.evaluate("evidence.innerText")
        await page.click(".at")
        await page.until(f"Math.abs({AUDIO}.currentTime - 2) < 0.05")
        await page.click("#play")
        await page.until(f"{AUDIO}.currentTime > 2.5")
        assert page.trouble == []
