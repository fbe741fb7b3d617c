"""The one joint between media and sinks: what a tap hears, decoded in bulk.

session.take() -> Run, Gap, Digit, SourceChange -> the track, its sinks and evidence
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from server.audio import AudioWarning, GapCause, StreamInfo
from server.library.interrupted import Interrupted
from server.log import LineBudget, TapLog
from server.rtp.address import address_text
from server.rtp.session import RtpSession
from server.sinks.base import AudioSink, LiveListener, StreamSummary
from server.taps.media_facts import media_facts
from server.taps.tap import EndReason, Tap
from server.taps.verdict import TrackEvidence, TrackVerdict, verdict_with_audio
from server.track import Track

log = logging.getLogger(__name__)

_WARNING_LINES = LineBudget(10)
"""For all taps; each document and the API tell of all of them."""

LIVE_QUIET_S = 0.1
"""Without RTP after control told the end before forwards end. A recording waits longer
for what may be under way; whoever hears a tap live would take the wait for silence."""

SinkFactory = Callable[[StreamInfo, bool], Sequence[AudioSink]]
"""Told whether the sinks are to go on with what there is from before a restart."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Turns monotonic seconds into wall time; read once, so that it never steps."""

    offset: float
    """Wall seconds minus monotonic seconds."""

    def at(self, now: float) -> datetime:
        """Return the wall time at `now`, UTC."""
        return datetime.fromtimestamp(now + self.offset, UTC)


