"""A headless Chromium with a page in it, driven over its debugging protocol."""

from __future__ import annotations

import asyncio
import base64
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
TROUBLE = {"Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled"}
KEYS = {
    " ": "Space",
    **{name: name for name in ("ArrowLeft", "ArrowRight", "Home", "End", "Enter")},
}


class Page:
    """One page of a browser."""

    def __init__(
        self, link: aiohttp.ClientWebSocketResponse, browser: asyncio.subprocess.Process
    ) -> None:
        self._link = link
        self._browser = browser
        self._ids = count(1)
        self.trouble: list[str] = []
        """Errors on the console, what was thrown and what a policy forbade, once
        watched for."""

    async def watch(self) -> None:
        """Take down from now on what goes wrong in the page."""
        for domain in ("Runtime", "Log", "Page"):
            await self._call(f"{domain}.enable")

    async def run_first(self, script: str) -> None:
        """Run a script in every page that is opened from now on, before its own."""
        await self._call("Page.addScriptToEvaluateOnNewDocument", source=script)

    async def show_as(
        self, width: int, height: int, *, is_dark: bool = False, scale: float = 1
    ) -> None:
        """Be a screen of this size, in pixels, and of this theme."""
        await self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=width < 600,
        )
        theme = "dark" if is_dark else "light"
        await self._call(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": theme}],
        )

    async def controls(self) -> list[tuple[str, str]]:
        """Return the role and the name of all that can have the focus."""
        await self._call("Accessibility.enable")
        tree = await self._call("Accessibility.getFullAXTree")
        return [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in tree["nodes"]
            if any(each["name"] == "focusable" for each in node.get("properties", ()))
        ]

    async def be_offline(self, is_offline: bool) -> None:
        """Cut the page off from every server, or join it again."""
        await self._call("Network.enable")
        await self._call(
            "Network.emulateNetworkConditions",
            offline=is_offline,
            latency=0,
            downloadThroughput=-1,
            uploadThroughput=-1,
        )

    async def screenshot(self) -> bytes:
        """Return what is on the screen as a PNG."""
        answer = await self._call("Page.captureScreenshot", format="png")
        return base64.b64decode(answer["data"])

    async def heap_bytes(self) -> int:
        """Return what the page's scripts hold, once garbage is collected."""
        await self._call("HeapProfiler.collectGarbage")
        return int((await self._call("Runtime.getHeapUsage"))["usedSize"])

    async def press(self, key: str) -> None:
        """Press a key and let it go."""
        text = "\r" if key == "Enter" else key if len(key) == 1 else ""
        for kind in ("keyDown", "keyUp"):
            await self._call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=KEYS.get(key, ""),
                text=text if kind == "keyDown" else "",
            )

    async def click(self, selector: str, across: float = 0.5) -> None:
        """Click an element; `across` is how far from its left to its right."""
        found = json.dumps(selector)
        box = await self.evaluate(
            f"(() => {{ const one = document.querySelector({found});"
            "one.scrollIntoView({block: 'nearest'});"
            "const {x, y, width, height} = one.getBoundingClientRect();"
            "return {x, y, width, height}; })()"
        )
        at = {
            "x": box["x"] + box["width"] * across,
            "y": box["y"] + box["height"] / 2,
        }
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            await self._call(
                "Input.dispatchMouseEvent",
                type=kind,
                button="none" if kind == "mouseMoved" else "left",
                clickCount=1,
                **at,
            )

    async def type(self, text: str) -> None:
        """Write into what has the focus."""
        await self._call("Input.insertText", text=text)

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
                self._note(answer)

    def _note(self, event: dict[str, Any]) -> None:
        if event.get("method") not in TROUBLE:
            return
        params = event["params"]
        level = params.get("entry", params).get("level", params.get("type", "error"))
        if level == "error":
            self.trouble.append(json.dumps(params))


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
