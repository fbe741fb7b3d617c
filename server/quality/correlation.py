"""How samples hang together with their neighbours: the one look that all share.

Speech, music and tones are foretold fairly well from the two samples before; wrongly
read bytes are not. `measure` takes everything in one go, because it is done for every
second of every track.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from server.audio import Samples

_CHUNK = 8192
"""Samples taken at once. OpenBLAS shares out a product of more than 10,000 elements
among threads, which costs more than it saves here."""

_ONES = np.ones(_CHUNK, np.float32)
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Shape:
    """What the samples of a window have to do with each other."""

    squares: float
    """Sum of the squared samples."""
    deviation: float
    """Root mean square around the mean, in 16-bit steps."""
    rho_1: float
    """Autocorrelation at a lag of one sample, -1 to 1; 0 of silence."""
    rho_2: float
    unpredictability: float
    """What a linear prediction from two samples leaves of the power, 0 to 1.

    By the recursion of Levinson and Durbin: (1 - k1^2)(1 - k2^2).
    """


def measure(samples: Samples, channels: int = 1) -> Shape:
    """Return the shape of a window.

    Args:
        samples: Shape (n,), the channels interleaved, at least one.
        channels: How far apart two samples of one channel are.
    """
    count = len(samples)
    # Each chunk begins with samples that have none before them to be multiplied with.
    missing = channels / count
    if count <= _CHUNK:
        total, squares, lag_1, lag_2 = _sums(samples, channels)
    else:
        chunks = [samples[at : at + _CHUNK] for at in range(0, count, _CHUNK)]
        parts = [_sums(chunk, channels) for chunk in chunks]
        total, squares, lag_1, lag_2 = map(sum, zip(*parts, strict=True))
        missing *= len(parts)
    offset = total * total / count
    power = squares - offset
    # Rounding leaves something of what is constant.
    if power <= 1e-6 * squares:
        return Shape(squares, 0.0, 0.0, 0.0, 1.0)
    rho_1 = (lag_1 - offset * (1 - missing)) / power
    rho_2 = (lag_2 - offset * (1 - 2 * missing)) / power
    rest = max(1.0 - rho_1 * rho_1, _TINY)
    k2 = (rho_2 - rho_1 * rho_1) / rest
    left = max(rest * (1.0 - k2 * k2), _TINY)
    return Shape(squares, math.sqrt(power / count), rho_1, rho_2, left)


def correlation(samples: Samples, lag: int) -> float:
    """Return the autocorrelation of a run of at most a few seconds, shape (n,)."""
    centred = samples - samples.mean()
    power = float(np.square(centred).sum())
    if not power:
        return 0.0
    return float((centred[lag:] * centred[:-lag]).sum()) / power


def powers(samples: Samples, parts: int = 16) -> npt.NDArray[np.float32]:
    """Return the mean power of each part of `samples`, shape (n,)."""
    usable = samples[: len(samples) // parts * parts].astype(np.float32)
    found: npt.NDArray[np.float32] = np.square(usable).reshape(parts, -1).mean(axis=1)
    return found


def contrast(samples: Samples) -> float:
    """Return how many times the power of the loudest part is that of the quietest."""
    found = powers(samples)
    return float(found.max()) / max(float(found.min()), _TINY)


def _sums(samples: Samples, channels: int) -> tuple[float, float, float, float]:
    """Return the sums of the samples, their squares, and their products by lag."""
    # Sums of float32 products are exact to some 1e-5 here, and BLAS is quick.
    values = samples.astype(np.float32)
    return (
        float(values.dot(_ONES[: len(values)])),
        float(values.dot(values)),
        float(values[channels:].dot(values[:-channels])),
        float(values[2 * channels :].dot(values[: -2 * channels])),
    )
