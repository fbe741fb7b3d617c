"""The sources of one tap, and which track each plays on."""

from __future__ import annotations

import struct

import pytest

from server.audio import AudioFormat, Codec, Digit, GapCause, Run, SourceChange
from server.rtp.packet import RtpPacket
from server.rtp.payload_types import PayloadFormats
from server.rtp.session import MAX_CANDIDATES, MAX_RETIRED
from tests.server.rtp.builders import (
    SSRC,
    Sender,
    events_of,
    extent,
    feed,
    gaps,
    numbers,
    session,
)

SILENCE = GapCause.SILENCE
OTHER = 0x0BADCAFE


def bye(*ssrcs: int) -> bytes:
    header = struct.pack("!BBH", 0x80 | len(ssrcs), 203, len(ssrcs))
    return header + struct.pack(f"!{len(ssrcs)}I", *ssrcs)


def sender_report(ssrc: int) -> bytes:
    return struct.pack("!BBHIQIII", 0x80, 200, 6, ssrc, 1 << 32, 160, 1, 160)


def test_one_stray_packet_opens_no_track() -> None:
    target = session()
    feed(target, Sender().packets(1), 0.0)
    assert target.track_count == 0
    assert target.last_media_at is None
    assert target.ended is None
    assert target.held_packets == 1
    assert target.get_timer() is None
    target.finish(1.0, pad=True)
    assert target.take(1.0) == []
    assert target.drops == {"probation": 1}


def test_packets_on_probation_are_played_from_the_first_in_order() -> None:
    target, sender = session(), Sender()
    packets = sender.packets(6)
    feed(target, [packets[i] for i in (1, 0, 3, 2, 4, 5)], 5.0)
    events = events_of(target.take(6.0))
    assert numbers(events) == [0, 1, 2, 3, 4, 5]
    assert target.track_started_at(0) == pytest.approx(5.0 - 0.02)


def test_a_source_of_noise_and_events_alone_opens_no_track() -> None:
    target, sender = session(), Sender()
    feed(target, [sender.signal(13, b"\x40") for _ in range(3)], 0.0)
    assert target.track_count == 0
    assert target.get_timer() is None
    target.finish(1.0, pad=True)
    assert target.drops == {"probation": 3}


def test_audio_after_much_noise_opens_a_track_with_it() -> None:
    target, sender = session(), Sender()
    end = feed(target, [sender.signal(13, b"\x40") for _ in range(300)], 0.0)
    feed(target, sender.packets(5), end)
    assert target.track_count == 1
    events = events_of(target.take(end + 0.1))
    assert numbers(events) == [300, 301, 302, 303, 304]
    assert extent(events) == 800


def test_another_source_goes_on_where_a_silent_one_left_off() -> None:
    target = session()
    end = feed(target, Sender().packets(10), 0.0)
    feed(target, Sender(ssrc=OTHER, timestamp=7).packets(10), end + 0.5)
    events = events_of(target.take(2.0))
    assert target.track_count == 1
    assert gaps(events) == [(1600, 4000, SILENCE)]
    assert SourceChange(1600, "SSRC 0x0badcafe") in events
    assert extent(events) == 1600 + 4000 + 1600


def test_another_source_at_once_is_held_until_the_old_one_is_silent() -> None:
    target = session()
    end = feed(target, Sender().packets(10), 0.0)
    other = Sender(ssrc=OTHER)
    feed(target, other.packets(5), end)
    assert target.held_packets == 5
    assert target.get_timer() == pytest.approx(0.18 + 0.2)
    target.handle_timer(0.39)
    assert target.held_packets == 0
    events = events_of(target.take(0.4))
    assert target.track_count == 1
    assert gaps(events) == []
    assert extent(events) == 15 * 160


def test_two_sources_at_the_same_time_get_a_track_each() -> None:
    target = session()
    one, other = Sender(), Sender(ssrc=OTHER)
    end = feed(target, one.packets(50), 0.0)
    for number in range(50):
        feed(target, one.packets(1), end + number * 0.02)
        feed(target, other.packets(1), end + number * 0.02 + 0.01)
    taken = target.take(2.0)
    assert target.track_count == 2
    assert extent(events_of(taken, 0)) == 16_000
    assert extent(events_of(taken, 1)) == 8000
    assert target.track_started_at(1) == pytest.approx(1.01 - 0.02)
    assert target.counts(1).received == 50
    assert target.last_media_at == pytest.approx(end + 49 * 0.02 + 0.01)


def test_more_sources_than_tracks_are_dropped_by_name() -> None:
    target = session(max_tracks=1)
    one, other = Sender(), Sender(ssrc=OTHER)
    for number in range(50):
        feed(target, one.packets(1), number * 0.02)
        feed(target, other.packets(1), number * 0.02 + 0.01)
    target.finish(1.0, pad=False)
    assert target.track_count == 1
    assert target.counts(0).received == 50
    assert set(target.drops) <= {"too_many_sources", "probation"}
    assert target.drops["too_many_sources"] >= 40


