"""Lanes take what the sessions would have taken, and nothing else."""

from __future__ import annotations

import socket
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.rtp.address import Address
from server.rtp.batch import TOO_LONG, DatagramBatch, SourceKey
from server.rtp.demux import RtpDemux
from server.rtp.lanes import LANE_PACKETS, MAX_TABLES, MIN_TOGETHER, Expectation, Lanes
from server.rtp.packet import RtpPacket
from server.rtp.serial import add_to_sequence, add_to_timestamp
from server.rtp.session import RtpSession
from server.rtp.track import MAX_BACKLOG
from tests.server.rtp.builders import SSRC, Sender, events_of, numbers, session

PORT = 40_000
SOURCES: list[Address] = [("198.51.100.7", 5000 + n) for n in range(80)]


def key_of(address: Address) -> SourceKey:
    host, port = address
    return int.from_bytes(socket.inet_aton(host), "big") << 16 | port


def address_of(source: SourceKey) -> Address:
    assert isinstance(source, int)
    return socket.inet_ntoa((source >> 16).to_bytes(4, "big")), source & 0xFFFF


def batch_of(datagrams: Sequence[tuple[bytes, Address]]) -> DatagramBatch:
    batch = DatagramBatch(256, address_of)
    for row, (data, _) in zip(batch.buffer, datagrams, strict=False):
        row.data[: len(data)] = data
    batch.lengths = np.array([len(data) for data, _ in datagrams])
    batch.sources = np.array([key_of(addr) for _, addr in datagrams], np.uint64)
    return batch


def receive(
    demux: RtpDemux, datagrams: Sequence[tuple[bytes, Address]], now: float
) -> int:
    """Give a batch to a demultiplexer as a listener does; return what lanes took."""
    batch = batch_of(datagrams)
    rest = list(demux.receive_expected(batch, PORT, now))
    demux.receive_datagrams(
        ((batch.data(n), batch.address(n)) for n in rest), PORT, now
    )
    demux.open_lanes(batch, rest)
    return len(batch) - len(rest)


class Taps:
    """Some taps, each with its source and sender."""

    def __init__(self, count: int = MIN_TOGETHER) -> None:
        self.demux = RtpDemux()
        self.sessions = [session() for _ in range(count)]
        self.senders = [Sender(ssrc=SSRC + n) for n in range(count)]
        for addr, target in zip(SOURCES, self.sessions, strict=False):
            self.demux.add_source(addr, target)
        self.now = 10.0

    def step(self, count: int = 1, *, samples: int = 160) -> int:
        """Let all send packets, one batch each time; return what lanes took."""
        taken = 0
        for _ in range(count):
            self.now += 0.02
            taken += receive(self.demux, self.next(samples=samples), self.now)
        return taken

    def next(self, *, samples: int = 160) -> list[tuple[bytes, Address]]:
        return [
            (sender.packet(samples=samples).serialize(), addr)
            for sender, addr in zip(self.senders, SOURCES, strict=False)
        ]


def test_once_a_source_is_in_order_its_lane_takes_everything() -> None:
    taps = Taps()
    assert taps.step(2) == 0
    assert taps.step(20) == 20 * len(taps.sessions)
    for target in taps.sessions:
        assert target.last_media_at == pytest.approx(taps.now)
        assert target.counts(0).received == 22
        assert numbers(events_of(target.take(taps.now))) == list(range(22))
        assert target.last_media_at == pytest.approx(taps.now)


def test_few_datagrams_are_taken_one_by_one() -> None:
    taps = Taps(MIN_TOGETHER - 1)
    assert taps.step(10) == 0
    assert numbers(events_of(taps.sessions[0].take(taps.now))) == list(range(10))


def test_a_packet_that_was_not_expected_closes_the_lane_until_order_is_restored() -> (
    None
):
    taps = Taps()
    taps.step(5)
    taps.senders[0].lose(1)
    assert taps.step() == len(taps.sessions) - 1
    assert taps.step() == len(taps.sessions) - 1
    taps.now += 0.5
    taps.sessions[0].handle_timer(taps.now)
    assert taps.step() == len(taps.sessions)
    first, second = taps.sessions[:2]
    assert first.counts(0).lost == 1
    assert second.counts(0).lost == 0


