from __future__ import annotations

from pathlib import Path

import pytest
from aiortc.rtp import RtpPacket as ReferencePacket
from hypothesis import given
from hypothesis import strategies as st

from server.rtp.errors import RtpError
from server.rtp.packet import MAX_DATAGRAM_BYTES, RtpPacket

VECTORS = Path(__file__).parents[2] / "vectors"

words = st.integers(0, 0xFFFFFFFF)
packets = st.builds(
    RtpPacket,
    payload_type=st.integers(0, 127),
    sequence_number=st.integers(0, 0xFFFF),
    timestamp=words,
    ssrc=words,
    payload=st.binary(max_size=200),
    marker=st.booleans(),
    csrcs=st.lists(words, max_size=15).map(tuple),
    padding_bytes=st.integers(0, 255),
)


def load(name: str) -> bytes:
    return (VECTORS / name).read_bytes()


def test_a_plain_packet() -> None:
    data = load("rtp_pcmu.bin")
    packet = RtpPacket.parse(data)
    assert packet == RtpPacket(
        payload_type=0,
        sequence_number=0xFFFE,
        timestamp=0xFFFFFFF0,
        ssrc=0x1234ABCD,
        payload=b"\xff" * 160,
        marker=True,
    )
    assert packet.serialize() == data


def test_csrcs_extension_and_padding_are_not_payload() -> None:
    data = load("rtp_csrc_extension_padding.bin")
    packet = RtpPacket.parse(data)
    assert packet == RtpPacket(
        payload_type=8,
        sequence_number=1,
        timestamp=160,
        ssrc=0xCAFEBABE,
        payload=b"\xd5" * 80,
        csrcs=(1, 2),
        extension_profile=0xBEDE,
        extension=b"\x10\xff\x00\x00",
        padding_bytes=4,
    )
    assert packet.serialize() == data


def test_a_telephone_event() -> None:
    data = load("rtp_telephone_event_end.bin")
    packet = RtpPacket.parse(data)
    assert packet.payload_type == 101
    assert packet.payload == b"\x05\x8a\x03\x20"
    assert packet.serialize() == data


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "too_short"),
        (load("rtp_pcmu.bin")[:11], "too_short"),
        (b"\x80" + bytes(MAX_DATAGRAM_BYTES), "too_long"),
        (b"\x40" + load("rtp_pcmu.bin")[1:], "bad_version"),
        (load("rtp_csrc_extension_padding.bin")[:19], "truncated_csrc"),
        (load("rtp_csrc_extension_padding.bin")[:23], "truncated_extension"),
        (load("rtp_csrc_extension_padding.bin")[:27], "truncated_extension"),
        (b"\xa0" + bytes(11) + b"\x00", "bad_padding"),
        (b"\xa0" + bytes(11) + b"\x02", "bad_padding"),
    ],
)
def test_a_malformed_packet_is_refused_by_name(data: bytes, reason: str) -> None:
    with pytest.raises(RtpError) as caught:
        RtpPacket.parse(data)
    assert caught.value.reason == reason


@given(packets, st.one_of(st.none(), st.integers(0, 0xFFFF)), st.binary(max_size=20))
def test_what_is_serialized_parses_to_the_same(
    packet: RtpPacket, profile: int | None, extension: bytes
) -> None:
    packet.extension_profile = profile
    if profile is not None:
        packet.extension = extension[: len(extension) // 4 * 4]
    assert RtpPacket.parse(packet.serialize()) == packet


@given(packets)
def test_an_independent_parser_agrees(packet: RtpPacket) -> None:
    reference = ReferencePacket.parse(packet.serialize())
    assert reference.payload_type == packet.payload_type
    assert reference.marker == packet.marker
    assert reference.sequence_number == packet.sequence_number
    assert reference.timestamp == packet.timestamp
    assert reference.ssrc == packet.ssrc
    assert tuple(reference.csrc) == packet.csrcs
    assert reference.payload == packet.payload
    assert reference.padding_size == packet.padding_bytes


@given(st.one_of(st.binary(max_size=60), st.binary(max_size=60).map(b"\xb1".__add__)))
def test_any_bytes_parse_or_are_refused_as_the_independent_parser_does(
    data: bytes,
) -> None:
    try:
        payload = RtpPacket.parse(data).payload
    except RtpError:
        with pytest.raises(ValueError, match="RTP packet"):
            ReferencePacket.parse(data)
    else:
        assert ReferencePacket.parse(data).payload == payload
