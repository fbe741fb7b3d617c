"""What every way of converting samples does to them at its end."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from server.audio import Samples


def to_int16(samples: npt.NDArray[np.float32]) -> Samples:
    """Return samples rounded to 16 bits; what is beyond them is cut off."""
    limits = np.iinfo(np.int16)
    rounded: Samples = np.rint(samples).clip(limits.min, limits.max).astype(np.int16)
    return rounded


def with_channels(samples: Samples, channels: int) -> Samples:
    """Return samples of shape (n, channels), mixed or copied."""
    if samples.shape[1] == channels:
        return samples
    mono = samples.mean(axis=1, keepdims=True).astype(np.int16)
    return np.repeat(mono, channels, axis=1)
