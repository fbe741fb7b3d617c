import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.audio import opus_samples
from server.codecs.opus import OpusDecoder
from tests.server.codecs.opus_sender import DAMAGED, opus_packets, tone


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("sent", [1, 2])
def test_decodes_to_the_channels_asked_for_whatever_was_sent(
    channels: int, sent: int
) -> None:
    decoder = OpusDecoder(channels)
    samples = decoder.decode(opus_packets(0.5, channels=sent))
    assert samples.shape[1] == channels
    assert np.abs(samples).max() > 5000
    assert decoder.errors == 0


def test_a_tone_comes_out_as_the_tone() -> None:
    samples = OpusDecoder(1).decode(opus_packets(1.0))[:, 0].astype(float)
    # 312 samples at 48 kHz is the encoder's delay.
    sent = tone(1.0)[: len(samples) - 312].astype(float)
    likeness = np.corrcoef(sent[4800:], samples[312 + 4800 :][: len(sent) - 4800])
    assert likeness[0, 1] > 0.99


def test_a_damaged_packet_becomes_zeros_of_its_own_length() -> None:
    good = opus_packets(0.1)
    decoder = OpusDecoder(1)
    samples = decoder.decode([good[0], DAMAGED, good[1]])
    assert len(samples) == 4 * 960
    assert not samples[960:2880].any()
    assert samples[2880:].any()
    assert decoder.errors == 1


def test_an_empty_packet_does_not_end_the_decoder() -> None:
    decoder = OpusDecoder(1)
    assert len(decoder.decode([b"", *opus_packets(0.1)])) > 0
    assert decoder.errors == 1


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=64), max_size=8))
def test_any_bytes_decode_to_the_length_they_state(packets: list[bytes]) -> None:
    samples = OpusDecoder(1).decode(packets)
    assert samples.shape == (sum(map(opus_samples, packets)), 1)
