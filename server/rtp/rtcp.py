"""RTCP packets on the wire, as far as they are read, or sent by a forward.

RFC 3550 sections 6.1 (compound packets), 6.4 (SR, RR), 6.5 (SDES) and 6.6 (BYE);
RFC 5761 section 4 (telling RTCP from RTP on one port).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from server.rtp.errors import RtpError

_SENDER_REPORT = 200
_RECEIVER_REPORT = 201
_SOURCE_DESCRIPTION = 202
_BYE = 203
_CNAME = 1

_HEADER = struct.Struct("!BBH")
_SENDER_INFO = struct.Struct("!IQIII")
_REPORT_BLOCK = struct.Struct("!IB3sIIII")


_NTP_TO_UNIX = 2_208_988_800
"""Seconds from 1900 to 1970."""


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """What somebody says about their reception of one source."""

    ssrc: int
    fraction_lost: int
    """In 1/256."""
    packets_lost: int
    """Signed 24 bits: duplicates count against losses."""
    highest_sequence: int
    jitter: int
    last_sr: int
    delay_since_last_sr: int


@dataclass(frozen=True, slots=True)
class SenderReport:
    """Ties a timestamp of one source to a wall clock."""

    ssrc: int
    ntp_time: int
    """64-bit NTP: seconds since 1900 in the upper half."""
    rtp_timestamp: int
    packet_count: int
    octet_count: int
    reports: tuple[ReportBlock, ...] = ()

    @property
    def wall_clock(self) -> float:
        """Seconds since 1970 by the sender's clock (RFC 3550 section 4)."""
        return self.ntp_time / (1 << 32) - _NTP_TO_UNIX

    def serialize(self) -> bytes:
        """Return the packet, without the reports: we send and hear nobody."""
        counts = self.packet_count & 0xFFFF_FFFF, self.octet_count & 0xFFFF_FFFF
        body = _SENDER_INFO.pack(self.ssrc, self.ntp_time, self.rtp_timestamp, *counts)
        return _serialize(_SENDER_REPORT, 0, body)


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    """Reports from somebody who sends nothing."""

    ssrc: int
    reports: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class Bye:
    """Sources that have ended."""

    ssrcs: tuple[int, ...]
    reason: str = ""

    def serialize(self) -> bytes:
        """Return the packet, without the reason."""
        body = struct.pack(f"!{len(self.ssrcs)}I", *self.ssrcs)
        return _serialize(_BYE, len(self.ssrcs), body)


@dataclass(frozen=True, slots=True)
class SourceDescription:
    """The name that a source has for as long as it sends (RFC 7022)."""

    ssrc: int
    cname: str

    def serialize(self) -> bytes:
        """Return the packet; its one chunk ends with one to four zeros."""
        name = self.cname.encode("ascii")
        body = struct.pack("!IBB", self.ssrc, _CNAME, len(name)) + name
        return _serialize(_SOURCE_DESCRIPTION, 1, body + bytes(4 - len(body) % 4))


@dataclass(frozen=True, slots=True)
class OtherRtcp:
    """Any kind that means nothing to us (SDES, APP, feedback, …)."""

    packet_type: int
    body: bytes


RtcpPacket = SenderReport | ReceiverReport | Bye | OtherRtcp


def ntp_time(wall_clock: float) -> int:
    """Return seconds since 1970 as 64-bit NTP (RFC 3550 section 4)."""
    return int((wall_clock + _NTP_TO_UNIX) * (1 << 32))


def is_rtcp(data: bytes) -> bool:
    """Tell whether a datagram on an RTP port is RTCP.

    RFC 5761 section 4: packet types 192 to 223 are RTCP; an RTP packet with its marker
    set would need payload type 64 to 95 to look the same, and those are forbidden.
    """
    return len(data) > 1 and 192 <= data[1] <= 223


def parse_compound(data: bytes) -> list[RtcpPacket]:
    """Return the packets of one datagram.

    A lone BYE is accepted, as reduced-size RTCP (RFC 5506) allows it.

    Raises:
        RtpError: the datagram is rtcp_too_short, rtcp_bad_version, rtcp_truncated or
            rtcp_bad_padding.
    """
    if len(data) < _HEADER.size:
        raise RtpError("rtcp_too_short")
    packets: list[RtcpPacket] = []
    offset = 0
    while offset < len(data):
        if len(data) - offset < _HEADER.size:
            raise RtpError("rtcp_truncated")
        first, packet_type, words = _HEADER.unpack_from(data, offset)
        if first >> 6 != 2:
            raise RtpError("rtcp_bad_version")
        start, offset = offset + _HEADER.size, offset + 4 * (words + 1)
        if offset > len(data):
            raise RtpError("rtcp_truncated")
        body = data[start:offset]
        if first & 0x20:
            body = _without_padding(body)
        packets.append(_parse_packet(packet_type, first & 0x1F, body))
    return packets


def _serialize(packet_type: int, count: int, body: bytes) -> bytes:
    """Return a packet; `body` is whole words, which the length counts less one."""
    return _HEADER.pack(0x80 | count, packet_type, len(body) // 4) + body


def _without_padding(body: bytes) -> bytes:
    if not body or not 0 < body[-1] <= len(body):
        raise RtpError("rtcp_bad_padding")
    return body[: -body[-1]]


def _parse_packet(packet_type: int, count: int, body: bytes) -> RtcpPacket:
    try:
        if packet_type == _SENDER_REPORT:
            reports = _parse_reports(body, _SENDER_INFO.size, count)
            ssrc, ntp, timestamp, packets, octets = _SENDER_INFO.unpack_from(body)
            return SenderReport(ssrc, ntp, timestamp, packets, octets, reports)
        if packet_type == _RECEIVER_REPORT:
            (ssrc,) = struct.unpack_from("!I", body)
            return ReceiverReport(ssrc, _parse_reports(body, 4, count))
        if packet_type == _BYE:
            return _parse_bye(body, count)
    except struct.error as error:
        raise RtpError("rtcp_truncated") from error
    return OtherRtcp(packet_type, body)


def _parse_reports(body: bytes, offset: int, count: int) -> tuple[ReportBlock, ...]:
    size = _REPORT_BLOCK.size
    return tuple(_parse_report(body, offset + size * i) for i in range(count))


def _parse_report(body: bytes, offset: int) -> ReportBlock:
    ssrc, fraction, lost, highest, jitter, last_sr, delay = _REPORT_BLOCK.unpack_from(
        body, offset
    )
    signed = int.from_bytes(lost, "big", signed=True)
    return ReportBlock(ssrc, fraction, signed, highest, jitter, last_sr, delay)


def _parse_bye(body: bytes, count: int) -> Bye:
    ssrcs = struct.unpack_from(f"!{count}I", body)
    rest = body[4 * count :]
    reason = rest[1 : 1 + rest[0]] if rest else b""
    return Bye(ssrcs, reason.decode("utf-8", "replace"))
