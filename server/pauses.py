"""Which taps are paused, from the request on, through every restart, until resumed.

The truth is here and in the files of `server.library.paused`, which follow it: one task
brings them up to date, and asks a disk that refuses again. A pause counts at once; who
asked for it is told when a restart would not forget it.

A tap that goes on after a restart is known by its control id. One over RTP that nobody
announced may get another: what comes from its source soon after the start is paused
too.

A pause outlives its tap, whose sender may come back: until no token of it is valid.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace

from server.library.paused import PausedFiles, PausedTap, name_of
from server.rtp.address import address_text
from server.sinks.disk import words_for
from server.taps.rendezvous import TOKEN_LIFE
from server.taps.tap import EndReason, Tap, TapOrigin, Transport

log = logging.getLogger(__name__)

KEEP_TIMEOUT_S = 5.0
"""In which a disk that is well has kept a pause."""

RETRY_S = 1.0
"""Until a disk that refused is asked again."""

KEPT_S = TOKEN_LIFE + 3600.0
"""From the end of a tap until its pause is forgotten; the clocks of those who gave it a
token may differ from ours."""

PRUNE_INTERVAL_S = 60.0

_OUR_ENDS = frozenset({EndReason.SHUTDOWN, EndReason.INTERRUPTED})
"""After which the sender may go on."""


class Pauses:
    """The pauses of all taps, live or not.

    Args:
        files: Where they are kept.
        idle_s: Silence of a sender after which its tap is over.
        now: Monotonic seconds.
        wall: Seconds since 1970.
    """

    def __init__(
        self,
        files: PausedFiles,
        *,
        idle_s: float,
        now: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._files = files
        self._idle_s = idle_s
        self._now = now
        self._wall = wall
        self._paused: dict[str, PausedTap] = {}
        self._over_at: dict[str, float] = {}
        """Since when a paused tap is not live, wall clock."""
        self._due: dict[str, asyncio.Future[None]] = {}
        """What the files do not say yet, and who waits for that."""
        self._is_due = asyncio.Event()
        self._lost_sources: set[str] = set()
        """Of taps over RTP that were paused when a server ended."""
        self._lost_until = 0.0

    def load(self) -> None:
        """Learn what was paused when the last server ended; blocking.

        Raises:
            OSError: It cannot be read.
        """
        for name, found in self._files.load().items():
            self._paused[name] = found.tap
            self._over_at[name] = found.kept_at
        self._lost_sources = {tap.source for tap in self._paused.values()} - {""}
        self._lost_until = self._now() + self._idle_s
        if self._paused:
            log.info("%d taps are paused from before", len(self._paused))

    def begin(self, tap: Tap) -> bool:
        """Take in a tap that begins; return whether it is paused from before."""
        name = name_of(tap.control_id)
        if name not in self._paused:
            if not self._is_lost(tap):
                return False
            self._forget_source(_source_of(tap))
        self._over_at.pop(name, None)
        self.keep(tap)
        return True

    def keep(self, tap: Tap) -> None:
        """Have a pause kept with where the tap's audio comes from, as far as known."""
        paused = PausedTap(tap.control_id, _source_of(tap))
        self._set(name_of(tap.control_id), paused)

    def drop(self, tap: Tap) -> None:
        """Let recording go on."""
        self._set(name_of(tap.control_id), None)

    def end(self, tap: Tap) -> None:
        """Note that a tap is over; one of its control id is paused all the same."""
        name = name_of(tap.control_id)
        paused = self._paused.get(name)
        if paused is not None:
            self._over_at[name] = self._wall()
        if tap.end_reason not in _OUR_ENDS:
            # Whoever sends from there later is somebody else.
            self._lost_sources.discard(_source_of(tap))
            if paused is not None:
                self._set(name, replace(paused, source=""))

    async def kept(self, tap: Tap, timeout: float = KEEP_TIMEOUT_S) -> bool:
        """Wait until a restart would find it as it is now; return whether it would."""
        waiter = self._due.get(name_of(tap.control_id))
        if waiter is None:
            return True
        done, _ = await asyncio.wait([waiter], timeout=timeout)
        return bool(done)

    async def run(self) -> None:
        """Keep the files up to date, for ever; safe to cancel."""
        # Not at once: taps that go on after a restart have to begin first.
        prune_at = self._now() + PRUNE_INTERVAL_S
        while True:
            try:
                async with asyncio.timeout(prune_at - self._now()):
                    await self._is_due.wait()
            except TimeoutError:
                self._prune()
                prune_at = self._now() + PRUNE_INTERVAL_S
                continue
            self._is_due.clear()
            if not await self._write():
                await asyncio.sleep(RETRY_S)
                self._is_due.set()

    async def _write(self) -> bool:
        changes = {name: self._paused.get(name) for name in self._due}
        try:
            await asyncio.to_thread(self._files.apply, changes)
        except OSError as error:
            log.error(
                "the pauses of %d taps cannot be kept: %s; a restart would forget them",
                len(changes),
                words_for(error),
            )
            return False
        for name, written in changes.items():
            # What has changed meanwhile is written again.
            if self._paused.get(name) == written:
                self._due.pop(name).set_result(None)
        return True

    def _is_lost(self, tap: Tap) -> bool:
        """Return whether a tap is one of before, as its source alone tells."""
        is_foreign = tap.origin is TapOrigin.FOREIGN and tap.transport is Transport.RTP
        if not is_foreign or self._now() >= self._lost_until:
            return False
        return _source_of(tap) in self._lost_sources

    def _forget_source(self, source: str) -> None:
        """Leave a source to the tap under whose control id its audio goes on."""
        for name, paused in tuple(self._paused.items()):
            if paused.source == source and name in self._over_at:
                self._set(name, replace(paused, source=""))

    def _set(self, name: str, paused: PausedTap | None) -> None:
        if self._paused.get(name) == paused:
            return
        if paused is None:
            del self._paused[name]
        else:
            self._paused[name] = paused
        if name not in self._due:
            self._due[name] = asyncio.get_running_loop().create_future()
        self._is_due.set()

    def _prune(self) -> None:
        """Forget the pauses of taps that nobody can bring back."""
        before = self._wall() - KEPT_S
        for name in [each for each, at in self._over_at.items() if at < before]:
            del self._over_at[name]
            self._set(name, None)


def _source_of(tap: Tap) -> str:
    return "" if tap.source is None else address_text(tap.source)
