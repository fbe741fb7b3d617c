"""One stream of one tap, driven through its session as in life."""

from __future__ import annotations

import pytest

from server.audio import (
    PCMA_8000,
    PCMU_8000,
    AudioFormat,
    Codec,
    Digit,
    Gap,
    GapCause,
    Late,
    Run,
    SourceChange,
)
from server.rtp.packet import RtpPacket
from server.rtp.receiver import MAX_DROPOUT, MAX_MISORDER
from server.rtp.reorder import MAX_HELD
from server.rtp.track import MAX_BACKLOG
from tests.server.rtp.builders import (
    Sender,
    events_of,
    extent,
    feed,
    gaps,
    numbers,
    session,
)

LOST, SILENCE, DROPPED = GapCause.LOST, GapCause.SILENCE, GapCause.DROPPED


def test_audio_in_order_is_one_run_from_position_0() -> None:
    target, sender = session(), Sender()
    end = feed(target, sender.packets(50), 10.0)
    (run,) = events_of(target.take(end))
    assert isinstance(run, Run)
    assert (run.start, run.length, run.format) == (0, 8000, PCMU_8000)
    assert len(run.payloads) == 50
    assert target.track_started_at(0) == pytest.approx(10.0 - 0.02)
    assert target.counts(0).received == 50
    assert target.last_media_at == pytest.approx(10.98)


def test_runs_taken_one_after_another_follow_each_other() -> None:
    target, sender = session(), Sender()
    end = feed(target, sender.packets(10), 0.0)
    first = target.take(end)
    feed(target, sender.packets(10), end)
    second = target.take(1.0)
    assert extent(events_of(first + second)) == 3200
    assert target.take(1.0) == []


def test_audio_at_once_is_due_at_once() -> None:
    target, sender = session(), Sender()
    feed(target, sender.packets(3), 0.0)
    assert numbers(events_of(target.take(0.04))) == [0, 1, 2]


def test_sequence_number_and_timestamp_may_wrap_at_any_packet() -> None:
    for wrap_at in range(6):
        target = session()
        sender = Sender(
            sequence_number=0x10000 - wrap_at, timestamp=2**32 - 160 * wrap_at
        )
        feed(target, sender.packets(6), 0.0)
        assert extent(events_of(target.take(1.0))) == 960
        assert target.counts(0).received == 6


def test_the_marker_bit_is_only_a_hint() -> None:
    target, sender = session(), Sender()
    packets = sender.packets(6)
    packets[0].marker = packets[3].marker = True
    feed(target, packets, 0.0)
    assert extent(events_of(target.take(1.0))) == 960


def test_header_extension_and_padding_do_not_become_audio() -> None:
    target, sender = session(), Sender()
    packets = sender.packets(4)
    packets[2].padding_bytes = 4
    packets[3].extension_profile, packets[3].extension = 0xBEDE, bytes(4)
    feed(target, packets, 0.0)
    events = events_of(target.take(1.0))
    assert extent(events) == 640
    assert numbers(events) == [0, 1, 2, 3]


def test_ptime_may_change_between_packets() -> None:
    target, sender = session(), Sender()
    packets = [sender.packet(samples=n) for n in (160, 160, 80, 80, 960, 240)]
    feed(target, packets, 0.0)
    assert extent(events_of(target.take(1.0))) == 1680


def test_a_lost_packet_becomes_a_gap_when_the_reorder_window_has_passed() -> None:
    target, sender = session(), Sender()
    end = feed(target, sender.packets(5), 0.0)
    sender.lose(2)
    feed(target, sender.packets(5), end)
    assert numbers(events_of(target.take(0.3))) == [0, 1, 2, 3, 4]
    assert target.held_packets == 5
    assert target.get_timer() == pytest.approx(end + 0.4)

    target.handle_timer(end + 0.4)
    events = events_of(target.take(end + 0.4))
    assert gaps(events) == [(800, 320, LOST)]
    assert numbers(events) == [5, 6, 7, 8, 9]
    assert target.counts(0).lost == 2
    assert target.get_timer() is None
    assert target.held_packets == 0


def test_take_gives_up_what_is_due_without_a_timer() -> None:
    target, sender = session(reorder_window=0.1), Sender()
    end = feed(target, sender.packets(5), 0.0)
    sender.lose(1)
    feed(target, sender.packets(1), end)
    assert gaps(events_of(target.take(end + 0.1))) == [(800, 160, LOST)]


