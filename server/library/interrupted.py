"""A recording that a server did not live to finish."""

from __future__ import annotations

from dataclasses import dataclass

from server.audio import StreamInfo
from server.library.journal import JournalFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupted:
    """A recording that was being written when a server ended."""

    recording_id: str
    info: StreamInfo
    samples: int
    """In the file."""
    facts: JournalFacts
    """Gaps may go on behind the end of the file: in a pause there is nothing else."""
    last_write_at: float
    """Wall clock, seconds since 1970."""
    is_journaled: bool
    """Whether all of `info` is known, so that it can be gone on with."""

    @property
    def length(self) -> int:
        """Samples of the recording, those of which only gaps tell included."""
        ends = [gap.start + gap.length for gap in self.facts.gaps]
        return max([self.samples, *ends])
