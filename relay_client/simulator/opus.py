"""Opus encoding through PyAV: 48 kHz, mono, one packet for each call."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 48_000
PRE_SKIP = 312
"""Samples of delay that libopus adds, to be skipped by a decoder (RFC 7845 4.2)."""
_BIT_RATE = 32_000


class OpusEncoder:
    """Turns runs of `ptime` milliseconds into Opus packets."""

    def __init__(self, ptime: int) -> None:
        self._count = SAMPLE_RATE * ptime // 1000
        self._pts = 0
        context = av.AudioCodecContext.create("libopus", "w")
        context.sample_rate = SAMPLE_RATE
        context.layout = "mono"
        context.format = "s16"
        context.bit_rate = _BIT_RATE
        context.time_base = Fraction(1, SAMPLE_RATE)
        context.options = {"frame_duration": str(ptime), "application": "audio"}
        self._context = context

    def encode(self, samples: npt.NDArray[np.int16]) -> bytes:
        """Return the packet of one run, which must have the encoder's length."""
        if len(samples) != self._count:
            raise ValueError(f"an Opus packet takes {self._count} samples")
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis], "s16", "mono")
        frame.sample_rate = SAMPLE_RATE
        frame.pts = self._pts
        self._pts += self._count
        return b"".join(bytes(packet) for packet in self._context.encode(frame))
