"""Sender reports: when, and that they tie timestamps to the clock on the wall."""

from __future__ import annotations

import pytest

from server.forwards.rtp_reports import SenderReports
from server.rtp.packet import RtpPacket
from server.rtp.rtcp import Bye, OtherRtcp, SenderReport, parse_compound

SSRC = 7


def sending() -> SenderReports:
    """Return the reports of a source that has sent two packets, the last at 100.02."""
    reports = SenderReports(SSRC, "name")
    for number, now in ((0, 100.0), (1, 100.02)):
        packet = RtpPacket(0, number, 0xFFFF_FF00 + 160 * number, SSRC, bytes(160))
        reports.sent(packet, 8000, now)
    return reports


def test_nothing_is_due_without_audio_and_a_report_with_the_first() -> None:
    assert SenderReports(SSRC, "name").wait_s(0.0) is None
    assert sending().wait_s(100.02) == 0


def test_a_report_tells_the_timestamp_of_its_own_instant() -> None:
    data = sending().report(101.02, wall_clock=1000.5, chance=0.5)
    report, name = parse_compound(data)
    assert isinstance(report, SenderReport)
    assert isinstance(name, OtherRtcp)
    assert report.wall_clock == 1000.5
    assert report.rtp_timestamp == (0xFFFF_FF00 + 160 + 8000) % 2**32
    assert (report.packet_count, report.octet_count) == (2, 320)


@pytest.mark.parametrize(("chance", "wait_s"), [(0.0, 2.5), (0.5, 5.0), (1.0, 7.5)])
def test_the_next_is_due_at_a_time_left_to_chance(chance: float, wait_s: float) -> None:
    reports = sending()
    reports.report(101.0, 1000.0, chance)
    assert reports.wait_s(101.0) == wait_s
    assert reports.wait_s(101.0 + wait_s) == 0
    reports.sent(RtpPacket(0, 2, 0, SSRC), 8000, 101.5)
    assert reports.wait_s(101.0) == wait_s


def test_the_end_is_said_behind_a_last_report() -> None:
    report, _, bye = parse_compound(sending().goodbye(101.0, 1000.0))
    assert isinstance(report, SenderReport)
    assert bye == Bye((SSRC,))
