from __future__ import annotations

from server.rtp.timeline import Timeline


def test_positions_follow_timestamps_from_the_anchor() -> None:
    timeline = Timeline(8000)
    timeline.anchor(5000, 800, 8000)
    assert timeline.position_of(5000) == 800
    assert timeline.position_of(5160) == 960
    assert timeline.position_of(4840) == 640


def test_positions_are_in_samples_of_the_track_whatever_the_clock_rate() -> None:
    timeline = Timeline(8000)
    timeline.anchor(0, 100, 44_100)
    assert timeline.position_of(44_100) == 8100
    assert timeline.length_of(441) == 80


def test_rounding_does_not_add_up() -> None:
    timeline = Timeline(8000)
    timeline.anchor(0, 0, 44_100)
    ends = [timeline.position_of(n * 441 * 2) for n in range(1, 51)]
    assert ends[-1] == 8000


def test_wrapping_a_timestamp_keeps_its_position() -> None:
    timeline = Timeline(8000)
    timeline.anchor(2**32 - 160, 0, 8000)
    before = timeline.position_of(2**32)
    wrapped = timeline.wrap(2**32)
    assert wrapped == 0
    assert timeline.position_of(wrapped) == before == 160
    assert timeline.wrap(1) == 1


def test_a_trembling_clock_is_absorbed_and_does_not_drift() -> None:
    timeline = Timeline(8000)
    timeline.anchor(0, 0, 8000)
    assert timeline.absorb(30)
    assert timeline.position_of(190) == 160
    assert not timeline.absorb(30)
    assert timeline.absorb(-30)
    assert timeline.slip == 0
    assert timeline.position_of(160) == 160


def test_a_real_pause_brings_audio_back_to_its_timestamp() -> None:
    timeline = Timeline(8000)
    timeline.anchor(0, 0, 8000)
    timeline.absorb(30)
    timeline.resume()
    assert timeline.position_of(190) == 190


def test_silence_is_believed_as_far_as_the_arrival_clock_bears_it_out() -> None:
    timeline = Timeline(8000)
    minute = 60 * 8000
    assert timeline.believes(minute, lost_ticks=0, lag=60.0)
    assert not timeline.believes(minute, lost_ticks=0, lag=0.02)
    assert timeline.believes(minute, lost_ticks=minute, lag=-1.0)
    assert timeline.believes(160, lost_ticks=320, lag=-10.0)
    assert not timeline.believes(-1, lost_ticks=0, lag=60.0)


def test_a_packet_out_of_sequence_has_a_timestamp_that_fits() -> None:
    timeline = Timeline(8000)
    assert timeline.could_hold(160, 1, 0.0)
    assert timeline.could_hold(-160, -2, 0.0)
    assert timeline.could_hold(60 * 8000, 1, 60.0)
    assert not timeline.could_hold(60 * 8000, 1, 0.0)
    assert not timeline.could_hold(-60 * 8000, -2, 0.0)