def test_packets_out_of_order_in_time_are_put_in_order() -> None:
    target, sender = session(), Sender()
    packets = sender.packets(8)
    order = [0, 1, 2, 5, 4, 3, 6, 7]
    feed(target, [packets[i] for i in order], 0.0)
    assert numbers(events_of(target.take(1.0))) == list(range(8))
    counts = target.counts(0)
    assert (counts.received, counts.reordered, counts.lost) == (8, 2, 0)


def test_a_copy_is_a_duplicate_whether_its_packet_is_placed_or_held() -> None:
    target, sender = session(), Sender()
    packets = sender.packets(8)
    order = [0, 1, 2, 2, 4, 4, 3, 5, 6, 1, 7]
    feed(target, [packets[i] for i in order], 0.0)
    assert numbers(events_of(target.take(1.0))) == list(range(8))
    assert target.counts(0).duplicate == 3


def test_a_packet_after_its_place_was_given_up_is_late_once_then_a_duplicate() -> None:
    target, sender = session(), Sender()
    packets = sender.packets(8)
    feed(target, packets[:3] + packets[4:], 0.0)
    target.take(1.0)
    feed(target, [packets[3], packets[3]], 1.0)
    counts = target.counts(0)
    assert (counts.lost, counts.late, counts.duplicate) == (1, 1, 1)
    assert target.take(2.0) == [(0, Late(480, 160))]


def test_an_event_that_came_late_is_counted_and_has_no_place() -> None:
    target, sender = session(), Sender()
    packets = sender.packets(3)
    event = sender.signal(101, bytes([5, 10, 0, 160]))
    now = feed(target, [*packets, *sender.packets(30)], 0.0)
    target.take(now)
    feed(target, [event], now)
    assert target.counts(0).late == 1
    assert target.take(now) == []


def test_a_packet_from_before_the_first_is_late() -> None:
    target, sender = session(), Sender()
    packets = sender.packets(5)
    feed(target, packets[1:], 0.0)
    target.take(0.1)
    feed(target, packets[:1], 0.1)
    assert target.counts(0).late == 1
    assert target.counts(0).duplicate == 0


def test_a_first_packet_that_was_overtaken_is_the_first_of_the_track() -> None:
    target, sender = session(), Sender()
    packets = sender.packets(6)
    feed(target, [*packets[1:4], packets[0], *packets[4:]], 1.0)
    events = events_of(target.take(2.0))
    assert numbers(events) == list(range(6))
    assert extent(events) == 960
    assert target.track_started_at(0) == pytest.approx(1.0 - 0.04)
    counts = target.counts(0)
    assert (counts.received, counts.reordered, counts.late) == (6, 1, 0)


def test_the_first_report_tells_when_the_track_began_by_the_sender_s_clock() -> None:
    def report(seconds: int) -> bytes:
        """Of when timestamp 50,000 was, which is that of the first packet."""
        head = bytes.fromhex("80c80006 1234abcd")
        since_1900 = (seconds + 2_208_988_800).to_bytes(4, "big")
        return head + since_1900 + bytes.fromhex("00000000 0000c350") + bytes(8)

    target, sender = session(), Sender()
    packets = sender.packets(6)
    feed(target, packets[1:4], 0.0)
    target.receive_rtcp(report(1_000_000), 0.1)
    assert target.sender_started_at(0) == pytest.approx(1_000_000.02, abs=1e-4)
    # The first packet was overtaken: the track begins with it.
    feed(target, [packets[0], *packets[4:]], 0.1)
    target.receive_rtcp(report(2_000_000), 0.2)
    assert target.sender_started_at(0) == pytest.approx(1_000_000, abs=1e-4)


@pytest.mark.parametrize("change", ["earlier", "empty", "other format"])
def test_what_does_not_end_where_the_first_begins_is_late(change: str) -> None:
    target, sender = session(), Sender()
    packets = sender.packets(6)
    if change == "earlier":
        packets[0].timestamp -= 160
    elif change == "empty":
        packets[0].payload = b""
    else:
        packets[0].payload_type = 8
    feed(target, [*packets[1:4], packets[0], *packets[4:]], 0.0)
    events = events_of(target.take(1.0))
    assert numbers(events) == list(range(1, 6))
    assert target.counts(0).late == 1


def test_a_late_packet_of_long_ago_is_late_if_its_place_is_remembered() -> None:
    target, sender = session(), Sender()
    feed(target, sender.packets(3), 0.0)
    missing = sender.packets(1)
    feed(target, sender.packets(MAX_MISORDER + 50), 0.08)
    target.take(5.0)
    feed(target, missing, 5.0)
    assert target.counts(0).late == 1
    assert target.held_packets == 0


