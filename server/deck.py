"""The deck: every live tap with its stream, moved along by one ticker.

The ticker looks at each tap every half second: it passes on what the tap has heard,
notices silence and deadlines, and lets ends happen. Whatever a tap comes to, it leaves
one document in the library for each of its tracks, and one if it never had a track.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime

from server.audio import StreamInfo
from server.library.recording import Recording, RecordingState, Verdict
from server.library.store import Library
from server.log import CounterLog
from server.rtp.demux import RtpDemux
from server.sinks.base import AudioSink
from server.sinks.recorder import Recorder
from server.streams import Clock, TapStream, Track
from server.taps.rendezvous import Rendezvous
from server.taps.status import TapStatus
from server.taps.tap import EndReason, Tap
from server.taps.verdict import verdict_without_audio

log = logging.getLogger(__name__)

TICK_S = 0.05
SLOTS = 10
"""Each tick looks at one tap in this many, so that the work is spread evenly."""

MAX_RECENT = 200
"""Ended taps that the API goes on showing."""

FINISH_TIMEOUT_S = 30.0
"""For the sinks of a tap to finish."""


class Deck:
    """All taps at work."""

    def __init__(
        self,
        *,
        rendezvous: Rendezvous,
        demux: RtpDemux,
        library: Library,
        clock: Clock,
        now: Callable[[], float],
        before_end: Callable[[Tap], Awaitable[None]],
        on_ended: Callable[[TapStatus], None],
    ) -> None:
        self._rendezvous = rendezvous
        self._demux = demux
        self._library = library
        self._clock = clock
        self._now = now
        self._before_end = before_end
        self._on_ended = on_ended
        self._counters = CounterLog()
        self._streams: dict[str, TapStream] = {}
        self._slots: list[list[TapStream]] = [[] for _ in range(SLOTS)]
        self._finishing: set[asyncio.Task[None]] = set()
        self._tick = 0
        self.recent: deque[TapStatus] = deque(maxlen=MAX_RECENT)
        """The taps that ended last, oldest first."""
        self.lag_s = 0.0
        """How late the ticker last was: how busy the event loop is."""

    @property
    def live(self) -> int:
        """How many taps are live or being finished."""
        return len(self._streams) + len(self._finishing)

    async def run(self) -> None:
        """Tick until cancelled."""
        due = self._now()
        while True:
            due = max(due + TICK_S, self._now())
            await asyncio.sleep(due - self._now())
            self.lag_s = max(0.0, self._now() - due)
            try:
                self.tick(self._now())
            except Exception:
                # A mistake of ours in one tap must not stop all the others.
                log.exception("the ticker met an error")

    def tick(self, now: float) -> None:
        """Look at the taps whose turn it is, and at every deadline now and then."""
        self._tick = (self._tick + 1) % SLOTS
        self._demux.handle_timer(now)
        self._rendezvous.welcome_sources(now)
        while (tap := self._rendezvous.next_begun()) is not None:
            self._begin(tap)
        for stream in self._slots[self._tick]:
            self._pump(stream, now)
        if self._tick % (SLOTS // 2) == 0:
            self._count_drops(now)
            for tap in self._rendezvous.take_due(now):
                self._finish(tap)

    def statuses(self) -> list[TapStatus]:
        """Describe the live taps, then those that ended last, newest first."""
        live = [self.status(tap) for tap in self._rendezvous.taps.values()]
        return [*live, *reversed(self.recent)]

    def status(self, tap: Tap) -> TapStatus:
        """Describe a tap as it is now."""
        stream = self._streams.get(tap.control_id)
        return describe(tap, [] if stream is None else stream.tracks, self._clock)

    async def settle(self, timeout: float) -> None:
        """Wait until every tap whose end is due has been finished."""
        deadline = self._now() + timeout
        while self.live and self._now() < deadline:
            self.tick(self._now())
            await asyncio.sleep(TICK_S)

    async def abandon(self) -> None:
        """Give up on whatever is not finished."""
        for task in self._finishing:
            task.cancel()
        await asyncio.gather(*self._finishing, return_exceptions=True)
        await asyncio.gather(*(each.abandon() for each in self._streams.values()))

    def _count_drops(self, now: float) -> None:
        self._counters.observe("rtp", self._demux.drops)
        self._counters.observe("refused", self._rendezvous.refused)
        for tap in self._rendezvous.taps.values():
            if tap.session.drops:
                self._counters.observe(tap.control_id, tap.session.drops)
        self._counters.log(log, now)

    def _begin(self, tap: Tap) -> None:
        log.info(
            "tap %s %s over %s: waiting for audio",
            tap.control_id,
            tap.direction.value,
            tap.transport.value,
        )
        stream = TapStream(
            tap,
            clock=self._clock,
            new_recording_id=self._library.new_id,
            sinks=self._sinks,
        )
        self._streams[tap.control_id] = stream
        min(self._slots, key=len).append(stream)

    def _sinks(self, _info: StreamInfo) -> list[AudioSink]:
        return [Recorder(self._library)]

    def _pump(self, stream: TapStream, now: float) -> None:
        try:
            stream.pump(now)
        except Exception as error:
            log.exception("tap %s met an error", stream.tap.control_id)
            stream.tap.end(EndReason.ERROR, now, type(error).__name__)

    def _finish(self, tap: Tap) -> None:
        tap.close()
        self._rendezvous.remove(tap)
        stream = self._streams.pop(tap.control_id)
        next(slot for slot in self._slots if stream in slot).remove(stream)
        name = f"finish {tap.control_id}"
        task = asyncio.create_task(self._finish_stream(stream), name=name)
        self._finishing.add(task)
        task.add_done_callback(self._finishing.discard)

    async def _finish_stream(self, stream: TapStream) -> None:
        tap = stream.tap
        try:
            async with asyncio.timeout(FINISH_TIMEOUT_S):
                await self._before_end(tap)
                await stream.close(self._now())
                await self._leave_documents(stream)
        except Exception:
            log.exception("tap %s could not be finished", tap.control_id)
            await stream.abandon()
        self._counters.observe(tap.control_id, tap.session.drops)
        self._counters.forget(tap.control_id)
        status = describe(tap, stream.tracks, self._clock)
        self.recent.append(status)
        self._on_ended(status)
        log.info(
            "tap %s %s (%s)", tap.control_id, tap.state.value, tap.end_reason or "error"
        )

    async def _leave_documents(self, stream: TapStream) -> None:
        for track in stream.tracks:
            if track.error is not None:
                document = self._failed_document(stream.tap, track, track.error)
                await asyncio.to_thread(
                    self._library.publish, document, has_audio=False
                )
        if not stream.tracks:
            document = self._empty_document(stream.tap)
            log.warning(
                "tap %s %s: %s",
                stream.tap.control_id,
                document.state.value,
                document.verdict.reason,
            )
            await asyncio.to_thread(self._library.publish, document, has_audio=False)

    def _empty_document(self, tap: Tap) -> Recording:
        verdict = verdict_without_audio(
            tap.end_reason or EndReason.ERROR, tap.end_detail
        )
        started_at = self._clock.at(tap.created_at)
        return _document_without_audio(
            tap,
            self._library.new_id(started_at),
            started_at,
            RecordingState(verdict.outcome.value),
            verdict.reason,
            self._clock,
        )

    def _failed_document(self, tap: Tap, track: Track, error: Exception) -> Recording:
        return _document_without_audio(
            tap,
            track.info.recording_id,
            datetime.fromtimestamp(track.info.started_at, self._clock.at(0).tzinfo),
            RecordingState.FAILED,
            f"The recording could not be written: {error}.",
            self._clock,
        )


def describe(tap: Tap, tracks: list[Track], clock: Clock) -> TapStatus:
    """Return the public description of a tap."""
    session = tap.session
    has_audio = session.track_count > 0
    audio_format = session.track_format(0) if has_audio else None
    started_at = session.track_started_at(0) if has_audio else None
    first = tracks[0] if tracks else None
    return TapStatus(
        control_id=tap.control_id,
        call_id=tap.call_id,
        node_id=tap.node_id,
        direction=tap.direction.value,
        transport=tap.transport.value,
        origin=tap.origin.value,
        state=tap.state.value,
        from_number=tap.from_number,
        to_number=tap.to_number,
        codec="" if audio_format is None else audio_format.codec.value,
        sample_rate=None if audio_format is None else audio_format.sample_rate,
        created_at=clock.at(tap.created_at),
        started_at=None if started_at is None else clock.at(started_at),
        duration_s=0.0 if first is None else first.length / first.info.sample_rate,
        drops=tuple(sorted(session.drops.items())),
        recording_ids=tuple(track.info.recording_id for track in tracks),
        reason=tap.end_detail or (tap.end_reason.value if tap.end_reason else ""),
        **({"packets": session.counts(0)} if has_audio else {}),
    )


def _document_without_audio(
    tap: Tap,
    recording_id: str,
    started_at: datetime,
    state: RecordingState,
    reason: str,
    clock: Clock,
) -> Recording:
    return Recording(
        id=recording_id,
        call_id=tap.call_id,
        node_id=tap.node_id,
        control_id=tap.control_id,
        direction=tap.direction.value,
        transport=tap.transport.value,
        origin=tap.origin.value,
        codec="",
        sample_rate=0,
        channels=0,
        started_at=started_at,
        ended_at=None if tap.ended_at is None else clock.at(tap.ended_at),
        duration_s=0.0,
        samples=0,
        has_audio=False,
        state=state,
        verdict=Verdict(False, reason),
        end_reason=(tap.end_reason or EndReason.ERROR).value,
        from_number=tap.from_number,
        to_number=tap.to_number,
    )
