"""A headless Chromium with a page in it, driven over its debugging protocol."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--autoplay-policy=no-user-gesture-required"),
    "--remote-debugging-port=0",
)
START_TIMEOUT_S = 60.0
CALL_TIMEOUT_S = 60.0


class Page:
    """One page of a browser."""

    def __init__(
        self, link: aiohttp.ClientWebSocketResponse, browser: asyncio.subprocess.Process
    ) -> None:
        self._link = link
        self._browser = browser
        self._ids = count(1)

    async def evaluate(self, script: str) -> Any:
        """Return what an expression comes to, awaited if it is a promise."""
        answer = await self._call(
            "Runtime.evaluate",
            expression=script,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def until(self, condition: str) -> None:
        """Wait until an expression is true."""
        async with asyncio.timeout(CALL_TIMEOUT_S):
            for _ in count():
                if await self.evaluate(f"Boolean({condition})"):
                    return
                await asyncio.sleep(0.05)

    async def open(self, url: str) -> None:
        """Go to an address and wait until its page is there."""
        await self._call("Page.navigate", url=url)
        await self.until(
            f"document.readyState === 'complete' && location.href === {json.dumps(url)}"
        )

    async def kill(self) -> None:
        """Let the browser vanish without a word to anybody."""
        os.killpg(self._browser.pid, signal.SIGKILL)
        await self._browser.wait()

    async def _call(self, method: str, **params: Any) -> Any:
        number = next(self._ids)
        message = {"id": number, "method": method, "params": params}
        async with asyncio.timeout(CALL_TIMEOUT_S):
            await self._link.send_json(message)
            while True:
                answer = await self._link.receive_json()
                if answer.get("id") == number:
                    assert "error" not in answer, answer["error"]
                    return answer["result"]


@asynccontextmanager
async def browser_page(profile: Path) -> AsyncIterator[Page]:
    """Give an empty page of a browser of its own."""
    assert CHROMIUM is not None
    process = await asyncio.create_subprocess_exec(
        CHROMIUM,
        *FLAGS,
        f"--user-data-dir={profile}",
        "about:blank",
        stdout=DEVNULL,
        stderr=DEVNULL,
        start_new_session=True,
    )
    try:
        async with aiohttp.ClientSession() as session:
            address = await _debugger(session, profile)
            async with session.ws_connect(address, max_msg_size=0) as link:
                yield Page(link, process)
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def _debugger(session: aiohttp.ClientSession, profile: Path) -> str:
    """Return the address of the page's debugger, once there is one."""
    told = profile / "DevToolsActivePort"
    async with asyncio.timeout(START_TIMEOUT_S):
        while True:
            if told.exists() and (lines := told.read_text().splitlines()):
                url = f"http://127.0.0.1:{lines[0]}/json/list"
                async with session.get(url) as response:
                    pages = await response.json()
                for page in pages:
                    if page["type"] == "page":
                        return str(page["webSocketDebuggerUrl"])
            await asyncio.sleep(0.05)
