"""The RTP of one tap: its sources (SSRCs) on one or more tracks.

Theory of operation. A source of which nothing is known is a candidate until it has
shown two packets in sequence (RFC 3550 A.1). Then:

    no track yet                                   it opens track 0
    a track whose source is silent, or said BYE    it goes on there, placed by arrival
    all tracks busy since it came                  it opens another track, up to a limit
    too early to tell                              it is held, 0.3 s at most

A source whose track was taken over is retired: stragglers are late packets, and if it
goes on after all it is a candidate again.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from server.audio import AudioFormat, GapCause, PacketCounts, SourceChange, TrackEvent
from server.rtp.errors import RtpError
from server.rtp.lanes import Lane
from server.rtp.packet import RtpPacket
from server.rtp.payload_types import PayloadFormats
from server.rtp.probation import Candidate
from server.rtp.receiver import RtpReceiver
from server.rtp.reorder import Arrival
from server.rtp.rtcp import Bye, SenderReport, is_rtcp, parse_compound
from server.rtp.track import Track

REORDER_WINDOW = 0.4
MAX_TRACKS = 2

SILENT_AFTER = 0.2
"""Seconds without a packet after which another source may go on for this one."""

CONCURRENT_AFTER = 0.1
"""Seconds for which a source must go on beside a new one to count as concurrent; more
than its last packets are late by."""

MAX_CANDIDATES = 8
MAX_RETIRED = 8

MIN_PADDING = 0.3
"""Seconds missing at the end before silence is added for them."""


class RtpSession:
    """Turns the datagrams of one tap into events on tracks.

    Every datagram ends up in the counts of a track (received, late or duplicate), in
    `drops` under one name, in `rtcp_received`, or is among `held_packets`.
    """

    def __init__(
        self,
        formats: PayloadFormats,
        *,
        reorder_window: float = REORDER_WINDOW,
        max_tracks: int = MAX_TRACKS,
    ) -> None:
        self.drops: Counter[str] = Counter()
        self.rtcp_received = 0
        self.sender_report: SenderReport | None = None
        """The latest one, of any source."""
        self._formats = formats
        self._reorder_window = reorder_window
        self._max_tracks = max_tracks
        # By the four bytes of the SSRC, which costs less to look up than to unpack.
        self._receivers: dict[bytes, RtpReceiver] = {}
        self._retired: dict[bytes, RtpReceiver] = {}
        self._candidates: dict[bytes, Candidate] = {}
        # The receiver that plays on each track.
        self._players: list[RtpReceiver] = []
        self._lane: Lane | None = None
        # The receiver that the lane takes packets for.
        self._laned: RtpReceiver | None = None
        self._bye_at: float | None = None
        self._is_finished = False

    # Input

    def expect(self, formats: PayloadFormats) -> None:
        """Read the payload types of sources yet to come in another way."""
        self._formats = formats

    def receive_datagram(self, data: bytes, now: float) -> None:
        """Take an RTP or RTCP datagram from the source of this tap."""
        self._collect()
        receiver = self._receivers.get(data[8:12])
        if receiver is None or not receiver.receive_in_order(data, now):
            self._receive(data, now, receiver)
        self._offer()

    def use_lane(self, lane: Lane) -> None:
        """Have a lane take the packets that can be foretold, from now on."""
        self.leave_lane()
        self._lane = lane
        self._offer()

    def leave_lane(self) -> None:
        """Have every packet again."""
        self._collect()
        if self._lane is not None:
            self._lane.close()
            self._lane = None

    def receive_rtcp(self, data: bytes, now: float) -> None:
        """Take an RTCP datagram."""
        try:
            packets = parse_compound(data)
        except RtpError as error:
            self.drops[error.reason] += 1
            return
        self.rtcp_received += 1
        for packet in packets:
            if isinstance(packet, SenderReport):
                self.sender_report = packet
                self._receive_clock(packet)
            elif isinstance(packet, Bye):
                for ssrc in packet.ssrcs:
                    self._receive_bye(ssrc, now)

    def finish(self, now: float, *, pad: bool) -> None:
        """Make everything held due, because nothing more is coming; once.

        Args:
            now: Monotonic seconds.
            pad: Fill up each track with silence to `now`.
        """
        if self._is_finished:
            return
        self.leave_lane()
        self._is_finished = True
        for key, candidate in list(self._candidates.items()):
            if candidate.is_ready:
                self._settle(key, candidate, now, must_settle=True)
            else:
                self._discard(key, "probation")
        for receiver in self._players:
            receiver.flush()
            track = receiver.track
            missing = now - track.audio_until
            if pad and missing > MIN_PADDING:
                track.skip(round(missing * track.sample_rate), GapCause.SILENCE)

    # Output

    def take(self, now: float) -> list[tuple[int, TrackEvent]]:
        """Return everything that is due, in order of start for each track."""
        self.handle_timer(now)
        events: list[tuple[int, TrackEvent]] = []
        for index, receiver in enumerate(self._players):
            receiver.close_run()
            events += [(index, event) for event in receiver.track.drain()]
        return events

    def get_timer(self) -> float | None:
        """Return when `handle_timer` is to be called next."""
        self._collect()
        deadlines = [
            deadline
            for receiver in self._players
            if (deadline := receiver.deadline) is not None
        ]
        if self._players and any(c.is_ready for c in self._candidates.values()):
            deadlines.append(min(r.heard_at for r in self._players) + SILENT_AFTER)
        return min(deadlines, default=None)

    def handle_timer(self, now: float) -> None:
        """Give up the holes that are due and settle sources that were held."""
        self._collect()
        for receiver in self._players:
            if receiver.expire(now):
                self._offer()
        if not self._candidates:
            return
        for key, candidate in list(self._candidates.items()):
            if candidate.is_ready:
                self._settle(key, candidate, now)
                self._offer()

    @property
    def last_media_at(self) -> float | None:
        """`now` of the last audio accepted."""
        if self._lane is not None and (in_lane := self._lane.last_at) is not None:
            return in_lane
        if len(self._players) == 1:
            return self._players[0].last_at
        return max((r.last_at for r in self._players), default=None)

    @property
    def ended(self) -> str | None:
        """`bye` once every source has said so."""
        for receiver in self._players:
            if not receiver.said_bye:
                return None
        return "bye" if self._players else None

    @property
    def ended_at(self) -> float | None:
        """When the last source said that it is over, if every source has."""
        return self._bye_at if self.ended else None

    @property
    def track_count(self) -> int:
        """How many tracks there are."""
        return len(self._players)

    def track_format(self, track: int) -> AudioFormat:
        """Return the format of a track's first audio."""
        return self._players[track].track.format

    def track_started_at(self, track: int) -> float:
        """Return the `now` of a track's position 0."""
        return self._players[track].track.started_at

    def sender_started_at(self, track: int) -> float | None:
        """Return when a track's position 0 was by the sender's clock, if it told."""
        return self._players[track].track.sender_started_at

    def counts(self, track: int) -> PacketCounts:
        """Return the counts of a track as they are now."""
        self._collect()
        receiver = self._players[track]
        receiver.close_run()
        return replace(receiver.track.counts)

    @property
    def held_packets(self) -> int:
        """Packets that are neither used nor counted yet."""
        waiting = sum(len(c) for c in self._candidates.values())
        return waiting + sum(r.held_packets for r in self._players)

    def has_source(self, ssrc: int) -> bool:
        """Tell whether `ssrc` is heard on this tap."""
        return ssrc.to_bytes(4, "big") in self._receivers

    def heard(self) -> dict[int, float]:
        """Return the SSRCs of this tap, and when each was last heard."""
        self._collect()
        heard = {
            int.from_bytes(key, "big"): candidate.last_at
            for key, candidate in self._candidates.items()
        }
        for receiver in (*self._retired.values(), *self._receivers.values()):
            heard[receiver.ssrc] = receiver.heard_at
        return heard

    # Sources

    def _receive(self, data: bytes, now: float, receiver: RtpReceiver | None) -> None:
        """Take a datagram that is not simply the next one."""
        if is_rtcp(data):
            self.receive_rtcp(data, now)
            return
        try:
            packet = RtpPacket.parse(data)
        except RtpError as error:
            self.drops[error.reason] += 1
            return
        if self._is_finished:
            self.drops["after_end"] += 1
        elif receiver is not None:
            receiver.receive(packet, now)
        else:
            self._receive_stranger(data[8:12], packet, now)

    def _receive_stranger(self, key: bytes, packet: RtpPacket, now: float) -> None:
        retired = self._retired.get(key)
        if retired is not None and retired.is_behind(packet):
            retired.track.counts.late += 1
            return
        kind = self._formats.kind_of(packet.payload_type, len(packet.payload))
        if kind is None:
            self.drops["unknown_payload_type"] += 1
            return
        candidate = self._candidates.get(key)
        if candidate is None:
            if len(self._candidates) >= MAX_CANDIDATES:
                self._discard(next(iter(self._candidates)), "probation")
            candidate = self._candidates[key] = Candidate()
        if stale := candidate.receive(packet, kind, now):
            self.drops["probation"] += stale
        if candidate.is_ready:
            self._settle(key, candidate, now)

    def _settle(
        self, key: bytes, candidate: Candidate, now: float, *, must_settle: bool = False
    ) -> None:
        """Decide which track a new source plays on, if that can be told by now."""
        quietest = min(self._players, key=_silent_since, default=None)
        if quietest is None:
            self._open_track(key, candidate)
        elif must_settle or now >= _silent_since(quietest) + SILENT_AFTER:
            self._take_over(key, candidate, quietest)
        elif _silent_since(quietest) > candidate.first_at + CONCURRENT_AFTER:
            if len(self._players) < self._max_tracks:
                self._open_track(key, candidate)
            else:
                self._discard(key, "too_many_sources")

    def _open_track(self, key: bytes, candidate: Candidate) -> None:
        audio_format = candidate.audio_format
        assert audio_format is not None  # only ready ones are settled
        arrivals = candidate.settle()
        # A packet leaves when it is full: it was heard for as long before it came.
        first = min(arrivals, key=lambda arrival: arrival.at)
        ticks = audio_format.samples_in(first.packet.payload)
        started_at = first.at - ticks / audio_format.clock_rate
        track = Track(audio_format, started_at)
        receiver = self._new_receiver(arrivals, track, audio_format)
        self._players.append(receiver)
        self._start(key, receiver, arrivals)

    def _take_over(
        self, key: bytes, candidate: Candidate, previous: RtpReceiver
    ) -> None:
        """Let a new source go on where `previous` left off."""
        previous.flush()
        old_key = previous.ssrc.to_bytes(4, "big")
        del self._receivers[old_key]
        while len(self._retired) >= MAX_RETIRED:
            del self._retired[next(iter(self._retired))]
        self._retired[old_key] = previous
        track = previous.track
        arrivals = candidate.settle()
        receiver = self._new_receiver(arrivals, track, previous.format)
        self._players[self._players.index(previous)] = receiver
        track.note(SourceChange(track.position, f"SSRC 0x{receiver.ssrc:08x}"))
        self._start(key, receiver, arrivals)

    def _new_receiver(
        self, arrivals: list[Arrival], track: Track, audio_format: AudioFormat
    ) -> RtpReceiver:
        return RtpReceiver(
            arrivals[0].packet,
            track,
            audio_format=audio_format,
            formats=self._formats,
            drops=self.drops,
            reorder_window=self._reorder_window,
        )

    def _start(
        self, key: bytes, receiver: RtpReceiver, arrivals: list[Arrival]
    ) -> None:
        self._discard(key, "probation")
        self._retired.pop(key, None)
        self._receivers[key] = receiver
        for arrival in arrivals:
            receiver.receive(arrival.packet, arrival.at)

    def _discard(self, key: bytes, reason: str) -> None:
        if count := len(self._candidates.pop(key)):
            self.drops[reason] += count

    def _receive_clock(self, report: SenderReport) -> None:
        receiver = self._receivers.get(report.ssrc.to_bytes(4, "big"))
        if receiver is not None and report.ntp_time:
            self._collect()
            receiver.note_clock(report.rtp_timestamp, report.wall_clock)

    def _receive_bye(self, ssrc: int, now: float) -> None:
        receiver = self._receivers.get(ssrc.to_bytes(4, "big"))
        if receiver is not None and not receiver.said_bye:
            self._collect()
            receiver.receive_bye()
            self._offer()
            self._bye_at = now

    # The lane

    def _collect(self) -> None:
        """Take over what the lane has taken; before anything looks at a receiver."""
        if self._lane is not None and (collected := self._lane.collect()) is not None:
            assert self._laned is not None  # a lane takes nothing for nobody
            self._laned.advance(collected)

    def _offer(self) -> None:
        """Tell the lane what to take; after anything has changed a receiver."""
        if self._lane is not None:
            # Two sources at one address would take turns with the lane.
            self._laned = self._players[0] if len(self._players) == 1 else None
            expectation = None if self._laned is None else self._laned.expectation
            self._lane.expect(expectation)


def _silent_since(receiver: RtpReceiver) -> float:
    """Return when a source was last heard; long ago once it said BYE."""
    return float("-inf") if receiver.said_bye else receiver.heard_at
