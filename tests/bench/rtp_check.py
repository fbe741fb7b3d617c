"""Whether the files of a run hold every sample that was sent, at its place.

The reference decoder is FFmpeg's, through PyAV, so that Tapdeck is not its own judge.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import soundfile

from tests.bench.rtp_load import POOL, LoadPlan

Samples = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Finding:
    """What the files of a run hold."""

    files: int
    missing: int
    """Taps without a file."""
    unknown: int
    """Files that begin with nothing that was sent."""
    wrong_samples: int
    """Samples that differ, or are too few or too many."""

    def __str__(self) -> str:
        return (
            f"{self.files} files, {self.missing} missing, {self.unknown} unknown, "
            f"{self.wrong_samples} wrong samples"
        )

    @property
    def is_exact(self) -> bool:
        """Whether everything is as it was sent."""
        return not (self.missing or self.unknown or self.wrong_samples)


def check_files(folder: Path, plan: LoadPlan) -> Finding:
    """Compare every file below `folder` with the plan."""
    pool = _decode_pool(plan)
    tap_of = {pool[tap].tobytes(): tap for tap in range(plan.taps)}
    seen: set[int] = set()
    files = unknown = wrong = 0
    for path in folder.glob("**/*.wav"):
        files += 1
        samples, _ = soundfile.read(path, dtype="int16")
        tap = tap_of.get(samples[: plan.payload_bytes].tobytes())
        if tap is None or tap in seen:
            unknown += 1
            continue
        seen.add(tap)
        wrong += _difference(samples, _expected(pool, plan, tap))
    return Finding(files, plan.taps - len(seen), unknown, wrong)


def _expected(pool: Samples, plan: LoadPlan, tap: int) -> Samples:
    expected = pool[(tap + np.arange(plan.packets)) % POOL]
    expected[plan.lost(tap)] = 0
    return expected.ravel()


def _difference(samples: Samples, expected: Samples) -> int:
    common = min(len(samples), len(expected))
    differing = np.count_nonzero(samples[:common] != expected[:common])
    return int(differing) + abs(len(samples) - len(expected))


def _decode_pool(plan: LoadPlan) -> Samples:
    decoder = av.CodecContext.create("pcm_mulaw", "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.sample_rate = 8000
    decoder.layout = "mono"
    frames = decoder.decode(av.Packet(plan.pool().tobytes()))
    samples: Samples = np.concatenate([each.to_ndarray().ravel() for each in frames])
    return samples.reshape(POOL, plan.payload_bytes)
