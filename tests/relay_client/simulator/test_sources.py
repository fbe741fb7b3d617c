"""Sources are pure functions of the sample number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from relay_client.simulator import OptionsError
from relay_client.simulator.feed import AudioFeed
from relay_client.simulator.sources import make_source, mix

POSITIONS = st.integers(0, 10_000_000)
COUNTS = st.integers(0, 2000)


@given(start=POSITIONS, first=COUNTS, second=COUNTS)
def test_a_tone_is_the_same_in_one_piece_and_in_two(
    start: int, first: int, second: int
) -> None:
    tone = make_source("tone:440@0.9", 8000)
    pieces = [tone.read(start, first), tone.read(start + first, second)]

    whole = tone.read(start, first + second)
    assert np.array_equal(np.concatenate(pieces), whole)


def test_a_tone_has_its_frequency_and_amplitude() -> None:
    samples = make_source("tone:1000@0.5", 8000).read(0, 8000)
    spectrum = np.abs(np.fft.rfft(samples))

    assert int(np.argmax(spectrum)) == 1000
    assert np.max(np.abs(samples)) == round(0.5 * 32767)


@given(start=POSITIONS, first=COUNTS, second=COUNTS)
def test_noise_is_the_same_in_one_piece_and_in_two(
    start: int, first: int, second: int
) -> None:
    noise = make_source("noise", 8000)
    pieces = [noise.read(start, first), noise.read(start + first, second)]

    whole = noise.read(start, first + second)
    assert np.array_equal(np.concatenate(pieces), whole)


def test_noise_has_its_amplitude_and_no_structure() -> None:
    samples = make_source("noise:0.5", 8000).read(0, 80_000).astype(float)

    assert np.abs(samples).max() == pytest.approx(0.5 * 32768, rel=0.001)
    assert samples.std() == pytest.approx(0.5 * 32768 / 3**0.5, rel=0.01)
    assert abs(np.corrcoef(samples[1:], samples[:-1])[0, 1]) < 0.02


@pytest.mark.parametrize("spec", ["noise:2", "noise:loud", "noise:nan"])
def test_noise_that_cannot_be_is_refused(spec: str) -> None:
    with pytest.raises(OptionsError, match="noise:AMPLITUDE"):
        make_source(spec, 8000)


def test_both_parties_can_be_heard_by_turns() -> None:
    feed = AudioFeed("tone:440", "tone:880")
    heard = feed.read_by_turns("both", 8000, 5, 100)

    assert np.array_equal(heard[0::2], feed.read("speak", 8000, 5, 100))
    assert np.array_equal(heard[1::2], feed.read("listen", 8000, 5, 100))


def test_silence_is_silent() -> None:
    assert not make_source("silence", 8000).read(5, 100).any()


def test_a_stereo_file_is_mixed_down_and_resampled(tmp_path: Path) -> None:
    time = np.arange(16_000) / 16_000
    tone = np.sin(2 * np.pi * 500 * time)
    path = tmp_path / "stereo.wav"
    soundfile.write(path, np.stack([0.8 * tone, 0.2 * tone], axis=1), 16_000)
    samples = make_source(str(path), 8000).read(0, 10_000)

    assert int(np.argmax(np.abs(np.fft.rfft(samples[:8000])))) == 500
    assert np.max(np.abs(samples)) == pytest.approx(0.5 * 32768, rel=0.02)
    assert not samples[8100:].any()


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "changing.wav"
    soundfile.write(path, np.full(10, 100, np.int16), 8000)
    before = make_source(str(path), 8000).read(0, 10)
    soundfile.write(path, np.full(12, 200, np.int16), 8000)
    after = make_source(str(path), 8000).read(0, 10)

    assert set(before) == {100}
    assert set(after) == {200}


@given(st.lists(st.tuples(st.integers(-32768, 32767), st.integers(-32768, 32767))))
def test_a_mix_is_the_saturating_sum(pairs: list[tuple[int, int]]) -> None:
    first = np.array([a for a, _ in pairs], np.int16)
    second = np.array([b for _, b in pairs], np.int16)

    expected = [max(-32768, min(32767, a + b)) for a, b in pairs]
    assert mix(first, second).tolist() == expected


@pytest.mark.parametrize(
    "spec", ["", "tone:", "tone:0", "tone:-1", "tone:1@2", "tone:1@x", "nothing.wav"]
)
def test_what_is_no_source_is_refused(spec: str) -> None:
    with pytest.raises(OptionsError):
        make_source(spec, 8000)


def test_a_feed_begins_at_its_offset() -> None:
    feed = AudioFeed("tone:440", "tone:880", offset=0.5)
    tone = make_source("tone:440", 8000)

    assert np.array_equal(feed.read("speak", 8000, 0, 10), tone.read(4000, 10))
