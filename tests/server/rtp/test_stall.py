"""A sender that stops its clock, and a network that only held packets back."""

from __future__ import annotations

import pytest

from server.audio import GapCause, Run
from server.rtp.stall import MAX_SETTLE, MAX_WAITING, MIN_STALL, SETTLE
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

SILENCE, LOST = GapCause.SILENCE, GapCause.LOST


@pytest.mark.parametrize("pause", [1.5, 60.0, 600.0])
def test_a_clock_that_stood_still_is_a_pause_as_long_as_it_was(pause: float) -> None:
    target, sender = session(), Sender()
    now = feed(target, sender.packets(50), 0.0)
    now = feed(target, sender.packets(50), now + pause)
    events = events_of(target.take(now + 1))
    assert gaps(events) == [(8000, round(pause * RATE), SILENCE)]
    assert numbers(events) == list(range(100))
    assert extent(events) == 16_000 + round(pause * RATE)


def test_a_backlog_after_a_stall_leaves_no_gap() -> None:
    target, sender = session(), Sender()
    now = feed(target, sender.packets(50), 0.0)
    # Three seconds come late and at once, then it goes on as before.
    feed(target, sender.packets(150), now + 3.0, step=0.0)
    now = feed(target, sender.packets(50), now + 3.02)
    events = events_of(target.take(now))
    assert gaps(events) == []
    assert numbers(events) == list(range(250))


@pytest.mark.parametrize(
    ("backlog", "step"), [(600, 0.0), (250, 0.005)], ids=["at once", "four times"]
)
def test_a_backlog_may_be_long_and_take_its_time(backlog: int, step: float) -> None:
    target, sender = session(), Sender()
    now = feed(target, sender.packets(50), 0.0)
    now = feed(target, sender.packets(backlog), now + backlog * 0.02, step=step)
    now = feed(target, sender.packets(50), now + 0.02)
    events = events_of(target.take(now + 1))
    pauses = [length for _, length, _ in gaps(events)]
    # What was drained at four times had not caught up when it was all there.
    assert sum(pauses) <= MAX_SETTLE * RATE
    assert numbers(events) == list(range(backlog + 100))


def test_a_backlog_that_never_ends_is_not_waited_for() -> None:
    target, sender = session(), Sender()
    now = feed(target, sender.packets(50), 0.0)
    # Ten seconds late, and only a little faster than it should be.
    feed(target, sender.packets(200), now + 10.0, step=0.009)
    assert target.held_packets < MAX_SETTLE / 0.009 + 5


def test_a_sender_of_long_bursts_is_as_long_as_its_audio() -> None:
    target, sender = session(), Sender()
    for burst in range(5):
        feed(target, sender.packets(100), 2.0 * burst, step=0.0)
        target.take(2.0 * burst + 1.5)
    assert target.track_count == 1
    assert target.counts(0).received == 500
    target.finish(10.0, pad=False)
    assert events_of(target.take(10.0)) == []


def test_a_network_that_dropped_half_of_what_it_held_is_told_by_timestamps() -> None:
    target, sender = session(), Sender()
    now = feed(target, sender.packets(50), 0.0)
    sender.lose(75)
    now = feed(target, sender.packets(75), now + 3.0, step=0.0)
    events = events_of(target.take(now + 1))
    assert gaps(events) == [(8000, 75 * 160, LOST)]


def test_a_pause_on_top_of_what_timestamps_say_is_added_to_it() -> None:
    target, sender = session(), Sender()
    now = feed(target, sender.packets(50), 0.0)
    sender.pause(RATE)
    now = feed(target, sender.packets(50), now + 5.0)
    events = events_of(target.take(now + 1))
    assert gaps(events) == [(8000, 5 * RATE, SILENCE)]
    assert numbers(events) == list(range(100))


def test_packets_wait_until_it_is_known_what_it_was() -> None:
    target, sender = session(), Sender()
    now = feed(target, sender.packets(5), 0.0)
    feed(target, sender.packets(2), now + 9.0)
    assert target.held_packets == 2
    assert target.get_timer() == pytest.approx(now + 9.0 + SETTLE)
    target.handle_timer(now + 9.0 + SETTLE)
    assert target.held_packets == 0


def test_what_is_out_of_order_behind_a_stall_is_put_in_order() -> None:
    target, sender = session(), Sender()
    now = feed(target, sender.packets(5), 0.0)
    packets = sender.packets(8)
    packets[3], packets[4] = packets[4], packets[3]
    now = feed(target, [*packets, packets[6]], now + 9.0)
    events = events_of(target.take(now + 1))
    assert numbers(events) == list(range(13))
    assert target.counts(0).duplicate == 1


def test_the_end_of_a_tap_does_not_wait() -> None:
    target, sender = session(), Sender()
    now = feed(target, sender.packets(5), 0.0)
    now = feed(target, sender.packets(3), now + 9.0)
    target.finish(now, pad=True)
    events = events_of(target.take(now))
    assert numbers(events) == list(range(8))
    assert gaps(events) == [(800, 9 * RATE, SILENCE)]


def test_what_waits_has_a_bound() -> None:
    target, sender = session(), Sender()
    now = feed(target, sender.packets(5), 0.0)
    feed(target, sender.packets(MAX_WAITING), now + 60.0, step=0.0)
    assert target.held_packets == 0
    assert target.counts(0).received == MAX_WAITING + 5


def test_a_pause_is_no_jitter() -> None:
    target, sender = session(), Sender()
    now = feed(target, sender.packets(50), 0.0)
    now = feed(target, sender.packets(50), now + 60.0)
    target.take(now + 1)
    assert target.counts(0).jitter_ms == pytest.approx(0, abs=0.01)


def test_a_delay_below_the_threshold_is_jitter() -> None:
    target, sender = session(), Sender()
    now = feed(target, sender.packets(5), 0.0)
    now = feed(target, sender.packets(5), now + MIN_STALL - 0.1)
    (run,) = events_of(target.take(now))
    assert isinstance(run, Run)
    assert run.length == 1600
