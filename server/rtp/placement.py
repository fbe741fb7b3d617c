"""The time side of one RTP stream: packets in sequence to positions on its track.

RFC 3550 section 5.1 for timestamps; RFC 3551 section 4.1 for silence, which is a
timestamp that jumps while the sequence number does not.

Audio that follows without a hole collects in an open run. A hole becomes gaps: as much
as the missing packets were worth is `LOST`, as much as the useless ones were is
`DROPPED`, and what is left over is `SILENCE`.
"""

from __future__ import annotations

from collections import Counter

from server.audio import AudioFormat, Digit, GapCause, Late, SourceChange
from server.rtp.packet import RtpPacket
from server.rtp.payload_types import PayloadFormats, Signal
from server.rtp.serial import timestamp_difference
from server.rtp.stats import deviation, smooth
from server.rtp.telephone_event import TelephoneEvent, TelephoneEventDecoder
from server.rtp.timeline import MIN_ARRIVAL_GAP, Timeline
from server.rtp.track import MAX_BACKLOG, Track


class Placement:
    """Puts packets that come in sequence at their positions."""

    __slots__ = (
        "_clock_rate",
        "_drops",
        "_formats",
        "_head",
        "_is_anchored",
        "_jitter",
        "_missing",
        "_next_timestamp",
        "_payload_bytes",
        "_payloads",
        "_refused",
        "_samples",
        "_telephone_events",
        "_timeline",
        "format",
        "last_at",
        "track",
    )

    def __init__(
        self,
        track: Track,
        *,
        audio_format: AudioFormat,
        formats: PayloadFormats,
        drops: Counter[str],
    ) -> None:
        self.track = track
        self.format = audio_format
        """Of the latest audio on the track."""
        self.last_at = track.last_audio_at
        """Arrival of the latest audio that was placed."""
        self._formats = formats
        self._drops = drops
        self._timeline = Timeline(track.sample_rate)
        self._telephone_events = TelephoneEventDecoder()
        # Whether timestamps mean anything yet.
        self._is_anchored = False
        self._payloads: list[bytes] = []
        self._jitter = 0.0
        # Since the latest audio: packets given up on, and packets that were useless.
        self._missing = 0
        self._refused = 0
        # Of the latest audio packet: its first two octets with the marker clear, its
        # length and duration, and the timestamp at which it ends. That one is wrapped
        # when a packet is placed, not on the short path.
        self._head = 0
        self._payload_bytes = 0
        self._samples = 0
        self._clock_rate = audio_format.clock_rate
        self._next_timestamp = 0

    def place(self, packet: RtpPacket, at: float) -> None:
        """Give the next packet in sequence its place on the track."""
        kind = self._formats.kind_of(packet.payload_type, len(packet.payload))
        if isinstance(kind, AudioFormat):
            self._place_audio(packet, kind, at)
        elif kind is None:
            self._refuse("unknown_payload_type")
        else:
            self.track.counts.received += 1
            if kind is Signal.TELEPHONE_EVENT:
                self._receive_telephone_event(packet)

    def close_run(self) -> None:
        """Hand the open run to the track."""
        if not self._payloads:
            return
        track = self.track
        end = self._timeline.position_of(self._next_timestamp)
        track.append(end, self._payloads, self.format)
        self._payloads = []
        self._report_progress()
        track.counts.jitter_ms = self._jitter * 1000 / self._clock_rate

    def resume_after(self, pause: float, timestamp: int, at: float) -> None:
        """Move the end of the track on by a pause that timestamps say nothing of.

        Args:
            pause: Seconds.
            timestamp: Of the first packet behind it.
            at: When that one came.
        """
        self.close_run()
        track = self.track
        jump = timestamp_difference(timestamp, self._next_timestamp)
        silence = self._timeline.length_of(max(jump, 0))
        self._fill_to(track.position + silence + round(pause * track.sample_rate))
        self._timeline.anchor(timestamp, track.position, self._clock_rate)
        self._next_timestamp = timestamp
        track.audio_until = at
        # The pause is no jitter.
        self.last_at = at - self._samples / self._clock_rate

    def restart(self) -> None:
        """Forget the timestamps so far; the next audio is placed by its arrival."""
        self._is_anchored = False
        self.track.note(SourceChange(self.track.position, "restart of the stream"))

    def prepend(self, packet: RtpPacket) -> bool:
        """Take the packet before the first, if nobody knows of that one's place yet.

        Tells whether it was taken. Two packets make a source valid, so one that they
        overtook on the way comes when the track has begun.
        """
        kind = self._formats.kind_of(packet.payload_type, len(packet.payload))
        if kind != self.format or not self._is_anchored or not self.track.is_untold:
            return False
        after = timestamp_difference(packet.timestamp, self._next_timestamp)
        start = self._timeline.position_of(self._next_timestamp + after)
        length = self._timeline.length_of(self.format.samples_in(packet.payload))
        unit = self.format.bytes_per_sample
        is_odd = bool(unit) and len(packet.payload) % unit
        if not length or start != -length or is_odd:
            return False
        self._payloads.insert(0, packet.payload)
        self._timeline.move(length)
        track, seconds = self.track, length / self.track.sample_rate
        track.started_at -= seconds
        if track.sender_started_at is not None:
            track.sender_started_at -= seconds
        track.counts.reordered += 1
        return True

    def note_clock(self, timestamp: int, wall_clock: float) -> None:
        """Take the sender's word for when a timestamp is (RFC 3550 section 6.4.1).

        The first word counts: positions behind a restart or a pause that timestamps
        say nothing of are told by arrival.
        """
        if self._is_anchored and self.track.sender_started_at is None:
            after = timestamp_difference(timestamp, self._next_timestamp)
            position = self._timeline.position_of(self._next_timestamp + after)
            started_at = wall_clock - position / self.track.sample_rate
            self.track.sender_started_at = started_at

    def note_late(self, packet: RtpPacket) -> None:
        """Note where a packet belonged that came too late to be placed."""
        kind = self._formats.kind_of(packet.payload_type, len(packet.payload))
        if not self._is_anchored or not isinstance(kind, AudioFormat):
            return
        after = timestamp_difference(packet.timestamp, self._next_timestamp)
        start = self._timeline.position_of(self._next_timestamp + after)
        length = self._timeline.length_of(kind.samples_in(packet.payload))
        if 0 <= start < self.track.position + length and length:
            self.track.note(Late(start, length))

    def finish_digits(self) -> None:
        """Note the digit whose end was not seen."""
        self._note_digits(self._telephone_events.finish())

    def _refuse(self, reason: str) -> None:
        self._drops[reason] += 1
        self._refused += 1

    def _place_audio(self, packet: RtpPacket, kind: AudioFormat, at: float) -> None:
        payload = packet.payload
        samples = kind.samples_in(payload)
        unit = kind.bytes_per_sample
        if not samples or (unit and len(payload) % unit):
            self._refuse("malformed_payload")
            return
        self._move_to(packet.timestamp, kind, at)
        self._samples = samples
        self._payload_bytes = len(payload)
        self._head = 0x8000 | packet.payload_type
        is_full = self.track.backlog + len(self._payloads) >= MAX_BACKLOG
        if is_full:
            self.close_run()
        else:
            self._payloads.append(payload)
        # What was held came before what it waited for; the clock does not run back.
        self.last_at = max(self.last_at, at)
        self._next_timestamp = self._timeline.wrap(self._next_timestamp + samples)
        if is_full:
            self._drop_placed()

    def _drop_placed(self) -> None:
        """Leave a gap where the audio just placed would be: nobody takes it."""
        self._drops["overrun"] += 1
        end = self._timeline.position_of(self._next_timestamp)
        self.track.skip(end - self.track.position, GapCause.DROPPED)
        self._report_progress()

    def _move_to(self, timestamp: int, kind: AudioFormat, at: float) -> None:
        """Move the end of the track to where a packet belongs."""
        if kind is not self.format and kind != self.format:
            self._change_format(kind)
        timeline = self._timeline
        if not self._is_anchored or kind.clock_rate != timeline.clock_rate:
            self._anchor(timestamp, kind.clock_rate, at)
            return
        jump = timestamp_difference(timestamp, self._next_timestamp)
        self._jitter = smooth(
            self._jitter,
            deviation(at - self.last_at, jump + self._samples, self._clock_rate),
        )
        lost_ticks = self._missing * self._samples
        if not jump:
            self._missing = self._refused = 0
        elif not lost_ticks and not self._refused and timeline.absorb(jump):
            self._next_timestamp += jump
        elif timeline.believes(jump, lost_ticks=lost_ticks, lag=self._lag(at)):
            self.close_run()
            timeline.resume()
            self._next_timestamp += jump
            self._fill_to(timeline.position_of(self._next_timestamp))
        else:
            self._anchor(timestamp, kind.clock_rate, at)

    def _anchor(self, timestamp: int, clock_rate: int, at: float) -> None:
        """Place a packet by its arrival, because its timestamp says nothing."""
        self.close_run()
        track = self.track
        pause = at - track.audio_until
        if track.position and pause > MIN_ARRIVAL_GAP:
            self._fill_to(track.position + round(pause * track.sample_rate))
        else:
            self._fill_to(track.position)
        self._timeline.anchor(timestamp, track.position, clock_rate)
        self._next_timestamp = timestamp
        self._clock_rate = clock_rate
        self._is_anchored = True

    def _fill_to(self, position: int) -> None:
        """Account for the positions up to where audio goes on, by cause."""
        track = self.track
        packet_ticks = self._samples
        for cause, packets in (
            (GapCause.LOST, self._missing),
            (GapCause.DROPPED, self._refused),
        ):
            length = self._timeline.length_of(packets * packet_ticks)
            track.skip(min(length, position - track.position), cause)
        track.skip(position - track.position, GapCause.SILENCE)
        self._missing = self._refused = 0

    def _change_format(self, kind: AudioFormat) -> None:
        self.close_run()
        self.format = kind
        what = f"format {kind.codec} {kind.sample_rate} Hz"
        self.track.note(SourceChange(self.track.position, what))

    def _lag(self, now: float) -> float:
        """Return the seconds by which the track is behind the arrival clock."""
        end = self._timeline.position_of(self._next_timestamp)
        return now - self.track.started_at - end / self.track.sample_rate

    def _report_progress(self) -> None:
        self.track.last_audio_at = self.last_at
        self.track.audio_until = self.last_at + self._samples / self._clock_rate

    def _receive_telephone_event(self, packet: RtpPacket) -> None:
        self._note_digits(
            self._telephone_events.receive(packet.timestamp, packet.payload)
        )

    def _note_digits(self, events: list[TelephoneEvent]) -> None:
        for event in events:
            start = self.track.position
            length = self._timeline.length_of(event.duration)
            if self._is_anchored:
                after = timestamp_difference(event.timestamp, self._next_timestamp)
                start = self._timeline.position_of(self._next_timestamp + after)
            self.track.note(Digit(max(start, 0), event.digit, length))
