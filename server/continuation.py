"""Recordings from before a restart: gone on with if their audio comes back in time.

A tap outlives the server that it was sent to: the platform goes on sending RTP, or
connects again. So what a killed server left is not finished at once. For each tap whose
last audio is not older than the grace time, a tap of the same control id waits for the
rest of that time; if audio comes, it is the same recording, with the break as a gap. If
none comes, and for everything older, recovery makes of it what there is.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from server.audio import AudioFormat
from server.library.interrupted import Interrupted
from server.recovery import Recovery
from server.rtp.address import network_of, parse_address
from server.taps.announcement import Announcement, PastTap
from server.taps.rendezvous import Rendezvous
from server.taps.tap import TapDirection, TapOrigin, Transport

log = logging.getLogger(__name__)

GATHER_S = 2.0
"""From the first recording that nothing went on with to their being finished."""


class Continuation:
    """What a server that ended has left, between going on and being finished."""

    def __init__(
        self,
        recovery: Recovery,
        rendezvous: Rendezvous,
        *,
        grace_s: float,
        now: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._recovery = recovery
        self._rendezvous = rendezvous
        self._grace_s = grace_s
        self._now = now
        self._wall = wall
        self._found: list[Interrupted] = []
        self._waiting: dict[str, list[Interrupted]] = {}
        self._is_due = asyncio.Event()

    def scan(self) -> None:
        """Look at what there is; blocking.

        Raises:
            OSError: The directory cannot be read.
        """
        self._found = self._recovery.scan()

    def expect(self) -> None:
        """Have taps wait for the audio of what is recent enough."""
        by_tap: defaultdict[str, list[Interrupted]] = defaultdict(list)
        for each in self._found:
            by_tap[each.info.control_id].append(each)
        shared = _shared_sources(self._found)
        self._found = []
        for control_id, tracks in by_tap.items():
            if any(each.info.source in shared for each in tracks):
                # Whose audio it is, nobody would know: they might change sides.
                continue
            last_at = max(each.last_write_at for each in tracks)
            # A clock that was set back meanwhile makes nothing wait for longer.
            left = min(last_at - self._wall(), 0.0) + self._grace_s
            if not control_id or left <= 0:
                continue
            # Before the tap is there, which looks for them as soon as it begins.
            self._waiting[control_id] = tracks
            resume_by = self._now() + left
            past = _past_tap(tracks[0], self._wall())
            tap = past and self._rendezvous.restore(
                past, now=self._now(), resume_by=resume_by
            )
            if tap is None:
                del self._waiting[control_id]
                continue
            log.info("tap %s may go on within %.1f s", control_id, left)
            for each in tracks:
                self._recovery.take(each)

    def take(self, control_id: str) -> Sequence[Interrupted]:
        """Return the recordings of a tap that may go on, to whoever does that."""
        return self._waiting.pop(control_id, ())

    def put_back(self, interrupted: Interrupted) -> None:
        """Have a recording finished: nothing went on with it."""
        self._recovery.put_back(interrupted)
        self._is_due.set()

    async def run(self) -> None:
        """Finish what does not go on, for ever; safe to cancel."""
        while True:
            await self._recovery.run()
            await self._is_due.wait()
            # The other side of the call follows in a moment, and is one file with it.
            await asyncio.sleep(GATHER_S)
            self._is_due.clear()


def _shared_sources(found: Sequence[Interrupted]) -> set[str]:
    """Return the sources of RTP that are those of several taps on a shared port."""
    taps = {
        (each.info.source, each.info.control_id)
        for each in found
        if each.info.source and not each.info.port
    }
    counts = Counter(source for source, _ in taps)
    return {source for source, count in counts.items() if count > 1}


def _past_tap(interrupted: Interrupted, wall: float) -> PastTap | None:
    """Return the tap that a recording was made of; None if it cannot come back."""
    info = interrupted.info
    if info.transport == Transport.WS and not info.is_returning:
        return None
    source = parse_address(info.source)
    try:
        announcement = Announcement(
            transport=Transport(info.transport),
            direction=TapDirection(info.direction),
            origin=TapOrigin(info.origin),
            expected=AudioFormat(info.codec, info.sample_rate, info.channels),
            call_id=info.call_id,
            node_id=info.node_id,
            from_number=info.from_number,
            to_number=info.to_number,
            context=info.context,
            tags=info.tags,
        )
        is_foreign = announcement.origin is TapOrigin.FOREIGN
        network = network_of(source[0]) if source and is_foreign else ""
    except ValueError:
        return None
    return PastTap(
        control_id=info.control_id,
        announcement=announcement,
        port=info.port or None,
        source=source,
        network=network,
        recorded_s=max(0.0, wall - info.started_at),
    )
