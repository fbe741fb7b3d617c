"""Finding out in which byte order a sender writes its 16-bit samples.

RFC 3551 section 4.5.11 says network order, and the platform's own demonstration reads
the opposite, so the audio has to tell. Read in the wrong order, the noisy low bytes
become the high ones: neighbouring samples differ far more than they do in sound.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from server.audio import ByteOrder, Samples
from server.codecs.l16 import decode_l16

ByteOrderSetting = ByteOrder | Literal["auto"]

DEFAULT_BYTE_ORDER: ByteOrder = "little"


def is_order_free(data: bytes) -> bool:
    """Return whether `data` reads the same in both orders, as digital silence does."""
    return data[0::2] == data[1::2]


def guess_byte_order(data: bytes, channels: int) -> ByteOrder:
    """Return the order in which `data`, whole samples, sounds more like sound."""
    little = _roughness(decode_l16(data, "little"), channels)
    big = _roughness(decode_l16(data, "big"), channels)
    return "big" if big < little else DEFAULT_BYTE_ORDER


def _roughness(samples: Samples, channels: int) -> float:
    steps = np.diff(samples.reshape(-1, channels).astype(np.float64), axis=0)
    return float(np.square(steps).sum())
