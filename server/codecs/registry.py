"""The decoder for a format: encoded runs in, samples of the track out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from server.audio import AudioFormat, Codec, Run, Samples
from server.codecs.g711 import decode_alaw, decode_mulaw
from server.codecs.l16 import decode_l16
from server.codecs.opus import OpusDecoder
from server.codecs.resampler import Resampler
from server.codecs.samples import with_channels


class Decoder(Protocol):
    """Decodes the runs of one track that have one format, in order."""

    is_heavy: bool
    """Takes long enough to belong on a thread."""

    @property
    def errors(self) -> int:
        """Return how many payloads could not be decoded and became zeros."""
        ...

    def decode(self, run: Run) -> Samples:
        """Return exactly the samples of `run`, shape (run.length, channels).

        A run whose payloads decode to more than its length ends with them: the
        surplus at its start only warms the decoder up (RFC 7845 section 4.2).
        """
        ...


def decoder_for(format: AudioFormat, sample_rate: int, channels: int) -> Decoder:
    """Return a decoder from `format` to the rate and channels of a track."""
    if format.codec is Codec.OPUS or format.sample_rate != sample_rate:
        return _HeavyDecoder(format, sample_rate, channels)
    return _PcmDecoder(format, channels)


class _PcmDecoder:
    """G.711 and L16 at the track's own rate: one conversion of the joined bytes."""

    is_heavy = False
    errors = 0

    def __init__(self, format: AudioFormat, channels: int) -> None:
        self._format = format
        self._channels = channels

    def decode(self, run: Run) -> Samples:
        samples = _decode_pcm(run.payloads, self._format)
        return _with_length(with_channels(samples, self._channels), run.length)


class _HeavyDecoder:
    """Opus, and whatever has another rate than its track."""

    is_heavy = True

    def __init__(self, format: AudioFormat, sample_rate: int, channels: int) -> None:
        self._format = format
        self._rate_in = format.clock_rate
        self._rate_out = sample_rate
        self._channels = channels
        self._opus: OpusDecoder | None = None
        if format.codec is Codec.OPUS:
            self._opus = OpusDecoder(min(format.channels, 2))
        self._resampler: Resampler | None = None
        if self._rate_in != sample_rate:
            self._resampler = Resampler(self._rate_in, sample_rate)
        self._end = -1
        """Position behind the run before."""

    @property
    def errors(self) -> int:
        return self._opus.errors if self._opus else 0

    def decode(self, run: Run) -> Samples:
        if self._opus:
            samples = self._opus.decode(run.payloads)
        else:
            samples = _decode_pcm(run.payloads, self._format)
        samples = with_channels(samples, self._channels)
        if self._resampler:
            samples = self._resample(self._resampler, samples, run)
        self._end = run.start + run.length
        return _with_length(samples, run.length)

    def _resample(self, resampler: Resampler, samples: Samples, run: Run) -> Samples:
        expected = run.length * self._rate_in // self._rate_out
        # Positions are whole samples of the track, so a difference of less than two
        # of them is rounding and anything above it is warm-up.
        rounding = 2 * self._rate_in // self._rate_out + 1
        if len(samples) > expected + rounding:
            samples = samples[len(samples) - expected :]
        follows = run.start == self._end
        return resampler.convert(samples, run.length, follows=follows)


def _decode_pcm(payloads: Sequence[bytes], format: AudioFormat) -> Samples:
    """Return the samples of `payloads`, shape (samples, channels of the format)."""
    size = format.bytes_per_sample
    if size > 1:
        # A sample never continues in the next payload, so a ragged end is left out
        # before joining, where it would shift everything behind it.
        payloads = [p[: len(p) - len(p) % size] for p in payloads]
    data = b"".join(payloads)
    if format.codec is Codec.PCMU:
        samples = decode_mulaw(data)
    elif format.codec is Codec.PCMA:
        samples = decode_alaw(data)
    else:
        samples = decode_l16(data, format.byte_order)
    return samples.reshape(-1, format.channels)


def _with_length(samples: Samples, length: int) -> Samples:
    """Return the last `length` of `samples`, with zeros behind if they are fewer."""
    surplus = len(samples) - length
    if surplus >= 0:
        return samples[surplus:]
    return np.concatenate([samples, np.zeros((-surplus, samples.shape[1]), np.int16)])
