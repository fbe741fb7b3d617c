"""Builders of packets and sessions for the tests of server/rtp."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from server.audio import PCMU_8000, AudioFormat, Gap, GapCause, Run, TrackEvent
from server.rtp.packet import RtpPacket
from server.rtp.payload_types import PayloadFormats
from server.rtp.session import RtpSession
from server.rtp.track import Track

SSRC = 0x1234ABCD
RATE = 8000


def payload_of(number: int, samples: int = 160) -> bytes:
    """Return a payload of one byte a sample that says which packet it was in."""
    return number.to_bytes(4, "big") + b"\xff" * (samples - 4)


@dataclass
class Sender:
    """Makes the packets of one stream of PCMU, 20 ms each unless told otherwise."""

    ssrc: int = SSRC
    sequence_number: int = 1000
    timestamp: int = 50_000
    payload_type: int = 0
    sent: int = field(default=0)

    def packet(self, payload: bytes | None = None, *, samples: int = 160) -> RtpPacket:
        """Return the next packet."""
        if payload is None:
            payload = payload_of(self.sent, samples)
        packet = RtpPacket(
            self.payload_type,
            self.sequence_number & 0xFFFF,
            self.timestamp & 0xFFFFFFFF,
            self.ssrc,
            payload,
        )
        self.sent += 1
        self.sequence_number += 1
        self.timestamp += samples
        return packet

    def packets(self, count: int) -> list[RtpPacket]:
        """Return the next `count` packets."""
        return [self.packet() for _ in range(count)]

    def signal(self, payload_type: int, payload: bytes) -> RtpPacket:
        """Return a packet that takes a sequence number and no time."""
        packet = self.packet(payload, samples=0)
        packet.payload_type = payload_type
        return packet

    def pause(self, samples: int) -> None:
        """Send nothing for a while."""
        self.timestamp += samples

    def lose(self, count: int, samples: int = 160) -> None:
        """Send packets that never arrive."""
        self.sequence_number += count
        self.timestamp += count * samples


def session(asked: AudioFormat = PCMU_8000, **options: float) -> RtpSession:
    max_tracks = int(options.get("max_tracks", 2))
    window = options.get("reorder_window", 0.4)
    return RtpSession(
        PayloadFormats(asked), reorder_window=window, max_tracks=max_tracks
    )


def feed(
    target: RtpSession, packets: Iterable[RtpPacket], now: float, *, step: float = 0.02
) -> float:
    """Give packets to a session at a steady pace; return when the next one is due."""
    for packet in packets:
        target.receive_datagram(packet.serialize(), now)
        now += step
    return now


def events_of(
    taken: Sequence[tuple[int, TrackEvent]], track: int = 0
) -> list[TrackEvent]:
    return [event for number, event in taken if number == track]


def gaps(events: Iterable[TrackEvent]) -> list[tuple[int, int, GapCause]]:
    return [(e.start, e.length, e.cause) for e in events if isinstance(e, Gap)]


def numbers(events: Iterable[TrackEvent]) -> list[int]:
    """Return which packets are in the runs."""
    return [
        int.from_bytes(payload[:4], "big")
        for event in events
        if isinstance(event, Run)
        for payload in event.payloads
    ]


def extent(events: Iterable[TrackEvent]) -> int:
    """Return where the events end, having checked that they have no hole or overlap."""
    position = 0
    for event in events:
        if isinstance(event, Run | Gap):
            assert event.start == position
            assert event.length > 0
            position += event.length
    return position


def new_track(audio_format: AudioFormat = PCMU_8000, at: float = 0.0) -> Track:
    return Track(audio_format, at)