def test_several_holes_have_a_deadline_each() -> None:
    target, sender = session(), Sender()
    feed(target, sender.packets(3), 0.0)
    sender.lose(1)
    feed(target, sender.packets(1), 0.08)
    sender.lose(1)
    feed(target, sender.packets(1), 0.12)
    target.handle_timer(0.49)
    assert target.get_timer() == pytest.approx(0.52)
    target.handle_timer(0.52)
    assert gaps(events_of(target.take(0.52))) == [(480, 160, LOST), (800, 160, LOST)]


def test_a_pause_is_silence_as_long_as_the_timestamps_say() -> None:
    target, sender = session(), Sender()
    end = feed(target, sender.packets(5), 0.0)
    sender.pause(60 * 8000)
    feed(target, sender.packets(5), end + 60)
    events = events_of(target.take(70.0))
    assert gaps(events) == [(800, 480_000, SILENCE)]
    assert target.counts(0).lost == 0


def test_a_hole_longer_than_the_lost_packets_is_loss_and_then_silence() -> None:
    target, sender = session(), Sender()
    end = feed(target, sender.packets(5), 0.0)
    sender.lose(2)
    sender.pause(1600)
    feed(target, sender.packets(1), end + 0.24)
    events = events_of(target.take(2.0))
    assert gaps(events) == [(800, 320, LOST), (1120, 1600, SILENCE)]


def test_lost_packets_without_missing_time_leave_no_gap() -> None:
    """They carried events, not audio."""
    target, sender = session(), Sender()
    end = feed(target, sender.packets(5), 0.0)
    sender.sequence_number += 2
    feed(target, sender.packets(2), end)
    events = events_of(target.take(2.0))
    assert gaps(events) == []
    assert extent(events) == 7 * 160
    assert target.counts(0).lost == 2


def test_trembling_timestamps_do_not_tear_a_run() -> None:
    target, sender = session(), Sender()
    packets = sender.packets(100)
    for number, packet in enumerate(packets):
        packet.timestamp += (-7, 0, 9, 3)[number % 4]
    feed(target, packets, 0.0)
    events = events_of(target.take(3.0))
    assert gaps(events) == []
    assert extent(events) == 16_000


def test_a_timestamp_that_jumps_for_no_reason_is_placed_by_arrival() -> None:
    target, sender = session(), Sender()
    end = feed(target, sender.packets(50), 0.0)
    sender.timestamp += 3_600 * 8000
    feed(target, sender.packets(50), end)
    events = events_of(target.take(3.0))
    assert gaps(events) == []
    assert extent(events) == 16_000


def test_a_timestamp_that_runs_backwards_is_placed_by_arrival() -> None:
    target, sender = session(), Sender()
    end = feed(target, sender.packets(50), 0.0)
    sender.timestamp -= 5 * 8000
    feed(target, sender.packets(50), end + 0.5)
    events = events_of(target.take(3.0))
    assert gaps(events) == [(8000, 4000, SILENCE)]
    assert extent(events) == 20_000


def test_a_clock_that_runs_too_fast_adds_seconds_at_most() -> None:
    """20 ms packets whose timestamps advance by 120 ms."""
    target, sender = session(), Sender()
    for number in range(500):
        feed(target, sender.packets(1), number * 0.02)
        sender.pause(800)
    end = extent(events_of(target.take(10.0)))
    assert 80_000 <= end <= 80_000 + 3 * 8000


def test_a_lost_hole_whose_timestamps_make_no_sense_is_a_stray_packet() -> None:
    target, sender = session(), Sender()
    end = feed(target, sender.packets(5), 0.0)
    sender.sequence_number += 3
    sender.timestamp += 2**31 - 1
    feed(target, sender.packets(1), end)
    assert target.held_packets == 1
    target.finish(1.0, pad=False)
    assert target.drops == {"sequence_jump": 1}
    assert target.counts(0).lost == 0


@pytest.mark.parametrize("jump", [MAX_DROPOUT, 20_000, -(MAX_MISORDER + 1), -20_000])
def test_two_packets_of_a_new_sequence_are_a_restart_on_the_same_track(
    jump: int,
) -> None:
    target, sender = session(), Sender()
    end = feed(target, sender.packets(10), 0.0)
    sender.sequence_number += jump
    sender.timestamp += 123_456_789
    feed(target, sender.packets(10), end + 0.2)
    events = events_of(target.take(3.0))
    assert gaps(events) == [(1600, 1600, SILENCE)]
    assert numbers(events) == list(range(20))
    assert [e.start for e in events if isinstance(e, SourceChange)] == [1600]
    assert target.track_count == 1
    assert target.counts(0).lost == 0


