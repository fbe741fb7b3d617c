"""Peaks: the least and the greatest sample of each bucket, for drawing waveforms.

Buckets of one size are a zoom. Zoom 0 shows everything in at most 512 buckets, and
each further zoom has buckets of a quarter of the size, down to about 8 ms. All of them
come from one pass over the audio; a window of any length, at any zoom, is then a few
thousand numbers.

Kept as a file: a head, then the zooms from 0 up. Sent as another head, then a part of
one zoom. In both, a bucket is a pair of little-endian int16 for each channel.

Pure: no input or output.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from server.audio import Samples

MOST_AT_ZOOM_0: Final = 512
FINEST_AT_8_KHZ: Final = 64
"""Samples of the smallest bucket; at other rates the power of two nearest below."""

FILE_HEAD: Final = struct.Struct("<4sHHIIQQ")
"""Magic, version, channels, rate, samples of the smallest bucket, samples, bytes of the
audio file."""
PART_HEAD: Final = struct.Struct("<4sHHIIQQ")
"""Magic, channels, zooms, rate, samples of a bucket, samples, number of the first
bucket."""
_FILE_MAGIC: Final = b"TDPF"
_PART_MAGIC: Final = b"TDPK"
_VERSION: Final = 1
_STEP: Final = 4
_PAIR: Final = np.dtype("<i2")

Pairs: TypeAlias = npt.NDArray[np.int16]
"""Shape (buckets, channels, 2): the least and the greatest sample."""
_Pick: TypeAlias = Callable[[Samples, Samples], Samples]


@dataclass(frozen=True, slots=True)
class PeakShape:
    """How the zooms of some audio are divided."""

    samples: int
    """Sample instants, all channels together."""
    channels: int
    sample_rate: int

    @property
    def finest(self) -> int:
        """Samples of the smallest bucket, a power of two."""
        factor = max(1, self.sample_rate // 8000)
        return FINEST_AT_8_KHZ << (factor.bit_length() - 1)

    @property
    def zooms(self) -> int:
        """How many zooms there are, at least one."""
        zooms, buckets = 1, self._buckets_of(self.finest)
        while buckets > MOST_AT_ZOOM_0:
            buckets = -(-buckets // _STEP)
            zooms += 1
        return zooms

    def bucket(self, zoom: int) -> int:
        """Return how many samples a bucket of a zoom stands for; the last may less."""
        return self.finest * int(_STEP ** (self.zooms - 1 - zoom))

    def buckets(self, zoom: int) -> int:
        """Return how many buckets a zoom has."""
        return self._buckets_of(self.bucket(zoom))

    def _buckets_of(self, size: int) -> int:
        return -(-self.samples // size)


@dataclass(frozen=True, slots=True)
class Peaks:
    """The peaks of one recording at every zoom."""

    shape: PeakShape
    levels: tuple[Pairs, ...]
    """By zoom."""

    def part(self, zoom: int, first: int, until: int) -> bytes:
        """Return some buckets as they are sent; fewer where there are no more.

        Args:
            zoom: From 0 to one less than there are.
            first: Number of the first bucket.
            until: Number of the first bucket behind them.
        """
        shape = self.shape
        head = PART_HEAD.pack(
            _PART_MAGIC,
            shape.channels,
            shape.zooms,
            shape.sample_rate,
            shape.bucket(zoom),
            shape.samples,
            first,
        )
        return head + self.levels[zoom][first:until].astype(_PAIR).tobytes()

    def dump(self, audio_bytes: int) -> bytes:
        """Return the file of these peaks, for audio in a file of this size."""
        head = _file_head(self.shape, audio_bytes)
        return head + b"".join(level.astype(_PAIR).tobytes() for level in self.levels)

    @classmethod
    def of_file(
        cls, data: npt.NDArray[np.uint8], shape: PeakShape, audio_bytes: int
    ) -> Self | None:
        """Return the peaks in a file; None if it is not one of exactly this audio.

        Args:
            data: All of the file.
            shape: Of the audio.
            audio_bytes: Size of the file that the audio is in.
        """
        head = _file_head(shape, audio_bytes)
        counts = [shape.buckets(zoom) for zoom in range(shape.zooms)]
        ends = list(accumulate(count * shape.channels * 2 for count in counts))
        if len(data) != len(head) + ends[-1] * _PAIR.itemsize:
            return None
        if data[: len(head)].tobytes() != head:
            return None
        flat = data[len(head) :].view(_PAIR)
        levels = np.split(flat, ends[:-1])
        return cls(shape, tuple(each.reshape(-1, shape.channels, 2) for each in levels))


class PeakBuilder:
    """Takes audio block by block, and makes its peaks.

    Args:
        shape: Of all the audio that will come.
    """

    def __init__(self, shape: PeakShape) -> None:
        self._shape = shape
        self._blocks: list[Pairs] = []

    def add(self, samples: Samples) -> None:
        """Take the next block, of shape (samples, channels).

        All but the last have to be a multiple of the smallest bucket.
        """
        if len(samples):
            samples = _padded(samples, self._shape.finest)
            self._blocks.append(_pairs(samples, samples, self._shape.finest))

    def finish(self) -> Peaks:
        """Return the peaks."""
        empty = np.zeros((0, self._shape.channels, 2), np.int16)
        levels = [np.concatenate([empty, *self._blocks])]
        for _ in range(self._shape.zooms - 1):
            pairs = _padded(levels[0], _STEP)
            levels.insert(0, _pairs(pairs[..., 0], pairs[..., 1], _STEP))
        return Peaks(self._shape, tuple(levels))


def _pairs(least: Samples, greatest: Samples, size: int) -> Pairs:
    """Return the extremes of every `size` of shape (n, channels)."""
    channels = least.shape[1]
    ends = [
        _folded(each.reshape(-1, size * channels), channels, pick)
        for each, pick in ((least, np.minimum), (greatest, np.maximum))
    ]
    return np.stack(ends, axis=-1)


def _folded(rows: Samples, width: int, pick: _Pick) -> Samples:
    # Halves of a row, rather than a minimum along it: channels stay apart, and numpy
    # compares many at a time. Ten times as fast.
    while rows.shape[1] > width:
        half = rows.shape[1] // 2
        rows = pick(rows[:, :half], rows[:, half:])
    return rows


def _padded(values: Samples, size: int) -> Samples:
    """Repeat what is last until whole buckets are full: it changes no extreme."""
    missing = -len(values) % size
    if not missing:
        return values
    return np.concatenate([values, np.repeat(values[-1:], missing, axis=0)])


def _file_head(shape: PeakShape, audio_bytes: int) -> bytes:
    return FILE_HEAD.pack(
        _FILE_MAGIC,
        _VERSION,
        shape.channels,
        shape.sample_rate,
        shape.finest,
        shape.samples,
        audio_bytes,
    )
