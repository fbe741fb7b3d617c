"""L16: uncompressed 16-bit samples, in either byte order.

RFC 3551 section 4.5.11 says network byte order; some senders use their own.
"""

from __future__ import annotations

import numpy as np

from server.audio import ByteOrder, Samples


def decode_l16(data: bytes, byte_order: ByteOrder) -> Samples:
    """Return one sample for every two bytes; a byte left over is not used."""
    wire = np.dtype("<i2" if byte_order == "little" else ">i2")
    return np.frombuffer(data, wire, len(data) // 2).astype(np.int16)