def test_a_source_may_come_back_after_another_took_its_track() -> None:
    target = session()
    one, other = Sender(), Sender(ssrc=OTHER)
    feed(target, one.packets(10), 0.0)
    feed(target, other.packets(10), 1.0)
    feed(target, one.packets(10), 2.0)
    events = events_of(target.take(3.0))
    assert target.track_count == 1
    assert [e.what for e in events if isinstance(e, SourceChange)] == [
        "SSRC 0x0badcafe",
        "SSRC 0x1234abcd",
    ]
    assert extent(events) == 8000 * 2 + 1600


def test_stragglers_of_a_source_that_was_replaced_are_late() -> None:
    target = session()
    one = Sender()
    feed(target, one.packets(10), 0.0)
    one.sequence_number -= 2
    feed(target, Sender(ssrc=OTHER).packets(10), 1.0)
    feed(target, one.packets(2), 1.2)
    target.finish(1.3, pad=False)
    assert target.counts(0).late == 2
    assert target.track_count == 1
    assert target.drops == {}


def test_holes_of_a_source_are_closed_when_another_takes_over() -> None:
    target = session()
    one = Sender()
    feed(target, one.packets(10), 0.0)
    one.lose(1)
    feed(target, one.packets(1), 0.22)
    feed(target, Sender(ssrc=OTHER).packets(2), 0.5)
    assert gaps(events_of(target.take(0.52)))[0] == (1600, 160, GapCause.LOST)


def test_many_sources_in_turn_leave_a_bounded_trace() -> None:
    target = session()
    for number in range(3 * MAX_RETIRED):
        feed(target, Sender(ssrc=number).packets(2), float(number))
    assert target.track_count == 1
    assert target.counts(0).received == 6 * MAX_RETIRED
    assert len(target._retired) == MAX_RETIRED


def test_a_spray_of_sources_does_not_disturb_the_one_that_plays() -> None:
    target, sender = session(), Sender()
    for number in range(200):
        feed(target, sender.packets(1), number * 0.02)
        for spray in range(5):
            ssrc = 1000 + number * 5 + spray
            feed(target, Sender(ssrc=ssrc).packets(1), number * 0.02 + 0.001)
    assert target.held_packets == MAX_CANDIDATES
    target.finish(4.0, pad=False)
    taken = target.take(4.0)
    assert target.track_count == 1
    assert extent(events_of(taken)) == 200 * 160
    assert target.drops == {"probation": 1000}


def test_a_source_that_shows_no_sequence_is_forgotten_packet_by_packet() -> None:
    target = session()
    packets = [RtpPacket(0, n * 7, 0, OTHER, bytes(160)) for n in range(100)]
    feed(target, packets, 0.0, step=0.01)
    assert target.held_packets == 64
    assert target.drops == {"probation": 36}


def test_an_unknown_payload_type_is_no_source() -> None:
    target = session()
    feed(target, Sender(payload_type=9).packets(3), 0.0)
    assert target.drops == {"unknown_payload_type": 3}
    assert target.held_packets == 0


def test_a_bye_makes_what_is_held_due_and_ends_the_media() -> None:
    target, sender = session(), Sender()
    feed(target, sender.packets(5), 0.0)
    sender.lose(1)
    feed(target, sender.packets(1), 0.12)
    target.receive_datagram(bye(SSRC), 0.14)
    assert target.ended == "bye"
    assert target.rtcp_received == 1
    assert numbers(events_of(target.take(0.14))) == [0, 1, 2, 3, 4, 5]


def test_media_has_ended_when_every_source_said_so() -> None:
    target = session()
    one, other = Sender(), Sender(ssrc=OTHER)
    for number in range(20):
        feed(target, one.packets(1) + other.packets(1), number * 0.02, step=0.001)
    target.receive_rtcp(bye(SSRC), 0.5)
    assert (target.ended, target.ended_at) == (None, None)
    target.receive_rtcp(bye(OTHER, 99), 0.6)
    assert (target.ended, target.ended_at) == ("bye", 0.6)


def test_media_ended_with_the_first_bye_however_often_it_is_repeated() -> None:
    target = session()
    feed(target, Sender().packets(5), 0.0)
    target.receive_datagram(bye(SSRC), 30.0)
    target.receive_datagram(bye(SSRC), 31.0)
    assert target.ended_at == 30.0


