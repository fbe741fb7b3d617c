"""Ogg pages holding Opus, as a file would begin (RFC 3533, RFC 7845)."""

from __future__ import annotations

import struct

from relay_client.simulator.opus import PRE_SKIP, SAMPLE_RATE

_FIRST, _LAST = 2, 4
_VENDOR = b"tapdeck simulator"
_POLYNOMIAL = 0x04C11DB7


def _make_crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1) ^ (_POLYNOMIAL if value & 0x8000_0000 else 0)
        table.append(value & 0xFFFF_FFFF)
    return tuple(table)


_CRC_TABLE = _make_crc_table()


def crc32(data: bytes) -> int:
    """Return the checksum of RFC 3533 section 6: not reflected, starts with 0."""
    value = 0
    for byte in data:
        value = ((value << 8) & 0xFFFF_FFFF) ^ _CRC_TABLE[(value >> 24) ^ byte]
    return value


class OggOpusWriter:
    """Wraps Opus packets into pages, one packet a page."""

    def __init__(self, serial: int) -> None:
        self._serial = serial
        self._sequence = 0
        self._granule = 0

    def headers(self) -> list[bytes]:
        """Return the two pages every Ogg Opus stream begins with (RFC 7845 3)."""
        head = struct.pack("<8sBBHIhB", b"OpusHead", 1, 1, PRE_SKIP, SAMPLE_RATE, 0, 0)
        tags = struct.pack("<8sI", b"OpusTags", len(_VENDOR)) + _VENDOR + bytes(4)
        return [self._page(head, _FIRST), self._page(tags, 0)]

    def page(self, packet: bytes, samples: int) -> bytes:
        """Return the page of one packet that holds so many samples."""
        # RFC 7845 section 4: the position counts every sample that a decoder makes up
        # to the end of the page, the pre-skip included.
        self._granule += samples
        return self._page(packet, 0)

    def end(self) -> bytes:
        """Return the page that ends the stream."""
        return self._page(None, _LAST)

    def _page(self, packet: bytes | None, flags: int) -> bytes:
        lacing = b"" if packet is None else _lacing(len(packet))
        header = struct.pack(
            "<4sBBqIIIB",
            b"OggS",
            0,
            flags,
            self._granule,
            self._serial,
            self._sequence,
            0,
            len(lacing),
        )
        page = header + lacing + (packet or b"")
        self._sequence += 1
        return page[:22] + struct.pack("<I", crc32(page)) + page[26:]


def _lacing(length: int) -> bytes:
    """Return the segment table of a packet (RFC 3533 section 5)."""
    if length > 255 * 254:
        raise ValueError("a packet must fit into one page")
    return b"\xff" * (length // 255) + bytes([length % 255])
