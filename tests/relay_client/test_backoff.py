"""Waits between attempts to connect."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from relay_client.backoff import Backoff


@given(st.integers())
def test_waits_double_within_their_limits(seed: int) -> None:
    backoff = Backoff(random.Random(seed), minimum=1.0, maximum=30.0)
    waits = [backoff.next_wait() for _ in range(8)]
    limits = [(1, 2), (2, 4), (4, 8), (8, 16), (15, 30), (15, 30), (15, 30), (15, 30)]
    assert all(
        low <= wait <= high for wait, (low, high) in zip(waits, limits, strict=True)
    )


def test_two_clients_do_not_return_together() -> None:
    waits = {
        Backoff(random.Random(seed), minimum=1.0, maximum=30.0).next_wait()
        for seed in range(20)
    }
    assert len(waits) == 20


def test_a_reset_starts_afresh() -> None:
    backoff = Backoff(random.Random(1), minimum=1.0, maximum=30.0)
    for _ in range(6):
        backoff.next_wait()
    backoff.reset()
    assert backoff.next_wait() <= 2.0


def test_a_small_maximum_is_kept() -> None:
    backoff = Backoff(random.Random(1), minimum=1.0, maximum=1.5)
    assert all(1.0 <= backoff.next_wait() <= 1.5 for _ in range(20))
