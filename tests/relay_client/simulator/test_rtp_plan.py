"""What an RTP tap plans to send, without a socket."""

from __future__ import annotations

import itertools
import struct
from typing import Any

import numpy as np
import pytest
from aiortc.rtp import RtcpByePacket, RtcpPacket, RtcpSrPacket, RtpPacket
from hypothesis import given, settings
from hypothesis import strategies as st

from relay_client.simulator import FormatChange, MediaOptions
from relay_client.simulator.feed import AudioFeed, Direction
from relay_client.simulator.formats import AskedFormat, choose_format
from relay_client.simulator.g711 import encode_alaw, encode_ulaw
from relay_client.simulator.network import Datagram
from relay_client.simulator.rtp_plan import RtpPlan


def plan(
    options: MediaOptions, seed: int = 1, direction: Direction = "both"
) -> RtpPlan:
    return RtpPlan(
        AudioFeed("tone:440", "tone:880"),
        direction,
        choose_format(options, AskedFormat(), over_rtp=True),
        options,
        seed=seed,
        wall_clock=1_700_000_000.0,
    )


def packets(options: MediaOptions, **more: Any) -> list[RtpPacket]:
    return [
        RtpPacket.parse(datagram.data)
        for datagram in plan(options, **more).datagrams()
        if datagram.data and not datagram.is_rtcp
    ]


def datagrams(options: MediaOptions, count: int = 10_000) -> list[Datagram]:
    return list(itertools.islice(plan(options).datagrams(), count))


def heard(direction: Direction, start: int, count: int, rate: int = 8000) -> np.ndarray:
    return AudioFeed("tone:440", "tone:880").read(direction, rate, start, count)


def test_a_plain_plan_has_consecutive_packets_of_the_sources() -> None:
    found = packets(MediaOptions(seconds=0.1, sequence=65534, timestamp=2**32 - 160))

    assert [packet.sequence_number for packet in found] == [65534, 65535, 0, 1, 2]
    assert [packet.timestamp for packet in found] == [2**32 - 160, 0, 160, 320, 480]
    assert [packet.marker for packet in found] == [1, 0, 0, 0, 0]
    assert b"".join(p.payload for p in found) == encode_ulaw(heard("both", 0, 800))


def test_a_long_silence_is_waited_for_and_not_skipped() -> None:
    found = datagrams(MediaOptions(dtx=((0, 3600),)), count=5)

    assert [datagram.at for datagram in found] == pytest.approx([1, 2, 3, 4, 5])
    assert not any(datagram.data or datagram.span for datagram in found)


def test_packets_are_due_when_they_are_complete() -> None:
    found = datagrams(MediaOptions(seconds=0.1, start_delay=1.0))

    assert [datagram.at for datagram in found] == pytest.approx(
        [1.02, 1.04, 1.06, 1.08, 1.10]
    )


@given(
    seed=st.integers(0, 1000),
    loss=st.floats(0, 60),
    reorder=st.floats(0, 60),
    duplicate=st.floats(0, 60),
)
@settings(max_examples=40, deadline=None)
def test_faults_are_reproducible_and_every_packet_is_accounted_for(
    seed: int, loss: float, reorder: float, duplicate: float
) -> None:
    options = MediaOptions(
        seconds=1.0, loss=loss, reorder=reorder, duplicate=duplicate, sequence=0
    )
    found = list(plan(options, seed).datagrams())

    assert found == list(plan(options, seed).datagrams())
    assert [d.at for d in found] == sorted(d.at for d in found)
    spans = sorted(d.span.start for d in found if d.span)
    assert spans == list(range(0, 8000, 160))
    lost = {d.span.start for d in found if d.span and not d.data}
    arrived = {RtpPacket.parse(d.data).sequence_number * 160 for d in found if d.data}
    assert arrived | lost == set(spans)
    assert not arrived & lost


