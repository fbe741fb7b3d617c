import numpy as np
import pytest

from server.audio import Samples
from server.codecs.resampler import Resampler
from tests.server.codecs.opus_sender import tone


def convert_in_runs(source: Samples, rate_in: int, rate_out: int, run: int) -> Samples:
    resampler = Resampler(rate_in, rate_out)
    pieces = []
    given = done = 0
    for at in range(0, len(source), run):
        piece = source[at : at + run].reshape(-1, 1)
        given += len(piece)
        length = given * rate_out // rate_in - done
        pieces.append(resampler.convert(piece, length, follows=at > 0))
        assert len(pieces[-1]) == length
        done += length
    return np.concatenate(pieces)[:, 0]


@pytest.mark.parametrize(
    ("rate_in", "rate_out"),
    [(8000, 16000), (16000, 8000), (8000, 48000), (48000, 8000), (8000, 44100)],
)
@pytest.mark.parametrize("run", [160, 1000, 8001])
def test_a_tone_in_runs_stays_in_place_without_clicks(
    rate_in: int, rate_out: int, run: int
) -> None:
    """At the joints, too, it is the tone itself, to a twelfth of its height.

    What lies between the last sample of a run and the first of the next is guessed.
    """
    result = convert_in_runs(tone(1.0, rate=rate_in), rate_in, rate_out, run)
    expected = tone(1.0, rate=rate_out)[: len(result)]
    difference = np.abs(result.astype(int) - expected)
    edge = rate_out // 100
    assert difference[edge:-edge].max() < 8000 / 12 + 5 + phase_error(rate_in, rate_out)


def phase_error(rate_in: int, rate_out: int) -> float:
    """A run may begin between two samples of the track: one sample of a 440 Hz tone."""
    if rate_out % rate_in == 0:
        return 0.0
    return 8000 * 2 * np.pi * 440 / rate_out


def test_a_new_beginning_forgets_the_audio_before() -> None:
    resampler = Resampler(8000, 16000)
    loud = np.full((800, 1), 20000, np.int16)
    silent = np.zeros((800, 1), np.int16)
    resampler.convert(loud, 1600, follows=False)
    assert not resampler.convert(silent, 1600, follows=False).any()


def test_overshoot_is_clipped_and_does_not_wrap() -> None:
    square = np.repeat([32767, -32768] * 40, 20).astype(np.int16).reshape(-1, 1)
    result = Resampler(8000, 48000).convert(square, len(square) * 6, follows=False)
    middle_of_steps = result[:, 0].reshape(-1, 120)[:, 60]
    assert (np.sign(middle_of_steps) == np.sign(square[10::20, 0])).all()


def test_an_empty_run_converts_to_nothing() -> None:
    resampler = Resampler(8000, 16000)
    empty = np.zeros((0, 1), np.int16)
    assert resampler.convert(empty, 0, follows=False).shape == (0, 1)
