"""When audio is sent: an absolute schedule, so that no delay adds up.

Pure: it turns a position in the audio (seconds) into a moment after the start.
"""

from __future__ import annotations

import math
import random

from relay_client.simulator.options import MediaOptions, Stretch


class Pace:
    """The schedule of one tap. Ask in order; the answers never decrease."""

    def __init__(self, options: MediaOptions, seed: int) -> None:
        self._options = options
        self._random = random.Random(seed)
        self._last = 0.0

    def due(self, end: float) -> float:
        """Return when a run of audio that ends at `end` is sent.

        A run can be sent only once it is complete: hence its end counts.
        """
        at = max(self._last, self._shifted(end) / self._options.speed)
        self._last = at
        return at + self._options.start_delay

    def _shifted(self, end: float) -> float:
        options = self._options
        if options.pace == "burst":
            return math.ceil(end / options.burst - 1e-9) * options.burst
        if options.pace == "jitter":
            return end + self._random.random() * options.jitter
        if options.pace == "stall" and options.catch_up:
            resume_at = options.stall_at + options.stall_for
            if options.stall_at < end < resume_at:
                return resume_at
        return end


def silent_stretches(options: MediaOptions) -> tuple[Stretch, ...]:
    """Return the stretches (start, length) of the audio that are never sent."""
    stretches = options.dtx
    if options.pace == "stall" and not options.catch_up:
        stretches += ((options.stall_at, options.stall_for),)
    return tuple(sorted(stretches))
