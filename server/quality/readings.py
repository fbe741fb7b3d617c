"""What the bytes of a track would be if they were read in another way."""

from __future__ import annotations

import numpy as np

from server.audio import Codec, Samples
from server.codecs.g711 import decode_alaw, decode_mulaw


def _reread(right: Samples, other: Samples) -> Samples:
    """Return, for every 16-bit value, what `other` makes of the code behind it."""
    table = np.zeros(1 << 16, np.int16)
    table[right.view(np.uint16)] = other
    return table


_CODES = bytes(range(256))
_OTHER_LAW = {
    Codec.PCMU: _reread(decode_mulaw(_CODES), decode_alaw(_CODES)),
    Codec.PCMA: _reread(decode_alaw(_CODES), decode_mulaw(_CODES)),
}


def other_reading(samples: Samples, codec: Codec) -> Samples:
    """Return the audio if its bytes were of the other law or the other byte order.

    Args:
        samples: What a G.711 or L16 decoder made of the bytes, unchanged since. The two
            zeros of µ-law cannot be told apart any more and are taken for one.
        codec: Not Opus, which has no other reading.
    """
    if codec is Codec.L16:
        return samples.byteswap()
    # Every index is in range, and `clip` does not check that.
    return _OTHER_LAW[codec].take(samples.view(np.uint16), mode="clip")
