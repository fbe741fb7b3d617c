"""RTP packets on the wire (RFC 3550 sections 5.1 and 5.3.1)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Self

from server.rtp.errors import RtpError

HEADER_BYTES = 12
MAX_DATAGRAM_BYTES = 8192
"""Far above any audio packet (120 ms of stereo L16 in a jumbo frame), so that what is
held back of a stream has a bound in bytes and not only in packets."""

_HEADER = struct.Struct("!BBHII")
_EXTENSION = struct.Struct("!HH")


@dataclass(slots=True)
class RtpPacket:
    """One parsed packet. Not frozen: a frozen one takes twice as long to build."""

    payload_type: int
    sequence_number: int
    timestamp: int
    ssrc: int
    payload: bytes = b""
    marker: bool = False
    csrcs: tuple[int, ...] = ()
    extension_profile: int | None = None
    """The 16 bits "defined by profile"; None when there is no header extension."""
    extension: bytes = b""
    """A multiple of four bytes."""
    padding_bytes: int = 0

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Return the packet in a datagram.

         0                   1                   2                   3
         0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
        +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
        |V=2|P|X|  CC   |M|     PT      |       sequence number         |
        +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
        |                           timestamp                           |
        +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
        |           synchronization source (SSRC) identifier            |
        +=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+
        |            contributing source (CSRC) identifiers             |
        +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
        |    extension: profile (16), length in words (16), content     |
        +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

        Raises:
            RtpError: the datagram is too_short, too_long, bad_version,
                truncated_csrc, truncated_extension or bad_padding.
        """
        size = len(data)
        if size < HEADER_BYTES:
            raise RtpError("too_short")
        if size > MAX_DATAGRAM_BYTES:
            raise RtpError("too_long")
        first, second, seq, ts, ssrc = _HEADER.unpack_from(data)
        if first >> 6 != 2:
            raise RtpError("bad_version")
        packet = cls(second & 0x7F, seq, ts, ssrc, marker=second > 0x7F)
        offset = packet._parse_csrcs(data, first & 0x0F)
        if first & 0x10:
            offset = packet._parse_extension(data, offset)
        if first & 0x20:
            packet.padding_bytes = data[-1]
            if not 0 < packet.padding_bytes <= size - offset:
                raise RtpError("bad_padding")
        packet.payload = data[offset : size - packet.padding_bytes]
        return packet

    def _parse_csrcs(self, data: bytes, count: int) -> int:
        if not count:
            return HEADER_BYTES
        end = HEADER_BYTES + 4 * count
        if len(data) < end:
            raise RtpError("truncated_csrc")
        self.csrcs = struct.unpack_from(f"!{count}I", data, HEADER_BYTES)
        return end

    def _parse_extension(self, data: bytes, offset: int) -> int:
        start = offset + _EXTENSION.size
        if len(data) < start:
            raise RtpError("truncated_extension")
        self.extension_profile, words = _EXTENSION.unpack_from(data, offset)
        end: int = start + 4 * words
        if len(data) < end:
            raise RtpError("truncated_extension")
        self.extension = data[start:end]
        return end

    def serialize(self) -> bytes:
        """Return the packet as a datagram."""
        has_extension = self.extension_profile is not None
        first = 0x80 | bool(self.padding_bytes) << 5 | has_extension << 4
        second = self.marker << 7 | self.payload_type
        data = _HEADER.pack(
            first | len(self.csrcs),
            second,
            self.sequence_number,
            self.timestamp,
            self.ssrc,
        )
        data += struct.pack(f"!{len(self.csrcs)}I", *self.csrcs)
        if self.extension_profile is not None:
            words = len(self.extension) // 4
            data += _EXTENSION.pack(self.extension_profile, words) + self.extension
        data += self.payload
        if self.padding_bytes:
            data += bytes(self.padding_bytes - 1) + bytes([self.padding_bytes])
        return data
