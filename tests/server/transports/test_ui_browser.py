"""The page in a real browser: what a headless Chromium made of it."""

from __future__ import annotations

import asyncio
import html
import os
import re
import shutil
import signal
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

import pytest

from server.library.recording import Verdict
from tests.server.library.builders import HOSTILE, publish
from tests.server.transports.http_fakes import TOKEN, Deck, running, tap

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update"),
    "--disable-sync",
)
# Chromium shows half a surrogate pair but cannot write it out.
SHOWN = tuple(name for name in HOSTILE if name != "\ud800")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")


async def shown(deck: Deck, profile: Path, path: str = "/") -> str:
    """Return the page's elements after three seconds of the page's own time."""
    assert CHROMIUM is not None
    process = await asyncio.create_subprocess_exec(
        CHROMIUM,
        *QUIET,
        f"--user-data-dir={profile}",
        "--virtual-time-budget=3000",
        "--dump-dom",
        str(deck.client.make_url(path)),
        stdout=PIPE,
        stderr=DEVNULL,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(60):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    return output.decode()


def element(page: str, name: str) -> str:
    """Return the tag and the start of what is in it, of one element by its id."""
    found = re.search(rf'<(\w+) id="{name}".*?</\1>', page, re.S)
    assert found is not None
    return found[0]


async def test_an_empty_library_says_what_to_do_first(tmp_path: Path) -> None:
    async with running(tmp_path / "recordings") as deck:
        page = await shown(deck, tmp_path / "profile")

    assert "hidden" not in element(page, "first-steps").partition(">")[0]
    assert "hidden" not in element(page, "live-empty").partition(">")[0]
    assert "Ready" in element(page, "health")


async def test_taps_and_recordings_are_shown(tmp_path: Path) -> None:
    async with running(tmp_path / "recordings") as deck:
        kept = publish(deck.library, verdict=Verdict(True, "all of it is there"))
        deck.taps.live = [
            tap("one", from_number="+15550123", to_number="+15550188"),
            tap("over", from_number="+15550177", state="finished"),
        ]

        page = await shown(deck, tmp_path / "profile")

    live = element(page, "live")
    assert "+15550123" in live
    assert "Receiving" in live
    assert "+15550177" not in live
    assert "all of it is there" in page
    assert f'href="/api/v1/recordings/{kept.id}/audio"' in page
    assert " hidden" in element(page, "first-steps").partition(">")[0]


async def test_hostile_names_are_shown_as_the_text_they_are(tmp_path: Path) -> None:
    attack = (
        "<img id=pwned src=x onerror=document.title='pwned'>"
        "<script>document.title='pwned'</script>"
    )
    async with running(tmp_path / "recordings", is_as_described=False) as deck:
        for minute, name in enumerate((attack, *SHOWN)):
            publish(
                deck.library,
                minutes=minute,
                from_number=name,
                to_number=name,
                call_id=name,
                codec=name,
                direction=name,
                transport=name,
                verdict=Verdict(False, name),
            )
        deck.taps.live = [
            tap(name, from_number=name, state=name, reason=name, codec=name)
            for name in (attack, "constructor", "__proto__")
        ]

        page = await shown(deck, tmp_path / "profile")

    assert "<title>Tapdeck</title>" in page
    assert page.count(html.escape(attack, quote=False)) >= 6
    assert "<img id=" not in page
    assert page.count("<script") == 1
    assert page.count('class="play"') == 2 + len(SHOWN)


async def test_without_the_token_only_the_sign_in_page_is_shown(
    tmp_path: Path,
) -> None:
    async with running(tmp_path / "recordings", token=TOKEN) as deck:
        publish(deck.library)

        page = await shown(deck, tmp_path / "profile")

    assert "Sign in to Tapdeck" in page
    assert "+15550100" not in page