def test_reordered_packets_are_overtaken_by_at_most_three() -> None:
    numbers = [
        packet.sequence_number
        for packet in packets(MediaOptions(seconds=2.0, reorder=30, sequence=0))
    ]

    assert sorted(numbers) == list(range(100))
    assert numbers != sorted(numbers)


def test_two_sources_carry_speak_and_listen() -> None:
    options = MediaOptions(seconds=0.1, ssrcs="two")
    found = list(plan(options).datagrams())
    by_track = {
        track: [d.span for d in found if d.span and d.span.track == track]
        for track in (0, 1)
    }

    assert len({span.ssrc for spans in by_track.values() for span in spans}) == 2
    for track, direction in ((0, "speak"), (1, "listen")):
        audio = b"".join(span.payload for span in by_track[track])
        expected = encode_ulaw(
            heard("speak" if direction == "speak" else "listen", 0, 800)
        )
        assert audio == expected


def test_a_changing_source_starts_anew_where_the_old_one_stopped() -> None:
    options = MediaOptions(seconds=0.2, ssrcs="changing", ssrc_change_at=0.1)
    found = packets(options)

    assert len({packet.ssrc for packet in found[:5]}) == 1
    assert len({packet.ssrc for packet in found}) == 2
    assert found[5].ssrc != found[4].ssrc
    assert found[5].timestamp != (found[4].timestamp + 160) % 2**32
    assert found[6].timestamp == (found[5].timestamp + 160) % 2**32
    assert b"".join(p.payload for p in found) == encode_ulaw(heard("both", 0, 1600))


def test_headers_can_have_every_part() -> None:
    options = MediaOptions(seconds=0.04, csrcs=3, extension=2, padding=7)
    first = datagrams(options)[0].data
    found = packets(options)[0]

    assert first[0] == 0x80 | 0x20 | 0x10 | 3
    assert struct.unpack("!HH", first[24:28]) == (0xBEDE, 2)
    assert found.csrc == list(struct.unpack("!3I", first[12:24]))
    assert found.padding_size == 7
    assert found.payload == encode_ulaw(heard("both", 0, 160))


def test_silence_is_not_sent_and_the_clock_goes_on() -> None:
    options = MediaOptions(
        seconds=0.3, dtx=((0.1, 0.1),), comfort_noise=True, sequence=0, timestamp=0
    )
    found = packets(options)
    noise = [packet for packet in found if packet.payload_type == 13]

    assert [packet.timestamp for packet in noise] == [800]
    assert [packet.timestamp for packet in found if packet.marker] == [0, 1600]
    assert [packet.sequence_number for packet in found] == list(range(11))


def test_a_stall_without_catching_up_is_like_silence() -> None:
    options = MediaOptions(
        seconds=0.3, pace="stall", stall_at=0.1, stall_for=0.1, catch_up=False
    )
    starts = [d.span.start for d in datagrams(options) if d.span]

    assert starts == [*range(0, 800, 160), *range(1600, 2400, 160)]


def test_a_stall_with_catching_up_sends_all_of_it_late() -> None:
    options = MediaOptions(seconds=0.3, pace="stall", stall_at=0.1, stall_for=0.1)
    found = datagrams(options)

    assert [d.span.start for d in found if d.span] == list(range(0, 2400, 160))
    assert [d.at for d in found[5:10]] == pytest.approx([0.2] * 5)


def test_bursts_come_at_once() -> None:
    found = datagrams(MediaOptions(seconds=0.2, pace="burst", burst=0.1))

    assert [d.at for d in found] == pytest.approx([0.1] * 5 + [0.2] * 5)


def test_jitter_never_sends_early_or_out_of_order() -> None:
    found = datagrams(MediaOptions(seconds=1.0, pace="jitter", jitter=0.1))
    late = [d.at - 0.02 * (number + 1) for number, d in enumerate(found)]

    assert [d.at for d in found] == sorted(d.at for d in found)
    assert min(late) >= -1e-9
    assert 0.01 < max(late) <= 0.1