class TapStream:
    """The audio of one tap on its way to its sinks."""

    def __init__(
        self,
        tap: Tap,
        *,
        clock: Clock,
        new_recording_id: Callable[[datetime], str],
        sinks: SinkFactory,
        encoding: str = "pcm16",
        announced_id: str = "",
        interrupted: Sequence[Interrupted] = (),
        is_masked: bool = False,
    ) -> None:
        self.tap = tap
        self.told_state = tap.state
        """The state of the tap that was told last."""
        self.verdicts: list[TrackVerdict] = []
        """Of what is finished, one for each recording."""
        self.on_warning: Callable[[StreamInfo, AudioWarning], None] = lambda _i, _w: (
            None
        )
        """Called when a track begins to sound wrong, or right again."""
        self.tracks: list[Track] = []
        self._listeners: dict[int, list[LiveListener]] = {}
        """By track, also by one that has not begun."""
        self.log = TapLog(
            log,
            control_id=tap.control_id,
            call_id=tap.call_id,
            direction=tap.direction.value,
        )
        self.clock = clock
        self._new_recording_id = new_recording_id
        self._sinks = sinks
        self._encoding = encoding
        self.interrupted = {each.info.track: each for each in interrupted}
        """Recordings from before a restart that nothing has gone on with yet."""
        self._is_masked = is_masked
        self._unmasked_at: float | None = None
        """When a pause was over, monotonic seconds."""
        self.announced_id = announced_id
        """Under which the library knows of the tap until there is audio."""

    @property
    def queued_blocks(self) -> int:
        """Blocks of audio that wait for a sink."""
        return sum(track.queued_blocks for track in self.tracks)

    def listeners(self, track: int) -> list[LiveListener]:
        """Return the list of those that listen to a track; change it freely."""
        return self._listeners.setdefault(track, [])

    @property
    def has_listeners(self) -> bool:
        """Whether somebody wants the audio at once."""
        return any(self._listeners.values())

    def has_nothing_to_add(self, now: float) -> bool:
        """Tell whether those who listen to a tap over RTP have heard all of it."""
        session = self.tap.session
        # Over WebSocket the end of the audio is told.
        if not isinstance(session, RtpSession) or session.held_packets:
            return False
        is_passed_on = not any(each.is_decoding for each in self.tracks)
        return is_passed_on and self.tap.is_quiet(now, LIVE_QUIET_S)

    async def pass_on_all(self) -> None:
        """Wait until those who listen have all that was taken."""
        await asyncio.gather(*(track.decode_all() for track in self.tracks))

    def pump(self, now: float) -> None:
        """Pass on everything that is due."""
        self.tap.session.handle_timer(now)
        self._handle_events(now)
        arrived_at = self.tap.session.last_media_at
        for track in self.tracks:
            if arrived_at is not None:
                track.quality.observe(arrived_at, track.length)
                track.observe_start(arrived_at + self.clock.offset)
            self._tell_warnings(track, now)
        self._check_size(now)

    def keep_counts(self) -> None:
        """Let a crash leave how many packets there were, as far as that is due."""
        for number, track in enumerate(self.tracks):
            if track.length >= track.count_at:
                track.count(self.tap.session.counts(number))

    @property
    def is_masked(self) -> bool:
        """Whether recording is paused."""
        return self._is_masked

    def mask(self, now: float, *, is_on: bool) -> None:
        """Pause recording, or let it go on; what was heard before stays as it was."""
        self.pump(now)
        self._is_masked = is_on
        self._unmasked_at = None if is_on else now
        for number, track in enumerate(self.tracks):
            self._mask_track(number, track)
        self.log.info("recording %s", "is paused" if is_on else "goes on")

    def _mask_track(self, number: int, track: Track) -> None:
        """Mask a track, or end its mask where what was heard in the pause ends.

        Some of that is told later: it may wait for what was lost before it.
        """
        if self._unmasked_at is None:
            track.mask()
            return
        heard_s = self._unmasked_at - self.tap.session.track_started_at(number)
        track.unmask(track.offset + round(heard_s * track.info.sample_rate))

    def _check_size(self, now: float) -> None:
        limit = self.tap.limits.recording_bytes
        if not limit or self.tap.end_reason is not None:
            return
        if any(each.size_bytes >= limit for each in self.tracks):
            self.tap.end(EndReason.LIMIT, now, f"{limit} bytes")

    async def close(self, now: float) -> None:
        """Pass on the rest and finish every sink."""
        tap = self.tap
        ended_at = now if tap.ended_at is None else tap.ended_at
        tap.session.finish(ended_at, pad=True)
        # What the end is padded with never arrived, so that nothing is observed here.
        self._handle_events(now)
        await asyncio.gather(
            *(self._close_track(track, ended_at) for track in self.tracks)
        )

    async def abandon(self, error: Exception | None = None) -> None:
        """Stop at once, because of `error` if there was one.

        What is unfinished is left so.
        """
        await asyncio.gather(*(track.abandon(error) for track in self.tracks))

    def _begin(self, track: int) -> Track:
        started_at = self.clock.at(self.tap.session.track_started_at(track))
        info = self._new_info(track, started_at)
        past = self.interrupted.get(track)
        if past is not None and _goes_on(past.info, info):
            del self.interrupted[track]
            elapsed = started_at.timestamp() - past.info.started_at
            offset = max(past.length, round(elapsed * info.sample_rate))
            sinks = self._sinks(past.info, True)
            begun = Track(past.info, sinks, self.listeners(track), past, offset)
            self.log.info("recording %s goes on", past.recording_id)
        else:
            begun = Track(info, self._sinks(info, False), self.listeners(track))
            begun.quality.observe(self.tap.session.track_started_at(track), 0)
            self.log.info("recording %s begins", info.recording_id)
        if self._is_masked or self._unmasked_at is not None:
            begun.mask()
            self._mask_track(track, begun)
        return begun

    def _new_info(self, track: int, started_at: datetime) -> StreamInfo:
        tap = self.tap
        audio_format = tap.session.track_format(track)
        facts = media_facts(tap)
        return StreamInfo(
            recording_id=self._new_recording_id(started_at),
            control_id=tap.control_id,
            call_id=facts.call_id,
            node_id=tap.node_id,
            direction=tap.direction.value,
            transport=tap.transport.value,
            codec=audio_format.codec,
            sample_rate=audio_format.sample_rate,
            channels=audio_format.channels,
            track=track,
            started_at=started_at.timestamp(),
            from_number=tap.from_number,
            to_number=tap.to_number,
            origin=tap.origin.value,
            encoding=self._encoding,
            announced_id=self.announced_id,
            source="" if tap.source is None else address_text(tap.source),
            port=tap.port or 0,
            is_returning=tap.is_returning,
            context=tap.context,
            tags=facts.tags,
        )

    def _handle_events(self, now: float) -> None:
        for track, event in self.tap.session.take(now):
            while track >= len(self.tracks):
                self.tracks.append(self._begin(len(self.tracks)))
            self.tracks[track].handle(event)

    def _tell_warnings(self, track: Track, now: float) -> None:
        rate = track.info.sample_rate
        for warning in track.quality.take_warnings():
            self.on_warning(track.info, warning)
            name = warning.name.value
            # What is wrong with one sender is often wrong with all of its taps.
            is_told = _WARNING_LINES.take(now)
            if warning.end is None:
                start_s, sentence = warning.start / rate, warning.sentence
                tell = self.log.warning if is_told else self.log.debug
                tell("%s, from %.2f s on: %s", name, start_s, sentence)
            else:
                tell = self.log.info if is_told else self.log.debug
                tell("%s is over at %.2f s", name, warning.end / rate)

    async def _close_track(self, track: Track, ended_at: float) -> None:
        await track.settle()
        verdict = self._judge(track)
        self.verdicts.append(verdict)
        self._tell_warnings(track, ended_at)
        await track.close(self._summarise(track, verdict, ended_at))
        self.log.info(
            "recording %s %s, %.2f s: %s",
            track.info.recording_id,
            verdict.outcome.value,
            track.length / track.info.sample_rate,
            verdict.reason,
        )

    def _judge(self, track: Track) -> TrackVerdict:
        tap = self.tap
        evidence = TrackEvidence(
            sample_rate=track.info.sample_rate,
            samples=track.length,
            missing=track.missing,
            lost_packets=track.total(tap.session.counts(track.info.track)).lost,
            undecodable_packets=self._undecodable(track),
            peak=track.quality.peak,
            drop_details=_drop_details(track),
        )
        reason = tap.end_reason or EndReason.ERROR
        return verdict_with_audio(evidence, reason, tap.origin, tap.end_detail)

    def _summarise(
        self, track: Track, verdict: TrackVerdict, ended_at: float
    ) -> StreamSummary:
        tap = self.tap
        counts = track.total(tap.session.counts(track.info.track))
        return StreamSummary(
            length=track.length,
            ended_at=self.clock.at(ended_at),
            outcome=verdict.outcome,
            is_complete=verdict.is_complete,
            reason=verdict.reason,
            end_reason=(tap.end_reason or EndReason.ERROR).value,
            origin=tap.origin.value,
            counts=counts,
            undecodable=self._undecodable(track),
            quality=track.describe_quality(counts),
            warnings=tuple(track.warnings),
            gaps=sorted(track.gaps, key=lambda gap: gap.start),
            digits=track.digits,
            changes=track.changes,
            late=track.late,
            arrival_started_at=track.started_at,
            sender_started_at=self._sender_started_at(track),
            custom_parameters=media_facts(tap).custom_parameters,
        )

    def _sender_started_at(self, track: Track) -> float | None:
        """Return when the file began by the sender's clock, be it before a restart."""
        told = self.tap.session.sender_started_at(track.info.track)
        return None if told is None else told - track.offset / track.info.sample_rate

    def _undecodable(self, track: Track) -> int:
        # Of what came in a format that is unknown here no track ever heard.
        return track.undecodable + media_facts(self.tap).unsupported_messages


def _goes_on(past: StreamInfo, info: StreamInfo) -> bool:
    """Return whether audio can go on in the file of a recording."""
    if (past.sample_rate, past.channels) != (info.sample_rate, info.channels):
        return False
    return past.encoding == info.encoding


def _drop_details(track: Track) -> tuple[str, ...]:
    """Return why audio that arrived could not be kept."""
    details = {gap.detail for gap in track.gaps if gap.cause is GapCause.DROPPED}
    return tuple(sorted(details - {""}))
