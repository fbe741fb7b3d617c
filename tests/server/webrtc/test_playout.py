from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from server.audio import Samples
from server.webrtc.playout import MAX_AHEAD_S, PlayoutBuffer

RATE = 8000
FRAME = 160


def ramp(start: int, length: int) -> Samples:
    """Return samples that tell their own position, which is never 0."""
    positions = np.arange(start, start + length) % 30_000 + 1
    return positions.astype(np.int16)[:, None]


def put(buffer: PlayoutBuffer, start: int, length: int = FRAME) -> None:
    buffer.put(start, ramp(start, length))


def first_of(frame: Samples) -> int | None:
    """Return the position of the first sample of a frame, None if it is silent."""
    return None if frame[0, 0] == 0 else int(frame[0, 0]) - 1


def running(frames: int = 2) -> PlayoutBuffer:
    """Return a buffer that has just been given so many frames."""
    buffer = PlayoutBuffer(RATE, 1)
    for number in range(frames):
        put(buffer, number * FRAME)
    return buffer


def test_it_waits_until_enough_is_held() -> None:
    buffer = running(1)
    assert first_of(buffer.take(FRAME)) is None
    put(buffer, FRAME)
    assert first_of(buffer.take(FRAME)) == 0
    assert first_of(buffer.take(FRAME)) == FRAME


def test_a_word_shorter_than_that_is_played_all_the_same() -> None:
    buffer = running(1)
    found = [first_of(buffer.take(FRAME)) for _ in range(4)]
    assert found == [None, None, 0, None]
    assert buffer.is_empty


def test_nothing_at_all_is_silence() -> None:
    buffer = PlayoutBuffer(RATE, 2)
    assert buffer.take(FRAME).shape == (FRAME, 2)
    assert buffer.is_empty


def test_a_hole_is_as_long_as_it_was() -> None:
    buffer = running(2)
    assert first_of(buffer.take(FRAME)) == 0
    put(buffer, 3 * FRAME)
    found = [first_of(buffer.take(FRAME)) for _ in range(3)]
    assert found == [FRAME, None, 3 * FRAME]


def test_a_part_of_a_frame_is_followed_by_silence() -> None:
    buffer = running(2)
    buffer.take(FRAME)
    put(buffer, 2 * FRAME, 40)
    assert first_of(buffer.take(FRAME)) == FRAME
    frame = buffer.take(FRAME)
    assert np.array_equal(frame[:40], ramp(2 * FRAME, 40))
    assert not frame[40:].any()


def test_whoever_was_late_is_held_longer_from_then_on() -> None:
    buffer = running(2)
    for _ in range(3):
        buffer.take(FRAME)
    put(buffer, 2 * FRAME)
    put(buffer, 3 * FRAME)
    assert first_of(buffer.take(FRAME)) is None
    put(buffer, 4 * FRAME)
    assert first_of(buffer.take(FRAME)) == 2 * FRAME


def test_whoever_paused_is_not() -> None:
    buffer = running(2)
    for _ in range(3):
        buffer.take(FRAME)
    put(buffer, 100 * FRAME)
    put(buffer, 101 * FRAME)
    assert first_of(buffer.take(FRAME)) == 100 * FRAME


def test_what_is_held_beyond_need_is_skipped() -> None:
    buffer = running(2)
    played = [first_of(buffer.take(FRAME))]
    put(buffer, 2 * FRAME, 18 * FRAME)
    for number in range(20, 240):
        put(buffer, number * FRAME)
        played.append(first_of(buffer.take(FRAME)))
    # A frame is put before each is taken, so as much is left as was there at first.
    assert played[:2] == [0, FRAME]
    assert buffer.skipped == 17 * FRAME
    assert played[-1] == (239 - 2) * FRAME % 30_000


def test_whoever_comes_hears_what_is_said_now() -> None:
    buffer = running(25)
    assert first_of(buffer.take(FRAME)) == 23 * FRAME


def test_so_is_what_is_beyond_all_bounds() -> None:
    buffer = running(2)
    buffer.take(FRAME)
    put(buffer, 2 * FRAME, round(2 * MAX_AHEAD_S * RATE))
    end = 2 * FRAME + round(2 * MAX_AHEAD_S * RATE)
    expected = (end - 2 * FRAME) % 30_000
    assert first_of(buffer.take(FRAME)) == expected


def test_much_at_once_from_the_beginning_is_bounded_too() -> None:
    buffer = PlayoutBuffer(RATE, 1)
    put(buffer, 0, round(MAX_AHEAD_S * RATE) + FRAME)
    end = round(MAX_AHEAD_S * RATE) + FRAME
    assert first_of(buffer.take(FRAME)) == end - 2 * FRAME


def test_a_message_of_a_second_is_played_whole() -> None:
    buffer = PlayoutBuffer(RATE, 1)
    heard = 0
    for second in range(5):
        put(buffer, second * RATE, RATE)
        heard += sum(int(buffer.take(FRAME).any(axis=1).sum()) for _ in range(50))
    # It is joined at its end.
    assert buffer.skipped == RATE - 2 * FRAME
    assert heard == 5 * RATE - buffer.skipped


def test_positions_that_begin_again_are_a_new_stream() -> None:
    buffer = running(4)
    buffer.take(FRAME)
    put(buffer, 0)
    put(buffer, FRAME)
    assert first_of(buffer.take(FRAME)) == 0


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 400)), max_size=60))
def test_every_sample_is_played_once_in_order_or_skipped(
    turns: list[tuple[int, int]],
) -> None:
    buffer = PlayoutBuffer(RATE, 1)
    position = given_samples = 0
    heard: list[int] = []
    for frames, hole in turns:
        for _ in range(frames):
            put(buffer, position)
            position += FRAME
            given_samples += FRAME
        position += hole
        heard += [int(each) for each in buffer.take(FRAME)[:, 0] if each]
    while not buffer.is_empty:
        heard += [int(each) for each in buffer.take(FRAME)[:, 0] if each]

    assert heard == sorted(set(heard))
    assert given_samples - len(heard) <= buffer.skipped


def frames_until_heard(buffer: PlayoutBuffer, start: int) -> int:
    """Return how many frames it takes after a pause."""
    while not buffer.is_empty or buffer.take(FRAME).any():
        buffer.take(FRAME)
    for number in range(20):
        put(buffer, start + number * FRAME)
        if buffer.take(FRAME).any():
            return number + 1
    raise AssertionError("it is never heard")


def test_what_trouble_added_goes_again_in_time() -> None:
    buffer = running(2)
    for _ in range(3):
        buffer.take(FRAME)
    for number in range(2, 120):
        put(buffer, number * FRAME)
        buffer.take(FRAME)
    # The window in which it was late is over, and there has been no other yet.
    assert frames_until_heard(buffer, 200 * FRAME) == 3

    for number in range(203, 2203):
        put(buffer, number * FRAME)
        buffer.take(FRAME)
    assert frames_until_heard(buffer, 3000 * FRAME) == 2
