import numpy as np
import pytest

from server.audio import ByteOrder
from server.taps.byte_order import guess_byte_order, is_order_free


def speech(channels: int = 1) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Return something like a voice: harmonics that swell, and a little noise."""
    time = np.arange(8000) / 8000
    voice = sum(np.sin(2 * np.pi * 120 * n * time) / n for n in range(1, 9))
    noise = np.random.default_rng(1).normal(0, 20, 8000)
    swelling = np.sin(2 * np.pi * 3 * time) ** 2
    samples: np.ndarray[tuple[int], np.dtype[np.float64]]
    samples = np.repeat(3000 * voice * swelling + noise, channels)
    return samples


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("level", [1.0, 0.01])
def test_the_order_of_a_voice_is_found_at_any_level(
    order: ByteOrder, channels: int, level: float
) -> None:
    wire = "<i2" if order == "little" else ">i2"
    data = (speech(channels) * level).astype(wire).tobytes()
    assert guess_byte_order(data, channels) == order


def test_without_a_difference_it_is_little_endian() -> None:
    assert guess_byte_order(bytes(64), 1) == "little"


def test_silence_needs_no_order_and_sound_does() -> None:
    assert is_order_free(bytes(64))
    assert is_order_free(b"\xff\xff")
    assert not is_order_free(b"\x01\x00")
