"""The E-model against values that are published."""

from __future__ import annotations

import pytest

from server.audio import Codec
from server.quality.mos import (
    DEFAULT_RATING,
    G711_WITH_CONCEALMENT,
    G711_WITHOUT_CONCEALMENT,
    burst_ratio,
    impairment_of,
    mos_of,
    rating,
)


@pytest.mark.parametrize(
    ("rating", "mos"),
    [(90, 4.34), (80, 4.03), (70, 3.60), (60, 3.10), (50, 2.58)],
)
def test_the_table_of_g107_annex_b(rating: float, mos: float) -> None:
    assert mos_of(rating) == pytest.approx(mos, abs=0.01)


def test_no_impairment_is_the_best_of_narrowband() -> None:
    assert rating(0, G711_WITHOUT_CONCEALMENT) == DEFAULT_RATING
    assert mos_of(DEFAULT_RATING) == pytest.approx(4.41, abs=0.005)


@pytest.mark.parametrize(("rating", "mos"), [(-5, 1), (0, 1), (3, 1), (100, 4.5)])
def test_the_scale_has_ends(rating: float, mos: float) -> None:
    assert mos_of(rating) == mos


def test_one_percent_of_loss_with_and_without_concealment() -> None:
    assert mos_of(rating(1, G711_WITHOUT_CONCEALMENT)) == pytest.approx(3.83, abs=0.01)
    assert mos_of(rating(1, G711_WITH_CONCEALMENT)) == pytest.approx(4.33, abs=0.01)


def test_more_loss_is_never_better() -> None:
    scores = [mos_of(rating(p, G711_WITHOUT_CONCEALMENT)) for p in range(101)]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] == 1


def test_bursts_are_worse_than_single_losses_up_to_a_bound() -> None:
    single, bursts, long_bursts = (
        rating(5, G711_WITH_CONCEALMENT, ratio) for ratio in (0.5, 1.5, 9)
    )
    assert single > bursts > long_bursts
    assert single == rating(5, G711_WITH_CONCEALMENT)
    assert long_bursts == rating(5, G711_WITH_CONCEALMENT, 2)


def test_the_burst_ratio_of_random_loss_is_one() -> None:
    assert burst_ratio(0, 0, 0) == 1
    assert burst_ratio(100, 95, 5) == pytest.approx(1)
    assert burst_ratio(90, 30, 10) == pytest.approx(2.7)


def test_what_is_lost_is_not_concealed() -> None:
    for codec in Codec:
        assert impairment_of(codec) == G711_WITHOUT_CONCEALMENT
