"""The alarm for audio that sounds wrong: bytes that were not read as they were meant.

Each window of about a second is judged by itself; a warning takes two that agree.
Silence says nothing. What decides (figures over 8,000 windows of speech, music, tones,
modems and noise, right and wrong):

- The *unpredictability* of a sound is the share of its power that two samples do not
  foretell of the next. Wrongly read bytes, whose low bits have become high ones, are
  always less predictable than the same bytes read rightly. So they are read in the
  other law, or the other byte order, as well; of speech and music the right reading
  was never the worse one.
- Two signals taken for one have nothing to do with each other from sample to sample,
  and much from every other sample to the next.
- Random bytes are loud, steady, and nothing follows from anything.

To read a second time costs more than everything else, so it is done only for windows
that could be wrong: not predictable, and for G.711 without the many small samples that
right speech has. A sender that has been right for a while is looked at less often,
until it is announced that something about it changed.
"""

from __future__ import annotations

import numpy as np

from server.audio import AudioWarning, Codec, Samples, WarningName
from server.quality.correlation import (
    Shape,
    contrast,
    correlation,
    measure,
    powers,
)
from server.quality.readings import other_reading
from server.quality.suspicion import Finding, Suspicion

MIN_DEVIATION = 30.0
"""In 16-bit steps, -61 dB of full scale; anything below counts as silence."""

BETTER_LAW = 0.86
"""The other law is right if it leaves less than this share of unpredictability."""
BETTER_ORDER = 0.8
"""The same for the byte order, which makes a greater difference."""
_MUCH_BETTER = 0.68
_SPEECH_CONTRAST = 8.0
"""Power of the loudest 16th of a window of speech over that of the quietest; 30 and
more of 99 in 100 windows."""
_MUSIC_CONTRAST = 4.0

_SURE = 0.2
"""Less unpredictable G.711 is right: wrong laws leave more."""
_SURE_L16 = 0.6
_SMALL = 200
"""Small samples of G.711: a third and more of right speech. In the wrong law small ones
become large, and few large ones become small."""
_FEW_SMALL = 0.3

_TRUSTED_AFTER = 5
"""Windows that were read rightly."""
_TRUSTED_EVERY = 4
"""Of a trusted sender one window in so many is judged."""

_LEAST_EVERY_OTHER = 0.4
_REMEMBERED = 4
"""Windows for which it is not forgotten that two signals were heard."""
_LOUD_SHARE = 0.05
"""Of the power of the loudest part of a window; quieter parts say little."""
_LEAST_CONTRAST = 4.0
"""By this the power ratio of two voices changes at least within a window."""
_NOISE_DEVIATION = 3277.0
"""-20 dB of full scale; random bytes are at -5 to -10."""
_MAX_STRUCTURE = 0.06
"""Autocorrelation of noise; that of 8,000 random samples stays below 0.05."""
_LEAST_FULLNESS = 0.5
"""Mean magnitude over root mean square: 0.8 for Gaussian noise, 0.87 for uniform, 0.55
for random G.711; 0.1 for clicks, which are as flat."""
_NOISE_CONTRAST = 2.0
_NOISE_S = 1.4
"""Noise lasts at least so long; a sigh and a gust of wind do not."""

_OTHER_NAME = {
    Codec.PCMU: WarningName.LAW,
    Codec.PCMA: WarningName.LAW,
    Codec.L16: WarningName.BYTE_ORDER,
}
_SENTENCES = {
    Codec.PCMU: "Sounds as if A-law were read as µ-law: the sender's codec differs "
    "from the one that was announced.",
    Codec.PCMA: "Sounds as if µ-law were read as A-law: the sender's codec differs "
    "from the one that was announced.",
    Codec.L16: "Sounds as if 16-bit samples were read in the wrong byte order; the "
    "setting l16_byte_order decides it.",
}
_INTERLEAVED = (
    "Sounds as if two channels were taken for one: the sender's audio is stereo and "
    "was announced as mono."
)
_NOISE = (
    "There is loud, even noise in place of a call: the audio may be encrypted, or of "
    "another codec than was announced."
)


