"""How what is in a recording is compared with what was sent.

The decoders here are FFmpeg's, through PyAV, and the `array` of the machine: nothing
that the server decodes with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import av
import numpy as np
import numpy.typing as npt

from relay_client.simulator import SentAudio, SimCall
from tests.e2e.rig import Audio, loudness_at

SPEAK_HZ = 440
LISTEN_HZ = 1130
SPEECH = f"tone:{SPEAK_HZ}@0.4"
PROMPT = f"tone:{LISTEN_HZ}@0.3"

OPUS_RATE = 48_000

Levels = npt.NDArray[np.float64]


def delivered(call: SimCall, track: int = 0) -> list[SentAudio]:
    """Return what reached the server of one track of the only tap, in order."""
    (tap,) = call.taps.values()
    entries = [e for e in tap.sent if e.delivered and e.track == track]
    return sorted(entries, key=lambda entry: entry.start)


def sent_samples(call: SimCall) -> int:
    """Return how long the only tap was, from first to last sample, lost ones too."""
    (tap,) = call.taps.values()
    return max(e.start + e.samples for e in tap.sent) - min(e.start for e in tap.sent)


def l16_reference(
    sent: Sequence[SentAudio], byte_order: Literal["little", "big"]
) -> Audio:
    """Read contiguous 16-bit audio, whose messages may have odd lengths."""
    data = b"".join(entry.payload for entry in sent)
    # The end of the tap may cut a sample in two.
    data = data[: len(data) // 2 * 2]
    samples = np.frombuffer(data, "<i2" if byte_order == "little" else ">i2")
    return samples.astype(np.int16)


def opus_reference(sent: Sequence[SentAudio]) -> Audio:
    """Decode packets with FFmpeg's own Opus decoder, which is not libopus."""
    decoder = av.CodecContext.create("opus", "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.sample_rate = OPUS_RATE
    decoder.layout = "mono"
    frames = [f for entry in sent for f in decoder.decode(av.Packet(entry.payload))]
    frames += decoder.decode(None)
    samples = np.concatenate([frame.to_ndarray().ravel() for frame in frames])
    clipped: Audio = np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)
    return clipped


def levels_db(audio: Audio) -> Levels:
    """Return the level of each 20 ms at 48 kHz, in dB of full scale."""
    usable = audio[: len(audio) // 960 * 960].reshape(-1, 960) / 32768
    mean_square = np.square(usable).mean(axis=1)
    levels: Levels = 10 * np.log10(np.maximum(mean_square, 1e-9))
    return levels


def assert_within_a_decibel(audio: Audio, expected: Audio) -> None:
    """Compare levels, overall and for each 20 ms, and where the sound is in time."""
    length = min(len(audio), len(expected))
    assert abs(len(audio) - len(expected)) <= 960
    one, other = audio[:length], expected[:length]
    assert abs(levels_db(one) - levels_db(other)).max() <= 1
    error = np.square((one.astype(float) - other) / 32768).mean()
    signal = np.square(other / 32768).mean()
    # A shift by a few samples would show here, though not in the levels.
    assert 10 * np.log10(signal / max(error, 1e-12)) >= 20


def has_tone(audio: Audio, rate: int, hertz: int) -> bool:
    """Tell whether a tone of the calls here is in `audio`."""
    return loudness_at(audio, rate, hertz) > 0.1


def tones(audio: Audio, rate: int) -> set[int]:
    """Return which of the two tones of a call are heard."""
    return {hertz for hertz in (SPEAK_HZ, LISTEN_HZ) if has_tone(audio, rate, hertz)}
