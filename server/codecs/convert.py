"""A track's samples in the format that somebody else wants, block by block.

The resampler keeps its state from block to block, so that an edge between blocks is
not heard. It delays what it gives by its filter; `finish` gives the rest.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import soxr

from server.audio import AudioFormat, Codec, Samples
from server.codecs.g711 import encode_alaw, encode_mulaw
from server.codecs.opus_encoder import OpusEncoder

Floats = npt.NDArray[np.float32]

_SILENCE = {Codec.PCMU: b"\xff", Codec.PCMA: b"\xd5", Codec.L16: b"\0\0"}
"""What each codec calls zero: G.711 has its least positive value there."""


class StreamResampler:
    """Converts samples from one rate to another, in blocks of any size."""

    def __init__(self, rate_in: int, rate_out: int, channels: int) -> None:
        self._channels = channels
        self._stream: soxr.ResampleStream | None = None
        if rate_in != rate_out:
            # Floats inside: 16 bits would be rounded twice.
            self._stream = soxr.ResampleStream(
                rate_in, rate_out, channels, dtype="float32"
            )

    def convert(self, samples: Samples, *, last: bool = False) -> Samples:
        """Return what is due by now, shape (n, channels); the rest if `last`."""
        if self._stream is None:
            return samples
        block = samples.reshape(-1, self._channels).astype(np.float32)
        found = self._stream.resample_chunk(block, last=last)
        limits = np.iinfo(np.int16)
        rounded = np.rint(found.reshape(-1, self._channels))
        result: Samples = rounded.clip(limits.min, limits.max).astype(np.int16)
        return result


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


def with_channels(samples: Samples, channels: int) -> Samples:
    """Return samples of shape (n, channels), mixed or copied."""
    if samples.shape[1] == channels:
        return samples
    mono = samples.mean(axis=1, keepdims=True).astype(np.int16)
    return np.repeat(mono, channels, axis=1)
