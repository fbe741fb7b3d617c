"""The arrival clock under a virtual network and a virtual sender."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.taps.arrival import PAUSE_S, SETTLE_S, ArrivalClock, Pad

RATE = 8000
PACKET = 160
PACKET_S = 0.02


@dataclass
class Line:
    """A sender that speaks in packets of 20 ms, and what is between it and us."""

    clock: ArrivalClock = field(default_factory=lambda: ArrivalClock(RATE))
    sent_at: float = 100.0
    """When the next packet is complete."""
    arrives_after: float = 0.0
    """A stalled network delivers nothing before this."""
    now: float = 100.0
    pads: list[Pad] = field(default_factory=list)

    def deliver(self, length: int, at: float) -> None:
        self.now = max(at, self.now)
        self.clock.receive(length, self.now)
        self.pads += self.clock.take_pads()

    def talk(
        self, seconds: float, *, speed: float = 1.0, jitter: Sequence[float] = (0.0,)
    ) -> None:
        for at in range(round(seconds * 50)):
            self.sent_at += PACKET_S / speed
            late = jitter[at % len(jitter)]
            self.deliver(PACKET, max(self.sent_at + late, self.arrives_after))

    def pause(self, seconds: float) -> None:
        self.sent_at += seconds

    def stall(self, seconds: float) -> None:
        """From now on nothing arrives for a time; what is sent comes afterwards."""
        self.arrives_after = max(self.sent_at, self.arrives_after) + seconds
        self.talk(seconds)

    def finish(self) -> float:
        """Return the length of the track in seconds."""
        self.clock.finish()
        self.pads += self.clock.take_pads()
        return (self.clock.received + sum(p.length for p in self.pads)) / RATE

    def unsettled(self) -> int | None:
        return self.clock.unsettled_from

    @property
    def span(self) -> float:
        return self.now - self.clock.started_at

    @property
    def pads_s(self) -> list[float]:
        return [pad.length / RATE for pad in self.pads]


@pytest.mark.parametrize("seconds", [0.31, 1.0, 5.0, 3600.0])
def test_a_pause_becomes_a_pad_of_its_length_at_its_place(seconds: float) -> None:
    line = Line()
    line.talk(4.0)
    line.pause(seconds)
    line.talk(4.0)
    assert line.pads == [Pad(before=4 * RATE, length=round(seconds * RATE))]
    assert line.finish() == pytest.approx(line.span, abs=PACKET_S)


@pytest.mark.parametrize("seconds", [0.5, 3.0, 20.0])
def test_a_stall_that_is_made_up_for_inserts_nothing(seconds: float) -> None:
    line = Line()
    line.talk(4.0)
    line.stall(seconds)
    line.talk(4.0)
    assert line.pads == []
    assert line.finish() == pytest.approx(line.span, abs=PACKET_S)


def test_a_stall_whose_backlog_comes_in_two_bursts_inserts_nothing() -> None:
    line = Line()
    line.talk(2.0)
    line.sent_at += 3.0
    for _ in range(50):  # one second of three is there at once
        line.deliver(PACKET, line.sent_at)
    for _ in range(100):  # and the rest 0.5 s later
        line.deliver(PACKET, line.sent_at + 0.5)
    line.talk(4.0)
    assert line.pads == []


def test_a_pause_during_a_stall_keeps_its_length() -> None:
    line = Line()
    line.talk(2.0)
    line.stall(1.0)
    line.pause(0.7)
    line.talk(3.0)
    assert line.pads_s == [pytest.approx(0.7, abs=0.001)]


def test_two_pauses_close_together_stay_two() -> None:
    line = Line()
    line.talk(2.0)
    line.pause(0.5)
    line.talk(0.2)
    line.pause(0.6)
    line.talk(3.0)
    assert [pad.before for pad in line.pads] == [2 * RATE, 2 * RATE + 1600]
    assert line.pads_s == pytest.approx([0.5, 0.6], abs=0.001)


def test_a_stall_straight_after_a_pause_costs_nothing() -> None:
    line = Line()
    line.talk(2.0)
    line.pause(1.0)
    line.talk(0.1)
    line.stall(0.6)
    line.talk(3.0)
    assert line.pads_s == pytest.approx([1.0], abs=0.001)


def test_jitter_changes_nothing() -> None:
    line = Line()
    line.talk(30.0, jitter=(0.0, 0.15, 0.02, 0.0, 0.19))
    assert line.pads == []


def test_jitter_hides_no_pause() -> None:
    line = Line()
    line.talk(5.0, jitter=(0.0, 0.1, 0.05))
    line.pause(2.0)
    line.talk(5.0, jitter=(0.1, 0.0, 0.05))
    assert line.pads_s == pytest.approx([2.0], abs=0.001)


@pytest.mark.parametrize("speed", [0.95, 0.999, 1.001, 1.03])
def test_drift_of_the_senders_clock_inserts_nothing(speed: float) -> None:
    line = Line()
    line.talk(60.0, speed=speed)
    assert line.pads == []


def test_a_pause_after_drift_has_its_own_length_only() -> None:
    line = Line()
    line.talk(300.0, speed=0.999)
    line.pause(1.5)
    line.talk(3.0)
    assert line.pads_s == pytest.approx([1.5], abs=0.01)


def test_a_sender_at_twice_real_time_is_never_padded() -> None:
    """Ten seconds of audio in five, then a rest of five, over and over."""
    line = Line()
    for _ in range(4):
        line.talk(10.0, speed=2.0)
        line.pause(5.0)
    assert line.pads == []
    assert line.finish() == pytest.approx(40.0)


def test_a_burst_at_the_start_is_not_a_debt_for_ever() -> None:
    """Two seconds come at once; after five steady seconds a pause counts in full."""
    line = Line()
    line.talk(2.0, speed=1000.0)
    line.talk(6.0)
    line.pause(1.0)
    line.talk(3.0)
    assert line.pads_s == pytest.approx([1.0], abs=0.01)


def test_right_after_a_burst_at_the_start_a_pause_is_covered_by_it() -> None:
    line = Line()
    line.talk(2.0, speed=1000.0)
    line.talk(3.0)
    line.pause(1.0)
    line.talk(3.0)
    assert line.pads == []


def test_messages_of_any_size_make_a_steady_stream() -> None:
    """A second of audio in each message is no pause of a second between them."""
    clock = ArrivalClock(RATE)
    for second in range(1, 20):
        assert not clock.receive(RATE, 100.0 + second)
    assert clock.started_at == 100.0


def test_audio_waits_for_the_settling_time_and_no_longer() -> None:
    line = Line()
    line.talk(1.0)
    assert line.unsettled() is None
    assert line.clock.get_timer() is None
    line.pause(2.0)
    line.talk(PACKET_S)
    assert line.unsettled() == RATE
    due = line.clock.get_timer()
    assert due == pytest.approx(line.now + SETTLE_S)
    assert due is not None
    line.clock.handle_timer(due - 0.001)
    assert line.unsettled() == RATE
    line.clock.handle_timer(due)
    assert line.unsettled() is None
    assert line.clock.take_pads() == [Pad(RATE, 2 * RATE)]


def test_a_catch_up_ends_the_waiting_at_once() -> None:
    line = Line()
    line.talk(1.0)
    line.stall(1.0)
    line.talk(PACKET_S)
    assert line.unsettled() is None


def test_what_is_missing_at_the_end_is_known() -> None:
    line = Line()
    line.talk(2.0)
    assert line.clock.missing(line.now + PAUSE_S) == 0
    assert line.clock.missing(line.now + 1.5) == round(1.5 * RATE)


def test_a_pad_that_was_too_long_is_made_up_for_by_the_next_pause() -> None:
    """A backlog may take longer than the settling time; the length comes right."""
    line = Line()
    line.talk(3.0)
    line.sent_at += 3.0
    for _ in range(150):
        line.sent_at += PACKET_S / 2
        line.deliver(PACKET, line.sent_at)
    line.talk(10.0)
    line.pause(5.0)
    line.talk(3.0)
    assert line.finish() == pytest.approx(line.span, abs=PACKET_S)


PIECES = st.one_of(
    st.tuples(st.just("talk"), st.floats(1.2, 4.0)),
    st.tuples(st.just("pause"), st.floats(0.35, 6.0)),
    st.tuples(st.just("stall"), st.floats(0.1, 6.0)),
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(PIECES, max_size=10),
    st.lists(st.floats(0.0, 0.05), min_size=1, max_size=7),
)
def test_a_track_is_as_long_as_its_tap(
    pieces: list[tuple[str, float]], jitter: list[float]
) -> None:
    line = Line()
    line.talk(1.2, jitter=jitter)
    for kind, seconds in pieces:
        if kind == "talk":
            line.talk(seconds, jitter=jitter)
        elif kind == "pause":
            line.pause(seconds)
        else:
            line.stall(seconds)
    line.talk(1.5, jitter=jitter)
    assert line.finish() == pytest.approx(line.span, abs=0.2)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20_000), st.floats(0.0, 3.0)), max_size=60))
def test_pads_are_in_order_and_no_longer_than_the_time_that_passed(
    arrivals: list[tuple[int, float]],
) -> None:
    clock = ArrivalClock(RATE)
    now = 50.0
    pads: list[Pad] = []
    for length, elapsed in arrivals:
        now += elapsed
        clock.receive(length, now)
        pads += clock.take_pads()
    clock.finish()
    pads += clock.take_pads()
    places = [pad.before for pad in pads]
    assert places == sorted(places)
    assert all(pad.length > 0 and pad.before <= clock.received for pad in pads)
    assert sum(pad.length for pad in pads) / RATE <= now - 50.0 + 0.001


@given(
    st.lists(st.tuples(st.integers(1, 70), st.integers(-9, 9)), min_size=2, max_size=9)
)
def test_messages_taken_at_once_leave_the_clock_as_one_by_one(
    batches: list[tuple[int, int]],
) -> None:
    at_once, one_by_one = ArrivalClock(RATE), ArrivalClock(RATE)
    now = 1000.0
    for clock in (at_once, one_by_one):
        clock.receive(160, now)
    for count, late_ms in batches:
        times = [now + 0.02 * n for n in range(1, count + 1)]
        times[count // 2] += late_ms / 1000
        assert at_once.receive_steady(160, times)
        for each in times:
            assert not one_by_one.receive(160, each)
        now += 0.02 * count
        for later in (now, now + 0.5):
            assert at_once.missing(later) == one_by_one.missing(later)


def test_the_least_lag_may_take_its_turn_at_the_first_of_many_messages() -> None:
    clock = ArrivalClock(RATE)
    clock.receive(160, 0.0)
    assert clock.receive_steady(160, [0.02 * n for n in range(1, 50)])
    # A second after the first message, so that a turn is due with this one.
    assert clock.receive_steady(160, [1.005, 1.02, 1.04])
    assert clock.missing(1.04) == 0
    assert clock.missing(2.04) == RATE
