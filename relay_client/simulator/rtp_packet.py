"""RTP and RTCP as bytes (RFC 3550 sections 5.1 and 6, RFC 4733).

Written apart from the server's parser so that each checks the other.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_HEADER = struct.Struct("!BBHII")
_NTP_EPOCH = 2_208_988_800
"""Seconds from 1900 to 1970 (RFC 3550 section 4)."""
_SR, _BYE = 200, 203

TELEPHONE_EVENT_TYPE = 101
COMFORT_NOISE_TYPE = 13


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderExtras:
    """The parts of an RTP header that most packets do not have."""

    csrcs: tuple[int, ...] = ()
    extension_words: int | None = None
    padding: int = 0


NO_EXTRAS = HeaderExtras()


@dataclass(frozen=True, slots=True, kw_only=True)
class RtpFields:
    """What differs from packet to packet."""

    payload_type: int
    sequence_number: int
    timestamp: int
    ssrc: int
    marker: bool = False


def serialize_rtp(
    fields: RtpFields, payload: bytes, extras: HeaderExtras = NO_EXTRAS
) -> bytes:
    """Return one RTP packet."""
    first = 0x80 | len(extras.csrcs)
    first |= 0x20 if extras.padding else 0
    first |= 0x10 if extras.extension_words is not None else 0
    header = _HEADER.pack(
        first,
        fields.payload_type | (0x80 if fields.marker else 0),
        fields.sequence_number & 0xFFFF,
        fields.timestamp & 0xFFFF_FFFF,
        fields.ssrc,
    )
    csrcs = struct.pack(f"!{len(extras.csrcs)}I", *extras.csrcs)
    return header + csrcs + _extension(extras) + payload + _padding(extras)


def _extension(extras: HeaderExtras) -> bytes:
    words = extras.extension_words
    if words is None:
        return b""
    # RFC 3550 section 5.3.1: profile-defined 16 bits, then the length in words.
    return struct.pack("!HH", 0xBEDE, words) + bytes(4 * words)


def _padding(extras: HeaderExtras) -> bytes:
    """RFC 3550 section 5.1: the last octet counts the padding, itself included."""
    if not extras.padding:
        return b""
    return bytes(extras.padding - 1) + bytes([extras.padding])


def telephone_event(digit: str, duration: int, *, is_end: bool) -> bytes:
    """Return the payload of RFC 4733 section 2.3, at a volume of -10 dBm0."""
    event = "0123456789*#ABCD".index(digit)
    return struct.pack("!BBH", event, (0x80 if is_end else 0) | 10, duration)


def sender_report(
    *, ssrc: int, wall_clock: float, timestamp: int, packets: int, octets: int
) -> bytes:
    """Return an SR with no report blocks (RFC 3550 section 6.4.1)."""
    seconds = int(wall_clock)
    fraction = int((wall_clock - seconds) * (1 << 32))
    return struct.pack(
        "!BBHIIIIII",
        0x80,
        _SR,
        6,
        ssrc,
        (seconds + _NTP_EPOCH) & 0xFFFF_FFFF,
        fraction,
        timestamp & 0xFFFF_FFFF,
        packets & 0xFFFF_FFFF,
        octets & 0xFFFF_FFFF,
    )


def bye(ssrcs: tuple[int, ...]) -> bytes:
    """Return a BYE with no reason (RFC 3550 section 6.6)."""
    count = len(ssrcs)
    return struct.pack(f"!BBH{count}I", 0x80 | count, _BYE, count, *ssrcs)
