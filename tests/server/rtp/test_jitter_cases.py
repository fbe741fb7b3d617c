"""The situations that the tests of GStreamer's rtpjitterbuffer are about, in our terms.

Named after their subject there. A jitter buffer plays, so it asks what is pushed on and
when; a recorder keeps, so here the question is where each packet ends up. Left out is
what only a player has: retransmission requests, playout deadlines, messages on a bus,
pads and caps.
"""

from __future__ import annotations

import pytest

from server.audio import Gap, GapCause, Late, Run, SourceChange
from server.rtp.packet import RtpPacket
from server.rtp.receiver import MAX_DROPOUT, MAX_MISORDER
from server.rtp.reorder import MAX_HELD
from server.rtp.session import RtpSession
from tests.server.rtp.builders import (
    RATE,
    Sender,
    events_of,
    extent,
    feed,
    gaps,
    numbers,
    session,
)

LOST, SILENCE, DROPPED = GapCause.LOST, GapCause.SILENCE, GapCause.DROPPED
PACKET = 160


def begun(count: int = 10) -> tuple[RtpSession, Sender, float]:
    """Return a session in the middle of a steady stream, and when the next is due."""
    target, sender = session(), Sender()
    return target, sender, feed(target, sender.packets(count), 0.0)


def finished(target: RtpSession, now: float) -> list[object]:
    target.finish(now, pad=False)
    return list(events_of(target.take(now)))


def test_push_forward_seq() -> None:
    target, sender, now = begun()
    feed(target, sender.packets(10), now)
    assert numbers(events_of(target.take(9))) == list(range(20))


def test_push_backward_seq() -> None:
    """All packets of a third of a second the wrong way round."""
    target, sender, now = begun()
    feed(target, reversed(sender.packets(15)), now, step=0.001)
    events = events_of(target.take(now + 0.1))
    assert numbers(events) == list(range(25))
    assert gaps(events) == []


@pytest.mark.parametrize("order", [(0, 2, 1, 3), (1, 0, 3, 2), (3, 1, 2, 0)])
def test_push_unordered(order: tuple[int, ...]) -> None:
    target, sender, now = begun()
    packets = sender.packets(4)
    feed(target, [packets[at] for at in order], now)
    events = events_of(target.take(now + 0.2))
    assert numbers(events) == list(range(14))
    assert target.counts(0).reordered > 0


def test_push_eos() -> None:
    """What waits for a lost packet is not lost with it at the end."""
    target, sender, now = begun()
    sender.lose(1)
    now = feed(target, sender.packets(3), now)
    target.finish(now, pad=False)
    events = events_of(target.take(now))
    assert gaps(events) == [(1600, PACKET, LOST)]
    assert numbers(events) == list(range(13))


@pytest.mark.parametrize("first", [0, 5, 2**31 - 80, 2**32 - 80])
def test_basetime(first: int) -> None:
    """Whatever timestamp a stream begins with, it begins at position 0."""
    target, sender = session(), Sender(timestamp=first)
    feed(target, sender.packets(5), 1000.0)
    (run,) = events_of(target.take(2000))
    assert isinstance(run, Run)
    assert (run.start, run.length) == (0, 800)


def test_clear_pt_map() -> None:
    """Another payload type in mid-stream is read by its own rules at once."""
    target, sender, now = begun()
    sender.payload_type = 8
    feed(target, sender.packets(10), now)
    events = events_of(target.take(9))
    assert [type(event) for event in events] == [Run, SourceChange, Run]
    assert extent([e for e in events if isinstance(e, Run)]) == 3200


def test_lost_event() -> None:
    target, sender, now = begun()
    sender.lose(1)
    feed(target, sender.packets(30), now)
    assert gaps(events_of(target.take(9))) == [(1600, PACKET, LOST)]


@pytest.mark.parametrize("lost", [2, 50, 1000, MAX_DROPOUT - 2])
def test_only_one_lost_event_on_large_gaps(lost: int) -> None:
    target, sender, now = begun()
    sender.lose(lost)
    feed(target, sender.packets(30), now + lost * 0.02)
    events = events_of(target.take(now + 99 + lost))
    assert gaps(events) == [(1600, lost * PACKET, LOST)]
    assert target.counts(0).lost == lost


def test_two_lost_one_arrives_in_time() -> None:
    target, sender, now = begun()
    _, second, third = sender.packets(3)
    now = feed(target, [third, second], now)
    events = events_of(target.take(now + 1))
    assert gaps(events) == [(1600, PACKET, LOST)]
    assert numbers(events) == [*range(10), 11, 12]