def test_digits_are_events_of_rfc_4733() -> None:
    options = MediaOptions(seconds=0.6, dtmf="5#", dtmf_at=0.1, timestamp=0)
    events = [p for p in packets(options) if p.payload_type == 101]
    first = events[:7]

    assert [p.payload[0] for p in events] == [5] * 7 + [11] * 7
    assert {p.timestamp for p in first} == {800}
    durations = [struct.unpack("!H", p.payload[2:])[0] for p in first]
    assert durations == [160, 320, 480, 640, 800, 800, 800]
    assert [p.payload[1] >> 7 for p in first] == [0, 0, 0, 0, 1, 1, 1]
    assert [p.marker for p in first] == [1, 0, 0, 0, 0, 0, 0]


def test_the_format_can_change_in_the_middle() -> None:
    change = FormatChange(at=0.1, codec="PCMA", ptime=40)
    found = packets(MediaOptions(seconds=0.18, change=change))

    assert [p.payload_type for p in found] == [0, 0, 0, 0, 0, 8, 8]
    assert [len(p.payload) for p in found] == [160] * 5 + [320] * 2
    assert found[5].payload == encode_alaw(heard("both", 800, 320))
    assert found[5].timestamp == (found[0].timestamp + 800) % 2**32


def test_timestamps_go_on_across_a_change_of_clock() -> None:
    change = FormatChange(at=0.1, codec="OPUS")
    found = packets(MediaOptions(seconds=0.2, change=change, timestamp=0))

    assert [p.timestamp for p in found] == [
        *range(0, 800, 160),
        *range(800, 800 + 5 * 960, 960),
    ]
    assert {p.payload_type for p in found[5:]} == {111}


@pytest.mark.parametrize(
    ("options", "payload_type", "size"),
    [
        (MediaOptions(codec="L16", rate=16000), 96, 640),
        (MediaOptions(codec="PCMA"), 8, 160),
        (MediaOptions(payload_type=100), 100, 160),
        (MediaOptions(ptime=120), 0, 960),
        (MediaOptions(ptime=10), 0, 80),
    ],
)
def test_formats_have_their_payload_types_and_sizes(
    options: MediaOptions, payload_type: int, size: int
) -> None:
    found = RtpPacket.parse(datagrams(options, 1)[0].data)

    assert (found.payload_type, len(found.payload)) == (payload_type, size)


def test_linear_audio_is_in_network_order_unless_told_otherwise() -> None:
    samples = heard("both", 0, 160)
    big = packets(MediaOptions(codec="L16", seconds=0.02))[0].payload
    little = packets(MediaOptions(codec="L16", seconds=0.02, byte_order="little"))[0]

    assert big == samples.astype(">i2").tobytes()
    assert little.payload == samples.astype("<i2").tobytes()


def test_sender_reports_match_what_was_sent() -> None:
    options = MediaOptions(
        seconds=1.0, rtcp="same", rtcp_interval=0.5, bye=True, timestamp=0
    )
    made = plan(options)
    reports = [d for d in made.datagrams() if d.is_rtcp]
    (report,) = RtcpPacket.parse(reports[0].data)
    (bye,) = RtcpPacket.parse(made.farewell()[0].data)

    assert len(reports) == 2
    assert isinstance(report, RtcpSrPacket)
    assert report.sender_info.packet_count == 25
    assert report.sender_info.octet_count == 25 * 160
    assert report.sender_info.rtp_timestamp == 4000
    assert report.sender_info.ntp_timestamp >> 32 == 1_700_000_000 + 2_208_988_800
    assert isinstance(bye, RtcpByePacket)
    assert bye.sources == [report.ssrc]


def test_no_farewell_without_rtcp() -> None:
    assert plan(MediaOptions(bye=True)).farewell() == []
