import numpy as np
import pytest

from server.audio import (
    OPUS_RATE,
    PCMA_8000,
    PCMU_8000,
    AudioFormat,
    Codec,
    Run,
    Samples,
)
from server.codecs.registry import decoder_for
from tests.server.codecs.opus_sender import DAMAGED, opus_packets, tone

OPUS = AudioFormat(Codec.OPUS, OPUS_RATE)
L16 = AudioFormat(Codec.L16, 8000)


def l16_run(start: int, length: int, samples: Samples) -> Run:
    return Run(start, length, [samples.astype(">i2").tobytes()], L16)


@pytest.mark.parametrize(
    ("format", "payload", "expected"),
    [
        (PCMU_8000, b"\x80\xff", [[32124], [0]]),
        (PCMA_8000, b"\xd5\x55", [[8], [-8]]),
        (L16, b"\x00\x01\x00\x02", [[1], [2]]),
        (AudioFormat(Codec.L16, 8000, 2, "little"), b"\x01\x00\x02\x00", [[1, 2]]),
    ],
)
def test_each_codec_at_the_rate_of_its_track(
    format: AudioFormat, payload: bytes, expected: list[list[int]]
) -> None:
    decoder = decoder_for(format, format.sample_rate, format.channels)
    run = Run(0, len(expected), [payload], format)
    assert decoder.decode(run).tolist() == expected
    assert not decoder.is_heavy
    assert decoder.errors == 0


def test_payloads_are_joined_in_order() -> None:
    decoder = decoder_for(L16, 8000, 1)
    run = Run(0, 3, [b"\x00\x01", b"\x00\x02\x00\x03"], L16)
    assert decoder.decode(run)[:, 0].tolist() == [1, 2, 3]


def test_half_a_sample_does_not_shift_the_payload_behind_it() -> None:
    decoder = decoder_for(L16, 8000, 1)
    run = Run(0, 2, [b"\x00\x01\x09", b"\x00\x02"], L16)
    assert decoder.decode(run)[:, 0].tolist() == [1, 2]


def test_missing_payload_becomes_zeros_of_the_right_length() -> None:
    decoder = decoder_for(PCMU_8000, 8000, 1)
    run = Run(0, 4, [b"\x80"], PCMU_8000)
    assert decoder.decode(run)[:, 0].tolist() == [32124, 0, 0, 0]


def test_mono_fills_both_channels_and_stereo_is_mixed_down() -> None:
    stereo = AudioFormat(Codec.L16, 8000, 2)
    two = decoder_for(L16, 8000, 2).decode(Run(0, 1, [b"\x00\x04"], L16))
    one = decoder_for(stereo, 8000, 1).decode(Run(0, 1, [b"\x00\x02\x00\x04"], stereo))
    assert two.tolist() == [[4, 4]]
    assert one.tolist() == [[3]]


def test_opus_is_heavy_and_has_exactly_the_length_of_its_run() -> None:
    packets = opus_packets(0.2)
    decoder = decoder_for(OPUS, OPUS_RATE, 1)
    run = Run(0, 960 * len(packets), packets, OPUS)
    assert decoder.decode(run).shape == (run.length, 1)
    assert decoder.is_heavy


def test_a_run_shorter_than_its_payloads_ends_with_them() -> None:
    """The start of an Opus stream is warm-up that must not be heard."""
    packets = opus_packets(0.2)
    length = 960 * len(packets)
    whole = decoder_for(OPUS, OPUS_RATE, 1).decode(Run(0, length, packets, OPUS))
    cut = decoder_for(OPUS, OPUS_RATE, 1).decode(Run(0, length - 312, packets, OPUS))
    assert np.array_equal(cut, whole[312:])


def test_warm_up_is_left_out_before_resampling_too() -> None:
    packets = opus_packets(0.5)
    length = (960 * len(packets) - 312) // 6
    result = decoder_for(OPUS, 8000, 1).decode(Run(0, length, packets, OPUS))
    expected = tone(0.5, rate=8000)[:length].astype(float)
    likeness = np.corrcoef(result[800 : len(expected), 0], expected[800:])
    assert likeness[0, 1] > 0.99


def test_damaged_opus_is_counted() -> None:
    decoder = decoder_for(OPUS, OPUS_RATE, 1)
    decoder.decode(Run(0, 1920, [DAMAGED], OPUS))
    assert decoder.errors == 1


def test_another_rate_than_the_track_is_resampled_in_place() -> None:
    decoder = decoder_for(L16, 16000, 1)
    source = tone(0.5, rate=8000)
    first = decoder.decode(l16_run(100, 4000, source[:2000]))
    second = decoder.decode(l16_run(4100, 4000, source[2000:]))
    result = np.concatenate([first, second])[:, 0]
    expected = tone(0.5, rate=16000)
    assert np.abs(result[200:-200].astype(int) - expected[200:-200]).max() < 160
    assert decoder.is_heavy
    assert decoder.errors == 0


def test_audio_behind_a_gap_is_resampled_without_the_audio_before_it() -> None:
    decoder = decoder_for(L16, 16000, 1)
    decoder.decode(l16_run(0, 1600, np.full(800, 20000, np.int16)))
    silent = decoder.decode(l16_run(2000, 1600, np.zeros(800, np.int16)))
    assert not silent.any()
