from hypothesis import given
from hypothesis import strategies as st

from server.taps.rate_budget import RateBudget, TrackLimits

RATE = 1000
LIMITS = TrackLimits(max_rate_factor=4.0, burst_s=10.0)


def test_real_time_is_never_refused() -> None:
    budget = RateBudget(LIMITS, RATE)
    assert all(budget.spend(20, at * 0.02) == 20 for at in range(5000))


def test_a_burst_is_taken_in_whole() -> None:
    budget = RateBudget(LIMITS, RATE)
    assert sum(budget.spend(100, 0.0) for _ in range(100)) == 10 * RATE


def test_what_comes_too_fast_gets_no_more_room_than_the_time_it_took() -> None:
    budget = RateBudget(LIMITS, RATE)
    budget.spend(10 * RATE, 0.0)
    assert budget.spend(500, 0.1) == 100
    assert budget.spend(500, 0.1) == 0


def test_the_budget_comes_back_with_time() -> None:
    budget = RateBudget(LIMITS, RATE)
    budget.spend(10 * RATE, 0.0)
    assert budget.spend(4 * RATE, 1.0) == 4 * RATE


@given(st.lists(st.tuples(st.integers(1, 50_000), st.floats(0.0, 5.0)), max_size=50))
def test_the_track_never_gets_longer_than_the_budget(
    messages: list[tuple[int, float]],
) -> None:
    budget = RateBudget(LIMITS, RATE)
    now = 5.0
    total = 0
    for length, elapsed in messages:
        now += elapsed
        total += budget.spend(length, now)
        assert total <= (10 + (4 + 1) * (now - 5.0)) * RATE + len(messages)
