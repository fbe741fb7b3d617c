"""Which tap a datagram belongs to, and that none goes unaccounted."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.audio import TrackEvent
from server.rtp.demux import Address, HoldingBounds, NewSource, RtpDemux
from server.rtp.packet import RtpPacket
from server.rtp.session import RtpSession
from tests.server.rtp.builders import (
    SSRC,
    Sender,
    events_of,
    extent,
    numbers,
    session,
)

PORT = 40_000
A: Address = ("198.51.100.1", 4000)
B: Address = ("198.51.100.2", 4000)


def send(
    demux: RtpDemux,
    packets: Iterable[RtpPacket],
    addr: Address = A,
    *,
    now: float = 0.0,
    local_port: int = PORT,
) -> None:
    """Give packets to a demux, 20 ms apart, as one batch each."""
    for count, packet in enumerate(packets):
        batch = [(packet.serialize(), addr)]
        demux.receive_datagrams(batch, local_port, now + count * 0.02)


def received(target: RtpSession) -> int:
    return target.counts(0).received if target.track_count else 0


def bye(ssrc: int) -> bytes:
    return struct.pack("!BBHI", 0x81, 203, 1, ssrc)


def receiver_report(ssrc: int) -> bytes:
    return struct.pack("!BBHI", 0x80, 201, 1, ssrc)


# Sources that signalling named


def test_a_named_source_reaches_its_tap() -> None:
    demux, one, other = RtpDemux(), session(), session()
    demux.add_source(A, one)
    demux.add_source(B, other)
    batch = [
        (packet.serialize(), addr)
        for packet in Sender().packets(5)
        for addr in (A, B, A)[:2]
    ]
    demux.receive_datagrams(batch, PORT, 1.0)
    assert received(one) == received(other) == 5
    assert demux.drops == {}
    assert demux.held_datagrams == 0


def test_audio_before_the_announcement_is_replayed_with_its_times() -> None:
    demux, target = RtpDemux(), session()
    send(demux, Sender().packets(10), now=3.0)
    assert demux.held_datagrams == 10
    demux.add_source(A, target)
    assert demux.held_datagrams == 0
    assert target.track_started_at(0) == pytest.approx(3.0 - 0.02)
    assert numbers(events_of(target.take(4.0))) == list(range(10))


def test_audio_that_nobody_announces_is_counted_after_a_while() -> None:
    demux = RtpDemux(hold_time=2.0)
    send(demux, Sender().packets(10), now=1.0)
    assert demux.get_timer() == pytest.approx(3.0)
    demux.handle_timer(2.9)
    assert demux.held_datagrams == 10
    demux.handle_timer(3.3)
    assert demux.held_datagrams == 0
    assert demux.drops == {"unannounced": 10}
    assert demux.get_timer() is None
    assert demux.next_event() is None


def test_what_is_held_expires_even_while_nobody_calls_the_timer() -> None:
    demux = RtpDemux(hold_time=2.0)
    send(demux, Sender().packets(1), now=1.0)
    send(demux, Sender().packets(1), B, now=4.0)
    assert demux.drops == {"unannounced": 1}


def test_nothing_is_held_while_no_tap_waits_for_its_source() -> None:
    demux = RtpDemux()
    demux.awaiting = 0
    send(demux, Sender().packets(3))
    assert (demux.held_datagrams, demux.drops) == (0, {"unannounced": 3})
    demux.awaiting = 1
    send(demux, Sender().packets(3))
    assert demux.held_datagrams == 3
    assert demux.awaiting == 1


def test_as_much_is_held_as_there_are_taps_that_wait() -> None:
    demux = RtpDemux()
    demux.awaiting = 100
    for port in range(100):
        send(demux, Sender().packets(2), (A[0], port))
    assert demux.held_datagrams == 200


# Sources that signalling named for several taps


def test_taps_of_one_source_get_an_ssrc_each_in_the_order_of_naming() -> None:
    demux, one, other = RtpDemux(), session(), session()
    demux.add_source(A, one)
    demux.add_source(A, other)
    demux.add_source(A, other)
    first, second = Sender(ssrc=1), Sender(ssrc=2)
    for count in range(50):
        now = count * 0.02
        send(demux, first.packets(1) + second.packets(1), now=now)
    assert (one.track_count, one.has_source(1), received(one)) == (1, True, 50)
    assert (other.track_count, other.has_source(2), received(other)) == (1, True, 50)
    assert demux.notices == {"shared_source": 1}


def test_a_tap_keeps_its_ssrc_when_its_source_is_named_again() -> None:
    demux, one, other = RtpDemux(), session(), session()
    demux.add_source(A, one)
    first, second = Sender(ssrc=1), Sender(ssrc=2)
    send(demux, first.packets(5))
    demux.add_source(A, other)
    send(demux, second.packets(5), now=0.1)
    send(demux, first.packets(5), now=0.1)
    assert (received(one), received(other)) == (10, 5)


def test_the_ssrc_of_an_ended_tap_does_not_go_to_the_other_of_its_source() -> None:
    demux, one, other = RtpDemux(), session(), session()
    demux.add_source(A, one)
    demux.add_source(A, other)
    first, second = Sender(ssrc=1), Sender(ssrc=2)
    send(demux, first.packets(5))
    send(demux, second.packets(5))
    demux.remove(one)
    for count in range(1000):
        now = 0.1 + count * 0.02
        send(demux, first.packets(1) + second.packets(1), now=now)
        demux.handle_timer(now)
    assert (other.track_count, received(other)) == (1, 1005)
    assert demux.drops == {"after_end": 1000}
    demux.remove(other)
    assert received(one) == 5


def test_the_ssrc_of_an_ended_tap_is_not_that_of_the_next_of_its_source() -> None:
    demux, old, new = RtpDemux(), session(), session()
    demux.add_source(A, old)
    before, after = Sender(ssrc=1), Sender(ssrc=2)
    send(demux, before.packets(5))
    demux.remove(old)
    demux.add_source(A, new)
    send(demux, before.packets(5), now=0.1)
    send(demux, after.packets(5), now=0.2)
    assert (received(new), new.has_source(2)) == (5, True)
    assert demux.drops == {"after_end": 5}


def test_a_tap_gets_the_ssrc_of_the_one_before_if_it_gets_no_other() -> None:
    demux, old, new = RtpDemux(), session(), session()
    demux.add_source(A, old)
    sender = Sender()
    send(demux, sender.packets(5))
    demux.remove(old)
    demux.add_source(A, new)
    send(demux, sender.packets(200), now=0.1)
    assert received(new) == 200 - demux.drops["after_end"]
    assert 0 < demux.drops["after_end"] <= 105


def test_early_audio_on_a_source_of_several_taps_is_dealt_out_too() -> None:
    demux, one, other = RtpDemux(), session(), session()
    demux.add_source(A, one)
    demux.remove(one)
    send(demux, Sender(ssrc=2).packets(5))
    demux.add_source(A, other)
    assert received(other) == 5
    assert demux.held_datagrams == 0


def test_rtcp_of_a_source_of_several_taps_finds_its_tap() -> None:
    demux, one, other = RtpDemux(), session(), session()
    demux.add_source(A, one)
    demux.add_source(A, other)
    send(demux, Sender(ssrc=1).packets(3))
    send(demux, Sender(ssrc=2).packets(3))
    demux.receive_datagrams([(bye(2), A)], PORT, 0.1)
    assert (one.ended, other.ended) == (None, "bye")


def test_a_source_named_again_belongs_to_the_tap_that_is_left() -> None:
    demux, old, new = RtpDemux(), session(), session()
    demux.add_source(A, old)
    demux.add_source(A, new)
    demux.remove(old)
    send(demux, Sender().packets(3))
    assert received(old) == 0
    assert received(new) == 3


def test_malformed_datagrams_of_strangers_are_counted_by_reason() -> None:
    demux = RtpDemux()
    data = Sender().packet().serialize()
    batch = [(data[:5], A), (b"\x00" + data[1:], A), (b"\xbf" + data[1:20], B)]
    demux.receive_datagrams(batch, PORT, 0.0)
    assert demux.drops == {"too_short": 1, "bad_version": 1, "truncated_csrc": 1}
    assert demux.held_datagrams == 0


# Ended taps


def test_stragglers_of_a_removed_tap_are_known_as_such_for_a_while() -> None:
    demux, target = RtpDemux(accept_unknown=True, after_end_time=10.0), session()
    demux.add_source(A, target)
    sender = Sender()
    send(demux, sender.packets(5), now=100.0)
    demux.remove(target)
    send(demux, sender.packets(5), now=100.2)
    assert demux.drops == {"after_end": 5}
    assert demux.next_event() is None
    assert received(target) == 5

    assert demux.get_timer() == pytest.approx(110.08)
    demux.handle_timer(111.0)
    assert demux.get_timer() is None
    send(demux, sender.packets(5), now=111.0)
    assert demux.drops == {"after_end": 5}
    assert demux.next_event() is not None


def test_an_ended_source_may_be_named_again() -> None:
    demux, old, new = RtpDemux(), session(), session()
    demux.add_source(A, old)
    demux.remove(old)
    demux.add_source(A, new)
    send(demux, Sender().packets(3))
    assert received(new) == 3


def test_stragglers_on_the_port_of_a_removed_tap_are_known_as_such() -> None:
    demux, target, successor = RtpDemux(), session(), session()
    demux.add_port(PORT, target, A)
    sender = Sender()
    send(demux, sender.packets(5), now=1.0)
    demux.remove(target)
    send(demux, sender.packets(5), now=1.2)
    assert demux.drops == {"after_end": 5}
    assert demux.is_resting(PORT, 11.0)
    send(demux, sender.packets(1), now=11.0)
    assert demux.is_resting(PORT, 20.9)
    assert not demux.is_resting(PORT, 21.0)
    assert not demux.is_resting(PORT + 2, 11.0)

    demux.add_port(PORT, successor)
    send(demux, sender.packets(100), now=21.0)
    send(demux, Sender().packets(60), B, now=21.0)
    demux.handle_timer(23.0)
    assert received(successor) == 60
    assert demux.drops == {"after_end": 106}


def test_another_ssrc_from_where_a_tap_has_ended_is_no_straggler() -> None:
    demux, old, new = RtpDemux(accept_unknown=True), session(), session()
    demux.add_source(A, old)
    send(demux, Sender(ssrc=1).packets(5))
    demux.remove(old)
    send(demux, Sender(ssrc=2).packets(5), now=0.1)
    assert demux.drops == {}
    assert demux.next_event() is not None
    demux.add_source(A, new)
    assert received(new) == 5


def test_a_sender_on_hold_that_outlasts_its_tap_begins_anew() -> None:
    demux, target = RtpDemux(accept_unknown=True), session()
    demux.add_source(A, target)
    sender = Sender()
    send(demux, sender.packets(5))
    demux.handle_timer(60.0)
    demux.remove(target)
    send(demux, sender.packets(5), now=60.5)
    assert demux.drops == {}
    assert demux.next_event() == NewSource(A, PORT, SSRC, 0)


# Ports opened for one tap


def test_the_first_valid_source_gets_the_port_with_all_that_it_sent() -> None:
    demux, target = RtpDemux(), session()
    demux.add_port(PORT, target)
    stray = Sender(ssrc=1)
    send(demux, stray.packets(1), B)
    send(demux, Sender().packets(5), A, now=1.0)
    send(demux, stray.packets(3), (B[0], 9), now=1.1)
    assert target.track_count == 0
    assert demux.get_timer() == pytest.approx(2.02)
    demux.handle_timer(2.1)
    assert extent(events_of(target.take(2.1))) == 800
    assert target.track_started_at(0) == pytest.approx(1.0 - 0.02)
    send(demux, stray.packets(2), B, now=2.2)
    assert demux.drops == {"foreign_source": 6}
    assert demux.held_datagrams == 0
    assert demux.get_timer() is None


def test_a_port_is_decided_by_datagrams_even_while_nobody_calls_the_timer() -> None:
    demux, target = RtpDemux(), session()
    demux.add_port(PORT, target)
    send(demux, Sender().packets(100))
    assert received(target) == 100


def test_a_stranger_who_is_faster_than_the_hint_is_not_heard() -> None:
    demux, target = RtpDemux(), session()
    demux.add_port(PORT, target, A)
    stranger = Sender(ssrc=1)
    send(demux, stranger.packets(10), B)
    send(demux, Sender().packets(50), A, now=0.2)
    send(demux, stranger.packets(10), B, now=1.2)
    assert (received(target), target.track_count) == (50, 1)
    assert demux.drops == {"foreign_source": 20}


def test_a_stranger_who_is_faster_than_the_reply_is_not_heard() -> None:
    demux, target = RtpDemux(), session()
    demux.add_port(PORT, target)
    stranger, right = Sender(ssrc=1), Sender()
    for count in range(25):
        send(demux, stranger.packets(1), B, now=count * 0.02)
        send(demux, right.packets(1), A, now=count * 0.02)
    demux.add_port(PORT, target, A)
    assert (received(target), target.track_count) == (25, 1)
    assert target.track_started_at(0) == pytest.approx(0.0 - 0.02)
    assert demux.drops == {"foreign_source": 25}


def test_the_hint_is_waited_for_from_when_it_is_known() -> None:
    demux, target = RtpDemux(), session()
    demux.add_port(PORT, target)
    send(demux, Sender(ssrc=1).packets(45), B)
    demux.add_port(PORT, target, A)
    demux.handle_timer(1.5)
    send(demux, Sender().packets(5), A, now=1.6)
    assert (received(target), target.has_source(SSRC)) == (5, True)


def test_a_port_whose_hint_does_not_show_itself_is_for_the_first_of_its_host() -> None:
    demux, target = RtpDemux(), session()
    demux.add_port(PORT, target, A)
    send(demux, Sender(ssrc=1).packets(5), B)
    send(demux, Sender().packets(5), (A[0], 61_000), now=0.1)
    demux.handle_timer(1.2)
    assert (received(target), target.has_source(SSRC)) == (5, True)


def test_a_tap_that_ends_gets_what_is_held_on_its_port() -> None:
    demux, target, silent = RtpDemux(), session(), session()
    demux.add_port(PORT, target)
    demux.add_port(PORT + 2, silent)
    send(demux, Sender().packets(5))
    demux.settle(target)
    assert received(target) == 5
    demux.settle(silent)
    assert received(silent) == 0


def test_the_named_source_takes_the_port_over_and_keeps_it() -> None:
    demux, target = RtpDemux(), session()
    demux.add_port(PORT, target)
    foreign = Sender(ssrc=1)
    send(demux, foreign.packets(5), B)
    demux.handle_timer(2.0)
    demux.add_port(PORT, target, A)
    send(demux, Sender().packets(5), A, now=2.0)
    send(demux, foreign.packets(5), B, now=2.1)
    demux.add_port(PORT, target)
    demux.add_port(PORT, target, A)
    assert received(target) == 10
    assert demux.drops == {"foreign_source": 5}


def test_one_packet_of_the_named_source_does_not_take_the_port_over() -> None:
    demux, target = RtpDemux(), session()
    demux.add_port(PORT, target, A)
    sender = Sender()
    send(demux, sender.packets(2), B)
    demux.handle_timer(1.1)
    send(demux, Sender(ssrc=1).packets(1), A, now=1.2)
    send(demux, sender.packets(2), B, now=1.3)
    target.handle_timer(2.0)
    assert received(target) == 4
    assert demux.held_datagrams == 1


def test_what_is_held_on_a_port_expires_too() -> None:
    demux = RtpDemux()
    demux.add_port(PORT, session())
    send(demux, Sender().packets(1), now=1.0)
    assert demux.get_timer() == pytest.approx(6.0)
    demux.handle_timer(6.0)
    assert demux.drops == {"unannounced": 1}


def test_a_port_may_be_given_to_another_tap() -> None:
    demux, old, new = RtpDemux(), session(), session()
    demux.add_port(PORT, old)
    send(demux, Sender().packets(1), B)
    demux.add_port(PORT, new)
    assert demux.drops == {"unannounced": 1}
    send(demux, Sender().packets(3), A)
    demux.settle(new)
    assert received(old) == 0
    assert received(new) == 3


def test_a_source_of_an_earlier_tap_gets_the_port_again_if_it_is_named() -> None:
    demux, old, new = RtpDemux(), session(), session()
    demux.add_port(PORT, old, A)
    sender = Sender()
    send(demux, sender.packets(3))
    demux.remove(old)
    demux.add_port(PORT, new, A)
    send(demux, sender.packets(3), now=0.1)
    assert received(new) == 3


def test_a_source_named_for_a_port_is_heard_there_and_nowhere_else() -> None:
    demux, named, ported = RtpDemux(), session(), session()
    demux.add_source(A, named)
    demux.add_port(PORT, ported, A)
    send(demux, Sender().packets(3), A)
    assert (received(named), received(ported)) == (0, 3)


def test_one_source_may_send_to_the_ports_of_two_taps() -> None:
    demux, one, other = RtpDemux(), session(), session()
    demux.add_port(PORT, one, A)
    demux.add_port(PORT + 2, other, A)
    send(demux, Sender().packets(3), A)
    send(demux, Sender(ssrc=1).packets(4), A, local_port=PORT + 2)
    assert received(one) == 3
    assert received(other) == 4


def test_a_named_source_reaches_its_tap_on_whatever_port() -> None:
    demux, named, ported = RtpDemux(), session(), session()
    demux.add_source(A, named)
    demux.add_port(PORT, ported)
    send(demux, Sender().packets(3), A)
    assert received(named) == 3
    assert received(ported) == 0


# Sources that nobody announced


def test_an_unknown_stream_is_reported_once_and_replayed_when_accepted() -> None:
    demux, target = RtpDemux(accept_unknown=True), session()
    sender = Sender()
    send(demux, sender.packets(1))
    assert demux.next_event() is None
    send(demux, sender.packets(5), now=0.02)
    event = demux.next_event()
    assert event == NewSource(A, PORT, SSRC, 0)
    assert demux.next_event() is None
    demux.add_source(event.addr, target)
    assert received(target) == 6


def test_a_spray_of_strangers_is_held_in_bounds() -> None:
    bounds = HoldingBounds(max_sources=4)
    demux = RtpDemux(accept_unknown=True, bounds=bounds)
    for number in range(100):
        send(demux, Sender().packets(1), (f"203.0.113.{number}", 4000))
    assert demux.held_datagrams == 4
    assert demux.drops == {"unannounced": 96}
    assert demux.next_event() is None


# RTCP


@pytest.mark.parametrize("source", [A, (A[0], A[1] + 1)])
@pytest.mark.parametrize("target_port", [PORT, PORT + 1])
def test_rtcp_finds_its_tap_by_source_and_ssrc(
    source: Address, target_port: int
) -> None:
    demux, target = RtpDemux(), session()
    demux.add_source(A, target)
    send(demux, Sender().packets(3))
    demux.receive_datagrams([(bye(SSRC), source)], target_port, 0.1)
    assert target.ended == "bye"
    assert target.rtcp_received == 1
    assert demux.drops == {}


@pytest.mark.parametrize("target_port", [PORT, PORT + 1])
def test_rtcp_finds_the_tap_of_a_port(target_port: int) -> None:
    demux, target = RtpDemux(), session()
    demux.add_port(PORT, target, A)
    send(demux, Sender().packets(3))
    source = (A[0], A[1] + 1)
    demux.receive_datagrams([(bye(SSRC), source)], target_port, 0.1)
    assert target.ended == "bye"


@pytest.mark.parametrize(
    ("data", "source"),
    [
        (bye(99), (A[0], A[1] + 1)),
        (bye(SSRC), B),
        (bye(SSRC), (A[0], A[1] + 2)),
        (receiver_report(99), (A[0], A[1] + 1)),
        (struct.pack("!BBHI", 0x80, 204, 1, SSRC), (A[0], A[1] + 1)),
    ],
)
def test_rtcp_of_nobody_is_counted_and_ends_nothing(
    data: bytes, source: Address
) -> None:
    demux, target = RtpDemux(), session()
    demux.add_source(A, target)
    send(demux, Sender().packets(3))
    demux.receive_datagrams([(data, source)], PORT, 0.1)
    assert target.ended is None
    assert demux.drops == {"rtcp_unmatched": 1}


def test_malformed_rtcp_of_a_stranger_is_counted() -> None:
    demux = RtpDemux()
    demux.receive_datagrams([(b"\x80\xc8\x00", A)], PORT, 0.0)
    assert demux.drops == {"rtcp_too_short": 1}


# Accounting

addresses = st.sampled_from([A, B, (A[0], 4001), ("203.0.113.9", 1), ("::1", 2)])
ports = st.sampled_from([PORT, PORT + 1, PORT + 2])


def mutated(data: bytes, at: int, value: int) -> bytes:
    at %= len(data)
    return data[:at] + bytes([value]) + data[at + 1 :]


valid = st.builds(
    RtpPacket,
    payload_type=st.sampled_from([0, 0, 0, 8, 9, 11, 13, 101, 111]),
    sequence_number=st.integers(0, 12),
    timestamp=st.integers(0, 12).map((160).__mul__),
    ssrc=st.sampled_from([1, 2]),
    payload=st.sampled_from([bytes(160), bytes(4), bytes(3), b""]),
    padding_bytes=st.sampled_from([0, 0, 3]),
).map(RtpPacket.serialize)
rtcp = st.sampled_from([bye(1), bye(2), receiver_report(1), b"\x80\xc8\x00\x00"])
datagrams = st.one_of(
    valid,
    valid,
    rtcp,
    st.binary(max_size=40),
    st.builds(mutated, valid, st.integers(0, 15), st.integers(0, 255)),
)
arrivals = st.tuples(datagrams, addresses, ports, st.floats(0, 1.5))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(arrivals, max_size=80),
    st.booleans(),
    st.integers(0, 80),
    st.integers(0, 80),
)
def test_every_datagram_is_used_held_or_counted_under_exactly_one_name(
    arriving: list[tuple[bytes, Address, int, float]],
    accept_unknown: bool,
    announced_after: int,
    removed_after: int,
) -> None:
    demux = RtpDemux(accept_unknown=accept_unknown, hold_time=2.0)
    named, ported, welcome = session(), session(max_tracks=1), session()
    demux.add_port(PORT + 2, ported, B)
    taken: list[tuple[int, TrackEvent]] = []
    now = 0.0
    for count, (data, addr, port, pause) in enumerate(arriving):
        now += pause
        if count == announced_after:
            demux.add_source(A, named)
        if count == removed_after:
            demux.remove(named)
            named.finish(now, pad=True)
        demux.receive_datagrams([(data, addr)], port, now)
        demux.handle_timer(now)
        while (event := demux.next_event()) is not None:
            demux.add_source(event.addr, welcome)
        taken.extend(named.take(now))
    sessions = (named, ported, welcome)
    assert len(arriving) == (
        demux.held_datagrams
        + demux.drops.total()
        + sum(accounted(target) for target in sessions)
    )
    for track in range(named.track_count):
        assert extent(events_of(taken, track)) >= 0


def accounted(target: RtpSession) -> int:
    counts = [target.counts(n) for n in range(target.track_count)]
    return (
        sum(c.received + c.late + c.duplicate for c in counts)
        + target.drops.total()
        + target.rtcp_received
        + target.held_packets
    )
