"""µ-law and A-law encoding from the formulas of ITU-T G.711.

Written apart from the server's codecs so that each checks the other.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int16]

# G.711 table 2: µ-law works on 14-bit magnitudes with a bias of 33; in 16-bit samples
# that is 132, and the largest magnitude that it can hold is 32635.
_ULAW_BIAS = 132
_ULAW_CLIP = 32635


def encode_ulaw(samples: Samples) -> bytes:
    """Return one byte for each sample: sign, 3-bit segment, 4-bit step, inverted."""
    wide = samples.astype(np.int32)
    sign = np.where(wide < 0, 0x80, 0)
    magnitude = np.minimum(np.abs(wide), _ULAW_CLIP) + _ULAW_BIAS
    segment = _highest_bit(magnitude) - 7
    step = (magnitude >> (segment + 3)) & 0x0F
    codes: npt.NDArray[np.uint8] = (~(sign | (segment << 4) | step)).astype(np.uint8)
    return codes.tobytes()


def encode_alaw(samples: Samples) -> bytes:
    """Return one byte for each sample, every other bit inverted.

    G.711 table 1 works on 13-bit values; negative ones are counted from -1 down, so
    that 0 and -1 are mirror images.
    """
    value = samples.astype(np.int32) >> 3
    sign = np.where(value >= 0, 0x80, 0)
    magnitude = np.where(value >= 0, value, -value - 1)
    segment = np.maximum(_highest_bit(np.maximum(magnitude, 1)) - 4, 0)
    step = (magnitude >> np.maximum(segment, 1)) & 0x0F
    codes: npt.NDArray[np.uint8] = sign | (segment << 4) | step
    return (codes ^ 0x55).astype(np.uint8).tobytes()


def _highest_bit(values: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Return the place of the highest bit set; values are at least 1.

    `frexp` gives the exponent of a mantissa in [0.5, 1), one more than that place.
    """
    return np.frexp(values.astype(np.float64))[1].astype(np.int32) - 1
