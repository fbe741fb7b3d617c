"""The page of one recording in a real browser: what is heard, seen and kept."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from server.library.evidence import Evidence, EvidenceKind
from server.library.recording import Recording
from tests.e2e.browser import CHROMIUM, Page, browser_page
from tests.server.library.builders import HOSTILE, NOON, recording
from tests.server.transports.http_fakes import Deck, running
from tests.voices import Audio, tones

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")

RATE = 8000
SECONDS = 30
HEARD = 0.05
SILENT = 1e-4
"""Of full scale: -80 dB."""

# What reaches the loudspeakers is measured on its way there.
LISTEN = """
window.sides = [];
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (target, ...rest) {
  if (target instanceof AudioDestinationNode) {
    const splitter = this.context.createChannelSplitter(2);
    connect.call(this, splitter);
    window.sides = [0, 1].map((side) => {
      const analyser = this.context.createAnalyser();
      connect.call(splitter, analyser, side);
      return analyser;
    });
  }
  return connect.call(this, target, ...rest);
};
window.loudness = (side) => {
  const samples = new Float32Array(sides[side].fftSize);
  sides[side].getFloatTimeDomainData(samples);
  return Math.max(...samples.map(Math.abs));
};
"""
AUDIO = "document.querySelector('audio')"
AT = f"{AUDIO}.currentTime"


@asynccontextmanager
async def opened(tmp_path: Path) -> AsyncIterator[tuple[Deck, Page]]:
    """Give a server and an empty page whose troubles must stay none."""
    async with (
        running(tmp_path / "recordings") as deck,
        browser_page(tmp_path / "profile") as page,
    ):
        await page.watch()
        await page.run_first(LISTEN)
        await page.show_as(1280, 900)
        yield deck, page
        assert page.trouble == []


def keep(
    deck: Deck, channels: Sequence[Audio], subtype: str = "PCM_16", **changes: Any
) -> Recording:
    """Publish a recording of this audio."""
    recording_id = deck.library.new_id(NOON)
    samples = np.stack(channels, axis=1).astype(np.int16)
    path = deck.library.partial_path(recording_id)
    soundfile.write(path, samples, RATE, subtype, format="WAV")
    facts = {
        "channels": len(channels),
        "samples": len(samples),
        "duration_s": len(samples) / RATE,
        "channel_map": ("speak", "listen") if len(channels) == 2 else (),
    }
    return deck.library.publish(recording(recording_id, **(facts | changes)))


async def show(deck: Deck, page: Page, one: Recording, at: str = "") -> None:
    """Open the page of a recording and wait until it can be used."""
    await page.open(str(deck.client.make_url(f"/recordings/{one.id}")) + at)
    await page.until("document.querySelector('#timeline canvas')?.width > 300")


def two_tones() -> list[Audio]:
    return [tones(SECONDS, RATE, 440), tones(SECONDS, RATE, 880)]


@pytest.mark.parametrize("subtype", ["PCM_16", "ULAW", "ALAW"])
async def test_it_plays_and_a_muted_channel_is_silent(
    tmp_path: Path, subtype: str
) -> None:
    async with opened(tmp_path) as (deck, page):
        await show(deck, page, keep(deck, two_tones(), subtype))

        await page.click("#play")

        await page.until(f"{AT} > 0.5")
        await page.until(f"loudness(0) > {HEARD} && loudness(1) > {HEARD}")
        await page.click("[aria-label='Mute Says']")
        await page.until(f"loudness(0) < {SILENT}")
        assert await page.evaluate("loudness(1)") > HEARD
        await page.press("1")
        await page.until(f"loudness(0) > {HEARD}")
        await page.click("[aria-label='Solo Says']")
        await page.until(f"loudness(1) < {SILENT}")
        assert await page.evaluate("loudness(0)") > HEARD
        await page.press("m")
        await page.until(f"loudness(0) < {SILENT}")


async def test_mono_is_heard_on_both_sides(tmp_path: Path) -> None:
    async with opened(tmp_path) as (deck, page):
        await show(deck, page, keep(deck, two_tones()[:1]))

        await page.press(" ")

        await page.until(f"{AT} > 0.2")
        await page.until(f"loudness(0) > {HEARD} && loudness(1) > {HEARD}")
        await page.press(" ")
        await page.until(f"{AUDIO}.paused")


async def test_positions_are_reached_by_click_key_and_address(tmp_path: Path) -> None:
    async with opened(tmp_path) as (deck, page):
        await show(deck, page, keep(deck, two_tones()), at="#t=12.5")
        await page.until(f"{AT} === 12.5")
        assert await page.evaluate("position.textContent") == "0:12.5"

        await page.click("#timeline", across=0.5)
        await page.until(f"Math.abs({AT} - 15) < 0.1")
        await page.press("ArrowRight")
        await page.until(f"Math.abs({AT} - 20) < 0.1")
        await page.press("ArrowLeft")
        await page.until(f"Math.abs({AT} - 15) < 0.1")
        await page.press("End")
        await page.until(f"{AT} === {SECONDS}")
        await page.press("Home")
        await page.until(f"{AT} === 0")
        await page.click("#timeline", across=0.25)
        await page.press("l")
        await page.until("/^#t=7[.][45]$/.test(location.hash)")
        assert await page.evaluate("timeline.getAttribute('aria-valuetext')") == (
            "0:07 of 0:30"
        )


async def test_zooming_keeps_the_position_and_a_click_means_what_is_seen(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as (deck, page):
        await show(deck, page, keep(deck, two_tones()), at="#t=10")
        await page.until(f"{AT} === 10")

        for _ in range(3):
            await page.press("+")
        await page.click("#timeline", across=1 / 3)

        # An eighth of it is seen, and the position is where it was on the screen.
        await page.until(f"Math.abs({AT} - 10) < 0.05")
        await page.click("#timeline", across=2 / 3)
        await page.until(f"Math.abs({AT} - 11.25) < 0.05")
        await page.press("0")
        await page.click("#timeline", across=2 / 3)
        await page.until(f"Math.abs({AT} - 20) < 0.1")


async def test_what_happened_is_drawn_listed_and_reached(tmp_path: Path) -> None:
    evidence = (
        Evidence(0, 6, EvidenceKind.RECEIVED),
        Evidence(6, 3, EvidenceKind.LOST),
        Evidence(9, 1, EvidenceKind.DIGIT, "7"),
        Evidence(9, 21, EvidenceKind.RECEIVED),
        Evidence(15, 3, EvidenceKind.MASKED, "", 1),
    )
    quiet = [np.zeros(SECONDS * RATE), np.zeros(SECONDS * RATE)]
    async with opened(tmp_path) as (deck, page):
        await show(deck, page, keep(deck, quiet, evidence=evidence))

        listed = await page.evaluate("document.querySelector('#evidence').innerText")
        assert "3 s of audio never arrived; it is silent here." in listed
        assert "Key 7 was pressed." in listed
        assert "Recording was paused for 3 s" in listed
        assert "Hears" in listed
        assert await page.evaluate("evidence.children.length") == 3
        # Both lanes have the gap, only the second has the pause.
        drawn = [
            [await page.evaluate(_pixel(second, lane)) for lane in (0, 1)]
            for second in (7.5, 16.5, 25)
        ]
        assert [[alpha > 0 for alpha in row] for row in drawn] == [
            [True, True],
            [False, True],
            [False, False],
        ]
        await page.click("#evidence .event:nth-child(3) .at")
        await page.until(f"{AT} === 15")
        await page.press(",")
        await page.until(f"{AT} === 9")


def _pixel(second: float, lane: int, down: float = 0.25) -> str:
    """Return a script for the opacity of a place this far down in one of two lanes."""
    x, y = second / SECONDS, (lane + down) / 2
    return f"""(() => {{
      const canvas = document.querySelector('#timeline canvas');
      const ruler = 26 * devicePixelRatio;
      const at = [canvas.width * {x}, ruler + (canvas.height - ruler) * {y}];
      return canvas.getContext('2d').getImageData(...at, 1, 1).data[3];
    }})()"""


@pytest.mark.parametrize("subtype", ["PCM_16", "ULAW"])
async def test_the_spectrum_shows_a_tone_at_its_frequency(
    tmp_path: Path, subtype: str
) -> None:
    audio = [tones(SECONDS, RATE, 1000), tones(SECONDS, RATE, 3000)]
    async with opened(tmp_path) as (deck, page):
        await show(deck, page, keep(deck, audio, subtype))

        await page.press("v")

        # 4 kHz are as high as a lane: the tones are a quarter and three quarters up.
        # The waveform fills the lane until the spectrum comes.
        await page.until(f"{_pixel(7, 0, down=0.25)} < 60")
        assert await page.evaluate(_pixel(7, 0, down=0.75)) > 200
        assert await page.evaluate(_pixel(7, 1, down=0.25)) > 200
        assert await page.evaluate(_pixel(7, 1, down=0.75)) < 60


async def test_silence_is_skipped_and_speed_is_set(tmp_path: Path) -> None:
    audio = tones(SECONDS, RATE, 440)
    audio[2 * RATE : 25 * RATE] = 0
    async with opened(tmp_path) as (deck, page):
        await show(deck, page, keep(deck, [audio, audio]))

        await page.press("s")
        await page.press(">")
        await page.click("#play")

        await page.until(f"{AT} > 25")
        assert await page.evaluate(f"{AUDIO}.playbackRate") == 1.25
        assert await page.evaluate("skip.checked")
        # Far less was played than lies between there and here.
        assert await page.evaluate(_PLAYED) < 10


_PLAYED = f"""(() => {{
  const ranges = {AUDIO}.played;

  return Array.from({{length: ranges.length}}, (_, at) =>
    ranges.end(at) - ranges.start(at)).reduce((sum, one) => sum + one, 0);
}})()"""


async def test_tags_notes_and_the_hold_are_kept(tmp_path: Path) -> None:
    async with opened(tmp_path) as (deck, page):
        one = keep(deck, two_tones())
        await show(deck, page, one)

        await page.click("#tag-new")
        await page.type("billing")
        await page.press("Enter")
        await page.until("tags.innerText.includes('billing')")
        await page.click("#note")
        await page.type("Wants a copy 1 2 m")
        await page.click("#note-save")
        await page.until("document.querySelector('#note-save').disabled")
        await page.click("#hold")
        await page.until("saved.innerText.includes('hold')")

        kept = deck.library.get(one.id)
        assert kept is not None
        assert kept.tags == ("billing",)
        assert kept.note == "Wants a copy 1 2 m"
        assert kept.legal_hold
        await page.click("[aria-label='Remove tag billing']")
        await page.until("tags.children.length === 0")
        await show(deck, page, one)
        assert await page.evaluate("note.value") == "Wants a copy 1 2 m"
        assert await page.evaluate("hold.checked")


async def test_hostile_text_is_shown_as_text(tmp_path: Path) -> None:
    attack = "<img id=pwned src=x onerror=document.title='pwned'>"
    shown = [attack, *(name for name in HOSTILE if name != "\ud800")]
    async with opened(tmp_path) as (deck, page):
        one = keep(
            deck,
            two_tones(),
            from_number=attack,
            end_reason=attack,
            codec=attack,
            note=attack,
            tags=(attack[:60],),
            channel_map=(attack, "constructor"),
            custom_parameters={name: name for name in shown},
            evidence=tuple(
                Evidence(at, 0, kind, attack)
                for at, kind in enumerate(EvidenceKind)
                if kind is not EvidenceKind.RECEIVED
            ),
        )
        await show(deck, page, one)

        assert await page.evaluate("document.querySelector('#pwned')") is None
        assert attack in await page.evaluate(
            "document.querySelector('#title').innerText"
        )
        assert attack in await page.evaluate("details.innerText")
        assert attack in await page.evaluate("evidence.innerText")


async def test_one_without_audio_says_so(tmp_path: Path) -> None:
    async with opened(tmp_path) as (deck, page):
        one = deck.library.publish(
            recording(deck.library.new_id(NOON), channels=0, samples=0, sample_rate=0),
            has_audio=False,
        )

        await page.open(str(deck.client.make_url(f"/recordings/{one.id}")))

        await page.until("evidence.parentElement.innerText.includes('No audio')")
        assert await page.evaluate("document.querySelector('#deck').hidden")


async def test_one_that_is_gone_says_what_to_do(tmp_path: Path) -> None:
    async with opened(tmp_path) as (deck, page):
        await page.open(str(deck.client.make_url("/recordings/20261122T161702123Z-a2")))

        await page.until("sub.innerText.includes('may have been deleted')")
        assert "no such recording" in await page.evaluate("title.innerText")
        assert all("404" in trouble for trouble in page.trouble)
        page.trouble.clear()
