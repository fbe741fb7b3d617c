"""The page of all recordings in a real browser: found, shared, scrolled through."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from server.audio import Outcome
from server.library.recording import Recording
from tests.e2e.browser import CHROMIUM, Page, browser_page
from tests.server.library.builders import publish
from tests.server.transports.http_fakes import Deck, running

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")

ROWS = "document.querySelectorAll('#recordings article')"
IDS = f"Array.from({ROWS}, (row) => row.dataset.id)"
MANY = 260
MOST_ROWS = 60
"""In the page at once, whatever there is."""


@asynccontextmanager
async def opened(tmp_path: Path) -> AsyncIterator[tuple[Deck, Page]]:
    """Give a server and an empty page whose troubles must stay none."""
    async with (
        running(tmp_path / "recordings") as deck,
        browser_page(tmp_path / "profile") as page,
    ):
        await page.watch()
        await page.show_as(1280, 800)
        yield deck, page
        assert page.trouble == []


async def show(deck: Deck, page: Page, query: str = "") -> None:
    await page.open(str(deck.client.make_url("/")) + f"recordings{query}")


async def shows(page: Page, *recordings: Recording) -> None:
    """Wait until exactly these are listed, in this order."""
    ids = json.dumps([each.id for each in recordings])
    await page.until(f"JSON.stringify({IDS}) === JSON.stringify({ids})")


async def test_the_newest_come_first_and_new_ones_by_themselves(tmp_path: Path) -> None:
    async with opened(tmp_path) as (deck, page):
        old = publish(deck.library, minutes=0)
        newer = publish(deck.library, minutes=1)
        await show(deck, page)
        await shows(page, newer, old)

        newest = publish(deck.library, minutes=2)
        await shows(page, newest, newer, old)
        deck.library.delete(newer.id)
        await shows(page, newest, old)


async def test_each_row_has_its_waveform_and_leads_to_its_page(tmp_path: Path) -> None:
    async with opened(tmp_path) as (deck, page):
        kept = publish(deck.library)
        await show(deck, page)
        await shows(page, kept)

        await page.until(
            "(() => { const one = document.querySelector('.spark');"
            "return one.width && one.getContext('2d').getImageData(0, 0, one.width,"
            "one.height).data.some((each) => each > 0); })()"
        )
        await page.click(".names", across=0.9)
        await page.until(f"location.pathname === '/recordings/{kept.id}'")
        await page.until("document.querySelector('#title').innerText.includes('0199')")


async def test_what_is_typed_narrows_the_list_and_the_address_says_it(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as (deck, page):
        one = publish(deck.library, from_number="+15557770001")
        other = publish(deck.library, minutes=1, from_number="+15558880002")
        await show(deck, page)
        await shows(page, other, one)

        await page.press("/")
        await page.type("777")

        await shows(page, one)
        await page.until("location.search === '?q=777'")
        await show(deck, page, "?q=888")
        await shows(page, other)
        assert await page.evaluate("document.querySelector('#filter-q').value") == "888"
        await show(deck, page, "?q=999")
        await page.until("!document.querySelector('#no-match').hidden")
        await page.click("#filters-clear")
        await shows(page, other, one)
        assert await page.evaluate("location.search") == ""


async def test_a_tag_leads_to_all_that_have_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as (deck, page):
        tagged = publish(deck.library, tags=("a & b",))
        other = publish(deck.library, minutes=1)
        await show(deck, page)
        await shows(page, other, tagged)

        await page.click(".tag")

        await shows(page, tagged)
        assert await page.evaluate("location.search") == "?tag=a+%26+b"


async def test_filters_go_back_and_forth_with_the_address(tmp_path: Path) -> None:
    async with opened(tmp_path) as (deck, page):
        whole = publish(deck.library, direction="speak")
        partial = publish(deck.library, minutes=1, state=Outcome.PARTIAL)
        await show(deck, page)
        await shows(page, partial, whole)

        await _choose(page, "filter-state", "partial")
        await shows(page, partial)
        await _choose(page, "filter-direction", "speak")
        await page.until("!document.querySelector('#no-match').hidden")
        assert (
            await page.evaluate("location.search") == "?direction=speak&state=partial"
        )
        await page.evaluate("history.back()")
        await shows(page, partial)
        await page.evaluate("history.back()")
        await shows(page, partial, whole)
        await _choose(page, "filter-from", "2026-11-23")
        await page.until("!document.querySelector('#no-match').hidden")
        await _choose(page, "filter-from", "2026-11-21")
        await _choose(page, "filter-to", "2026-11-23")
        await shows(page, partial, whole)


async def _choose(page: Page, name: str, value: str) -> None:
    await page.evaluate(
        f"(() => {{ const one = document.querySelector('#{name}');"
        f"one.value = {json.dumps(value)};"
        "one.dispatchEvent(new Event('change', {bubbles: true})); })()"
    )


async def test_everything_is_scrolled_through_with_few_rows_in_the_page(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as (deck, page):
        kept = [publish(deck.library, minutes=minute) for minute in range(MANY)]
        await show(deck, page)
        await page.until(f"{ROWS}.length > 5")
        seen: set[str] = set()

        while kept[0].id not in seen:
            ids = await page.evaluate(IDS)
            assert len(ids) < MOST_ROWS
            assert ids == sorted(ids, reverse=True)
            seen.update(ids)
            await page.evaluate(_SCROLL)

        assert seen == {each.id for each in kept}
        await page.evaluate("scrollTo(0, 0)")
        await page.until(f"{IDS}[0] === {json.dumps(kept[-1].id)}")


_SCROLL = """new Promise((done) => {
  scrollBy(0, innerHeight);
  requestAnimationFrame(() => requestAnimationFrame(done));
})"""


async def test_playing_one_and_then_another(tmp_path: Path) -> None:
    async with opened(tmp_path) as (deck, page):
        publish(deck.library, from_number="+1555777")
        publish(deck.library, minutes=1, from_number="+1555888")
        await show(deck, page)
        await page.until(f"{ROWS}.length === 2")

        await page.click("article:nth-of-type(2) .play")

        await page.until("document.querySelector('#player').innerText.includes('777')")
        await page.until("document.querySelector('audio').currentTime > 0.05")
        await page.click("article:nth-of-type(1) .play")
        await page.until("document.querySelector('#player').innerText.includes('888')")
        await page.click("#player-close")
        await page.until("document.querySelector('#player').hidden")


async def test_a_server_that_is_away_is_told_of_until_it_is_back(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as (deck, page):
        kept = publish(deck.library)
        await show(deck, page)
        await shows(page, kept)

        await page.be_offline(True)
        await page.until("notice.innerText.includes('does not answer')")
        await shows(page, kept)
        await page.be_offline(False)
        await page.until("notice.hidden")
        page.trouble.clear()