class SoundAlarm:
    """Listens for wrong audio on one track.

    Args:
        sample_rate: Of the samples.
        channels: Of the samples.
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        self.is_doubled = False
        """Whether audio comes twice as fast as it should; somebody else measures it."""
        self._channels = channels
        self._readings = {
            codec: Suspicion(name, _SENTENCES[codec])
            for codec, name in _OTHER_NAME.items()
        }
        self._interleaved = Suspicion(WarningName.INTERLEAVED, _INTERLEAVED)
        self._noise = Suspicion(
            WarningName.NOISE, _NOISE, min_samples=round(_NOISE_S * sample_rate)
        )
        self._all = [self._interleaved, self._noise, *self._readings.values()]
        self._is_idle = True
        self._codec: Codec | None = None
        self._right = 0
        """Windows in a row that were read rightly."""
        self._skipped = 0
        self._heard_two_ago = _REMEMBERED
        """Windows since two signals were heard in one."""

    @property
    def hears_two_signals(self) -> bool:
        """Whether it sounded lately as if two channels were taken for one."""
        return self._heard_two_ago < _REMEMBERED

    def source_changed(self) -> None:
        """Look closely again: a sender that was right may not be any more."""
        self._right = 0

    def receive(
        self, samples: Samples, shape: Shape, codec: Codec | None, start: int, end: int
    ) -> list[AudioWarning]:
        """Judge a window.

        Args:
            samples: Shape (n,), channels interleaved, some tenths of a second or more.
            shape: Of the samples.
            codec: Whose bytes the samples are one for one; None if of no codec's, such
                as after resampling.
            start: Position of the window on the track.
            end: Position behind it.

        Returns:
            Warnings that are raised, and those that are over, with their end.
        """
        if shape.deviation < MIN_DEVIATION:
            return []
        reading = self._judge_codec(samples, shape, codec)
        channels = noise = Finding.NEITHER
        # What is explained by a wrong reading needs no second explanation.
        if reading is not Finding.BAD:
            channels = self._judge_channels(samples, shape)
            if channels is not Finding.BAD:
                noise = _judge_noise(samples, shape)
        if self._is_idle and Finding.BAD not in (reading, channels, noise):
            return []
        found = [
            self._interleaved.receive(channels, start, end),
            self._noise.receive(noise, start, end),
        ]
        for each, suspicion in self._readings.items():
            # Another codec is another reading: it is over with the one before.
            finding = reading if each is codec else Finding.GOOD
            found.append(suspicion.receive(finding, start, end))
        self._is_idle = all(each.is_idle for each in self._all)
        return [change for change in found if change is not None]

    def _judge_codec(
        self, samples: Samples, shape: Shape, codec: Codec | None
    ) -> Finding:
        if codec is None or codec is Codec.OPUS:
            return Finding.NEITHER
        if codec is not self._codec:
            self._codec, self._right = codec, 0
        is_trusted = self._right >= _TRUSTED_AFTER
        if is_trusted and self._skipped < _TRUSTED_EVERY - 1:
            self._skipped += 1
            return Finding.NEITHER
        self._skipped = 0
        finding = self._judge_reading(samples, shape, codec)
        if finding is Finding.GOOD:
            self._right += 1
        elif finding is Finding.BAD:
            self._right = 0
        return finding

    def _judge_reading(self, samples: Samples, shape: Shape, codec: Codec) -> Finding:
        """Return whether the samples would sound better if they were read otherwise."""
        if codec is Codec.L16:
            most, is_sure = BETTER_ORDER, shape.unpredictability < _SURE_L16
        else:
            most = BETTER_LAW
            is_sure = shape.unpredictability < _SURE or _has_small(samples)
        if is_sure:
            return Finding.GOOD
        other = other_reading(samples, codec)
        other_shape = measure(other, self._channels)
        if other_shape.deviation < MIN_DEVIATION:
            return Finding.NEITHER
        share = other_shape.unpredictability / shape.unpredictability
        if share < most:
            # By chance a scrambled sum of tones is smoother than the sum itself. But
            # it is steady, which speech is not, nor much smoother, which music is, and
            # the sum itself is not like noise.
            change = contrast(other)
            is_clear = change > _SPEECH_CONTRAST or (
                change > _MUSIC_CONTRAST and share < _MUCH_BETTER
            )
            if is_clear or _judge_noise(samples, shape) is Finding.BAD:
                return Finding.BAD
            return Finding.NEITHER
        # Of white noise both readings are as white.
        return Finding.GOOD if share > 1 / most else Finding.NEITHER

    def _judge_channels(self, samples: Samples, shape: Shape) -> Finding:
        if self._channels > 1:
            return Finding.NEITHER
        is_pairs = self.is_doubled and _comes_in_pairs(samples)
        if not is_pairs and not _is_every_other(samples, shape):
            self._heard_two_ago += 1
            return Finding.GOOD
        self._heard_two_ago = 0
        # Two tones that mirror each other at half the bandwidth look the same, but no
        # call signals with them at twice the pace, and they rise and fall together.
        if self.is_doubled or _has_two_envelopes(samples):
            return Finding.BAD
        return Finding.NEITHER


def _has_small(samples: Samples) -> bool:
    few = samples[::8]
    return int(np.count_nonzero(np.abs(few) < _SMALL)) > _FEW_SMALL * len(few)


def _comes_in_pairs(samples: Samples) -> bool:
    """Return whether every sample comes twice, as with two equal channels."""
    even, odd = samples[0:-1:2], samples[1::2]
    return np.array_equal(even, odd) or np.array_equal(even[1:], odd[:-1])


def _is_every_other(samples: Samples, shape: Shape) -> bool:
    """Return whether samples have to do with every other one, and not in between."""
    most = shape.rho_2 / 2
    return (
        shape.rho_2 > _LEAST_EVERY_OTHER
        and abs(shape.rho_1) <= most
        and abs(correlation(samples, 3)) <= most
    )


def _has_two_envelopes(samples: Samples) -> bool:
    """Return whether even and odd samples are not loud and quiet at the same times."""
    even, odd = powers(samples[0::2]) + 1, powers(samples[1::2]) + 1
    is_loud = even + odd > _LOUD_SHARE * (even + odd).max()
    ratios = (even / odd)[is_loud]
    return bool(ratios.max() > _LEAST_CONTRAST * ratios.min())


def _judge_noise(samples: Samples, shape: Shape) -> Finding:
    if (
        shape.deviation < _NOISE_DEVIATION
        or max(abs(shape.rho_1), abs(shape.rho_2)) > _MAX_STRUCTURE
        or abs(correlation(samples, 3)) > _MAX_STRUCTURE
    ):
        return Finding.GOOD
    fullness = float(np.abs(samples.astype(np.float32)).mean()) / shape.deviation
    is_noise = fullness > _LEAST_FULLNESS and contrast(samples) < _NOISE_CONTRAST
    return Finding.BAD if is_noise else Finding.GOOD