def test_several_packets_of_one_source_in_a_batch_keep_their_order() -> None:
    taps = Taps()
    taps.step(3)
    datagrams = taps.next() + taps.next() + taps.next()
    assert receive(taps.demux, datagrams, taps.now) == len(taps.sessions)
    for target in taps.sessions:
        assert numbers(events_of(target.take(taps.now))) == list(range(6))


def test_lengths_are_mixed_in_one_batch() -> None:
    taps = Taps(2 * MIN_TOGETHER + 2)
    short = range(MIN_TOGETHER + 1)

    def mixed() -> list[tuple[bytes, Address]]:
        sent = [
            (sender.packet(samples=80 if n in short else 160).serialize(), addr)
            for n, (sender, addr) in enumerate(zip(taps.senders, SOURCES, strict=False))
        ]
        # Every second one, then the others: both lengths take turns.
        return sent[::2] + sent[1::2]

    for _ in range(3):
        receive(taps.demux, mixed(), taps.now)
    assert receive(taps.demux, mixed(), taps.now) == len(taps.sessions)
    # Two lengths of one source in a batch: their order counts, so the session has both.
    stranger = (bytes(5), SOURCES[0])
    taken = receive(taps.demux, [stranger, *mixed()], taps.now)
    assert taken == len(taps.sessions) - 1
    for target in taps.sessions:
        assert numbers(events_of(target.take(taps.now))) == list(range(5))
    assert taps.sessions[0].drops == {"too_short": 1}


def test_a_sender_that_changes_its_packet_length_changes_lanes() -> None:
    taps = Taps()
    taps.step(4)
    taps.step(2, samples=240)
    assert taps.step(samples=240) == len(taps.sessions)
    assert taps.step() == 0
    assert numbers(events_of(taps.sessions[0].take(taps.now))) == list(range(8))


def test_a_full_lane_passes_on_to_the_session() -> None:
    taps = Taps()
    count = LANE_PACKETS + 10
    taken = taps.step(count)
    assert taken == (count - 3) * len(taps.sessions)
    assert numbers(events_of(taps.sessions[0].take(taps.now))) == list(range(count))


def test_lanes_never_hold_more_than_a_track_may() -> None:
    taps = Taps()
    taps.step(MAX_BACKLOG + 10)
    for target in taps.sessions:
        assert target.counts(0).received <= MAX_BACKLOG
        assert target.drops["overrun"] >= 10
    assert numbers(events_of(taps.sessions[0].take(taps.now))) == list(
        range(MAX_BACKLOG)
    )


def test_sequence_numbers_and_timestamps_wrap_beside_the_lane() -> None:
    taps = Taps()
    for n, sender in enumerate(taps.senders):
        sender.sequence_number = 0xFFFF - 2 - n
        sender.timestamp = 0x1_0000_0000 - 160 * (3 + 2 * n)
    taps.step(40)
    for target in taps.sessions:
        (run,) = events_of(target.take(taps.now))
        assert run.start == 0
        assert numbers([run]) == list(range(40))


def test_an_ended_tap_leaves_its_lane_to_the_next() -> None:
    taps = Taps()
    taps.step(5)
    gone = taps.sessions[0]
    taps.demux.remove(gone)
    assert taps.step() == len(taps.sessions) - 1
    gone.finish(taps.now, pad=False)
    assert gone.counts(0).received == 5
    assert gone.drops["after_end"] == 0


def test_a_source_named_for_two_taps_leaves_its_lane() -> None:
    taps = Taps()
    taps.step(5)
    taps.demux.add_source(SOURCES[0], session())
    assert taps.step() == len(taps.sessions) - 1
    assert taps.sessions[0].counts(0).received == 6


def test_a_second_source_at_the_address_takes_the_lane_away() -> None:
    taps = Taps()
    taps.step(10)
    other = Sender(ssrc=7)
    for _ in range(20):
        taps.now += 0.02
        datagrams = [*taps.next(), (other.packet().serialize(), SOURCES[0])]
        receive(taps.demux, datagrams, taps.now)
    first = taps.sessions[0]
    assert first.track_count == 2
    taken = first.take(taps.now)
    assert numbers(events_of(taken, 0)) == list(range(30))
    assert numbers(events_of(taken, 1)) == list(range(20))