def test_a_restart_near_the_old_sequence_numbers_shows_in_the_timestamps() -> None:
    target, sender = session(), Sender()
    end = feed(target, sender.packets(10), 0.0)
    sender.sequence_number -= 5
    sender.timestamp += 2**30
    feed(target, sender.packets(10), end)
    events = events_of(target.take(3.0))
    assert numbers(events) == list(range(20))
    assert target.counts(0).duplicate == 0


def test_one_packet_out_of_nowhere_changes_nothing() -> None:
    target, sender = session(), Sender()
    end = feed(target, sender.packets(5), 0.0)
    strays = [Sender(sequence_number=n).packet() for n in (30_000, 40_000)]
    end = feed(target, strays, end, step=0.001)
    feed(target, sender.packets(5), end)
    target.finish(1.0, pad=False)
    assert numbers(events_of(target.take(1.0))) == list(range(10))
    assert target.drops == {"sequence_jump": 2}


def test_packets_held_behind_a_hole_are_kept_by_a_restart() -> None:
    target, sender = session(), Sender()
    feed(target, sender.packets(3), 0.0)
    sender.lose(1)
    feed(target, sender.packets(1), 0.08)
    sender.sequence_number += 30_000
    feed(target, sender.packets(2), 0.10)
    events = events_of(target.take(0.2))
    assert gaps(events) == [(480, 160, LOST)]
    assert numbers(events) == [0, 1, 2, 3, 4, 5]


def test_what_is_held_has_a_bound() -> None:
    target, sender = session(reorder_window=1000.0), Sender()
    feed(target, sender.packets(3), 0.0)
    sender.lose(1)
    feed(target, sender.packets(MAX_HELD), 0.08)
    assert target.held_packets == MAX_HELD
    feed(target, sender.packets(1), 11.0)
    assert target.held_packets == 0
    assert target.counts(0).lost == 1


def test_audio_that_nobody_takes_is_dropped_and_its_place_is_kept() -> None:
    target, sender = session(), Sender()
    end = feed(target, sender.packets(MAX_BACKLOG + 50), 0.0)
    events = events_of(target.take(end))
    assert gaps(events) == [(MAX_BACKLOG * 160, 8000, DROPPED)]
    assert target.drops == {"overrun": 50}
    feed(target, sender.packets(10), end)
    after = events_of(target.take(end + 1))
    assert gaps(after) == []
    assert extent(events + after) == (MAX_BACKLOG + 60) * 160


def test_comfort_noise_takes_a_sequence_number_and_no_time() -> None:
    target, sender = session(), Sender()
    end = feed(target, sender.packets(5), 0.0)
    feed(target, [sender.signal(13, b"\x40")], end)
    sender.pause(8000)
    feed(target, sender.packets(5), end + 1)
    events = events_of(target.take(3.0))
    assert gaps(events) == [(800, 8000, SILENCE)]
    assert target.counts(0).lost == 0
    assert target.counts(0).received == 11


def test_a_loss_before_comfort_noise_is_accounted_for_when_audio_goes_on() -> None:
    target, sender = session(), Sender()
    feed(target, sender.packets(5), 0.0)
    sender.lose(1)
    feed(target, [sender.signal(13, b"\x40")], 0.12)
    feed(target, sender.packets(5), 0.14)
    assert gaps(events_of(target.take(1.0))) == [(800, 160, LOST)]


def test_a_digit_is_reported_once_at_its_start() -> None:
    target, sender = session(), Sender()
    end = feed(target, sender.packets(5), 0.0)
    held = [bytes([5, 10]) + n.to_bytes(2, "big") for n in (160, 320)]
    ended = [b"\x05\x8a\x01\xe0"] * 3
    end = feed(target, [sender.signal(101, p) for p in held + ended], end)
    sender.pause(800)
    feed(target, sender.packets(2), end)
    events = events_of(target.take(2.0))
    assert [e for e in events if isinstance(e, Digit)] == [Digit(800, "5", 480)]
    assert gaps(events) == [(800, 800, SILENCE)]
    assert target.counts(0).lost == 0


def test_a_digit_whose_end_never_came_is_reported_at_the_end() -> None:
    target, sender = session(), Sender()
    end = feed(target, sender.packets(5), 0.0)
    feed(target, [sender.signal(101, b"\x0b\x0a\x01\xe0")], end)
    target.finish(1.0, pad=False)
    assert Digit(800, "#", 480) in events_of(target.take(1.0))


def test_a_digit_before_any_audio_is_at_the_beginning() -> None:
    target, sender = session(), Sender()
    feed(target, [sender.signal(101, b"\x01\x8a\x01\xe0")], 0.0)
    feed(target, sender.packets(2), 0.02)
    assert events_of(target.take(1.0))[0] == Digit(0, "1", 480)


