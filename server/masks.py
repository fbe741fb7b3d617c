"""What of one track is kept out, on request.

A mask lasts from `begin` to `end`; what is told of positions in it becomes a gap. Where
one ends may lie behind what has been told: audio that was heard in a pause is told
later if it waited for what was lost before it.

Pure: positions in, events out.
"""

from __future__ import annotations

from collections import deque

from server.audio import Digit, Gap, GapCause, Run

MAX_SPANS = 1000
"""Masks of one track that are remembered; nothing is told any more of older ones."""

_FOR_EVER = 1 << 62
"""End of a mask that has none yet."""


class Masks:
    """The masks of one track."""

    __slots__ = ("_spans", "border")

    def __init__(self) -> None:
        self._spans: deque[tuple[int, int]] = deque(maxlen=MAX_SPANS)
        """Start and end, in order."""
        self.border = 0
        """From here on everything is kept; the one thing to ask about each run."""

    @property
    def is_on(self) -> bool:
        """Whether what is heard now is kept out."""
        return self.border == _FOR_EVER

    def begin(self, position: int) -> None:
        """Keep out whatever is told from `position` on, until `end`."""
        if not self.is_on:
            self._spans.append((position, _FOR_EVER))
            self.border = _FOR_EVER

    def end(self, position: int) -> None:
        """Keep again what is told from `position` on."""
        if self.is_on:
            start, _ = self._spans[-1]
            self.border = max(start, position)
            self._spans[-1] = start, self.border

    def hides(self, digit: Digit) -> bool:
        """Return whether any of a digit falls into a mask."""
        # What is hidden most often: the digits of cards.
        end = digit.start + digit.length
        return any(a < end and digit.start < b for a, b in self._spans)

    def split(self, event: Run | Gap) -> tuple[Gap, Run | Gap | None]:
        """Return what is kept out of an event before `border`, and what is kept."""
        rest = None
        if event.start + event.length > self.border:
            rest = _cut_front(event, self.border - event.start)
        end = event.start + event.length if rest is None else rest.start
        return Gap(event.start, end - event.start, GapCause.MASKED), rest


def _cut_front(event: Run | Gap, samples: int) -> Run | Gap | None:
    """Return an event without its first samples; None if it cannot be cut there."""
    start, length = event.start + samples, event.length - samples
    if isinstance(event, Gap):
        return Gap(start, length, event.cause, event.detail)
    unit = event.format.bytes_per_sample
    data = b"".join(event.payloads)
    # Packets of Opus, and audio of another rate, have no place to cut at.
    if not unit or len(data) != event.length * unit:
        return None
    return Run(start, length, [data[samples * unit :]], event.format)
