"""Sampling rate conversion of runs, each to an exact length and in its exact place.

A streaming resampler delays its output by its filter and keeps the end to itself. A
run has to be complete at once and may not move, so each is converted on its own, with
the input before it as context on the left, and on the right a point reflection of its
own end: that continues both value and slope, so the joint is not heard.
"""

from __future__ import annotations

import math

import numpy as np
import soxr

from server.audio import Samples
from server.codecs.samples import to_int16

_CONTEXT_S = 0.02
"""More than the filter's reach at any rate that occurs."""


class Resampler:
    """Converts the audio of one stream from one sampling rate to another."""

    def __init__(self, rate_in: int, rate_out: int) -> None:
        self._rate_in = rate_in
        self._rate_out = rate_out
        # Whole periods of the ratio, so that the context ends on an output sample.
        period = rate_in // math.gcd(rate_in, rate_out)
        self._context_length = period * math.ceil(_CONTEXT_S * rate_in / period)
        self._context: Samples | None = None

    def convert(self, samples: Samples, length: int, *, follows: bool) -> Samples:
        """Return `samples`, shape (n, channels), converted to `length` samples.

        Args:
            samples: The input.
            length: Samples to return; within one of what the ratio of rates gives.
            follows: The input comes straight after that of the last call.
        """
        size = self._context_length
        channels = samples.shape[1]
        before = self._context if follows else None
        if before is None:
            before = np.zeros((size, channels), np.int16)
        joined = np.concatenate([before, samples])
        self._context = joined[-size:]
        return convert_behind(size, joined, self._rate_in, self._rate_out, length)


def convert_behind(
    context: int, samples: Samples, rate_in: int, rate_out: int, length: int
) -> Samples:
    """Return the `length` samples behind the context, converted.

    Args:
        context: How many samples at the start are there to be neighbours only.
        samples: Shape (n, channels). Behind its end, its reflection takes their part.
        rate_in: Of the samples.
        rate_out: Of what is returned.
        length: Within one of what the ratio of rates gives.
    """
    tail = samples[-context - 1 :].astype(np.float32)
    reflected = 2 * tail[-1] - tail[-2::-1]
    whole = np.concatenate([samples.astype(np.float32), reflected])
    converted = soxr.resample(whole, rate_in, rate_out)
    start = context * rate_out // rate_in
    return to_int16(converted[start : start + length])
