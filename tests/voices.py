"""Sounds that calls are made of, from formulas: a voice, chords, signals, noise."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Audio = npt.NDArray[np.float64]
"""In 16-bit steps."""

# Formants in Hz (after Peterson and Barney, 1952): a, i, u, e, o.
_VOWELS = (
    (730, 1090, 2440),
    (270, 2290, 3010),
    (300, 870, 2240),
    (530, 1840, 2480),
    (570, 840, 2410),
)


def voice(
    seconds: float, rate: int, *, pitch: float = 120.0, peak: float = 12_000, seed: int
) -> Audio:
    """Return syllables of a fricative and a vowel, with pauses between the words."""
    chance = np.random.default_rng(seed)
    audio = np.zeros(int(seconds * rate))
    position = 0
    while position < len(audio):
        syllable = _syllable(rate, pitch * chance.uniform(0.85, 1.2), chance)
        end = min(position + len(syllable), len(audio))
        audio[position:end] += syllable[: end - position]
        position = end + int(rate * chance.choice((0.01, 0.03, 0.3)))
    room = chance.normal(0, 3, len(audio))
    scaled: Audio = audio * (peak / np.abs(audio).max()) + room
    return scaled


def tones(seconds: float, rate: int, *hertz: float, amplitude: float = 8000) -> Audio:
    """Return the sum of some tones, each of this amplitude."""
    time = np.arange(int(seconds * rate)) / rate
    return amplitude * sum((np.sin(2 * np.pi * f * time) for f in hertz), 0 * time)


def square(seconds: float, rate: int, hertz: float, amplitude: float = 8000) -> Audio:
    """Return a square wave."""
    return np.copysign(amplitude, tones(seconds, rate, hertz) + 1)


def noise(seconds: float, rate: int, deviation: float, seed: int = 1) -> Audio:
    """Return white Gaussian noise."""
    return np.random.default_rng(seed).normal(0, deviation, int(seconds * rate))


def music(seconds: float, rate: int) -> Audio:
    """Return chords of plucked strings, four a second."""
    chance = np.random.default_rng(5)
    audio = np.zeros(int(seconds * rate))
    for start in range(0, len(audio), rate // 4):
        time = np.arange(min(rate, len(audio) - start)) / rate
        root = chance.choice((131, 147, 165, 196))
        for ratio in (1, 1.26, 1.5):
            for harmonic in range(1, 6):
                wave = np.sin(2 * np.pi * root * ratio * harmonic * time)
                pluck = np.exp(-time * (2 + harmonic)) / harmonic
                audio[start : start + len(time)] += wave * pluck
    scaled: Audio = audio * (16_000 / np.abs(audio).max())
    return scaled


def to_int16(audio: Audio) -> npt.NDArray[np.int16]:
    """Return samples as a sound card would, cut off at full scale."""
    clipped: npt.NDArray[np.int16] = np.clip(np.rint(audio), -32768, 32767).astype(
        np.int16
    )
    return clipped


def _syllable(rate: int, pitch: float, chance: np.random.Generator) -> Audio:
    hiss = np.diff(chance.normal(0, 0.04, int(rate * chance.uniform(0.02, 0.08))))
    time = np.arange(int(rate * chance.uniform(0.1, 0.25))) / rate
    formants = _VOWELS[chance.integers(len(_VOWELS))]
    vowel = np.zeros(len(time))
    for harmonic in range(1, int(min(rate / 2, 4000) / pitch)):
        hertz = pitch * harmonic
        strength = sum(1 / (1 + ((hertz - f) / 90) ** 2) for f in formants)
        phase = 2 * np.pi * hertz * (time + 0.02 * time**2)
        vowel += np.sin(phase) * (strength + 0.02) / harmonic**0.5
    vowel *= np.sin(np.pi * np.linspace(0, 1, len(time))) ** 0.5
    return np.concatenate([hiss, vowel])
