"""The alarm on audio that is read rightly, and on the same audio read wrongly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from relay_client.simulator.g711 import encode_alaw, encode_ulaw
from server.audio import AudioWarning, Codec, Samples, WarningName
from server.codecs.g711 import decode_alaw, decode_mulaw
from server.quality.alarm import SoundAlarm
from server.quality.correlation import measure
from tests.voices import Audio, music, noise, square, to_int16, tones, voice

RATE = 8000
SECONDS = 12

GOOD: dict[str, Audio] = {
    "a low voice": voice(SECONDS, RATE, pitch=95, seed=1),
    "a high voice": voice(SECONDS, RATE, pitch=230, seed=2),
    "a quiet voice": voice(SECONDS, RATE, peak=900, seed=3),
    "a clipped voice": voice(SECONDS, RATE, peak=90_000, seed=4),
    "a voice with noise": voice(SECONDS, RATE, seed=5) + noise(SECONDS, RATE, 100),
    "music": music(SECONDS, RATE),
    "silence": np.zeros(SECONDS * RATE),
    "noise at -50 dBFS": noise(SECONDS, RATE, 104),
    "noise at -35 dBFS": noise(SECONDS, RATE, 583),
    "hum": tones(SECONDS, RATE, 50, amplitude=500) + noise(SECONDS, RATE, 4),
    "dial tone": tones(SECONDS, RATE, 425),
    "two tones": tones(SECONDS, RATE, 350, 440),
    "mirrored tones": tones(SECONDS, RATE, 400, 3600),
    "a tone on a whistle": tones(SECONDS, RATE, 800)
    + 5088 * np.cos(np.pi * np.arange(SECONDS * RATE)),
    "a digit": tones(SECONDS, RATE, 697, 1209),
    "1000 Hz": tones(SECONDS, RATE, 1000),
    "2000 Hz": tones(SECONDS, RATE, 2000),
    "fax": tones(SECONDS, RATE, 2100),
    "a high tone": tones(SECONDS, RATE, 3400),
    "a square wave": square(SECONDS, RATE, 440),
    "a fast square wave": square(SECONDS, RATE, 2000),
    "clicks": np.where(np.arange(SECONDS * RATE) % 37 == 0, 20_000.0, 0.0),
}


def hear(
    samples: Samples,
    codec: Codec | None,
    *,
    alarm: SoundAlarm | None = None,
    channels: int = 1,
    start: int = 0,
) -> list[AudioWarning]:
    """Let an alarm hear windows of a second."""
    alarm = alarm or SoundAlarm(RATE, channels)
    found = []
    for begin in range(0, len(samples), RATE * channels):
        window = samples[begin : begin + RATE * channels]
        shape = measure(window, channels)
        position = start + begin // channels
        found += alarm.receive(window, shape, codec, position, position + RATE)
    return found


def as_mulaw(audio: Audio) -> Samples:
    return decode_mulaw(encode_ulaw(to_int16(audio)))


def as_alaw(audio: Audio) -> Samples:
    return decode_alaw(encode_alaw(to_int16(audio)))


def mulaw_as_alaw(audio: Audio) -> Samples:
    return decode_alaw(encode_ulaw(to_int16(audio)))


def alaw_as_mulaw(audio: Audio) -> Samples:
    return decode_mulaw(encode_alaw(to_int16(audio)))


def swapped(audio: Audio) -> Samples:
    return to_int16(audio).byteswap()


def by_turns(*sides: Audio) -> Audio:
    return np.stack(sides, axis=1).reshape(-1)


@pytest.mark.parametrize("sound", GOOD)
@pytest.mark.parametrize(
    ("read", "codec"),
    [
        (as_mulaw, Codec.PCMU),
        (as_alaw, Codec.PCMA),
        (to_int16, Codec.L16),
        (to_int16, Codec.OPUS),
        (to_int16, None),
    ],
)
def test_what_is_read_rightly_raises_nothing(
    sound: str, read: Callable[[Audio], Samples], codec: Codec | None
) -> None:
    assert hear(read(GOOD[sound]), codec) == []


WRONG = [
    (mulaw_as_alaw, Codec.PCMA, WarningName.LAW),
    (alaw_as_mulaw, Codec.PCMU, WarningName.LAW),
    (swapped, Codec.L16, WarningName.BYTE_ORDER),
]


@pytest.mark.parametrize("sound", ["a low voice", "a high voice", "music"])
@pytest.mark.parametrize(("read", "codec", "name"), WRONG)
def test_what_is_read_wrongly_is_known_after_two_seconds(
    sound: str, read: Callable[[Audio], Samples], codec: Codec, name: WarningName
) -> None:
    (warning,) = hear(read(GOOD[sound][: 2 * RATE]), codec)
    assert (warning.name, warning.start, warning.end) == (name, 0, None)
    assert "Sounds as if" in warning.sentence
    assert len(hear(read(GOOD[sound]), codec)) == 1


@pytest.mark.parametrize(("read", "codec", "name"), WRONG)
def test_a_steady_tone_is_left_alone_however_they_are_read(
    read: Callable[[Audio], Samples], codec: Codec, name: WarningName
) -> None:
    assert hear(read(GOOD["dial tone"]), codec) == []


@pytest.mark.parametrize(("read", "codec", "name"), WRONG)
def test_silence_that_is_read_wrongly_says_nothing(
    read: Callable[[Audio], Samples], codec: Codec, name: WarningName
) -> None:
    assert hear(read(GOOD["silence"]), codec) == []
    # Some loud samples, and nothing in the other reading that could be judged.
    assert hear(read(noise(8, RATE, 3)), codec) == []


def test_noise_sounds_the_same_in_both_byte_orders() -> None:
    assert hear(swapped(GOOD["noise at -50 dBFS"] / 8), Codec.L16) == []


def test_a_warning_is_over_when_the_audio_is_right_again() -> None:
    alarm = SoundAlarm(RATE, 1)
    sound = GOOD["a low voice"]
    wrong = mulaw_as_alaw(sound[: 4 * RATE])
    (raised,) = hear(wrong, Codec.PCMA, alarm=alarm)
    (over,) = hear(as_alaw(sound), Codec.PCMA, alarm=alarm, start=4 * RATE)
    assert (over.name, over.start, over.end) == (raised.name, 0, 4 * RATE)


def test_a_warning_is_over_when_the_codec_changes_to_the_right_one() -> None:
    alarm = SoundAlarm(RATE, 1)
    sound = GOOD["a low voice"]
    hear(mulaw_as_alaw(sound[: 4 * RATE]), Codec.PCMA, alarm=alarm)
    (over,) = hear(as_mulaw(sound), Codec.PCMU, alarm=alarm, start=4 * RATE)
    assert (over.name, over.end) == (WarningName.LAW, 4 * RATE)


@pytest.mark.parametrize("is_announced", [True, False])
def test_a_sender_that_was_right_for_long_may_still_go_wrong(
    is_announced: bool,
) -> None:
    alarm = SoundAlarm(RATE, 1)
    sound = GOOD["a high voice"]
    assert hear(as_mulaw(sound), Codec.PCMU, alarm=alarm) == []
    if is_announced:
        alarm.source_changed()
    found = hear(alaw_as_mulaw(sound), Codec.PCMU, alarm=alarm, start=len(sound))
    (warning,) = found
    assert warning.start - len(sound) <= (0 if is_announced else 4 * RATE)


@pytest.mark.parametrize("is_doubled", [True, False])
@pytest.mark.parametrize(
    ("read", "codec"), [(as_mulaw, Codec.PCMU), (to_int16, Codec.L16)]
)
def test_two_voices_by_turns_are_two_channels(
    read: Callable[[Audio], Samples], codec: Codec, is_doubled: bool
) -> None:
    alarm = SoundAlarm(RATE, 1)
    alarm.is_doubled = is_doubled
    both = by_turns(GOOD["a low voice"], GOOD["a high voice"])
    (warning,) = hear(read(both), codec, alarm=alarm)
    assert warning.name is WarningName.INTERLEAVED
    assert warning.start == 0
    assert alarm.hears_two_signals


@pytest.mark.parametrize("shift", [0, 1])
def test_twice_the_same_is_two_channels_if_it_comes_twice_as_fast(shift: int) -> None:
    both = to_int16(by_turns(GOOD["a low voice"], GOOD["a low voice"]))[shift:]
    alarm = SoundAlarm(RATE, 1)
    assert hear(both, Codec.L16, alarm=alarm) == []
    assert not alarm.hears_two_signals
    alarm.is_doubled = True
    (warning,) = hear(both, Codec.L16, alarm=alarm)
    assert warning.name is WarningName.INTERLEAVED


def test_what_comes_twice_as_fast_may_be_one_channel() -> None:
    alarm = SoundAlarm(RATE, 1)
    alarm.is_doubled = True
    assert hear(as_mulaw(GOOD["a low voice"]), Codec.PCMU, alarm=alarm) == []


def test_real_stereo_is_no_fault() -> None:
    both = by_turns(GOOD["a low voice"], GOOD["a high voice"])
    assert hear(to_int16(both), Codec.L16, channels=2) == []


def random_bytes(count: int) -> bytes:
    return np.random.default_rng(6).bytes(count)


@pytest.mark.parametrize(
    ("samples", "codec"),
    [
        (decode_mulaw(random_bytes(SECONDS * RATE)), Codec.PCMU),
        (decode_alaw(random_bytes(SECONDS * RATE)), Codec.PCMA),
        (np.frombuffer(random_bytes(SECONDS * RATE * 2), np.int16), Codec.L16),
    ],
    ids=["PCMU", "PCMA", "L16"],
)
def test_random_bytes_are_noise(samples: Samples, codec: Codec) -> None:
    (warning,) = hear(samples, codec)
    assert (warning.name, warning.start) == (WarningName.NOISE, 0)


def test_noise_that_comes_and_goes_is_none() -> None:
    waves = np.sin(2 * np.pi * np.arange(SECONDS * RATE) / RATE) ** 2
    assert hear(to_int16(noise(SECONDS, RATE, 9000) * waves), Codec.L16) == []
