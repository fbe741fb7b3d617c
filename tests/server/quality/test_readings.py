"""The same bytes in the other law, or the other byte order."""

from __future__ import annotations

import numpy as np

from server.audio import Codec
from server.codecs.g711 import decode_alaw, decode_mulaw
from server.codecs.l16 import decode_l16
from server.quality.readings import other_reading

CODES = bytes(range(256))


def test_mulaw_is_read_as_alaw_but_for_its_second_zero() -> None:
    expected = decode_alaw(CODES)
    expected[0x7F] = expected[0xFF]
    np.testing.assert_array_equal(
        other_reading(decode_mulaw(CODES), Codec.PCMU), expected
    )


def test_alaw_is_read_as_mulaw() -> None:
    np.testing.assert_array_equal(
        other_reading(decode_alaw(CODES), Codec.PCMA), decode_mulaw(CODES)
    )


def test_little_endian_is_read_as_big_endian() -> None:
    np.testing.assert_array_equal(
        other_reading(decode_l16(CODES, "little"), Codec.L16), decode_l16(CODES, "big")
    )
