"""What every page owes everybody: names, headings, room on any screen, no jumps."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.library.evidence import Evidence, EvidenceKind
from tests.e2e.browser import CHROMIUM, browser_page
from tests.server.library.builders import publish
from tests.server.transports.http_fakes import Deck, running, tap

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")

WIDTHS = (360, 768, 1280, 1920)
LEAST_CONTROLS = 6
GOOD_SHIFT = 0.1
"""Cumulative layout shift that counts as good (web.dev, Core Web Vitals)."""
LONG = "+155501234567890123456789"


def fill(deck: Deck) -> str:
    """Put something on every page; return the id of a recording."""
    deck.taps.live = [tap(from_number=LONG, to_number=LONG, codec="PCMU")]
    kept = publish(
        deck.library,
        from_number=LONG,
        to_number=LONG,
        tags=("billing", "follow up"),
        evidence=(Evidence(0, 0.1, EvidenceKind.LOST),),
    )
    return kept.id


@pytest.mark.parametrize("path", ["", "recordings", "recordings/{id}"])
@pytest.mark.parametrize("width", [390, 1280])
async def test_every_page_is_for_everybody(
    tmp_path: Path, path: str, width: int
) -> None:
    async with (
        running(tmp_path / "recordings") as deck,
        browser_page(tmp_path / "profile") as page,
    ):
        url = str(deck.client.make_url("/")) + path.format(id=fill(deck))
        await page.watch()
        await page.show_as(width, 800)
        await page.run_first(_WATCH_SHIFTS)
        await page.open(url)
        await page.until("document.body.innerText.includes('23456789')")
        await page.until("!document.querySelector('canvas') || canvases()")

        controls = await page.controls()
        assert len(controls) > LEAST_CONTROLS
        assert [role for role, name in controls if not name and role not in ROOTS] == []
        assert await page.evaluate("document.querySelectorAll('h1').length") == 1
        assert await page.evaluate("document.documentElement.lang") == "en"
        assert await page.evaluate("shifted") < GOOD_SHIFT
        for other in WIDTHS:
            await page.show_as(other, 800)
            await page.until(f"innerWidth === {other}")
            assert await page.evaluate("document.documentElement.scrollWidth") <= other
        assert page.trouble == []


ROOTS = {"RootWebArea"}

_WATCH_SHIFTS = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const one of list.getEntries()) window.shifted += one.value;
}).observe({ type: "layout-shift", buffered: true });
window.canvases = () => Array.from(document.querySelectorAll("canvas"))
  .every((each) => each.width > 0);
"""
