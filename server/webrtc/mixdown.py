"""The tracks of a call on their way to one stereo stream of 20 ms frames.

    put(track) -> Playout.take() -> parts, one for each track -> Mixdown.mix(parts)

Taking is cheap and belongs to the loop; mixing resamples, and may be left to a thread
as long as one frame is mixed at a time. Pure: no input or output, no clock.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from server.audio import OPUS_RATE, Samples, StreamInfo
from server.codecs.live_resampler import LiveResampler
from server.webrtc.playout import PlayoutBuffer

FRAMES_PER_SECOND = 50
FRAME_SAMPLES = OPUS_RATE // FRAMES_PER_SECOND
MAX_TRACKS = 4
"""Of one call: two taps, or two tracks of one, with room for a change of format."""

Bus = npt.NDArray[np.int32]


class Layout(enum.StrEnum):
    """Who is heard on which side."""

    MIXED = "mixed"
    """Everybody on both."""
    STEREO = "stereo"
    """What the party says on the left, what it hears on the right."""


@dataclass(frozen=True, slots=True)
class TrackKey:
    """Which track, and how it sounds; a change of format makes it another."""

    control_id: str
    direction: str
    track: int
    sample_rate: int
    channels: int


@dataclass(frozen=True, slots=True)
class Part:
    """What one track says for a frame."""

    key: TrackKey
    samples: Samples
    """At the track's rate, shape (n, channels)."""


class Playout:
    """The jitter buffers of all tracks that are heard together."""

    def __init__(self) -> None:
        self._buffers: dict[TrackKey, PlayoutBuffer] = {}
        self._frames = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to be played."""
        return all(each.is_empty for each in self._buffers.values())

    def put(self, info: StreamInfo, start: int, samples: Samples) -> None:
        """Keep audio of a track until its turn."""
        key = TrackKey(
            info.control_id,
            info.direction,
            info.track,
            info.sample_rate,
            info.channels,
        )
        buffer = self._buffers.get(key)
        if buffer is None:
            if len(self._buffers) >= MAX_TRACKS:
                del self._buffers[next(iter(self._buffers))]
            buffer = PlayoutBuffer(info.sample_rate, info.channels)
            self._buffers[key] = buffer
        buffer.put(start, samples)

    def take(self) -> list[Part]:
        """Return the next 20 ms of every track."""
        self._frames += 1
        return [
            Part(key, buffer.take(self._length(key.sample_rate)))
            for key, buffer in self._buffers.items()
        ]

    def _length(self, rate: int) -> int:
        """Return how much a frame takes; of odd rates now a sample more, now less."""
        before = (self._frames - 1) * rate // FRAMES_PER_SECOND
        return self._frames * rate // FRAMES_PER_SECOND - before


class Mixdown:
    """Makes one stereo stream at 48 kHz of what the tracks say."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._resamplers: dict[TrackKey, LiveResampler] = {}

    def mix(self, parts: Sequence[Part]) -> Samples:
        """Return a frame, shape (`FRAME_SAMPLES`, 2)."""
        bus = np.zeros((FRAME_SAMPLES, 2), np.int32)
        keys = {part.key for part in parts}
        for gone in self._resamplers.keys() - keys:
            del self._resamplers[gone]
        has_second = any(key.track > 0 for key in keys)
        for part in parts:
            samples = self._resampled(part).astype(np.int32)
            self._add(bus, samples, part.key, has_second)
        limits = np.iinfo(np.int16)
        mixed: Samples = bus.clip(limits.min, limits.max).astype(np.int16)
        return mixed

    def _resampled(self, part: Part) -> Samples:
        key = part.key
        if key.sample_rate == OPUS_RATE:
            return part.samples
        resampler = self._resamplers.get(key)
        if resampler is None:
            resampler = LiveResampler(key.sample_rate, OPUS_RATE, key.channels)
            self._resamplers[key] = resampler
        return resampler.convert(part.samples, FRAME_SAMPLES)

    def _add(self, bus: Bus, samples: Bus, key: TrackKey, has_second: bool) -> None:
        if self._layout is Layout.MIXED:
            # Their sum, as a tap of both directions is.
            bus += samples.sum(axis=1, keepdims=True)
        elif samples.shape[1] > 1:
            bus += samples[:, :2]
        elif key.direction == "listen" or key.track > 0:
            bus[:, 1:] += samples
        elif key.direction == "speak" or has_second:
            bus[:, :1] += samples
        else:
            bus += samples
