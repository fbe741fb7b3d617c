import av
import numpy as np
import pytest
from av import CodecContext
from av.audio.codeccontext import AudioCodecContext

from server.audio import Samples
from server.codecs.g711 import decode_alaw, decode_mulaw

EVERY_CODE = bytes(range(256))


def decode_with_libav(codec: str, data: bytes) -> Samples:
    context = CodecContext.create(codec, "r")
    assert isinstance(context, AudioCodecContext)
    context.sample_rate = 8000
    context.layout = "mono"
    (decoded,) = context.decode(av.Packet(data))
    return decoded.to_ndarray().reshape(-1).astype(np.int16)


def test_mulaw_agrees_with_libav_on_every_code() -> None:
    expected = decode_with_libav("pcm_mulaw", EVERY_CODE)
    assert np.array_equal(decode_mulaw(EVERY_CODE), expected)


def test_alaw_agrees_with_libav_on_every_code() -> None:
    expected = decode_with_libav("pcm_alaw", EVERY_CODE)
    assert np.array_equal(decode_alaw(EVERY_CODE), expected)


@pytest.mark.parametrize("code", [0xFF, 0x7F])
def test_mulaw_silence_is_zero(code: int) -> None:
    assert decode_mulaw(bytes([code])).tolist() == [0]


@pytest.mark.parametrize("code", [0xD5, 0x55])
def test_alaw_silence_is_the_smallest_step(code: int) -> None:
    """A-law has no zero: its quietest codes are one half step off."""
    assert abs(decode_alaw(bytes([code]))).tolist() == [8]


def test_nothing_decodes_to_nothing() -> None:
    assert decode_mulaw(b"").size == decode_alaw(b"").size == 0
