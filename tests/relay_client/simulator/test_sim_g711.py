"""The encoders against an independent implementation of G.711."""

from __future__ import annotations

from collections.abc import Callable

import av
import numpy as np
import pytest

from relay_client.simulator.g711 import encode_alaw, encode_ulaw

Encode = Callable[[np.ndarray], bytes]

EVERY_SAMPLE = np.arange(-32768, 32768, dtype=np.int16)


def decode(name: str, data: bytes) -> np.ndarray:
    """Decode with PyAV."""
    context = av.CodecContext.create(name, "r")
    assert isinstance(context, av.AudioCodecContext)
    context.sample_rate = 8000
    context.layout = "mono"
    frames = context.decode(av.Packet(data))
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


@pytest.mark.parametrize("silence", [(encode_ulaw, b"\xff"), (encode_alaw, b"\xd5")])
def test_zero_is_the_silence_byte(silence: tuple[Encode, bytes]) -> None:
    encode, expected = silence
    assert encode(np.zeros(1, np.int16)) == expected


@pytest.mark.parametrize(
    ("name", "encode"), [("pcm_mulaw", encode_ulaw), ("pcm_alaw", encode_alaw)]
)
def test_every_code_survives_decoding_and_encoding(name: str, encode: Encode) -> None:
    codes = bytes(range(256))
    again = encode(decode(name, codes))

    # µ-law has two zeros, 0x7F and 0xFF; both decode to the sample 0.
    expected = codes.replace(b"\x7f", b"\xff") if name == "pcm_mulaw" else codes
    assert again == expected


@pytest.mark.parametrize(
    ("name", "encode", "coarse"),
    [("pcm_mulaw", encode_ulaw, 644), ("pcm_alaw", encode_alaw, 512)],
)
def test_every_sample_decodes_to_its_neighbourhood(
    name: str, encode: Encode, coarse: int
) -> None:
    heard = decode(name, encode(EVERY_SAMPLE)).astype(np.int32)
    error = np.abs(heard - EVERY_SAMPLE)

    # Half a step of the loudest segment; steps shrink with the loudness.
    assert error.max() <= coarse
    quiet = np.abs(EVERY_SAMPLE.astype(np.int32)) < 128
    assert error[quiet].max() <= 8
    assert np.all(np.diff(heard) >= 0)
