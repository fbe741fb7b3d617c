"""The header of a WAV file that is being streamed."""

from __future__ import annotations

import struct

from relay_client.simulator.formats import MediaFormat

# Format tags of the RIFF registry (RFC 2361).
_TAGS = {"L16": 1, "PCMA": 6, "PCMU": 7}
_UNKNOWN_SIZE = 0xFFFF_FFFF


def riff_header(media_format: MediaFormat) -> bytes:
    """Return 44 bytes that announce a format and a length not known yet."""
    width = media_format.bytes_per_sample
    rate = media_format.sample_rate
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        _UNKNOWN_SIZE,
        b"WAVE",
        b"fmt ",
        16,
        _TAGS[media_format.codec],
        1,
        rate,
        rate * width,
        width,
        8 * width,
        b"data",
        _UNKNOWN_SIZE,
    )
