"""Samples in another format, whatever blocks they come in."""

from __future__ import annotations

import random

import numpy as np
import pytest
import soxr

from server.audio import AudioFormat, Codec, Samples, opus_samples
from server.codecs.convert import Converter, StreamResampler, silence
from server.codecs.opus import OpusDecoder
from server.codecs.samples import with_channels


def a_sweep(rate: int, seconds: float, top: float) -> Samples:
    time = np.arange(int(rate * seconds)) / rate
    phase = 2 * np.pi * (50 * time + (top - 50) / (2 * seconds) * time**2)
    wave: Samples = np.rint(12_000 * np.sin(phase)).astype(np.int16)[:, None]
    return wave


def in_blocks(resampler: StreamResampler, samples: Samples, seed: int) -> Samples:
    chance = random.Random(seed)
    found, at = [], 0
    while at < len(samples):
        size = chance.randint(1, 700)
        found.append(resampler.convert(samples[at : at + size]))
        at += size
    found.append(resampler.convert(samples[:0], last=True))
    return np.concatenate(found)


@pytest.mark.parametrize("seed", range(3))
def test_blocks_of_any_size_give_what_the_whole_gives(seed: int) -> None:
    sweep = a_sweep(8000, 3.0, top=3800)
    at_16 = in_blocks(StreamResampler(8000, 16_000, 1), sweep, seed)
    at_48 = in_blocks(StreamResampler(16_000, 48_000, 1), at_16, seed + 100)
    once = soxr.resample(sweep.astype(np.float32), 8000, 16_000)
    expected = soxr.resample(np.rint(once), 16_000, 48_000)

    length = min(len(at_48), len(expected))
    difference = at_48[:length].astype(float) - expected[:length]

    assert abs(len(at_48) - len(expected)) <= 6
    ratio = np.sqrt(np.mean(difference**2) / np.mean(expected[:length] ** 2))
    assert 20 * np.log10(ratio) < -80


RATES = [8000, 16_000, 24_000, 44_100, 48_000]


@pytest.mark.parametrize("rate_in", RATES)
@pytest.mark.parametrize("rate_out", RATES)
def test_it_is_behind_by_its_reach_and_ends_with_the_whole(
    rate_in: int, rate_out: int
) -> None:
    """A forward has 100 ms in all."""
    sweep = a_sweep(rate_in, 1.0, top=3800)
    resampler, found = StreamResampler(rate_in, rate_out, 1), []
    size, given, taken = rate_in // 50, 0, 0
    while given < len(sweep):
        found.append(resampler.convert(sweep[given : given + size]))
        given += size
        taken += len(found[-1])
        assert -0.001 < given / rate_in - taken / rate_out < 0.03
    found.append(resampler.convert(sweep[:0], last=True))
    whole = np.concatenate(found).astype(float)
    expected = soxr.resample(sweep.astype(np.float32), rate_in, rate_out)
    assert len(whole) == len(expected)
    difference = np.sqrt(np.mean((whole - expected.astype(float)) ** 2))
    # -80 dB.
    assert difference < 1e-4 * np.sqrt(np.mean(expected.astype(float) ** 2))


def test_what_has_no_sample_yet_gives_none_and_stereo_stays_stereo() -> None:
    resampler = StreamResampler(8000, 48_000, 2)
    one = np.ones((1, 2), np.int16)
    assert resampler.convert(one).shape == (0, 2)
    assert resampler.convert(one[:0], last=True).shape == (6, 2)


def test_overshoot_is_clipped_and_does_not_wrap() -> None:
    square = np.repeat([32_767, -32_768] * 20, 20).astype(np.int16)[:, None]
    found = StreamResampler(8000, 48_000, 1).convert(square, last=True)
    middle_of_steps = found[:, 0].reshape(-1, 120)[:, 60]
    assert (np.sign(middle_of_steps) == np.sign(square[10::20, 0])).all()


def test_samples_become_each_format() -> None:
    samples = np.array([[1], [-2], [300]], np.int16)

    def converted(wanted: AudioFormat) -> bytes:
        return b"".join(Converter(8000, wanted).convert(samples))

    little = AudioFormat(Codec.L16, 8000, byte_order="little")
    stereo = AudioFormat(Codec.L16, 8000, 2, byte_order="big")

    assert converted(little) == samples.astype("<i2").tobytes()
    twice = np.repeat(samples, 2, axis=1).astype(">i2").tobytes()
    assert converted(stereo) == twice
    assert len(converted(AudioFormat(Codec.PCMA))) == 3
    assert len(converted(AudioFormat(Codec.PCMU))) == 3
    assert b"".join(Converter(8000, little).finish()) == b""


def test_silence_is_as_long_as_it_says() -> None:
    assert silence(2, AudioFormat(Codec.PCMU)) == b"\xff\xff"
    assert silence(2, AudioFormat(Codec.L16, 8000, 2)) == bytes(8)
    assert silence(2, AudioFormat(Codec.OPUS, 48_000)) == b""


def test_channels_are_mixed_or_copied() -> None:
    stereo = np.array([[10, 20]], np.int16)
    assert with_channels(stereo, 1).tolist() == [[15]]
    assert with_channels(np.array([[7]], np.int16), 2).tolist() == [[7, 7]]
    assert with_channels(stereo, 2) is stereo


@pytest.mark.parametrize("rate", [None, 8000, 16_000])
@pytest.mark.parametrize("seed", range(2))
def test_opus_is_one_stream_whatever_blocks_it_came_in(
    rate: int | None, seed: int
) -> None:
    """Block edges are not heard, though a sample rounded otherwise changes packets."""
    chance = random.Random(seed)
    sweep = a_sweep(8000, 1.0, top=3400)
    opus = AudioFormat(Codec.OPUS, 48_000)
    once = Converter(8000, opus, rate)
    whole = once.convert(sweep) + once.finish()
    cut, found, at = Converter(8000, opus, rate), [], 0
    while at < len(sweep):
        size = chance.randint(1, 700)
        found += cut.convert(sweep[at : at + size])
        at += size
    found += cut.finish()

    decoded = OpusDecoder(1).decode(found)[:, 0].astype(float)
    expected = OpusDecoder(1).decode(whole)[:, 0].astype(float)

    assert len(found) == len(whole)
    assert {opus_samples(packet) for packet in found} == {960}
    difference = np.sqrt(np.mean((decoded - expected) ** 2))
    # -40 dB.
    assert difference < 0.01 * np.sqrt(np.mean(expected**2))
