from __future__ import annotations

from server.rtp.packet import RtpPacket
from server.rtp.reorder import MAX_REMEMBERED, Arrival, ReorderBuffer


def packet(sequence_number: int) -> RtpPacket:
    return RtpPacket(0, sequence_number, 0, 1)


def test_packets_are_held_until_asked_for() -> None:
    buffer = ReorderBuffer()
    assert not buffer.hold(packet(7), 1.0)
    assert 7 in buffer
    assert buffer.pop(6) is None
    assert buffer.pop(7) == Arrival(packet(7), 1.0)
    assert len(buffer) == 0


def test_a_deadline_counts_from_the_first_arrival_not_the_lowest_number() -> None:
    buffer = ReorderBuffer()
    assert buffer.first_at is None
    buffer.hold(packet(9), 1.0)
    buffer.hold(packet(7), 1.1)
    assert buffer.first_at == 1.0


def test_a_packet_that_was_overtaken_is_noticed_across_the_wrap() -> None:
    buffer = ReorderBuffer()
    assert not buffer.hold(packet(0xFFFF), 1.0)
    assert not buffer.hold(packet(1), 1.0)
    assert buffer.hold(packet(0), 1.0)
    assert not buffer.hold(packet(2), 1.0)


def test_what_was_given_up_is_remembered_once_each() -> None:
    buffer = ReorderBuffer()
    buffer.hold(packet(1), 1.0)
    assert buffer.give_up(0xFFFE) == 3
    assert buffer.was_given_up(0xFFFF, peek=True)
    assert buffer.was_given_up(0xFFFF)
    assert not buffer.was_given_up(0xFFFF)
    assert not buffer.was_given_up(1)


def test_the_memory_of_what_was_given_up_has_a_bound() -> None:
    buffer = ReorderBuffer()
    buffer.hold(packet(2500), 1.0)
    assert buffer.give_up(0) == 2500
    assert not buffer.was_given_up(0)
    assert buffer.was_given_up(2499)
    buffer.pop(2500)
    buffer.hold(packet(2510), 1.0)
    assert buffer.give_up(2501) == 9
    assert not buffer.was_given_up(2500 - MAX_REMEMBERED)
    assert buffer.was_given_up(2509)
