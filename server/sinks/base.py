"""What consumes the audio of a track: a recorder, a forward, a listener."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, runtime_checkable

from server.audio import (
    AudioBlock,
    AudioWarning,
    Digit,
    Gap,
    Late,
    Outcome,
    PacketCounts,
    Run,
    Samples,
    SourceChange,
    StreamInfo,
    TrackNote,
)
from server.library.evidence import Quality


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSummary:
    """Everything known of a track when it is over."""

    length: int
    """Samples from position 0 to the end, with audio or without."""
    ended_at: datetime
    outcome: Outcome
    is_complete: bool
    reason: str
    """The verdict in a sentence or two."""
    end_reason: str
    origin: str
    counts: PacketCounts
    undecodable: int = 0
    """Packets that came and could not be turned into sound."""
    gaps: Sequence[Gap] = field(default=())
    digits: Sequence[Digit] = field(default=())
    changes: Sequence[SourceChange] = field(default=())
    late: Sequence[Late] = field(default=())
    quality: Quality | None = None
    """None without audio."""
    warnings: Sequence[AudioWarning] = field(default=())
    """What sounded wrong, in the order it was noticed."""
    arrival_started_at: float | None = None
    """When position 0 was, told by many arrivals, seconds since 1970."""
    sender_started_at: float | None = None
    """When position 0 was by the sender's clock, seconds since 1970, if it told."""
    custom_parameters: Mapping[str, str] = field(default_factory=dict)
    """What a media stream says that it was started with."""


class AudioSink(Protocol):
    """One consumer of one track. One task calls it, in order."""

    async def open(self, info: StreamInfo) -> None:
        """Get ready; the track is about to begin."""
        ...

    async def write(self, block: AudioBlock) -> None:
        """Take audio. `block.start` never decreases; blocks may be missing."""
        ...

    async def close(self, summary: StreamSummary) -> None:
        """Finish; nothing follows."""
        ...


@runtime_checkable
class AccountingSink(AudioSink, Protocol):
    """A sink that accounts for every sample: what it keeps is what there is."""

    def note(self, event: TrackNote) -> None:
        """Take what there is to tell beside the audio, in order with it."""
        ...

    async def settle(self) -> Sequence[Gap]:
        """Wait until everything written is kept, and return what could not be.

        What was returned once is not returned again.
        """
        ...


class LiveListener(Protocol):
    """Wants audio as it comes, and nothing else: a forward, somebody who listens.

    It has a buffer of its own. Whatever it does with the audio, or cannot do, the track
    neither waits for it nor notes a gap.
    """

    def receive(self, info: StreamInfo, run: Run, samples: Samples) -> None:
        """Take a run and what it decodes to; returns at once."""
        ...
