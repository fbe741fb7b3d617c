"""A track's audio as RTP packets of a source of our own (RFC 3550, RFC 3551).

Sequence numbers go on whatever happens, timestamps go with the audio: a gap is a jump
of the timestamp, and the marker says that sound begins again (RFC 3551 section 4.1).

Pure: no input or output, no clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from server.audio import PCMA_8000, PCMU_8000, AudioFormat, Codec
from server.forwards.buffer import Piece
from server.forwards.placing import Encoded, EncodedAsOpus, PassedOn, Payload
from server.forwards.request import RtpForwardRequest
from server.rtp import payload_types
from server.rtp.packet import RtpPacket
from server.rtp.serial import add_to_sequence, add_to_timestamp

MAX_PAYLOAD_BYTES = 1280
"""Fits into an Ethernet frame of 1500 bytes with all headers, those of tunnels too.
Audio that needs more for its ptime is put into shorter packets."""

_STATIC = {
    PCMU_8000: payload_types.PCMU,
    PCMA_8000: payload_types.PCMA,
    AudioFormat(Codec.L16, 44_100, 1): payload_types.L16_MONO,
    AudioFormat(Codec.L16, 44_100, 2): payload_types.L16_STEREO,
}


@dataclass(frozen=True, slots=True)
class TimedPacket:
    """A packet, and how long it sounds."""

    packet: RtpPacket
    length_s: float


class Packetizer:
    """The packets of one source.

    Args:
        request: What was asked for.
        ssrc: Chosen at random (RFC 3550 section 8), as are the next two (section 5.1).
        sequence_number: Of the first packet.
        timestamp: Of position 0 of the track.
    """

    def __init__(
        self,
        request: RtpForwardRequest,
        *,
        ssrc: int,
        sequence_number: int,
        timestamp: int,
    ) -> None:
        self._request = request
        self.ssrc = ssrc
        self._sequence_number = sequence_number
        self._timestamp = timestamp
        self.format: AudioFormat | None = None
        """What is sent, once there is audio."""
        self._payload_type = 0
        self._passing: PassedOn | None = None
        self._encoding: Encoded | EncodedAsOpus | None = None
        self._source: PassedOn | Encoded | EncodedAsOpus | None = None
        self._rest = b""
        """The beginning of a packet."""
        self._tick: int | None = None
        """Where the packets so far end; None before the first."""
        self._is_onset = True
        """Whether sound begins with the next packet."""

    @property
    def is_heavy(self) -> bool:
        """Whether packets take long enough to make to belong on a thread."""
        wanted = self._request.format
        return wanted is not None and wanted.codec == "OPUS"

    @property
    def has_rest(self) -> bool:
        """Whether there is audio that does not fill a packet."""
        return bool(self._rest)

    def packets(self, piece: Piece) -> Iterator[TimedPacket]:
        """Yield the packets that are complete after a piece."""
        if self.format is None:
            self._begin(piece)
        source = self._source_for(piece)
        if self._source is not None and source is not self._source:
            yield from self._cut_all(self._source.finish())
        self._source = source
        yield from self._cut_all(source.payloads(piece))

    def flush(self) -> Iterator[TimedPacket]:
        """Yield what does not fill a packet, as a shorter one."""
        if self._rest:
            rest, self._rest = self._rest, b""
            yield self._packet(rest)

    def finish(self) -> Iterator[TimedPacket]:
        """Yield everything that was still held."""
        if self._source is not None:
            yield from self._cut_all(self._source.finish())
        yield from self.flush()

    def _begin(self, piece: Piece) -> None:
        wanted = self._request.format
        if wanted is not None:
            self.format = wanted.audio_format("big")
        else:
            # RFC 3551 section 4.5.11: the most significant byte first.
            self.format = replace(piece.run.format, byte_order="big")
            self._passing = PassedOn(self.format)
        number = self._request.payload_type
        if number is None:
            number = _usual_number(self.format)
        self._payload_type = number

    def _source_for(self, piece: Piece) -> PassedOn | Encoded | EncodedAsOpus:
        if self._passing is not None and self._passing.takes(piece):
            return self._passing
        if self._encoding is None:
            self._encoding = self._new_encoding()
        return self._encoding

    def _new_encoding(self) -> Encoded | EncodedAsOpus:
        assert self.format is not None
        if self.format.codec is not Codec.OPUS:
            return Encoded(self.format)
        wanted = self._request.format
        rate = self.format.sample_rate if wanted is None else wanted.encoded_rate
        return EncodedAsOpus(rate, self.format.channels, self._request.ptime)

    def _cut_all(self, payloads: Iterator[Payload]) -> Iterator[TimedPacket]:
        for tick, payload in payloads:
            yield from self._cut(tick, payload)

    def _cut(self, tick: int, payload: bytes) -> Iterator[TimedPacket]:
        assert self.format is not None
        unit = self.format.bytes_per_sample
        if not unit:
            self._go_to(tick)
            yield self._packet(payload)
            return
        if self._tick is None or tick > self._tick + len(self._rest) // unit:
            yield from self.flush()
            self._go_to(tick)
        self._rest += payload
        size = unit * self._samples_per_packet(unit)
        while len(self._rest) >= size:
            packet, self._rest = self._rest[:size], self._rest[size:]
            yield self._packet(packet)

    def _samples_per_packet(self, unit: int) -> int:
        assert self.format is not None
        rate = self.format.sample_rate
        fitting_ms = MAX_PAYLOAD_BYTES * 1000 // (unit * rate)
        return rate * min(self._request.ptime, fitting_ms) // 1000

    def _go_to(self, tick: int) -> None:
        """Let the next packet begin at a tick, unless it is there or behind it."""
        if self._tick is None or tick > self._tick:
            self._tick = tick
            self._is_onset = True

    def _packet(self, payload: bytes) -> TimedPacket:
        assert self.format is not None
        assert self._tick is not None
        packet = RtpPacket(
            self._payload_type,
            self._sequence_number,
            add_to_timestamp(self._timestamp, self._tick),
            self.ssrc,
            payload,
            marker=self._is_onset,
        )
        length = self.format.samples_in(payload)
        self._tick += length
        self._sequence_number = add_to_sequence(self._sequence_number, 1)
        self._is_onset = False
        return TimedPacket(packet, length / self.format.clock_rate)


def _usual_number(audio_format: AudioFormat) -> int:
    if audio_format.codec is Codec.OPUS:
        return payload_types.USUAL_OPUS
    return _STATIC.get(audio_format, payload_types.FIRST_DYNAMIC)
