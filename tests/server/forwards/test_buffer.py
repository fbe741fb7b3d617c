"""What waits for a destination is bounded, and the policy says what is dropped."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from server.audio import PCMU_8000, Run
from server.forwards.buffer import LiveBuffer, Piece, Policy
from tests.server.sinks.test_runner import INFO


def piece(start: int, length: int = 160) -> Piece:
    run = Run(start, length, [bytes(length)], PCMU_8000)
    return Piece(INFO, run, np.zeros((length, 1), np.int16))


def starts(buffer: LiveBuffer) -> list[int]:
    found = []
    while (taken := buffer.take()) is not None:
        found.append(taken.run.start)
    return found


def filled(policy: Policy, count: int = 6) -> LiveBuffer:
    """Return a buffer for five pieces of 20 ms that was given `count`."""
    buffer = LiveBuffer(100, policy)
    for number in range(count):
        buffer.put(piece(number))
    return buffer


def test_what_fits_comes_out_in_order() -> None:
    buffer = filled("drop_oldest", 5)
    assert buffer.queued_ms == 100
    assert starts(buffer) == [0, 1, 2, 3, 4]
    assert buffer.queued_ms == buffer.dropped_ms == 0


@pytest.mark.parametrize(
    ("policy", "left"),
    [
        ("drop_oldest", [1, 2, 3, 4, 5]),
        ("drop_newest", [0, 1, 2, 3, 4]),
        ("disconnect", [5]),
    ],
)
def test_a_full_buffer_does_what_its_policy_says(
    policy: Policy, left: list[int]
) -> None:
    buffer = filled(policy)
    assert buffer.has_overflowed is (policy == "disconnect")
    assert buffer.dropped_ms == 20 * (6 - len(left))
    assert starts(buffer) == left


@pytest.mark.parametrize("policy", get_args(Policy))
def test_it_never_holds_more_than_its_bound(policy: Policy) -> None:
    assert filled(policy, 1000).queued_ms <= 100


def test_after_a_lost_connection_the_last_of_it_is_sent_again() -> None:
    buffer = LiveBuffer(100, "drop_oldest", replay_ms=40)
    for number in range(5):
        buffer.put(piece(number))
    assert starts(buffer) == [0, 1, 2, 3, 4]
    buffer.put(piece(5))
    buffer.rewind()
    assert starts(buffer) == [3, 4, 5]


def long_piece(payloads: list[bytes], start: int = 0) -> Piece:
    length = sum(map(len, payloads))
    samples = np.arange(length).astype(np.int16)[:, None]
    return Piece(INFO, Run(start, length, payloads, PCMU_8000), samples)


def test_a_long_run_is_cut_between_payloads() -> None:
    parts = long_piece([bytes([n]) * 160 for n in range(12)], start=1000).parts()
    assert [part.run.start for part in parts] == [1000, 1800, 2600]
    assert [part.length_ms for part in parts] == [100, 100, 40]
    assert [len(part.run.payloads) for part in parts] == [5, 5, 2]
    whole = np.concatenate([part.samples for part in parts])
    assert whole[:, 0].tolist() == list(range(1920))


def test_what_cannot_be_cut_stays_whole() -> None:
    (one,) = long_piece([bytes(8000)]).parts()
    assert one.run.length == 8000
    # Its payloads hold more than it: it begins within one.
    run = Run(0, 1500, [bytes(160)] * 10, PCMU_8000)
    piece = Piece(INFO, run, np.zeros((1500, 1), np.int16))
    assert piece.parts() == [piece]


@pytest.mark.parametrize("policy", get_args(Policy))
def test_one_long_run_is_bounded_like_many_short_ones(policy: Policy) -> None:
    buffer = LiveBuffer(200, policy)
    buffer.put(long_piece([bytes(160)] * 500))
    assert 0 < buffer.queued_ms <= 200
    assert buffer.queued_ms + buffer.dropped_ms == 10_000