def test_a_bye_ends_what_the_lane_takes() -> None:
    taps = Taps()
    taps.step(5)
    bye = b"\x81\xcb\x00\x01" + SSRC.to_bytes(4, "big")
    receive(taps.demux, [(bye, SOURCES[0])], taps.now)
    assert taps.sessions[0].ended == "bye"
    assert taps.step() == len(taps.sessions) - 1
    assert taps.sessions[0].ended is None


def test_a_port_of_its_own_needs_no_lane() -> None:
    demux, target, sender = RtpDemux(), session(), Sender()
    demux.add_port(PORT, target)
    sent = [(each.serialize(), SOURCES[0]) for each in sender.packets(20)]
    assert receive(demux, sent, 1.0) == 0
    demux.settle(target)
    assert numbers(events_of(target.take(2.0))) == list(range(20))


def test_a_batch_is_used_again_for_other_datagrams() -> None:
    batch = batch_of([(b"first", SOURCES[0])])
    assert batch.data(0) == b"first"
    batch.buffer[0].data[:5] = b"other"
    assert batch.data(0) == b"other"


def test_lanes_grow_with_the_number_of_taps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.rtp.lanes.FIRST_BYTES", 0)
    taps = Taps(len(SOURCES))
    assert taps.step(10) == 8 * len(SOURCES)
    for target in taps.sessions:
        assert numbers(events_of(target.take(taps.now))) == list(range(10))


def test_there_are_tables_for_so_many_lengths_and_no_more() -> None:
    lanes = Lanes()
    tables = [lanes.table(100 + n) for n in range(MAX_TABLES + 1)]
    assert all(tables[:-1])
    assert tables[-1] is None
    lane = lanes.open(key_of(SOURCES[0]))
    lane.expect(Expectation(1, 2, 500, 160, 8000, 0.0, 0.0))
    assert lane.last_at is None
    assert lane.collect() is None
    lane.expect(None)
    lane.close()


def test_a_datagram_that_did_not_fit_is_for_nobody() -> None:
    lanes = Lanes()
    batch = batch_of([(bytes(20), SOURCES[0])])
    batch.lengths[0] = TOO_LONG
    assert lanes.receive(batch, 0.0) == [0]


steps = st.tuples(
    st.integers(0, 2),  # which source
    st.sampled_from([1, 1, 1, 1, 1, 2, 0, -1, 60_000]),  # sequence numbers
    st.sampled_from([160, 160, 160, 160, 320, 0, 2**31]),  # ticks
    st.sampled_from([160, 160, 160, 80]),  # bytes
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.lists(steps, min_size=1, max_size=40), max_size=25),
    st.integers(1, 9),
)
def test_with_lanes_and_without_everything_ends_up_the_same(
    batches: list[list[tuple[int, int, int, int]]], take_every: int
) -> None:
    laned, plain = RtpDemux(), RtpDemux()
    pairs: list[tuple[RtpSession, RtpSession]] = []
    for addr in SOURCES[:3]:
        pairs.append((session(), session()))
        laned.add_source(addr, pairs[-1][0])
        plain.add_source(addr, pairs[-1][1])
    sequence, timestamp, now = [65_500, 1, 2], [2**32 - 4000, 5, 6], 0.0
    for count, batch in enumerate(batches):
        datagrams = []
        for which, number, ticks, length in batch:
            sequence[which] = add_to_sequence(sequence[which], number)
            timestamp[which] = add_to_timestamp(timestamp[which], ticks)
            packet = RtpPacket(
                0, sequence[which], timestamp[which], which, bytes([count]) * length
            )
            datagrams.append((packet.serialize(), SOURCES[which]))
        now += 0.02
        receive(laned, datagrams, now)
        plain.receive_datagrams(datagrams, PORT, now)
        if count % take_every == 0:
            for with_lane, without in pairs:
                assert with_lane.last_media_at == without.last_media_at
                assert with_lane.get_timer() == without.get_timer()
                assert with_lane.take(now) == without.take(now)
    for with_lane, without in pairs:
        for each in (with_lane, without):
            each.finish(now, pad=False)
        assert with_lane.take(now) == without.take(now)
        assert with_lane.drops == without.drops
        for track in range(without.track_count):
            counts, expected = with_lane.counts(track), without.counts(track)
            assert counts.jitter_ms == pytest.approx(expected.jitter_ms)
            counts.jitter_ms = expected.jitter_ms
            assert counts == expected