def test_out_of_order_loss_not_reported() -> None:
    target, sender, now = begun()
    first, second = sender.packets(2)
    now = feed(target, [second, first], now)
    target.take(now + 1)
    assert target.counts(0).lost == 0


def test_late_packets_still_makes_lost_events() -> None:
    """A place that was given up stays lost, though its packet comes in the end."""
    target, sender, now = begun()
    late = sender.packet()
    now = feed(target, sender.packets(30), now)
    assert gaps(events_of(target.take(now))) == [(1600, PACKET, LOST)]
    target.receive_datagram(late.serialize(), now)
    assert events_of(target.take(now)) == [Late(1600, PACKET)]
    assert (target.counts(0).lost, target.counts(0).late) == (1, 1)


def test_lost_event_uses_pts() -> None:
    """How long a loss is, timestamps say, whatever the network did meanwhile."""
    target, sender, now = begun()
    sender.lose(5)
    feed(target, sender.packets(30), now + 0.7)
    assert gaps(events_of(target.take(9))) == [(1600, 5 * PACKET, LOST)]


def test_lost_event_with_backwards_rtptime() -> None:
    """Loss before a timestamp that steps back leaves no negative hole, and no hour."""
    target, sender, now = begun()
    sender.lose(2)
    sender.timestamp -= 10 * PACKET
    now = feed(target, sender.packets(30), now + 0.04)
    events = events_of(target.take(now + 1))
    assert extent([e for e in events if isinstance(e, Run | Gap)]) <= 42 * PACKET
    assert len(numbers(events)) >= 39


def test_all_packets_are_timestamped_zero() -> None:
    target, sender = session(), Sender()
    packets = sender.packets(50)
    for packet in packets:
        packet.timestamp = 0
    now = feed(target, packets, 0.0)
    events = events_of(target.take(now + 1))
    assert numbers(events) == list(range(50))
    assert extent(events) == 50 * PACKET


@pytest.mark.parametrize("late", [1, 2])
def test_num_late_when_considered_lost_arrives(late: int) -> None:
    target, sender, now = begun()
    missing = sender.packets(late)
    now = feed(target, sender.packets(40), now)
    target.take(now)
    feed(target, missing, now)
    counts = target.counts(0)
    assert (counts.lost, counts.late, counts.duplicate) == (late, late, 0)


def test_reorder_of_non_equidistant_packets() -> None:
    """Packets of 10 to 60 ms in the wrong order."""
    target, sender, now = begun()
    packets = [sender.packet(samples=samples) for samples in (80, 480, 160, 240)]
    feed(target, [packets[at] for at in (2, 0, 3, 1)], now)
    events = events_of(target.take(now + 0.3))
    assert numbers(events) == list(range(14))
    assert extent(events) == 1600 + 960


def test_loss_equidistant_spacing_with_parameter_packets() -> None:
    """Packets that take a sequence number and no time, with a loss between them."""
    target, sender, now = begun()
    digit = bytes([5, 10, 0, 160])
    packets = [
        sender.signal(101, digit),
        sender.packet(),
        sender.signal(101, digit),
    ]
    now = feed(target, packets, now)
    sender.lose(1)
    feed(target, sender.packets(30), now)
    events = events_of(target.take(9))
    assert gaps(events) == [(1760, PACKET, LOST)]


@pytest.mark.parametrize(
    ("samples", "lost"), [(160, 1), (80, 3), (240, 7), (960, 11), (33, 5)]
)
def test_no_fractional_lost_event_durations(samples: int, lost: int) -> None:
    target, sender = session(), Sender()
    before = [sender.packet(samples=samples) for _ in range(10)]
    sender.lose(lost, samples)
    after = [sender.packet(samples=samples) for _ in range(60)]
    now = feed(target, [*before, *after], 0.0)
    events = events_of(target.take(now + 1))
    assert gaps(events) == [(10 * samples, lost * samples, LOST)]
    assert extent(events) == (70 + lost) * samples


def test_late_lost_with_same_pts() -> None:
    """Lost packets between two of one timestamp were worth no time."""
    target, sender, now = begun()
    sender.lose(2, samples=0)
    now = feed(target, sender.packets(30), now)
    events = events_of(target.take(now + 1))
    assert gaps(events) == []
    assert target.counts(0).lost == 2


def test_minor_reorder_does_not_skew() -> None:
    target, sender = session(), Sender()
    packets = sender.packets(200)
    for at in range(10, 190, 20):
        packets[at], packets[at + 1] = packets[at + 1], packets[at]
    now = feed(target, packets, 0.0)
    events = events_of(target.take(now))
    assert extent(events) == 200 * PACKET
    assert numbers(events) == list(range(200))


