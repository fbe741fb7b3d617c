"""The deck: every live tap with its stream, moved along by one ticker.

Twice a second the ticker passes on what a tap has heard (once where there are very
many), looks for silence and deadlines, and lets ends happen. Whatever a tap comes to,
it leaves one document in the library for each of its tracks, and one if it never had a
track. Until then the library knows of it by a record, which a crash leaves behind.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

from server.attended import Attended
from server.audio import StreamInfo
from server.documents import announced_tap, describe_tap, documents_left
from server.forwards.roster import TapForwards
from server.library.errors import LibraryError
from server.library.interrupted import Interrupted
from server.library.recording import Recording
from server.library.store import Library
from server.log import CounterLog
from server.news import News
from server.pairing import Pairing
from server.pauses import Pauses
from server.recent import RecentTaps
from server.records import TapRecords
from server.rtp.demux import RtpDemux
from server.rule_forwards import RuleForwards
from server.sinks.base import AudioSink, LiveListener
from server.sinks.disk import until_kept
from server.sinks.recorder import Recorder, RecorderOptions
from server.sinks.writers import WriterPool
from server.streams import Clock, TapStream
from server.taps.rendezvous import Rendezvous
from server.taps.status import TapStatus
from server.taps.tap import EndReason, Tap, TapOrigin
from server.taps.verdict import TrackVerdict, verdict_of_tap

log = logging.getLogger(__name__)

TICK_S = 0.02
SLOTS = 50
"""Each tick passes on the audio of one tap in this many, or of two if there are few
enough, so that the work is spread evenly."""

LIGHT_TAPS = 500
"""Up to so many are written twice a second: what is not written yet when the process is
killed is lost, and must be less than a second. More would notice that it costs twice
the system calls, some 20 us for each."""

LOOKS = 2
"""How many times in SLOTS ticks a tap is looked at, to see whether it is over."""


class Deck:
    """All taps at work."""

    def __init__(
        self,
        *,
        rendezvous: Rendezvous,
        demux: RtpDemux,
        library: Library,
        writers: WriterPool,
        pauses: Pauses,
        clock: Callable[[], Clock],
        now: Callable[[], float],
        after_end: Callable[[Tap], Coroutine[Any, Any, None]],
        on_ended: Callable[[TapStatus], None],
        rules: RuleForwards,
        recorder: RecorderOptions,
        on_published: Callable[[Recording], None] = lambda _: None,
        encoding: str = "pcm16",
        interrupted: Callable[[str], Sequence[Interrupted]] = lambda _: (),
        put_back: Callable[[Interrupted], None] = lambda _: None,
        forwards: TapForwards | None = None,
        news: News,
    ) -> None:
        self._news = news
        self._rendezvous = rendezvous
        self._demux = demux
        self._library = library
        self._writers = writers
        self._pauses = pauses
        self._clock = clock
        self._now = now
        self._after_end = after_end
        self._on_ended = on_ended
        self._rules = rules
        self.recent = RecentTaps()
        self._pairing = Pairing(
            library, on_published=on_published, on_joined=self.recent.joined
        )
        self._recorder = replace(recorder, on_finished=self._pairing.finish)
        self._encoding = encoding
        self._interrupted = interrupted
        self._put_back = put_back
        self._forwards = forwards or TapForwards()
        self._records = TapRecords(library, writers)
        self._counters = CounterLog()
        self._streams: dict[str, TapStream] = {}
        self._slots: list[list[TapStream]] = [[] for _ in range(SLOTS)]
        self._finishing: set[asyncio.Task[None]] = set()
        self._ending: dict[str, TapStream] = {}
        """Those that are over and not among the recent ones yet."""
        self._attended = Attended()
        self._tick = 0

    @property
    def live(self) -> int:
        """How many taps are live or being finished."""
        return len(self._streams) + len(self._finishing)

    @property
    def finishing(self) -> int:
        """How many taps are over and not finished yet."""
        return len(self._finishing)

    @property
    def queued_blocks(self) -> int:
        """Blocks of audio that wait for a sink."""
        return sum(stream.queued_blocks for stream in self._streams.values())

    async def run(self) -> None:
        """Tick until cancelled."""
        due = self._now()
        while True:
            due = max(due + TICK_S, self._now())
            await asyncio.sleep(due - self._now())
            self._tick_safely(self._now())

    def _tick_safely(self, now: float) -> None:
        try:
            self.tick(now)
        except Exception:
            # A mistake of ours in one tap must not stop all the others.
            log.exception("the ticker met an error")

    def tick(self, now: float) -> None:
        """Look after the taps whose turn it is."""
        self._tick = (self._tick + 1) % SLOTS
        self._demux.handle_timer(now)
        self._rendezvous.welcome_sources(now)
        self._begin_all()
        # Before any audio is passed on: who is to have it must not miss the beginning.
        self._rules.look()
        is_light = len(self._streams) <= LIGHT_TAPS
        for look in range(LOOKS):
            slot = self._slots[(self._tick + look * SLOTS // LOOKS) % SLOTS]
            if look == 0 or is_light:
                for stream in slot:
                    self._pump(stream, now)
                    if is_light:
                        # It is a write of its own, which many taps go without.
                        stream.keep_counts()
            self._observe(slot, now)
        self._pump_attended(now)
        self._counters.observe("rtp", self._demux.drops)
        self._counters.observe("rtp notices", self._demux.notices)
        self._counters.observe("refused", self._rendezvous.refused)
        self._counters.observe("writers", self._writers.refused)
        self._counters.log(log, now)

    def is_at_work(self, control_id: str) -> bool:
        """Tell whether a tap has begun and is not over."""
        # One that was announced a moment ago need not wait for the next tick.
        self._begin_all()
        return control_id in self._streams

    def partner(self, control_id: str) -> str | None:
        """Return the live tap of the other side of the same call, if there is one."""
        other = self._pairing.partner(control_id)
        return other if other in self._streams else None

    def attend(
        self, control_id: str, listener: LiveListener, track: int, *, every: int = 1
    ) -> None:
        """Let somebody have the audio of a live tap at every tick, or every few."""
        self._streams[control_id].listeners(track).append(listener)
        self._attended.add(control_id, every)

    def ignore(self, control_id: str, listener: LiveListener, track: int) -> None:
        """Let a listener go, if its tap is still there."""
        if (stream := self._streams.get(control_id)) is None:
            return
        listeners = stream.listeners(track)
        if listener in listeners:
            listeners.remove(listener)

    def _pump_attended(self, now: float) -> None:
        attended = []
        for control_id in self._attended.turn(self._tick):
            stream = self._streams.get(control_id)
            if stream is None or not stream.has_listeners:
                self._attended.discard(control_id)
            else:
                self._pump(stream, now)
                if stream.has_nothing_to_add(now):
                    self._forwards.finish(control_id)
                attended.append(stream)
        # Whoever listens is to hear of the end as soon as of the audio.
        self._observe(attended, now)

    def _observe(self, streams: Sequence[TapStream], now: float) -> None:
        """Let ends happen that are due, and tell of what else became of taps."""
        for tap in self._rendezvous.take_due(now, [each.tap for each in streams]):
            self._finish(tap)
        for stream in streams:
            self._tell_state(stream)

    def _tell_state(self, stream: TapStream) -> None:
        if stream.tap.state is not stream.told_state:
            stream.told_state = stream.tap.state
            self._news.tap("tap.state", self._describe(stream))

    def statuses(self, limit: int | None = None) -> list[TapStatus]:
        """Describe the live taps, then those that ended last, newest first."""
        live = islice(reversed(self._rendezvous.taps.values()), limit)
        described = [self.status(tap) for tap in live]
        ending = map(self._describe, reversed(self._ending.values()))
        ended = [*map(self.recent.renamed, ending), *self.recent]
        return [*described, *ended][:limit]

    def status(self, tap: Tap) -> TapStatus:
        """Describe a tap as it is now."""
        stream = self._streams.get(tap.control_id)
        if stream is None:
            return describe_tap(tap, [], self._clock())
        return self._describe(stream)

    def _describe(self, stream: TapStream) -> TapStatus:
        status = describe_tap(
            stream.tap, stream.tracks, stream.clock, is_paused=stream.is_masked
        )
        forwards = self._forwards.statuses(stream.tap.control_id)
        return replace(status, forwards=forwards) if forwards else status

    async def mask(self, tap: Tap, *, is_on: bool) -> None:
        """Pause the recording of a live tap, or let it go on, from this moment on.

        Returns when a restart would not forget it, or the disk lets that wait.
        Cancelling gives up waiting only.
        """
        self._begin_all()
        stream = self._streams.get(tap.control_id)
        if stream is None:
            return
        stream.mask(self._now(), is_on=is_on)
        self._news.tap("tap.paused" if is_on else "tap.resumed", self._describe(stream))
        if is_on:
            self._pauses.keep(tap)
        else:
            self._pauses.drop(tap)
        if not await self._pauses.kept(tap):
            stream.log.error("a restart would not know of that yet")

    async def settle(self, timeout: float) -> None:
        """Wait until every tap whose end is due has been finished."""
        deadline = self._now() + timeout
        while (now := self._now()) < deadline:
            # Before looking: a tap that has just been registered is not live yet.
            self._tick_safely(now)
            if not self.live:
                return
            await asyncio.sleep(TICK_S)

    async def abandon(self) -> None:
        """Give up on whatever is not finished."""
        for task in self._finishing:
            task.cancel()
        await asyncio.gather(*self._finishing, return_exceptions=True)
        await asyncio.gather(*(each.abandon() for each in self._streams.values()))

    def _begin_all(self) -> None:
        while (tap := self._rendezvous.next_begun()) is not None:
            self._begin(tap)

    def _begin(self, tap: Tap) -> None:
        clock = self._clock()
        self._pairing.begin(tap)
        announced_id = self._library.new_id(clock.at(tap.created_at))
        interrupted = self._interrupted(tap.control_id)
        stream = TapStream(
            tap,
            clock=clock,
            new_recording_id=self._library.new_id,
            sinks=self._sinks,
            encoding=self._encoding,
            announced_id=announced_id,
            interrupted=interrupted,
            is_masked=self._pauses.begin(tap),
        )
        stream.on_warning = lambda *warned: self._news.tap_warned(
            self._describe(stream), *warned
        )
        self._news.tap("tap.began", self._describe(stream))
        # Nobody asked for a foreign one, and its audio is here already.
        if not interrupted and tap.origin is not TapOrigin.FOREIGN:
            record = announced_tap(tap, announced_id, clock)
            self._news.recording_announced(record)
            self._records.keep(record)
        stream.log.info("waiting for audio over %s", tap.transport.value)
        self._streams[tap.control_id] = stream
        min(self._slots, key=len).append(stream)
        self._rules.begun(tap)

    def _sinks(self, info: StreamInfo, resume: bool) -> list[AudioSink]:
        self._news.recording_began(info, is_resumed=resume)
        options = replace(self._recorder, resume=resume)
        return [Recorder(self._library, self._writers, options)]

    def _pump(self, stream: TapStream, now: float) -> None:
        try:
            stream.pump(now)
        except Exception as error:
            stream.log.exception("this tap met an error")
            stream.tap.end(EndReason.ERROR, now, type(error).__name__)
        if stream.is_masked:
            # Where its audio comes from may have been told only now.
            self._pauses.keep(stream.tap)
        if stream.tap.session.drops:
            self._counters.observe(stream.tap.control_id, stream.tap.session.drops)

    def _finish(self, tap: Tap) -> None:
        tap.close()
        self._rendezvous.remove(tap)
        self._pauses.end(tap)
        stream = self._streams.pop(tap.control_id)
        next(slot for slot in self._slots if stream in slot).remove(stream)
        name = f"finish {tap.control_id}"
        task = asyncio.create_task(self._finish_stream(stream), name=name)
        self._finishing.add(task)
        self._ending[tap.control_id] = stream
        task.add_done_callback(self._finishing.discard)
        self._tell_state(stream)

    async def _finish_stream(self, stream: TapStream) -> None:
        tap = stream.tap
        # The platform is told meanwhile: a file never waits for it.
        telling = asyncio.create_task(self._after_end(tap), name="after end")
        # Begins once what is below has taken the rest, and never waits for a disk.
        ending = asyncio.create_task(self._end_forwards(stream), name="end forwards")
        try:
            await self._close_stream(stream)
            await self._leave_documents(stream)
            await self._publish(stream)
        finally:
            await asyncio.gather(telling, ending, return_exceptions=True)
        self._counters.observe(tap.control_id, tap.session.drops)
        self._counters.forget(tap.control_id)
        verdict = verdict_of_tap(stream.verdicts)
        self._ending.pop(tap.control_id, None)
        status = self.recent.add(replace(self._describe(stream), verdict=verdict))
        self._forwards.forget(tap.control_id)
        self._on_ended(status)
        self._news.tap("tap.ended", status)
        stream.log.info("%s (%s)", tap.state.value, tap.end_reason or "error")

    async def _end_forwards(self, stream: TapStream) -> None:
        await stream.pass_on_all()
        await self._forwards.end(stream.tap.control_id)

    async def _close_stream(self, stream: TapStream) -> None:
        try:
            # For as long as the disk takes, which may be full: nobody waits for it.
            await stream.close(self._now())
        except Exception as error:
            stream.log.exception("this tap could not be finished")
            await stream.abandon(error)

    async def _publish(self, stream: TapStream) -> None:
        try:
            await self._pairing.end(stream.tap)
        except Exception:
            # What is finished stays under `.partial`, and the next start finds it.
            stream.log.exception("what this tap left could not be published")

    async def _leave_documents(self, stream: TapStream) -> None:
        """Publish what no recorder did."""
        documents = documents_left(stream)
        for past in stream.interrupted.values():
            self._put_back(past)
        for document in documents:
            verdict = TrackVerdict(document.state, document.verdict.reason)
            stream.verdicts.append(verdict)
            stream.log.warning("%s: %s", verdict.outcome.value, verdict.reason)
            publish = partial(self._library.publish, document, has_audio=False)
            try:
                await until_kept(publish, f"document {document.id}")
            except LibraryError as error:
                stream.log.error("its document cannot be kept: %s", error)
        self._records.drop(stream.announced_id)
