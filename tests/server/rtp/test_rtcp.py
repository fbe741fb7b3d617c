from __future__ import annotations

from pathlib import Path

import pytest
from aiortc.rtp import RtcpByePacket, RtcpRrPacket, RtcpSdesPacket, RtcpSrPacket
from aiortc.rtp import RtcpPacket as ReferencePacket
from hypothesis import given
from hypothesis import strategies as st

from server.rtp.errors import RtpError
from server.rtp.rtcp import (
    Bye,
    OtherRtcp,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    SourceDescription,
    is_rtcp,
    ntp_time,
    parse_compound,
)

VECTORS = Path(__file__).parents[2] / "vectors"


def load(name: str) -> bytes:
    return (VECTORS / name).read_bytes()


def test_a_sender_report_with_a_description_behind_it() -> None:
    report, description = parse_compound(load("rtcp_sender_report_sdes.bin"))
    assert report == SenderReport(
        ssrc=0x1234ABCD,
        ntp_time=0xE9A1B2C3_80000000,
        rtp_timestamp=0x1000,
        packet_count=100,
        octet_count=16_000,
        reports=(
            ReportBlock(
                ssrc=0xCAFEBABE,
                fraction_lost=5,
                packets_lost=-2,
                highest_sequence=0x00010203,
                jitter=16,
                last_sr=0xB2C38000,
                delay_since_last_sr=0x10000,
            ),
        ),
    )
    assert isinstance(description, OtherRtcp)
    assert description.packet_type == 202


def test_a_receiver_report_with_a_bye_behind_it() -> None:
    report, bye = parse_compound(load("rtcp_receiver_report_bye.bin"))
    assert report == ReceiverReport(0x1234ABCD)
    assert bye == Bye((0x1234ABCD, 0xCAFEBABE), "hangup")


def test_a_bye_without_a_reason() -> None:
    assert parse_compound(b"\x81\xcb\x00\x01\x00\x00\x00\x07") == [Bye((7,))]


def test_padding_is_removed() -> None:
    data = b"\xa1\xcb\x00\x02\x00\x00\x00\x07\x00\x00\x00\x04"
    assert parse_compound(data) == [Bye((7,))]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x80\xc8\x00", "rtcp_too_short"),
        (b"\x80\xc9\x00\x01\x00\x00\x00\x07\x80", "rtcp_truncated"),
        (b"\x40\xc9\x00\x01\x00\x00\x00\x07", "rtcp_bad_version"),
        (b"\x80\xc9\x00\x02\x00\x00\x00\x07", "rtcp_truncated"),
        (b"\x80\xc8\x00\x01\x00\x00\x00\x07", "rtcp_truncated"),
        (b"\x81\xc9\x00\x01\x00\x00\x00\x07", "rtcp_truncated"),
        (b"\x82\xcb\x00\x01\x00\x00\x00\x07", "rtcp_truncated"),
        (b"\xa0\xc9\x00\x00", "rtcp_bad_padding"),
        (b"\xa0\xc9\x00\x01\x00\x00\x00\x00", "rtcp_bad_padding"),
        (b"\xa0\xc9\x00\x01\x00\x00\x00\x05", "rtcp_bad_padding"),
    ],
)
def test_a_malformed_packet_is_refused_by_name(data: bytes, reason: str) -> None:
    with pytest.raises(RtpError) as caught:
        parse_compound(data)
    assert caught.value.reason == reason


@given(st.binary(max_size=80))
def test_any_bytes_parse_or_are_refused(data: bytes) -> None:
    try:
        packets = parse_compound(b"\x80" + data)
    except RtpError:
        packets = None
    assert packets is None or len(packets) > 0


@pytest.mark.parametrize(
    "name", ["rtcp_sender_report_sdes.bin", "rtcp_receiver_report_bye.bin"]
)
def test_an_independent_parser_agrees(name: str) -> None:
    ours = parse_compound(load(name))
    theirs = ReferencePacket.parse(load(name))
    assert len(ours) == len(theirs)
    for packet, reference in zip(ours, theirs, strict=True):
        if isinstance(packet, SenderReport):
            assert isinstance(reference, RtcpSrPacket)
            info = reference.sender_info
            assert reference.ssrc == packet.ssrc
            assert info.ntp_timestamp == packet.ntp_time
            assert info.rtp_timestamp == packet.rtp_timestamp
            assert info.packet_count == packet.packet_count
            assert info.octet_count == packet.octet_count
            assert [r.packets_lost for r in reference.reports] == [-2]
        elif isinstance(packet, ReceiverReport):
            assert isinstance(reference, RtcpRrPacket)
            assert reference.ssrc == packet.ssrc
        elif isinstance(packet, Bye):
            assert isinstance(reference, RtcpByePacket)
            assert tuple(reference.sources) == packet.ssrcs


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\x80\xc8", True),
        (b"\x80\xc0", True),
        (b"\x80\xdf", True),
        (b"\x80\xe0", False),  # PT 96 with its marker set
        (b"\x80\x80", False),  # PCMU with its marker set
        (b"\x80", False),
        (b"", False),
    ],
)
def test_rtcp_is_told_from_rtp_by_the_second_octet(data: bytes, expected: bool) -> None:
    assert is_rtcp(data) is expected


@pytest.mark.parametrize("length", range(9))
def test_what_a_sender_says_is_understood_by_others(length: int) -> None:
    """The oracle is aiortc's parser; names of any length end on a whole word."""
    report = SenderReport(7, ntp_time(1.5), 0xFFFF_FFFF, 3, 480)
    name = SourceDescription(7, "n" * length)
    data = report.serialize() + name.serialize() + Bye((7, 8)).serialize()

    sr, sdes, bye = ReferencePacket.parse(data)

    assert isinstance(sr, RtcpSrPacket)
    assert isinstance(sdes, RtcpSdesPacket)
    assert isinstance(bye, RtcpByePacket)
    assert (sr.ssrc, sr.sender_info.rtp_timestamp) == (7, 0xFFFF_FFFF)
    assert (sr.sender_info.packet_count, sr.sender_info.octet_count) == (3, 480)
    assert sr.sender_info.ntp_timestamp == (2_208_988_801 << 32) + (1 << 31)
    assert [(each.ssrc, each.items) for each in sdes.chunks] == [
        (7, [(1, b"n" * length)])
    ]
    assert bye.sources == [7, 8]
    assert parse_compound(data)[0] == report


def test_counts_of_a_long_life_wrap() -> None:
    report = SenderReport(7, 0, 0, (1 << 32) + 1, (1 << 32) + 2)
    (read,) = parse_compound(report.serialize())
    assert read == SenderReport(7, 0, 0, 1, 2)