def test_dont_drop_packet_based_on_skew() -> None:
    """A sender far ahead of its time loses nothing."""
    target, sender = session(), Sender()
    now = feed(target, sender.packets(500), 0.0, step=0.005)
    events = events_of(target.take(now))
    assert numbers(events) == list(range(500))
    assert gaps(events) == []


@pytest.mark.parametrize("jump", [MAX_DROPOUT + 1, -MAX_MISORDER - 1, 0x8000])
def test_big_gap_seqnum(jump: int) -> None:
    """A sender that restarts its numbers goes on where it was."""
    target, sender, now = begun()
    sender.sequence_number += jump
    now = feed(target, sender.packets(30), now)
    events = events_of(target.take(now + 1))
    audio = [event for event in events if isinstance(event, Run | Gap)]
    assert numbers(events) == list(range(40))
    assert extent(audio) == 40 * PACKET
    assert any(isinstance(event, SourceChange) for event in events)


def test_big_gap_arrival_time() -> None:
    """After ten minutes without a packet, numbers and timestamps follow as before."""
    target, sender, now = begun()
    now = feed(target, sender.packets(30), now + 600)
    events = events_of(target.take(now + 1))
    assert gaps(events) == [(1600, 600 * RATE, SILENCE)]


def test_fill_queue() -> None:
    target, sender, now = begun()
    sender.lose(1)
    feed(target, sender.packets(MAX_HELD + 10), now, step=0.0)
    assert target.held_packets <= MAX_HELD
    events = events_of(target.take(now))
    assert gaps(events) == [(1600, PACKET, LOST)]
    assert numbers(events) == list(range(MAX_HELD + 20))


@pytest.mark.parametrize("number", [0, 1, 10, 48, 49])
def test_considered_lost_packet_in_large_gap_arrives(number: int) -> None:
    target, sender, now = begun()
    missing = sender.packets(50)
    now = feed(target, sender.packets(40), now + 1.0)
    target.take(now)
    feed(target, [missing[number]], now)
    counts = target.counts(0)
    assert (counts.lost, counts.late) == (50, 1)
    assert events_of(target.take(now)) == [Late(1600 + number * PACKET, PACKET)]


def test_drop_messages_too_late() -> None:
    """Each packet that comes too late is noted where it belonged."""
    target, sender, now = begun()
    missing = sender.packets(3)
    now = feed(target, sender.packets(40), now)
    target.take(now)
    feed(target, missing, now)
    assert events_of(target.take(now)) == [
        Late(1600 + n * PACKET, PACKET) for n in range(3)
    ]


@pytest.mark.parametrize(
    "steps",
    [
        [(n, 0) for n in range(1, 11)],
        [(278, 21920), (37, 5920), (173, 13600), (30, 27200), (-20, 43840), (42, 4480)],
        [(39, 4960), (-28, -5280)],
        [(1, 160), (62, 9920), (-13, -2080), (1, 160), (1, 160), (1, 160)],
        [(201, -1440), (265, 1)],
    ],
    ids=[
        "reset_timers_does_not_stall",
        "reset_timers_does_not_stall_2",
        "multiple_lost_do_not_stall",
        "reset_using_rtx_packets_does_not_stall",
        "gap_using_rtx_does_not_stall",
    ],
)
def test_whatever_came_before_a_steady_stream_is_kept(
    steps: list[tuple[int, int]],
) -> None:
    """Sequences of odd steps (numbers, ticks) after which other buffers stood still."""
    target, sender, now = begun()
    for number, ticks in steps:
        sender.sequence_number += number - 1
        sender.timestamp += ticks - PACKET
        now = feed(target, sender.packets(1), now)
    first = sender.sent
    now = feed(target, sender.packets(50), now)
    events = events_of(target.take(now + 1))
    heard = set(numbers(events))
    assert len(heard & set(range(first, first + 50))) >= 49
    extent([event for event in events if isinstance(event, Run | Gap)])


def test_early_rtcp_sr_allows_meta() -> None:
    """A sender report that comes before the audio is kept."""
    target, sender = session(), Sender()
    report = bytes.fromhex(
        "80c80006 1234abcd e86c0000 00000000 0000c350 00000000 00000000"
    )
    target.receive_rtcp(report, 0.0)
    feed(target, sender.packets(5), 0.1)
    assert target.sender_report is not None
    assert target.sender_report.rtp_timestamp == 50_000


def test_a_duplicate_of_each_packet_changes_nothing() -> None:
    target, sender = session(), Sender()
    packets: list[RtpPacket] = [p for p in sender.packets(50) for _ in range(2)]
    now = feed(target, packets, 0.0, step=0.01)
    events = events_of(target.take(now))
    assert numbers(events) == list(range(50))
    assert target.counts(0).duplicate >= 48
