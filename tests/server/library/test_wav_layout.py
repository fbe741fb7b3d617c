"""One header for every length and encoding, and it is recognised again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.audio import Codec
from server.library.wav_layout import Encoding, WavLayout

LAYOUTS = st.builds(
    WavLayout,
    st.sampled_from([8000, 16_000, 44_100, 48_000]),
    st.integers(min_value=1, max_value=2),
    st.sampled_from(Encoding),
)


@given(layout=LAYOUTS, samples=st.none() | st.integers(0, 2**40))
def test_a_header_is_as_long_as_said_and_recognised(
    layout: WavLayout, samples: int | None
) -> None:
    header = layout.header(samples)
    assert len(header) == layout.audio_at
    assert layout.audio_at % 2 == 0
    assert WavLayout.parse(header + b"audio") == layout


@given(layout=LAYOUTS, samples=st.integers(0, 2**40), extra=st.integers(0, 3))
def test_the_length_of_a_file_tells_its_samples(
    layout: WavLayout, samples: int, extra: int
) -> None:
    size = layout.audio_at + samples * layout.step
    assert layout.samples_in(size + min(extra, layout.step - 1)) == samples
    assert layout.file_size(samples) - size in (0, 1)


def test_beyond_32_bits_it_is_rf64() -> None:
    layout = WavLayout(8000, 1)
    largest = (2**32 - 2 - layout.audio_at + 8) // 2
    assert layout.header(largest)[:4] == b"RIFF"
    header = layout.header(largest + 1)
    assert (header[:8], header[12:16]) == (b"RF64\xff\xff\xff\xff", b"ds64")
    assert int.from_bytes(header[28:36], "little") == 2 * (largest + 1)
    assert int.from_bytes(header[36:44], "little") == largest + 1


@given(layout=LAYOUTS, samples=st.integers(0, 2**29))
def test_a_complete_header_tells_its_samples(layout: WavLayout, samples: int) -> None:
    assert WavLayout.samples_told(layout.header(samples)) == samples


@pytest.mark.parametrize(
    "head",
    [
        b"",
        bytes(200),
        WavLayout(8000, 1).header(None),
        WavLayout(8000, 1).header(2**33),
        WavLayout(8000, 1).header(5)[:-1],
    ],
    ids=["nothing", "zeros", "open", "RF64", "torn"],
)
def test_another_header_tells_nothing_of_its_samples(head: bytes) -> None:
    assert WavLayout.samples_told(head) is None


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"RIFF",
        bytes(200),
        WavLayout(8000, 1).header(5)[:70],
        # As of a file whose format was never written.
        WavLayout(8000, 1).header(5)[:56] + bytes(24),
        # With another chunk where ours are.
        WavLayout(8000, 1).header(5).replace(b"fmt ", b"LIST"),
    ],
)
def test_what_is_not_ours_is_not_taken_for_it(head: bytes) -> None:
    assert WavLayout.parse(head) is None


def test_only_g711_is_kept_as_it_is() -> None:
    assert [Encoding.native(codec) for codec in Codec] == [
        Encoding.MULAW,
        Encoding.ALAW,
        Encoding.PCM16,
        Encoding.PCM16,
    ]
