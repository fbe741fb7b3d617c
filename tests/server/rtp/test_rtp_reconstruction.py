"""Whatever the network does, each payload comes out at its own position."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from server.audio import Gap, GapCause, Run, TrackEvent
from server.rtp.packet import RtpPacket
from server.rtp.session import RtpSession
from tests.server.rtp.builders import (
    RATE,
    SSRC,
    events_of,
    extent,
    payload_of,
    session,
)

WINDOW = 0.4

starts = st.one_of(st.integers(0, 300), st.integers(65_000, 65_535))
stamps = st.one_of(
    st.integers(0, 2**32 - 1),
    st.integers(2**32 - 20_000, 2**32 - 1),
)


@dataclass
class Sent:
    """One packet, and what the network does to it."""

    samples: int
    pause: int = 0
    """Samples of silence before it."""
    is_lost: bool = False
    delay: float = 0.0
    copies: int = 1


packets = st.builds(
    Sent,
    samples=st.sampled_from([80, 160, 160, 160, 240, 320, 960]),
    # A pause under 5 ms is taken for a trembling clock.
    pause=st.one_of(
        st.just(0), st.just(0), st.integers(41, 500), st.integers(41, 480_000)
    ),
    is_lost=st.sampled_from([False, False, False, True]),
    delay=st.one_of(st.just(0.0), st.floats(0, WINDOW - 0.01)),
    copies=st.sampled_from([1, 1, 1, 1, 2]),
)


@dataclass
class Arriving:
    at: float
    data: bytes


def transmit(
    stream: list[Sent], sequence_number: int, timestamp: int
) -> tuple[list[Arriving], dict[int, int]]:
    """Return the datagrams in order of arrival, and where each packet belongs."""
    arriving: list[Arriving] = []
    places: dict[int, int] = {}
    position = 0
    for number, sent in enumerate(stream):
        position += sent.pause
        packet = RtpPacket(
            0,
            (sequence_number + number) & 0xFFFF,
            (timestamp + position) & 0xFFFFFFFF,
            SSRC,
            payload_of(number, sent.samples),
        )
        if not sent.is_lost:
            places[number] = position
            at = position / RATE + sent.delay
            data = packet.serialize()
            arriving += [Arriving(at + 0.001 * i, data) for i in range(sent.copies)]
        position += sent.samples
    return sorted(arriving, key=lambda a: a.at), places


def play(
    target: RtpSession, arriving: list[Arriving], take_every: int
) -> list[TrackEvent]:
    """Drive a session as its owner would, and return the events of track 0."""
    taken: list[tuple[int, TrackEvent]] = []
    for count, arrival in enumerate(arriving):
        while (timer := target.get_timer()) is not None and timer < arrival.at:
            target.handle_timer(timer)
        target.receive_datagram(arrival.data, arrival.at)
        if count % take_every == 0:
            taken += target.take(arrival.at)
    target.finish(arriving[-1].at, pad=False)
    taken += target.take(arriving[-1].at)
    return events_of(taken)


def positions(events: list[TrackEvent]) -> dict[int, int]:
    found: dict[int, int] = {}
    for event in events:
        if not isinstance(event, Run):
            continue
        at = event.start
        for payload in event.payloads:
            number = int.from_bytes(payload[:4], "big")
            assert number not in found
            found[number] = at
            at += len(payload)
        assert at == event.start + event.length
    return found


def in_order_start() -> list[Sent]:
    return [Sent(160), Sent(160)]


@settings(max_examples=150, deadline=None)
@given(
    rest=st.lists(packets, max_size=40),
    sequence_number=starts,
    timestamp=stamps,
    take_every=st.integers(1, 20),
)
def test_every_delivered_payload_is_at_its_position(
    rest: list[Sent], sequence_number: int, timestamp: int, take_every: int
) -> None:
    stream = in_order_start() + rest
    arriving, places = transmit(stream, sequence_number, timestamp)
    target = session()
    events = play(target, arriving, take_every)

    assert positions(events) == places
    assert extent(events) == max(at + stream[n].samples for n, at in places.items())
    assert target.drops == {}
    counts = target.counts(0)
    assert counts.received == len(places)
    assert counts.late == 0
    assert counts.duplicate == sum(s.copies - 1 for s in stream if not s.is_lost)


@settings(max_examples=100, deadline=None)
@given(
    lost=st.lists(st.sampled_from([False, False, True]), max_size=60),
    sequence_number=starts,
    timestamp=stamps,
)
def test_lost_packets_leave_gaps_exactly_as_long_as_they_were(
    lost: list[bool], sequence_number: int, timestamp: int
) -> None:
    stream = [*in_order_start(), *(Sent(160, is_lost=x) for x in lost), Sent(160)]
    arriving, places = transmit(stream, sequence_number, timestamp)
    target = session()
    events = play(target, arriving, 7)

    assert positions(events) == places
    assert extent(events) == 160 * len(stream)
    missing = [e for e in events if isinstance(e, Gap)]
    assert {e.cause for e in missing} <= {GapCause.LOST}
    assert sum(e.length for e in missing) == 160 * sum(lost)
    assert target.counts(0).lost == sum(lost)
