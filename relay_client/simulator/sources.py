"""What a party of a simulated call says: tones, noise, silence or a WAV file.

Sample `n` of a source is a pure function of `n`, so that a test can compute what any
tap must have sent.
"""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from relay_client.simulator.errors import OptionsError

Samples = npt.NDArray[np.int16]

DEFAULT_AMPLITUDE = 0.25
"""Of full scale: loud enough to see, and two of them add up without clipping."""
MAX_SECONDS = 30 * 60
"""Of a WAV file; what follows is silence."""
_FULL_SCALE = 32767


class Source(Protocol):
    """Audio without end at one sampling rate."""

    def read(self, start: int, count: int) -> Samples:
        """Return samples `start` to `start + count`."""
        ...


class Tone:
    """A sine."""

    def __init__(self, hertz: float, amplitude: float, sample_rate: int) -> None:
        self._step = 2 * math.pi * hertz / sample_rate
        self._peak = amplitude * _FULL_SCALE

    def read(self, start: int, count: int) -> Samples:
        """Return samples `start` to `start + count`."""
        phase = self._step * np.arange(start, start + count, dtype=np.float64)
        return np.rint(self._peak * np.sin(phase)).astype(np.int16)


class Silence:
    """Nothing but zeros."""

    def read(self, start: int, count: int) -> Samples:  # noqa: ARG002 - interface
        """Return `count` zeros."""
        return np.zeros(count, np.int16)


class Noise:
    """White noise, evenly distributed."""

    def __init__(self, amplitude: float) -> None:
        self._amplitude = amplitude

    def read(self, start: int, count: int) -> Samples:
        """Return samples `start` to `start + count`."""
        # SplitMix64 (Steele, Lea and Flood, 2014): random access to random numbers.
        state = np.arange(start + 1, start + count + 1, dtype=np.uint64)
        state *= np.uint64(0x9E37_79B9_7F4A_7C15)
        state ^= state >> np.uint64(30)
        state *= np.uint64(0xBF58_476D_1CE4_E5B9)
        state ^= state >> np.uint64(27)
        state *= np.uint64(0x94D0_49BB_1331_11EB)
        values = (state >> np.uint64(48)).astype(np.uint16).view(np.int16)
        samples: Samples = np.rint(self._amplitude * values).astype(np.int16)
        return samples


class Recording:
    """Finite audio, followed by silence."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples

    def read(self, start: int, count: int) -> Samples:
        """Return samples `start` to `start + count`."""
        found = self._samples[start : start + count]
        return np.pad(found, (0, count - len(found)))


def check_source(spec: str) -> None:
    """Make sure that `spec` can become a source.

    Raises:
        OptionsError: It names none of them and no readable audio file.
    """
    if spec == "silence":
        return
    if spec.startswith("tone:"):
        _parse_tone(spec)
        return
    if _is_noise(spec):
        _parse_noise(spec)
        return
    try:
        soundfile.info(spec)
    except (OSError, soundfile.LibsndfileError) as exc:
        raise OptionsError("source", f"{spec!r} is not a readable WAV file") from exc


def make_source(spec: str, sample_rate: int) -> Source:
    """Return the source that `spec` describes; reads the file of a WAV path.

    Raises:
        OptionsError: It names none of them and no readable audio file.
    """
    check_source(spec)
    if spec == "silence":
        return Silence()
    if spec.startswith("tone:"):
        hertz, amplitude = _parse_tone(spec)
        return Tone(hertz, amplitude, sample_rate)
    if _is_noise(spec):
        return Noise(_parse_noise(spec))
    changed_at = Path(spec).stat().st_mtime_ns
    return Recording(_load(spec, changed_at, sample_rate))


def mix(first: Samples, second: Samples) -> Samples:
    """Return the saturating sum of two runs of the same length."""
    total = first.astype(np.int32) + second
    clipped: Samples = np.clip(total, -32768, 32767).astype(np.int16)
    return clipped


def _parse_tone(spec: str) -> tuple[float, float]:
    hertz_text, _, amplitude_text = spec.removeprefix("tone:").partition("@")
    try:
        hertz = float(hertz_text)
        amplitude = float(amplitude_text) if amplitude_text else DEFAULT_AMPLITUDE
    except ValueError:
        hertz = amplitude = math.nan
    if not (0 < hertz <= 24_000 and 0 <= amplitude <= 1):
        raise OptionsError(
            "source", f"{spec!r} is not tone:HZ or tone:HZ@AMPLITUDE (0 to 1)"
        )
    return hertz, amplitude


def _is_noise(spec: str) -> bool:
    return spec.partition(":")[0] == "noise"


def _parse_noise(spec: str) -> float:
    try:
        amplitude = float(spec.partition(":")[2] or DEFAULT_AMPLITUDE)
    except ValueError:
        amplitude = math.nan
    if not 0 <= amplitude <= 1:
        raise OptionsError("source", f"{spec!r} is not noise:AMPLITUDE (0 to 1)")
    return amplitude


@functools.lru_cache(maxsize=8)
def _load(path: str, changed_at: int, sample_rate: int) -> Samples:  # noqa: ARG001
    """Return a file as mono samples; `changed_at` is there to notice a new one."""
    with soundfile.SoundFile(path) as file:
        found = file.read(MAX_SECONDS * file.samplerate, "float64", always_2d=True)
        mono = soxr.resample(found.mean(axis=1), file.samplerate, sample_rate)
    scaled = np.rint(mono * 32768)
    samples: Samples = np.clip(scaled, -32768, 32767).astype(np.int16)
    return samples
