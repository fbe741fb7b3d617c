"""What is told of live taps while it is true: levels, and how their packets fare.

Only while somebody wants to know, and of a bounded number of taps: those that are
named, then the newest. A tap that is metered is decoded ten times a second instead of
twice; the others are left alone.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain, islice
from typing import Never

from server.audio import Run, Samples, StreamInfo
from server.deck import Deck
from server.events.hub import EventHub
from server.events.kinds import PassingKind
from server.library.fields import time_text
from server.news import event_text
from server.quality.level_windows import Levels, LevelWindows
from server.taps.rendezvous import Rendezvous
from server.transports.http_json import tap_json

log = logging.getLogger(__name__)

LEVELS_PER_S = 10
MAX_METERED = 100
"""Taps."""
TURN_TICKS = 5
"""Of the deck, 100 ms: the audio of a window is decoded in one go."""
LOOK_S = 0.25
"""How soon a tap that begins is metered."""
PROGRESS_EVERY = 4
"""Looks: once a second."""
TRACKS = (0, 1)


class Meters:
    """The meters of one server's taps."""

    def __init__(self, deck: Deck, rendezvous: Rendezvous, hub: EventHub) -> None:
        self._deck = deck
        self._rendezvous = rendezvous
        self._hub = hub
        self._meters: dict[str, list[_TrackMeter]] = {}
        """By control id, one for each track."""
        self._wake = asyncio.Event()

    @property
    def metered(self) -> int:
        """How many taps are metered."""
        return len(self._meters)

    def look(self) -> None:
        """See to it soon that what is wanted is measured, and nothing else."""
        self._wake.set()

    async def run(self) -> Never:
        """Attend to meters for ever, sleeping while nobody wants any.

        Cancelling it is safe.
        """
        looks = 0
        while True:
            try:
                self._choose()
                if looks % PROGRESS_EVERY == 0:
                    self._tell_progress()
            except Exception:
                # A mistake of ours about one tap must not stop all meters.
                log.exception("the meters met an error")
            looks += 1
            if not self._is_wanted():
                self._wake.clear()
                await self._wake.wait()
            await asyncio.sleep(LOOK_S)

    def _is_wanted(self) -> bool:
        kinds: tuple[PassingKind, ...] = ("levels", "tap.progress")
        return any(True for kind in kinds for _ in self._hub.choices(kind))

    def _choose(self) -> None:
        """Begin and end meters as it is wanted now."""
        wanted = dict.fromkeys(self._taps_for("levels"))
        for control_id in self._meters.keys() - wanted:
            for meter in self._meters.pop(control_id):
                self._deck.ignore(control_id, meter, meter.track)
        for control_id in wanted.keys() - self._meters.keys():
            meters = [_TrackMeter(self._hub, track) for track in TRACKS]
            self._meters[control_id] = meters
            for meter in meters:
                self._deck.attend(control_id, meter, meter.track, every=TURN_TICKS)

    def _tell_progress(self) -> None:
        for control_id in self._taps_for("tap.progress"):
            status = self._deck.status(self._rendezvous.taps[control_id])
            text = event_text({"tap": tap_json(status)})
            self._hub.pass_by("tap.progress", control_id, text)

    def _taps_for(self, kind: PassingKind) -> list[str]:
        choices = list(self._hub.choices(kind))
        named = dict.fromkeys(chain.from_iterable(choices))
        newest: Iterable[str] = ()
        if frozenset() in choices:
            newest = reversed(self._rendezvous.taps)
        return list(islice(self._at_work(chain(named, newest)), MAX_METERED))

    def _at_work(self, control_ids: Iterable[str]) -> Iterator[str]:
        """Yield each of these once that is the id of a live tap."""
        seen = set()
        for control_id in control_ids:
            if control_id in self._rendezvous.taps and control_id not in seen:
                seen.add(control_id)
                if self._deck.is_at_work(control_id):
                    yield control_id


class _TrackMeter:
    """Measures one track of one tap and tells of each tenth of a second."""

    def __init__(self, hub: EventHub, track: int) -> None:
        self.track = track
        self._hub = hub
        self._windows: LevelWindows | None = None

    def receive(self, info: StreamInfo, run: Run, samples: Samples) -> None:
        """Measure a run."""
        if self._windows is None:
            length = info.sample_rate // LEVELS_PER_S
            self._windows = LevelWindows(info.channels, length)
        for levels in self._windows.receive(run.start, samples):
            text = levels_text(info, levels)
            self._hub.pass_by("levels", info.control_id, text)


def levels_text(info: StreamInfo, levels: Levels) -> str:
    """Return the levels of a window as JSON."""
    start_s = levels.start / info.sample_rate
    at = datetime.fromtimestamp(info.started_at + start_s, UTC)
    channels = zip(levels.rms_dbfs, levels.peak_dbfs, strict=True)
    document = {
        "at": time_text(at),
        "control_id": info.control_id,
        "recording_id": info.recording_id,
        "track": info.track,
        "start_s": round(start_s, 3),
        "length_s": 1 / LEVELS_PER_S,
        "channels": [
            {"rms_dbfs": round(rms, 1), "peak_dbfs": round(peak, 1)}
            for rms, peak in channels
        ],
    }
    return json.dumps(document)
