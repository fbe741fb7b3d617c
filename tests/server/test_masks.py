"""Masks: what is kept out of a track, and where it is kept again."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.audio import (
    OPUS_RATE,
    PCMU_8000,
    AudioFormat,
    Codec,
    Digit,
    Gap,
    GapCause,
    Run,
)
from server.masks import MAX_SPANS, Masks

L16_STEREO = AudioFormat(Codec.L16, 8000, 2)
OPUS = AudioFormat(Codec.OPUS, OPUS_RATE)


def masks_of(*spans: tuple[int, int | None]) -> Masks:
    """Return masks with these spans; one without an end is on."""
    made = Masks()
    for start, end in spans:
        made.begin(start)
        if end is not None:
            made.end(end)
    return made


def masked(start: int, length: int) -> Gap:
    return Gap(start, length, GapCause.MASKED)


def a_run(start: int, data: bytes) -> Run:
    return Run(start, len(data), [data[:1], data[1:]], PCMU_8000)


def test_without_any_everything_is_kept() -> None:
    masks = Masks()
    assert not masks.is_on
    assert masks.border == 0
    assert not masks.hides(Digit(0, "5", 80))


def test_one_that_was_never_begun_does_not_end() -> None:
    masks = Masks()
    masks.end(100)
    assert masks.border == 0


def test_one_that_is_on_keeps_out_everything() -> None:
    masks = masks_of((100, None))
    assert masks.is_on
    assert masks.border > 1 << 60
    assert masks.split(a_run(100, b"abc")) == (masked(100, 3), None)
    assert masks.split(Gap(103, 50, GapCause.LOST)) == (masked(103, 50), None)


def test_beginning_twice_is_beginning_once() -> None:
    masks = masks_of((100, None), (200, None))
    masks.end(300)
    assert masks.hides(Digit(120, "5", 1))
    assert masks.border == 300


def test_ending_twice_is_ending_once() -> None:
    masks = masks_of((100, 200))
    masks.end(300)
    assert not masks.is_on
    assert masks.border == 200


def test_none_ends_before_it_begins() -> None:
    assert masks_of((100, 50)).border == 100


@pytest.mark.parametrize("length", [99, 100, 101])
def test_a_run_is_cut_where_the_mask_ends(length: int) -> None:
    masks = masks_of((100, 200))
    gap, rest = masks.split(a_run(100, (b"\1" * 100 + b"\2")[:length]))
    assert gap == masked(100, min(length, 100))
    assert rest == (Run(200, 1, [b"\2"], PCMU_8000) if length > 100 else None)


def test_a_cut_falls_between_two_samples_of_all_channels() -> None:
    masks = masks_of((0, 1))
    run = Run(0, 3, [b"aabbccdd", b"eeff"], L16_STEREO)
    assert masks.split(run) == (masked(0, 1), Run(1, 2, [b"ccddeeff"], L16_STEREO))


def test_a_gap_keeps_its_cause_behind_the_mask() -> None:
    masks = masks_of((100, 200))
    gap = Gap(150, 100, GapCause.DROPPED, "disk full")
    rest = Gap(200, 50, GapCause.DROPPED, "disk full")
    assert masks.split(gap) == (masked(150, 50), rest)


@pytest.mark.parametrize(
    "run",
    [
        Run(150, 960, [b"\xfc\0\0"], OPUS),
        Run(150, 320, [bytes(160)], AudioFormat(Codec.PCMU, 4000)),
    ],
    ids=["packets", "another rate"],
)
def test_what_has_no_place_to_cut_is_kept_out_as_a_whole(run: Run) -> None:
    assert masks_of((100, 200)).split(run) == (masked(150, run.length), None)


@pytest.mark.parametrize(
    ("start", "is_hidden"),
    [(19, False), (20, False), (21, True), (199, True), (200, False), (350, True)],
)
def test_a_digit_is_kept_out_if_any_of_it_is_masked(
    start: int, is_hidden: bool
) -> None:
    masks = masks_of((100, 200), (300, 400))
    assert masks.hides(Digit(start, "5", 80)) is is_hidden


def test_the_oldest_are_forgotten_and_the_last_is_not() -> None:
    masks = Masks()
    for at in range(0, 10 * (MAX_SPANS + 1), 10):
        masks.begin(at)
        masks.end(at + 5)
    assert not masks.hides(Digit(0, "5", 1))
    assert masks.hides(Digit(10, "5", 1))
    masks.begin(at + 10)
    assert masks.is_on


@given(
    borders=st.lists(st.integers(0, 300), max_size=10),
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=20),
)
def test_each_sample_is_kept_or_in_a_gap_exactly_once(
    borders: list[int], lengths: list[int]
) -> None:
    """Pauses and runs in any order: nothing that is masked is kept."""
    masks, told, kept, out = Masks(), 0, [], []
    ends = sorted(borders)
    for at, length in enumerate(lengths):
        if at < len(ends):
            masks.begin(told) if at % 2 == 0 else masks.end(max(told, ends[at]))
        if told < masks.border:
            gap, rest = masks.split(a_run(told, bytes([at + 1]) * length))
            out.append((gap.start, gap.start + gap.length))
        else:
            rest = a_run(told, bytes([at + 1]) * length)
        if rest is not None:
            assert rest.start >= masks.border
            kept.append((rest.start, rest.start + rest.length))
        told += length
    spans = sorted(kept + out)
    assert (spans[0][0], spans[-1][1]) == (0, told)
    assert all(end == start for (_, end), (start, _) in pairwise(spans))
