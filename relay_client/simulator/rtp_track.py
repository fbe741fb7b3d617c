"""One direction of a tap as RTP packets: sources, sequence numbers, timestamps.

Pure and reproducible: feed, options and a seed give the same datagrams (RFC 3550
section 5.1; RFC 3389 comfort noise; RFC 4733 telephone-events).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from relay_client.simulator.digits import DigitEvents
from relay_client.simulator.feed import AudioFeed, Direction
from relay_client.simulator.formats import MediaFormat
from relay_client.simulator.network import Datagram, nothing
from relay_client.simulator.options import MediaOptions
from relay_client.simulator.pacing import Pace
from relay_client.simulator.packets import AudioPacket, cut_packets
from relay_client.simulator.rtp_packet import (
    COMFORT_NOISE_TYPE,
    TELEPHONE_EVENT_TYPE,
    HeaderExtras,
    RtpFields,
    sender_report,
    serialize_rtp,
)
from relay_client.simulator.sent import AudioSpan

_COMFORT_NOISE = b"\x46"
"""A noise level of -70 dBov (RFC 3389 section 3.1)."""


@dataclass(slots=True)
class _Source:
    """One SSRC and its counters."""

    ssrc: int
    sequence_number: int
    offset: int
    """What turns a position into a timestamp."""
    packets: int = 0
    octets: int = 0


class RtpTrack:
    """Makes the datagrams of one direction."""

    def __init__(
        self,
        *,
        number: int,
        direction: Direction,
        feed: AudioFeed,
        first_format: MediaFormat,
        options: MediaOptions,
        seed: int,
        wall_clock: float,
    ) -> None:
        self._number = number
        self._direction: Direction = direction
        self._feed = feed
        self._format = first_format
        self._options = options
        self._chance = random.Random(f"{seed} track {number}")
        self._pace = Pace(options, seed)
        self._digits = DigitEvents(options.dtmf if number == 0 else "", options.dtmf_at)
        self._wall_clock = wall_clock
        self._end = 0
        self._source = self._new_source(
            sequence_number=options.sequence, timestamp=options.timestamp
        )
        self._has_changed = False

    @property
    def ssrc(self) -> int:
        """The source that sends now."""
        return self._source.ssrc

    def datagrams(self) -> Iterator[Datagram]:
        """Yield what leaves the sender, in order; may never end."""
        options = self._options
        report_at = options.rtcp_interval
        for packet in cut_packets(self._feed, self._direction, self._format, options):
            self._follow(packet)
            at = self._pace.due(packet.end_s)
            yield from self._contents(packet, at)
            if options.rtcp != "none" and packet.end_s >= report_at:
                report_at += options.rtcp_interval
                yield self._report(packet, at)

    def _follow(self, packet: AudioPacket) -> None:
        """Keep timestamps right across a change of sampling rate or of source."""
        # Positions are counted anew at another rate; timestamps go on.
        self._source.offset += self._end - packet.start
        self._end = packet.start + packet.samples
        is_due = packet.start_s + 1e-9 >= self._options.ssrc_change_at
        if self._options.ssrcs == "changing" and is_due and not self._has_changed:
            self._has_changed = True
            self._source = self._new_source(sequence_number=None, timestamp=None)

    def _new_source(
        self, *, sequence_number: int | None, timestamp: int | None
    ) -> _Source:
        """Return an SSRC; beginnings that are None are random (RFC 3550 5.1)."""
        ssrc = self._chance.getrandbits(32)
        random_sequence = self._chance.getrandbits(16)
        random_timestamp = self._chance.getrandbits(32)
        return _Source(
            ssrc=ssrc,
            sequence_number=(
                random_sequence if sequence_number is None else sequence_number
            ),
            offset=random_timestamp if timestamp is None else timestamp,
        )

    def _contents(self, packet: AudioPacket, at: float) -> Iterator[Datagram]:
        """Yield the datagrams that stand for one packet of audio."""
        events = self._digits.payloads(packet)
        if events is not None:
            for number, payload in enumerate(events):
                marker = number == 0 and self._digits.start == packet.start
                yield self._datagram(
                    at, TELEPHONE_EVENT_TYPE, self._digits.start, payload, marker=marker
                )
        elif not packet.is_silent:
            yield self._datagram(
                at,
                self._payload_type(packet),
                packet.start,
                packet.payload,
                marker=packet.is_talkspurt_start,
                span=self._span(packet),
            )
        elif self._options.comfort_noise and packet.is_silence_start:
            yield self._datagram(at, COMFORT_NOISE_TYPE, packet.start, _COMFORT_NOISE)
        elif packet.is_moment:
            yield nothing(at)

    def _datagram(
        self,
        at: float,
        payload_type: int,
        position: int,
        payload: bytes,
        *,
        marker: bool = False,
        span: AudioSpan | None = None,
    ) -> Datagram:
        source = self._source
        fields = RtpFields(
            payload_type=payload_type,
            sequence_number=source.sequence_number,
            timestamp=source.offset + position,
            ssrc=source.ssrc,
            marker=marker,
        )
        source.sequence_number += 1
        source.packets += 1
        source.octets += len(payload)
        data = serialize_rtp(fields, payload, self._extras())
        return Datagram(at=at, data=data, span=span)

    def _payload_type(self, packet: AudioPacket) -> int:
        chosen = self._options.payload_type
        if chosen is None or packet.format.codec != self._format.codec:
            return packet.format.payload_type
        return chosen

    def _extras(self) -> HeaderExtras:
        options = self._options
        return HeaderExtras(
            csrcs=tuple(self._chance.getrandbits(32) for _ in range(options.csrcs)),
            extension_words=options.extension,
            padding=options.padding,
        )

    def _report(self, packet: AudioPacket, at: float) -> Datagram:
        source = self._source
        data = sender_report(
            ssrc=source.ssrc,
            wall_clock=self._wall_clock + packet.end_s,
            timestamp=source.offset + packet.start + packet.samples,
            packets=source.packets,
            octets=source.octets,
        )
        return Datagram(at=at, data=data, is_rtcp=True)

    def _span(self, packet: AudioPacket) -> AudioSpan:
        return AudioSpan(
            track=self._number,
            ssrc=self._source.ssrc,
            start=packet.start,
            samples=packet.samples,
            sample_rate=packet.format.sample_rate,
            payload=packet.payload,
        )
