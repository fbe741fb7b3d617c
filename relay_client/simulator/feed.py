"""The audio of a call as its taps hear it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from relay_client.simulator.sources import Source, make_source, mix

Direction = Literal["speak", "listen", "both"]
Samples = npt.NDArray[np.int16]


@dataclass(slots=True)
class AudioFeed:
    """Both halves of one leg's audio, at any sampling rate."""

    speak: str
    listen: str
    offset: float = 0.0
    """Seconds of the sources before position 0."""
    wall_clock: float = 0.0
    """Seconds since 1970 at position 0, which sender reports tell."""
    _sources: dict[tuple[str, int], Source] = field(default_factory=dict, init=False)

    def load(self, sample_rate: int) -> None:
        """Read what must be read from files; not for an event loop's thread."""
        self._source(self.speak, sample_rate)
        self._source(self.listen, sample_rate)

    def read(
        self, direction: Direction, sample_rate: int, start: int, count: int
    ) -> Samples:
        """Return what is heard from `start` on; `both` is the saturating sum."""
        first = start + round(self.offset * sample_rate)
        if direction == "speak":
            return self._source(self.speak, sample_rate).read(first, count)
        if direction == "listen":
            return self._source(self.listen, sample_rate).read(first, count)
        return mix(
            self._source(self.speak, sample_rate).read(first, count),
            self._source(self.listen, sample_rate).read(first, count),
        )

    def read_by_turns(
        self,
        direction: Direction,  # noqa: ARG002 - as `read`
        sample_rate: int,
        start: int,
        count: int,
    ) -> Samples:
        """Return `count` samples of each party, speak and listen by turns."""
        sides: tuple[Direction, Direction] = ("speak", "listen")
        heard = [self.read(side, sample_rate, start, count) for side in sides]
        return np.stack(heard, axis=1).reshape(-1)

    def _source(self, spec: str, sample_rate: int) -> Source:
        key = (spec, sample_rate)
        if key not in self._sources:
            self._sources[key] = make_source(spec, sample_rate)
        return self._sources[key]
