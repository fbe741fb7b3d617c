"""How fast the pages open, in a real browser, over a large library.

    python -m tests.bench.pages [--rows N]

Of the recordings 200 have files, the newest; the others are rows of the index only.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from server.audio import Outcome
from tests.bench.library import fill
from tests.e2e.browser import Page, browser_page
from tests.server.library.builders import publish
from tests.server.transports.http_fakes import running

FILES = 200
SCROLLED = 5000
TYPED = "+1555010"
ROWS = "document.querySelectorAll('#recordings article')"


def main(arguments: Sequence[str] | None = None) -> None:
    """Fill a library, open its pages and print what they took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    asyncio.run(_run(parser.parse_args(arguments).rows))


async def _run(rows: int) -> None:
    console = Console()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        async with (
            running(work / "recordings") as deck,
            browser_page(work / "profile") as page,
        ):
            index = deck.library.catalogue.index
            await asyncio.to_thread(fill, index, rows)
            for minute in range(FILES):
                publish(deck.library, minutes=525_600 + minute, state=Outcome.PARTIAL)
            await page.watch()
            await page.show_as(1280, 800)
            url = str(deck.client.make_url("/recordings"))
            figures = {
                "first paint and first rows, ms": _first_rows(page, url),
                "answers while typing, ms": _answers(page),
                f"rows in the page, of {SCROLLED} scrolled through": _scroll(page, url),
                "JS heap before and after that, MB": _heap(page, url),
            }
            for title, figure in figures.items():
                console.print(f"{title}: {await figure}")


async def _first_rows(page: Page, url: str) -> list[int]:
    """Return when the first paint was, and when the rows were there."""
    await page.open(url)
    await page.until(f"{ROWS}.length > 5")
    found: list[int] = await page.evaluate(_PAINT)
    return found


_PAINT = """(() => {
  const paint = performance.getEntriesByName('first-contentful-paint')[0];
  const list = performance.getEntriesByType('resource')
    .find((each) => each.name.includes('/api/v1/recordings?'));
  return [paint.startTime, list.responseEnd].map(Math.round);
})()"""


async def _answers(page: Page) -> list[int]:
    """Type a number, digit by digit; return how long each answer took."""
    await page.evaluate("performance.clearResourceTimings()")
    await page.press("/")
    for digit in TYPED:
        await page.type(digit)
        await asyncio.sleep(0.4)
    found: list[int] = await page.evaluate(_TIMES)
    return found


_TIMES = """performance.getEntriesByType('resource')
  .filter((each) => each.name.includes('q='))
  .map((each) => Math.round(each.duration))"""


async def _scroll(page: Page, url: str) -> int:
    """Scroll through many rows; return the most that were in the page at once."""
    await page.open(url)
    await page.until(f"{ROWS}.length > 5")
    most: int = await page.evaluate(_SCROLL)
    return most


_SCROLL = f"""(async () => {{
  let most = 0;
  let last = 0;
  while (last < {SCROLLED}) {{
    scrollBy(0, innerHeight);
    await new Promise((done) => setTimeout(done, 20));
    const rows = {ROWS};
    most = Math.max(most, rows.length);
    last = Number(rows[rows.length - 1].getAttribute('aria-posinset'));
  }}
  return most;
}})()"""


async def _heap(page: Page, url: str) -> list[float]:
    """Return what scripts hold before and after the scrolling, garbage aside."""
    await page.open(url)
    await page.until(f"{ROWS}.length > 5")
    before = await page.heap_bytes()
    await page.evaluate(_SCROLL)
    return [round(each / 1e6, 1) for each in (before, await page.heap_bytes())]


if __name__ == "__main__":
    main()
