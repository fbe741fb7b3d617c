import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.audio import AudioFormat, Codec
from server.taps.wav_header import is_riff_but_not_wav, parse_wav_header


def chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
    size = len(body) if size is None else size
    return name + struct.pack("<I", size) + body + bytes(len(body) % 2)


def fmt(tag: int, channels: int, rate: int, bits: int, more: bytes = b"") -> bytes:
    frame = channels * bits // 8
    body = struct.pack("<HHIIHH", tag, channels, rate, rate * frame, frame, bits)
    return chunk(b"fmt ", body + more)


def wav(*chunks: bytes) -> bytes:
    data = chunk(b"data", b"", 0xFFFFFFFF)
    return b"RIFF" + bytes(4) + b"WAVE" + b"".join(chunks) + data


def format_in(data: bytes) -> AudioFormat | None:
    header = parse_wav_header(data)
    assert header is not None
    return header.format


EXTENSIBLE = struct.pack("<HHI", 22, 16, 0) + b"\x01\x00" + bytes(14)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (fmt(1, 1, 16000, 16), AudioFormat(Codec.L16, 16000, 1, "little")),
        (fmt(1, 2, 48000, 16), AudioFormat(Codec.L16, 48000, 2, "little")),
        (fmt(7, 1, 8000, 8), AudioFormat(Codec.PCMU, 8000, 1, "little")),
        (fmt(6, 1, 8000, 8), AudioFormat(Codec.PCMA, 8000, 1, "little")),
        (
            fmt(0xFFFE, 1, 8000, 16, EXTENSIBLE),
            AudioFormat(Codec.L16, 8000, 1, "little"),
        ),
    ],
)
def test_formats_that_can_be_decoded(data: bytes, expected: AudioFormat) -> None:
    assert format_in(wav(data)) == expected


@pytest.mark.parametrize(
    "data",
    [
        fmt(1, 1, 8000, 24),
        fmt(3, 1, 8000, 32),
        fmt(1, 9, 8000, 16),
        chunk(b"fmt ", b"\x01\x00"),
        b"",
    ],
    ids=["24 bits", "float", "nine channels", "short fmt", "no fmt"],
)
def test_formats_that_cannot(data: bytes) -> None:
    assert format_in(wav(data)) is None


def test_the_header_ends_where_the_audio_begins() -> None:
    data = wav(chunk(b"LIST", b"odd"), fmt(7, 1, 8000, 8), chunk(b"fact", bytes(4)))
    header = parse_wav_header(data + b"audio")
    assert header is not None
    assert header.length == len(data)


def test_a_header_is_incomplete_until_its_last_byte() -> None:
    data = wav(fmt(7, 1, 8000, 8))
    assert all(parse_wav_header(data[:at]) is None for at in range(4, len(data)))


def test_a_header_without_end_is_given_up() -> None:
    header = parse_wav_header(wav(chunk(b"JUNK", bytes(5000))))
    assert header is not None
    assert header.format is None


def test_riff_of_another_kind_is_no_wav() -> None:
    assert is_riff_but_not_wav(b"RIFF....AVI ")
    assert not is_riff_but_not_wav(b"RIFF....WAVE")
    assert not is_riff_but_not_wav(b"RIFF....AV")


@given(st.binary(max_size=200))
def test_any_bytes_are_survived(data: bytes) -> None:
    header = parse_wav_header(b"RIFF....WAVE" + data)
    assert header is None or header.length <= 12 + len(data)
