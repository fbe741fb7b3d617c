"""G.711 as it came, or the nearest there is of what came otherwise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from server.audio import PCMA_8000, PCMU_8000, AudioFormat, Codec, Run
from server.codecs.g711 import decode_alaw, decode_mulaw, encode_alaw, encode_mulaw
from server.codecs.native import NativeAudio
from tests.server.sinks.test_runner import INFO

EVERY = bytes(range(256))


def test_decoding_and_encoding_gives_the_same_byte() -> None:
    # Of the two zeros of µ-law one is enough.
    assert encode_mulaw(decode_mulaw(EVERY)) == EVERY.replace(b"\x7f", b"\xff")
    assert encode_alaw(decode_alaw(EVERY)) == EVERY


@pytest.mark.parametrize(
    ("encode", "decode"), [(encode_mulaw, decode_mulaw), (encode_alaw, decode_alaw)]
)
def test_every_sample_becomes_the_nearest_code(encode, decode) -> None:  # type: ignore[no-untyped-def]
    samples = np.arange(-32768, 32768, dtype=np.int64)
    found = decode(encode(samples.astype(np.int16))).astype(np.int64)
    values = np.sort(decode(EVERY).astype(np.int64))
    at = np.searchsorted(values, samples).clip(1, 255)
    best = np.minimum(abs(samples - values[at - 1]), abs(samples - values[at]))
    np.testing.assert_array_equal(abs(samples - found), best)


def test_a_run_of_the_tracks_codec_is_kept_to_the_byte() -> None:
    native = NativeAudio.of(replace(INFO, encoding="native"))
    assert native is not None
    run = Run(0, 256, [EVERY[:100], EVERY[100:]], PCMU_8000)
    assert native.of_run(run, decode_mulaw(EVERY).reshape(-1, 1)) == EVERY


@pytest.mark.parametrize("format", [PCMA_8000, AudioFormat(Codec.PCMU, 16_000)])
def test_what_comes_in_another_format_is_put_into_the_tracks(
    format: AudioFormat,
) -> None:
    native = NativeAudio.of(replace(INFO, encoding="native"))
    assert native is not None
    samples = decode_alaw(EVERY).reshape(-1, 1)
    run = Run(0, 256, [EVERY], format)
    assert native.of_run(run, samples) == encode_mulaw(samples)


def test_a_run_with_silence_at_its_end_is_as_long_as_its_samples() -> None:
    native = NativeAudio.of(replace(INFO, encoding="native", codec=Codec.PCMA))
    assert native is not None
    run = Run(0, 4, [b"\xd5\x55"], PCMA_8000)
    samples = np.array([[8], [-8], [0], [0]], np.int16)
    assert len(native.of_run(run, samples)) == 4


@pytest.mark.parametrize("codec", [Codec.L16, Codec.OPUS])
def test_other_codecs_are_recorded_as_samples(codec: Codec) -> None:
    assert NativeAudio.of(replace(INFO, encoding="native", codec=codec)) is None
    assert NativeAudio.of(INFO) is None
