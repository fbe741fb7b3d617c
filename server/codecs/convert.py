"""A track's samples in the format that somebody else wants, block by block.

The resampler keeps what it needs from block to block, so that an edge between blocks
is not heard. It delays what it gives by its filter; `finish` gives the rest.
"""

from __future__ import annotations

import math

import numpy as np
import soxr

from server.audio import AudioFormat, Codec, Samples
from server.codecs.g711 import encode_alaw, encode_mulaw
from server.codecs.opus_encoder import OpusEncoder
from server.codecs.samples import to_int16, with_channels

REACH_S = 0.016
"""Above twice that of soxr's filter at any ratio of rates here: at 8 ms what comes out
differs from the whole by -87 dB, at 12 ms by -130 dB, which is rounding."""

_SILENCE = {Codec.PCMU: b"\xff", Codec.PCMA: b"\xd5", Codec.L16: b"\0\0"}
"""What each codec calls zero: G.711 has its least positive value there."""


class StreamResampler:
    """Converts samples from one rate to another, in blocks of any size.

    soxr's own stream works in blocks that hold a sixth of a second back. Here a block
    is converted with REACH_S of its neighbours on both sides, of which the one behind
    has to be there: that is all the delay, and what comes out is the same.
    """

    def __init__(self, rate_in: int, rate_out: int, channels: int) -> None:
        self._rate_in = rate_in
        self._rate_out = rate_out
        # Whole periods of the ratio, so that each cut is on a sample of both rates.
        self._period = rate_in // math.gcd(rate_in, rate_out)
        self._reach = self._period * math.ceil(REACH_S * rate_in / self._period)
        # Floats inside: 16 bits would be rounded twice.
        self._held = np.zeros((0, channels), np.float32)
        self._converted = 0
        """How many of the held samples are converted and are context only."""

    def convert(self, samples: Samples, *, last: bool = False) -> Samples:
        """Return what is due by now, shape (n, channels); the rest if `last`."""
        if self._rate_in == self._rate_out:
            return samples
        self._held = np.concatenate([self._held, samples.astype(np.float32)])
        end = len(self._held)
        if not last:
            end = max(self._converted, end - self._reach)
            end -= (end - self._converted) % self._period
        due = self._between(self._converted, end)
        keep_from = max(0, end - self._reach)
        keep_from -= keep_from % self._period
        self._held = self._held[keep_from:]
        self._converted = end - keep_from
        return due

    def _between(self, start: int, end: int) -> Samples:
        """Return the held samples from `start` to `end`, converted."""
        if start == end:
            return np.zeros((0, self._held.shape[1]), np.int16)
        whole = soxr.resample(self._held, self._rate_in, self._rate_out)
        first, behind = self._place(start), self._place(end)
        return to_int16(whole[first:behind])

    def _place(self, index: int) -> int:
        """Return where a held sample is in what comes out; only the end is rounded."""
        return (2 * index * self._rate_out + self._rate_in) // (2 * self._rate_in)


class Converter:
    """Encodes the samples of one track as `wanted`, as a stream without a hole.

    Args:
        sample_rate: Of the track.
        wanted: What to encode as.
        encoded_rate: Of what is encoded as Opus, whose own is always 48000; None takes
            that.
    """

    def __init__(
        self, sample_rate: int, wanted: AudioFormat, encoded_rate: int | None = None
    ) -> None:
        self.wanted = wanted
        rate, channels = encoded_rate or wanted.sample_rate, wanted.channels
        self._resampler = StreamResampler(sample_rate, rate, channels)
        self._opus: OpusEncoder | None = None
        if wanted.codec is Codec.OPUS:
            self._opus = OpusEncoder(rate, channels)

    def convert(self, samples: Samples) -> list[bytes]:
        """Return the next of the stream: packets of Opus, or bytes of any length."""
        mixed = with_channels(samples, self.wanted.channels)
        return self._encode(self._resampler.convert(mixed))

    def finish(self) -> list[bytes]:
        """Return what was still held."""
        nothing = np.zeros((0, self.wanted.channels), np.int16)
        rest = self._encode(self._resampler.convert(nothing, last=True))
        if self._opus is not None:
            rest += self._opus.encode_silence(self._opus.samples_to_flush)
        return rest

    def _encode(self, samples: Samples) -> list[bytes]:
        if self._opus is not None:
            return self._opus.encode(samples)
        return [encode(samples, self.wanted)]


def encode(samples: Samples, wanted: AudioFormat) -> bytes:
    """Return samples as G.711 or L16 bytes."""
    if wanted.codec is Codec.PCMU:
        return encode_mulaw(samples)
    if wanted.codec is Codec.PCMA:
        return encode_alaw(samples)
    wire = "<i2" if wanted.byte_order == "little" else ">i2"
    return samples.astype(wire).tobytes()


def silence(length: int, wanted: AudioFormat) -> bytes:
    """Return so many samples of silence; nothing for a codec that has packets."""
    return _SILENCE.get(wanted.codec, b"") * (length * wanted.channels)
