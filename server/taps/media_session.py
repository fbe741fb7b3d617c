"""What a tap asks of its media, whatever carries it."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from server.audio import AudioFormat, PacketCounts, TrackEvent


class MediaSession(Protocol):
    """Network input of one tap turned into audio at positions.

    `server.rtp.session` and `server.taps.ws_session` are the two kinds.
    """

    drops: Counter[str]
    """What was not used, by reason."""

    @property
    def last_media_at(self) -> float | None:
        """When audio was last accepted, `None` before the first."""
        ...

    @property
    def ended(self) -> str | None:
        """Why the media itself says that it is over: `bye`, `stop` or not at all."""
        ...

    @property
    def ended_at(self) -> float | None:
        """When the media said that it is over."""
        ...

    @property
    def track_count(self) -> int:
        """How many tracks have begun."""
        ...

    def take(self, now: float) -> list[tuple[int, TrackEvent]]:
        """Return what is due, in order of position on each track."""
        ...

    def finish(self, now: float, *, pad: bool) -> None:
        """Make everything held due; with `pad`, silence up to `now` as well."""
        ...

    def track_format(self, track: int) -> AudioFormat:
        """Return the format that the track began with."""
        ...

    def track_started_at(self, track: int) -> float:
        """Return when position 0 of the track was heard."""
        ...

    def sender_started_at(self, track: int) -> float | None:
        """Return when position 0 was by the sender's clock, since 1970, if it told."""
        ...

    def counts(self, track: int) -> PacketCounts:
        """Return a copy of the counters of the track."""
        ...

    def get_timer(self) -> float | None:
        """Return when `handle_timer` wants to be called."""
        ...

    def handle_timer(self, now: float) -> None:
        """Give up on what is overdue."""
        ...
