"""A track's audio as payloads, each at its place on a clock that knows gaps.

    pieces -> PassedOn, Encoded or EncodedAsOpus -> (tick, payload)

A tick is one of the clock rate of the format that is sent, counted from position 0 of
the track, and never wraps. Where audio is missing, so are ticks.

Pure: no input or output, no clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from server.audio import OPUS_RATE, AudioFormat, Codec, Samples
from server.codecs.convert import StreamResampler, encode
from server.codecs.opus_encoder import OpusEncoder
from server.codecs.samples import with_channels
from server.forwards.buffer import Piece

Payload = tuple[int, bytes]
"""The tick of its first sample, and its bytes."""


class PassedOn:
    """Payloads as they were received."""

    def __init__(self, wanted: AudioFormat) -> None:
        self._wanted = wanted

    def takes(self, piece: Piece) -> bool:
        """Tell whether the bytes of a piece are what is sent, one for one."""
        run, wanted = piece.run, self._wanted
        # Only L16 has an order of bytes.
        order = run.format.byte_order if wanted.codec is Codec.L16 else "big"
        if replace(run.format, byte_order=order) != wanted:
            return False
        if wanted.codec is Codec.OPUS:
            return True
        data_bytes = sum(map(len, run.payloads))
        return (
            wanted.sample_rate == piece.info.sample_rate
            and data_bytes == run.length * wanted.bytes_per_sample
        )

    def payloads(self, piece: Piece) -> Iterator[Payload]:
        """Yield those of a piece that it takes."""
        run = piece.run
        lengths = [self._wanted.samples_in(each) for each in run.payloads]
        # The audio of a run ends with its payloads, and may begin within them.
        end = _ticks(run.start + run.length, piece, self._wanted.clock_rate)
        tick = end - sum(lengths)
        for payload, length in zip(run.payloads, lengths, strict=True):
            if length:
                yield tick, payload
            tick += length

    def finish(self) -> Iterator[Payload]:
        """Yield nothing: nothing is held."""
        yield from ()


class Encoded:
    """Samples encoded as G.711 or L16."""

    def __init__(self, wanted: AudioFormat) -> None:
        self._wanted = wanted
        self._resampler = PlacedResampler(wanted.sample_rate, wanted.channels)

    def payloads(self, piece: Piece) -> Iterator[Payload]:
        """Yield what is due after a piece."""
        for tick, samples in self._resampler.put(piece):
            yield tick, encode(samples, self._wanted)

    def finish(self) -> Iterator[Payload]:
        """Yield what was still held."""
        for tick, samples in self._resampler.finish():
            yield tick, encode(samples, self._wanted)


class EncodedAsOpus:
    """Samples encoded as Opus.

    Packets lie on a grid. Those with no audio in them are left out, so that a gap is
    one in the packets too; what is missing of the others is silence.
    """

    def __init__(self, sample_rate: int, channels: int, ptime: int) -> None:
        self._encoder = OpusEncoder(sample_rate, channels, ptime)
        self._resampler = PlacedResampler(sample_rate, channels)
        self._given: int | None = None
        """Where what the encoder was given ends, in samples."""
        self._packet_start = 0
        """Of the next packet."""

    def payloads(self, piece: Piece) -> Iterator[Payload]:
        """Yield the packets that are complete after a piece."""
        for start, samples in self._resampler.put(piece):
            yield from self._put(start, samples)

    def finish(self) -> Iterator[Payload]:
        """Yield what was still held."""
        for start, samples in self._resampler.finish():
            yield from self._put(start, samples)
        if self._given is not None:
            yield from self._give_silence(self._encoder.samples_to_flush)
            self._given = None

    def _put(self, start: int, samples: Samples) -> Iterator[Payload]:
        if self._given is None:
            self._given = self._packet_start = max(start, self._packet_start)
        if (gap := start - self._given) > 0:
            yield from self._pass_over(gap)
        self._given += len(samples)
        yield from self._placed(self._encoder.encode(samples))

    def _pass_over(self, gap: int) -> Iterator[Payload]:
        """Bring out what was encoded, leave out whole packets, fill the rest."""
        assert self._given is not None
        rest = gap - self._encoder.samples_to_flush
        if rest < 0:
            yield from self._give_silence(gap)
            return
        yield from self._give_silence(gap - rest)
        left_out = rest - rest % self._encoder.samples_per_packet
        self._packet_start += left_out
        self._given += left_out
        yield from self._give_silence(rest - left_out)

    def _give_silence(self, length: int) -> Iterator[Payload]:
        assert self._given is not None
        self._given += length
        yield from self._placed(self._encoder.encode_silence(length))

    def _placed(self, packets: list[bytes]) -> Iterator[Payload]:
        encoder = self._encoder
        for packet in packets:
            yield self._packet_start * OPUS_RATE // encoder.sample_rate, packet
            self._packet_start += encoder.samples_per_packet


class PlacedResampler:
    """Converts samples with their places; each stretch without a gap on its own."""

    def __init__(self, sample_rate: int, channels: int) -> None:
        self._rate = sample_rate
        self._channels = channels
        self._stretch: StreamResampler | None = None
        self._rate_in = 0
        self._next_start = 0
        """Position on the track where the stretch goes on."""
        self._place = 0
        """Of the next sample that comes out."""

    def put(self, piece: Piece) -> Iterator[tuple[int, Samples]]:
        """Yield what is due after a piece, shape (n, channels), with its place."""
        run, rate_in = piece.run, piece.info.sample_rate
        if run.start != self._next_start or rate_in != self._rate_in:
            yield from self.finish()
        if self._stretch is None:
            self._stretch = StreamResampler(rate_in, self._rate, self._channels)
            self._rate_in = rate_in
            # What came out of the stretch before may be a sample longer than it was.
            self._place = max(self._place, _ticks(run.start, piece, self._rate))
        self._next_start = run.start + run.length
        mixed = with_channels(piece.samples, self._channels)
        yield from self._due(self._stretch.convert(mixed))

    def finish(self) -> Iterator[tuple[int, Samples]]:
        """Yield the rest of the stretch."""
        if self._stretch is not None:
            nothing = np.zeros((0, self._channels), np.int16)
            yield from self._due(self._stretch.convert(nothing, last=True))
            self._stretch = None

    def _due(self, samples: Samples) -> Iterator[tuple[int, Samples]]:
        if len(samples):
            yield self._place, samples
            self._place += len(samples)


def _ticks(position: int, piece: Piece, rate: int) -> int:
    return position * rate // piece.info.sample_rate