def test_audio_after_a_bye_takes_it_back() -> None:
    target, sender = session(), Sender()
    end = feed(target, sender.packets(5), 0.0)
    target.receive_rtcp(bye(SSRC), end)
    target.take(end)
    feed(target, sender.packets(5), end)
    assert (target.ended, target.ended_at) == (None, None)
    assert target.counts(0).received == 10


def test_another_source_goes_on_at_once_after_a_bye() -> None:
    target = session()
    end = feed(target, Sender().packets(5), 0.0)
    target.receive_rtcp(bye(SSRC), end)
    feed(target, Sender(ssrc=OTHER).packets(2), end)
    events = events_of(target.take(end + 0.02))
    assert target.track_count == 1
    assert extent(events) == 7 * 160
    assert target.ended is None


def test_the_latest_sender_report_is_kept() -> None:
    target, sender = session(), Sender()
    feed(target, sender.packets(2), 0.0)
    target.receive_datagram(sender_report(SSRC), 0.1)
    assert target.sender_report is not None
    assert target.sender_report.ntp_time == 1 << 32
    assert target.sender_report.rtp_timestamp == 160
    assert target.has_source(SSRC)
    assert not target.has_source(OTHER)


def test_rtcp_of_other_kinds_is_recognised_and_means_nothing() -> None:
    target = session()
    target.receive_datagram(struct.pack("!BBHI", 0x80, 201, 1, SSRC), 0.0)
    assert target.rtcp_received == 1
    assert target.sender_report is None


def test_malformed_datagrams_are_counted_by_reason() -> None:
    target, sender = session(), Sender()
    feed(target, sender.packets(3), 0.0)
    good = sender.packet().serialize()
    for data in (b"", good[:11], b"\x00" + good[1:], b"\x80\xc8\x00", good[:12]):
        target.receive_datagram(data, 0.1)
    assert target.drops == {
        "too_short": 2,
        "bad_version": 1,
        "rtcp_too_short": 1,
        "malformed_payload": 1,
    }


def test_finish_pads_every_track_up_to_now() -> None:
    target = session()
    end = feed(target, Sender().packets(50), 0.0)
    target.finish(end + 2.0, pad=True)
    target.finish(end + 3.0, pad=True)
    events = events_of(target.take(end + 2.0))
    assert gaps(events) == [(8000, 16_000, SILENCE)]


@pytest.mark.parametrize(("pad", "after"), [(False, 2.0), (True, 0.2)])
def test_finish_pads_only_if_asked_to_and_if_something_is_missing(
    pad: bool, after: float
) -> None:
    target = session()
    end = feed(target, Sender().packets(50), 0.0)
    target.finish(end + after, pad=pad)
    assert extent(events_of(target.take(end + after))) == 8000


def test_finish_settles_a_source_that_is_still_held() -> None:
    target = session()
    end = feed(target, Sender().packets(10), 0.0)
    feed(target, Sender(ssrc=OTHER).packets(3), end)
    target.finish(end + 0.1, pad=False)
    assert extent(events_of(target.take(end + 0.1))) == 13 * 160
    assert target.held_packets == 0


def test_packets_after_finish_are_counted() -> None:
    target, sender = session(), Sender()
    end = feed(target, sender.packets(10), 0.0)
    target.finish(end, pad=False)
    target.take(end)
    feed(target, sender.packets(3), end)
    assert target.take(end + 1) == []
    assert target.drops == {"after_end": 3}


def test_events_of_a_track_come_by_start() -> None:
    target, sender = session(), Sender()
    end = feed(target, sender.packets(5), 0.0)
    end = feed(target, [sender.signal(101, b"\x01\x0a\x00\xa0")], end)
    end = feed(target, sender.packets(5), end)
    sender.pause(800)
    end = feed(target, sender.packets(1), end + 0.1)
    sender.timestamp -= 1760
    feed(target, [sender.signal(101, b"\x01\x8a\x01\x40")], end)
    events = events_of(target.take(1.0))
    starts = [e.start for e in events]
    assert starts == sorted(starts)
    assert any(isinstance(e, Digit) for e in events)
    assert isinstance(events[-1], Run)


def test_a_tap_tells_its_sources_and_when_each_was_heard() -> None:
    target = session()
    end = feed(target, Sender().packets(5), 0.0)
    feed(target, Sender(ssrc=OTHER).packets(2), end + 1.0)
    feed(target, Sender(ssrc=7).packets(1), end + 2.0)
    assert target.heard() == {
        SSRC: pytest.approx(0.08),
        OTHER: pytest.approx(1.12),
        7: pytest.approx(2.1),
    }


def test_sources_yet_to_come_are_read_as_the_platform_says_that_it_sends() -> None:
    target = session()
    l16 = AudioFormat(Codec.L16, 16_000)
    target.expect(PayloadFormats(l16))
    feed(target, Sender(payload_type=96).packets(2), 0.0)
    assert target.track_format(0) == l16
