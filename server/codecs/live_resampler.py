"""Sampling rate conversion for somebody who listens: little delay, no click at edges.

A streaming resampler gives its output in lumps a tenth of a second late. Here each
block is converted with the audio before it as context and its own last milliseconds
held back for the next call, so that both edges have true neighbours. What is beyond is
a point reflection of the end, too far away to be heard.
"""

from __future__ import annotations

import numpy as np

from server.audio import Samples
from server.codecs.resampler import convert_behind

DELAY_S = 0.005
"""By which the output is behind: the reach of the filter to the right."""
_CONTEXT_S = 0.02


class LiveResampler:
    """Converts one stream whose blocks follow each other without a hole."""

    def __init__(self, rate_in: int, rate_out: int, channels: int) -> None:
        self._rate_in = rate_in
        self._rate_out = rate_out
        self._held = round(DELAY_S * rate_in)
        self._context = round(_CONTEXT_S * rate_in)
        size = self._context + self._held
        self._past: Samples = np.zeros((size, channels), np.int16)

    def convert(self, samples: Samples, length: int) -> Samples:
        """Return the next `length` samples.

        Args:
            samples: The input, shape (n, channels), n > 0.
            length: What `n` samples become, give or take a sample.
        """
        joined = np.concatenate([self._past, samples])
        self._past = joined[-len(self._past) :]
        return convert_behind(
            self._context, joined, self._rate_in, self._rate_out, length
        )