def test_a_format_may_change_within_a_stream() -> None:
    target, sender = session(), Sender()
    end = feed(target, sender.packets(5), 0.0)
    sender.payload_type = 8
    feed(target, sender.packets(5), end)
    events = events_of(target.take(1.0))
    assert [e.format for e in events if isinstance(e, Run)] == [PCMU_8000, PCMA_8000]
    assert SourceChange(800, "format PCMA 8000 Hz") in events
    assert extent(events) == 1600
    assert target.track_format(0) == PCMU_8000


def test_a_clock_rate_may_change_and_positions_stay_those_of_the_track() -> None:
    target, sender = session(), Sender()
    end = feed(target, sender.packets(50), 0.0)
    sender.payload_type = 11
    sender.timestamp += 999_999
    packets = [sender.packet(bytes(882 * 2), samples=882) for _ in range(50)]
    feed(target, packets, end)
    events = events_of(target.take(3.0))
    assert extent(events) == 16_000
    assert gaps(events) == []
    assert events[-1].start == 8000


def test_opus_packets_are_as_long_as_their_first_byte_says() -> None:
    target = session(AudioFormat(Codec.OPUS, 48_000))
    sender = Sender(payload_type=111)
    packets = [sender.packet(b"\x08" + bytes(n), samples=960) for n in range(20, 30)]
    feed(target, packets, 0.0)
    events = events_of(target.take(1.0))
    assert extent(events) == 9600
    assert target.track_format(0).codec is Codec.OPUS


@pytest.mark.parametrize(
    ("codec", "payload_type", "payload"),
    [(Codec.PCMU, 0, b""), (Codec.L16, 96, bytes(321)), (Codec.OPUS, 96, b"")],
)
def test_a_payload_of_no_possible_length_leaves_a_dropped_gap(
    codec: Codec, payload_type: int, payload: bytes
) -> None:
    rate = 48_000 if codec is Codec.OPUS else 8000
    target = session(AudioFormat(codec, rate))
    sender = Sender(payload_type=payload_type)
    good = {Codec.PCMU: bytes(160), Codec.L16: bytes(320), Codec.OPUS: b"\x08" * 9}
    samples = 960 if codec is Codec.OPUS else 160
    packets = [sender.packet(good[codec], samples=samples) for _ in range(3)]
    packets.append(sender.packet(payload, samples=samples))
    packets += [sender.packet(good[codec], samples=samples) for _ in range(3)]
    feed(target, packets, 0.0)
    events = events_of(target.take(1.0))
    assert gaps(events) == [(3 * samples, samples, DROPPED)]
    assert target.drops == {"malformed_payload": 1}


def test_packets_of_an_unknown_type_leave_a_dropped_gap() -> None:
    target, sender = session(), Sender()
    end = feed(target, sender.packets(5), 0.0)
    sender.payload_type = 9
    end = feed(target, sender.packets(2), end)
    sender.payload_type = 0
    feed(target, sender.packets(5), end)
    events = events_of(target.take(1.0))
    assert gaps(events) == [(800, 320, DROPPED)]
    assert target.drops == {"unknown_payload_type": 2}
    assert target.counts(0).lost == 0


def test_jitter_is_zero_for_a_steady_stream_even_where_timestamps_wrap() -> None:
    target, sender = session(), Sender(timestamp=2**32 - 160 * 100)
    feed(target, sender.packets(200), 0.0)
    target.take(4.0)
    assert target.counts(0).jitter_ms == pytest.approx(0.0, abs=0.01)


def test_jitter_is_in_milliseconds_for_people() -> None:
    target, sender = session(), Sender()
    for number, packet in enumerate(sender.packets(400)):
        feed(target, [packet], number * 0.02 + 0.005 * (number % 2))
    assert target.counts(0).jitter_ms == pytest.approx(5.0, rel=0.05)


def test_an_overrun_leaves_nothing_but_its_gap_in_memory() -> None:
    target, sender = session(), Sender()
    feed(target, sender.packets(2 * MAX_BACKLOG), 0.0)
    events = events_of(target.take(200.0))
    assert [type(e) for e in events] == [Run, Gap]


def test_a_packet_of_another_type_is_judged_by_its_sequence_number_alone() -> None:
    """The timestamp of an event is that of its start, which may be long ago."""
    target, sender = session(), Sender()
    feed(target, sender.packets(5), 0.0)
    sender.sequence_number += 1
    event = RtpPacket(101, sender.sequence_number, 1, sender.ssrc, b"\x01\x8a\0\xa0")
    feed(target, [event], 0.12)
    assert target.held_packets == 1
    assert target.drops == {}
